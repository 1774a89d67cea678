use super::*;
use crate::rows::Row;

fn read(text: &[u8], label_size: usize, width: Option<usize>) -> Result<(Vec<Vec<f32>>, Vec<f32>), String> {
    let mut reader = CsvReader::new(text, Path::new("a.csv"), CsvFormat { label_size, width });
    let (mut rows, mut labels) = (Rows::new(0), Vec::new());
    // Two at a time, so that there are several batches.
    let mut all = Vec::new();
    loop {
        rows.clear();
        if reader.read(&mut rows, &mut labels, 2).map_err(|error| error.to_string())? == 0 {
            return Ok((all, labels));
        }
        for row in 0..rows.len() {
            let Row::Dense(values) = rows.row(row) else { panic!("rows of CSV are dense") };
            all.push(values.to_vec());
        }
    }
}

#[test]
fn rows_and_labels_are_read() {
    let want = (vec![vec![2.0, 3.0], vec![5.0, 6.0]], vec![1.0, 4.0]);
    for text in
        ["1,2,3\n4,5,6\n", "1,2,3\r\n4,5,6", "\u{feff}1, 2 ,3\n\n  \n4,\"5\",6e0\n", "+1,2.0,3\n4,.5e1,6\n\n"]
    {
        assert_eq!(read(text.as_bytes(), 1, Some(2)).as_ref(), Ok(&want), "{text:?}");
        assert_eq!(read(text.as_bytes(), 1, None).as_ref(), Ok(&want), "{text:?}");
    }
    assert_eq!(read(b"", 0, None), Ok((vec![], vec![])));
    assert_eq!(read(b"7\n-0.5", 0, None), Ok((vec![vec![7.0], vec![-0.5]], vec![])));
}

#[track_caller]
fn check(text: &[u8], label_size: usize, width: Option<usize>, expected: &str) {
    assert_eq!(read(text, label_size, width), Err(format!("Unable to parse csv: {expected}")));
}

#[test]
fn what_is_no_row_of_numbers_is_refused_with_its_place() {
    check(
        b"a,b\n1,2\n",
        0,
        None,
        "row 1, file a.csv: column 1 is \"a\"; expected a number. It looks like a header, and CSV must not have one",
    );
    check(b"1,2\n1,x\n", 0, None, "row 2, file a.csv: column 2 is \"x\"; expected a number");
    check(b"1,,2\n", 0, None, "row 1, file a.csv: column 2 is \"\"; expected a number");
    check(
        b"1,nan\n",
        0,
        None,
        "row 1, file a.csv: column 2 is \"nan\"; infinite and undefined numbers are refused",
    );
    check(
        b"1\n2\n-1e39\n",
        0,
        None,
        "row 3, file a.csv: column 1 is \"-1e39\", which does not fit 32-bit floats; scale the column",
    );
    check(b"1,2\n1,\xff\n", 0, None, "row 2, file a.csv: byte 3 is not UTF-8; save the file as UTF-8");
    check(
        b"1,2\n1,2,3\n",
        0,
        None,
        "row 2, file a.csv: the row has 3 columns; expected 0 label column(s) and 2 others",
    );
    check(
        b"1,2\n",
        1,
        Some(2),
        "row 1, file a.csv: the row has 2 columns; expected 1 label column(s) and 2 others. The first column is a \
         label unless the content type says label_size=0",
    );
    check(
        b"1\n",
        1,
        None,
        "row 1, file a.csv: the row has 1 columns; expected 1 label column(s) and 1 others. The first column is a label unless the content type says label_size=0",
    );
    check(
        &vec![b'1'; MAX_LINE_BYTES + 2],
        0,
        None,
        "row 1, file a.csv: the line is longer than 16777216 bytes. Is this a CSV file?",
    );
}
