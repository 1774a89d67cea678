use super::*;

/// The bytes before the device of a 2 x 2 array in version 2.
fn head() -> Vec<u8> {
    let mut head = ARRAY_V2.to_le_bytes().to_vec();
    head.extend(0i32.to_le_bytes());
    head.extend(2u32.to_le_bytes());
    head.extend([2i64, 2].iter().flat_map(|extent| extent.to_le_bytes()));
    head
}

/// A file with one array of the numbers 1 to 4, with this name or none.
fn file(head: &[u8], kind: i32, elements: &[u8], name: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [LIST_MAGIC, 0, 1] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(head);
    bytes.extend([1i32, 0, kind].iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend(elements);
    bytes.extend((name.iter().len() as u64).to_le_bytes());
    if let Some(name) = name {
        bytes.extend((name.len() as u64).to_le_bytes());
        bytes.extend(name.as_bytes());
    }
    bytes
}

fn floats() -> Vec<u8> {
    [1f32, 2., 3., 4.].iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[track_caller]
fn check(bytes: &[u8], expected: Result<(&[&str], Values), &str>) {
    let got = parse(bytes).map_err(|(at, fault)| format!("{at}: {fault}"));
    match (got, expected) {
        (Ok(Arrays { arrays, names }), Ok((expected_names, values))) => {
            let [array] = &arrays[..] else { panic!("{} arrays", arrays.len()) };
            assert_eq!((&names[..], &array.shape[..]), (&expected_names.map_owned()[..], &[2, 2][..]));
            assert_eq!(array.values, values);
        }
        (got, expected) => {
            assert_eq!(got.as_ref().err().map(String::as_str), expected.as_ref().err().copied())
        }
    }
}

trait Owned {
    fn map_owned(&self) -> Vec<String>;
}

impl Owned for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|&name| name.to_owned()).collect()
    }
}

fn numbers() -> Values {
    Values::F32(vec![1.0, 2.0, 3.0, 4.0])
}

#[test]
fn lists_and_dictionaries_of_every_version_are_read() {
    let mut version_1 = ARRAY_V1.to_le_bytes().to_vec();
    version_1.extend(&head()[8..]);
    let version_0: Vec<u8> = [2u32, 2, 2].iter().flat_map(|extent| extent.to_le_bytes()).collect();
    for head in [head(), version_1, version_0] {
        check(&file(&head, 0, &floats(), None), Ok((&[], numbers())));
        check(&file(&head, 0, &floats(), Some("centroids")), Ok((&["centroids"], numbers())));
        check(&file(&head, 0, &floats(), Some("arg:name")), Ok((&["arg:name"], numbers())));
    }
}

#[test]
fn elements_of_every_type_are_read() {
    let doubles: Vec<u8> = [1f64, 2., 3., 4.].iter().flat_map(|value| value.to_le_bytes()).collect();
    check(&file(&head(), 1, &doubles, None), Ok((&[], Values::F64(vec![1.0, 2.0, 3.0, 4.0]))));
    let halves = [0x3c00u16, 0x4000, 0x4200, 0x4400];
    let bytes: Vec<u8> = halves.iter().flat_map(|value| value.to_le_bytes()).collect();
    check(&file(&head(), 2, &bytes, None), Ok((&[], Values::F16(halves.to_vec()))));
    check(&file(&head(), 3, &[1, 2, 3, 255], None), Ok((&[], Values::U8(vec![1, 2, 3, 255]))));
    let ints: Vec<u8> = [1i32, 2, 3, -4].iter().flat_map(|value| value.to_le_bytes()).collect();
    check(&file(&head(), 4, &ints, None), Ok((&[], Values::I32(vec![1, 2, 3, -4]))));
    check(&file(&head(), 5, &[1, 2, 3, 255], None), Ok((&[], Values::I8(vec![1, 2, 3, -1]))));
    let longs: Vec<u8> = [1i64, 2, 3, -4].iter().flat_map(|value| value.to_le_bytes()).collect();
    check(&file(&head(), 6, &longs, None), Ok((&[], Values::I64(vec![1, 2, 3, -4]))));
    check(
        &file(&head(), 7, &floats(), None),
        Err("64: an array has element type 7, which is none of MXNet's numbers"),
    );
}

#[test]
fn every_truncation_is_seen() {
    for name in [None, Some("arg:name")] {
        let whole = file(&head(), 0, &floats(), name);
        for end in 0..whole.len() {
            let (_, fault) = parse(&whole[..end]).unwrap_err();
            assert!(fault.to_string().contains("the file ends"), "{end}: {fault}");
        }
    }
}

#[test]
fn sizes_that_the_file_claims_are_not_trusted() {
    let with_shape = |extents: &[i64]| {
        let mut head = ARRAY_V2.to_le_bytes().to_vec();
        head.extend(0i32.to_le_bytes());
        head.extend((extents.len() as u32).to_le_bytes());
        head.extend(extents.iter().flat_map(|extent| extent.to_le_bytes()));
        file(&head, 0, &floats(), None)
    };
    check(&with_shape(&[i64::MAX, 2]), Err("52: an array is absurdly large"));
    check(&with_shape(&[0, 1 << 40, 1 << 40]), Err("60: an array is absurdly large"));
    check(&with_shape(&[1 << 40]), Err("56: the file ends: 4398046511104 more bytes expected, 24 left"));
    check(&with_shape(&[-1]), Err("44: an array has a negative size"));
    check(&with_shape(&[1; 9]), Err("36: an array has 9 dimensions"));
    check(&with_shape(&[]), Err("36: an array has 0 dimensions"));
    let mut many = file(&head(), 0, &floats(), None);
    many[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    let (_, fault) = parse(&many).unwrap_err();
    assert!(!matches!(fault, MxnetFault::Names { .. }), "{fault}");
}

#[test]
fn what_is_no_array_file_is_refused() {
    check(b"not MXNet", Err("8: the file does not start with MXNet's magic number"));
    let mut unknown = 0xF993_FACBu32.to_le_bytes().to_vec();
    unknown.extend(&head()[4..]);
    check(
        &file(&unknown, 0, &floats(), None),
        Err("28: an array starts with 0xf993facb, which is not the magic of any version"),
    );
    let mut sparse = head();
    sparse[4] = 1;
    check(
        &file(&sparse, 0, &floats(), None),
        Err("32: an array has storage type 1, and only dense ones (0) can be read"),
    );
    let mut named = file(&head(), 0, &floats(), Some("a"));
    let at = named.len() - 17;
    named[at] = 2;
    check(&named, Err("88: 2 names for 1 arrays"));
    let mut named = file(&head(), 0, &floats(), Some("a"));
    *named.last_mut().unwrap() = 0xff;
    check(&named, Err("97: a name is not UTF-8"));
}

#[test]
fn files_are_written_as_mxnet_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model_algo-1");
    let single = ArrayView { shape: &[2, 2], values: ValuesView::F32(&[1.0, 2.0, 3.0, 4.0]) };
    for name in [None, Some("arg:name")] {
        save(&path, &[single], &Vec::from_iter(name)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), file(&head(), 0, &floats(), name));
    }
    let double = ArrayView { shape: &[1, 3], values: ValuesView::F64(&[0.1, 0.2, -0.3]) };
    save(&path, &[single, double], &["mean", "components"]).unwrap();
    let read = read(&path).unwrap();
    assert_eq!(read.names, ["mean", "components"]);
    assert_eq!(read.arrays[1].values, Values::F64(vec![0.1, 0.2, -0.3]));
    let missing = super::read(&folder.path().join("gone")).unwrap_err().to_string();
    assert!(missing.contains("gone: cannot read the file: "), "{missing}");
    std::fs::write(&path, "junk").unwrap();
    let error = super::read(&path).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "model_algo-1: at byte 0: the file ends: 8 more bytes expected, 4 left; expected an MXNet parameter file"
        ),
        "{error}"
    );
}
