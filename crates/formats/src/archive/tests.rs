//! Archives of all kinds, and dangerous entries that must be refused.

use std::io::Write as _;

use tar::EntryType;
use tempfile::tempdir;

use super::*;

/// Unpacks an archive of the entries that `build` appends into the sub-folder `out` of a new folder; returns that folder.
fn unpack_built(build: impl FnOnce(&mut tar::Builder<&mut Vec<u8>>)) -> Result<tempfile::TempDir, String> {
    let folder = tempdir().unwrap();
    let archive = folder.path().join("a.tar.gz");
    std::fs::write(&archive, gzip(&tar_of(build))).unwrap();
    let target = folder.path().join("out");
    std::fs::create_dir(&target).unwrap();
    let result = unpack(&archive, &target).map_err(|e| e.to_string());
    assert!(!folder.path().join("escaped").exists());
    result.map(|()| folder)
}

fn tar_of(build: impl FnOnce(&mut tar::Builder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut builder = tar::Builder::new(&mut bytes);
    build(&mut builder);
    builder.finish().unwrap();
    drop(builder);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A header with this name, however invalid.
fn header(name: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

#[test]
fn unsafe_archives_are_refused() {
    for (name, kind, size, expected) in [
        ("../escaped", EntryType::Regular, 1, "leads out of the archive"),
        ("/tmp/escaped-from-kokanee", EntryType::Regular, 1, "leads out of the archive"),
        ("a/../../escaped", EntryType::Regular, 1, "leads out of the archive"),
        ("device", EntryType::Char, 0, "is not a plain file, folder or link"),
        ("bomb", EntryType::Regular, ALWAYS_UNPACKED_BYTES + 1, "absurdly large"),
    ] {
        let result = unpack_built(|tar| {
            let data: &[u8] = if size == 1 { b"x" } else { b"" };
            tar.append(&header(name, kind, size), data).unwrap();
        });
        let message = result.expect_err(name);
        assert!(message.contains(expected) && message.contains(name), "{name}: `{message}`");
    }
    assert!(unpack_built(|_| ()).unwrap_err().contains("the archive is empty"));
    let fine = unpack_built(|tar| {
        tar.append(&header("./model/config.json", EntryType::Regular, 1), &b"x"[..]).unwrap();
    });
    assert!(fine.is_ok());
}

#[test]
fn a_file_that_is_no_archive_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.tar.gz");
    for content in [&b""[..], b"not gzip", &[0x1f, 0x8b, 8, 0, 0]] {
        std::fs::write(&path, content).unwrap();
        let message = unpack(&path, folder.path()).unwrap_err().to_string();
        assert!(message.contains("not a whole gzip-compressed tar archive"), "{message}");
    }
}

/// Appends a link and its target.
fn link(tar: &mut tar::Builder<&mut Vec<u8>>, name: &str, leads_to: &str, kind: EntryType) {
    let mut header = header(name, kind, 0);
    header.as_gnu_mut().unwrap().linkname[..leads_to.len()].copy_from_slice(leads_to.as_bytes());
    header.set_cksum();
    tar.append(&header, &b""[..]).unwrap();
}

fn file(tar: &mut tar::Builder<&mut Vec<u8>>, name: &str, content: &str) {
    tar.append(&header(name, EntryType::Regular, content.len() as u64), content.as_bytes()).unwrap();
}

#[test]
fn links_to_files_of_the_archive_are_followed() {
    for (leads_to, kind) in [
        ("params.00017", EntryType::Symlink),
        ("./params.00017", EntryType::Symlink),
        ("../model/params.00017", EntryType::Symlink),
        ("/opt/ml/model/params.00017", EntryType::Symlink),
        ("model/params.00017", EntryType::Link),
        ("./model/params.00017", EntryType::Link),
    ] {
        for link_comes_first in [false, true] {
            let folder = unpack_built(|tar| {
                if link_comes_first {
                    link(tar, "./model/params.best", leads_to, kind);
                }
                file(tar, "model/params.00017", "numbers");
                file(tar, "params.00018", "others");
                if !link_comes_first {
                    link(tar, "model/params.best", leads_to, kind);
                }
                link(tar, "again", "model/params.best", EntryType::Symlink);
            })
            .unwrap_or_else(|message| panic!("{leads_to}: {message}"));
            for name in ["model/params.best", "again"] {
                let path = folder.path().join("out").join(name);
                assert_eq!(std::fs::read(&path).unwrap(), b"numbers", "{name} to {leads_to}");
                assert!(path.symlink_metadata().unwrap().is_file());
            }
        }
    }
}

#[test]
fn links_out_of_the_archive_or_to_nothing_are_refused_with_what_to_do() {
    for (leads_to, kind) in [
        ("gone", EntryType::Symlink),
        ("gone", EntryType::Link),
        ("folder", EntryType::Symlink),
        ("link", EntryType::Symlink),
        ("../outside", EntryType::Symlink),
        ("../outside", EntryType::Link),
        ("/etc/passwd", EntryType::Symlink),
        ("/etc/passwd", EntryType::Link),
        ("", EntryType::Symlink),
    ] {
        let message = unpack_built(|tar| {
            file(tar, "folder/file", "x");
            link(tar, "link", leads_to, kind);
        });
        let message = message.err().unwrap_or_else(|| panic!("{leads_to}"));
        assert!(message.contains("entry `link` is a link to "), "{leads_to}: {message}");
        assert!(message.contains("pack the model with `tar --dereference`"), "{leads_to}: {message}");
    }
    // Nothing is written through a link, whatever entries follow it.
    let folder = unpack_built(|tar| {
        link(tar, "a", "b", EntryType::Symlink);
        file(tar, "b", "first");
        file(tar, "a", "second");
    });
    let folder = folder.unwrap();
    assert_eq!(std::fs::read(folder.path().join("out/b")).unwrap(), b"first");
    assert_eq!(std::fs::read(folder.path().join("out/a")).unwrap(), b"second");
}

/// Unpacks bytes as an archive; returns `config.json`.
fn unpack_bytes(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let folder = tempdir().unwrap();
    let archive = folder.path().join("a.tar.gz");
    std::fs::write(&archive, bytes).unwrap();
    let target = folder.path().join("out");
    std::fs::create_dir(&target).unwrap();
    unpack(&archive, &target).map_err(|error| error.to_string())?;
    Ok(std::fs::read(target.join("config.json")).unwrap())
}

#[test]
fn global_headers_several_gzip_members_and_plain_tar_are_read() {
    let with_global_header = tar_of(|tar| {
        let comment = "52 comment=0123456789abcdef0123456789abcdef01234567\n";
        let head = header("pax_global_header", EntryType::XGlobalHeader, comment.len() as u64);
        tar.append(&head, comment.as_bytes()).unwrap();
        file(tar, "config.json", "{}");
    });
    for bytes in [gzip(&with_global_header), with_global_header.clone()] {
        assert_eq!(unpack_bytes(&bytes).unwrap(), b"{}");
    }
    for cut in [1, 600, with_global_header.len() - 1] {
        let (first, second) = with_global_header.split_at(cut);
        assert_eq!(unpack_bytes(&[gzip(first), gzip(second)].concat()).unwrap(), b"{}", "{cut}");
    }
    assert!(
        unpack_bytes(&with_global_header[..700]).unwrap_err().contains("not a whole gzip-compressed tar")
    );
}

#[test]
fn archives_of_macos_are_read() {
    let packed = tar_of(|tar| {
        tar.append(&header("./", EntryType::Directory, 0), &[][..]).unwrap();
        file(tar, "./._config.json", "\0\u{5}\u{16}\u{7}resource fork");
        tar.append_pax_extensions([("SCHILY.xattr.com.apple.provenance", &b"\x01\x02\0\xff"[..])]).unwrap();
        file(tar, "./config.json", "{}");
        file(tar, "./.DS_Store", "\0\0\0\u{1}Bud1");
        tar.append(&header("__MACOSX/", EntryType::Directory, 0), &[][..]).unwrap();
        file(tar, "__MACOSX/._config.json", "fork");
    });
    assert_eq!(unpack_bytes(&gzip(&packed)).unwrap(), b"{}");
    assert_eq!(unpack_bytes(&packed).unwrap(), b"{}");
}

#[test]
fn archives_of_other_kinds_are_named_with_what_to_do() {
    let tar = tar_of(|tar| file(tar, "config.json", "{}"));
    let twice = unpack_bytes(&gzip(&gzip(&tar))).unwrap_err();
    assert!(twice.contains("it is compressed with gzip twice: decompress it once (gunzip)"), "{twice}");
    let text = unpack_bytes(&gzip(&b"a b c\n".repeat(200))).unwrap_err();
    assert!(text.contains("it is compressed with gzip, but what is in it is not a tar archive"), "{text}");
    for (start, name, command) in [
        (&b"BZh91AY&SY"[..], "bzip2", "tar xjf"),
        (b"\xfd7zXZ\0\0", "xz", "tar xJf"),
        (b"PK\x03\x04\x14\0", "zip", "unzip"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd", "tar --zstd -xf"),
        (b"7z\xbc\xaf\x27\x1c\0", "7z", "7z x"),
        (b"Rar!\x1a\x07", "rar", "unrar x"),
    ] {
        let message = unpack_bytes(start).unwrap_err();
        let told =
            format!("packed with {name}, which is not read: unpack it (`{command}`) and give the folder");
        assert!(message.contains(&format!("it is {told}")), "{message}");
        let message = unpack_bytes(&gzip(start)).unwrap_err();
        assert!(message.contains(&format!("gzip of {told}")), "{message}");
    }
}

#[test]
fn an_archive_is_known_by_its_first_entry() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["parameters", "config.json"] {
        std::fs::write(path(name), "x").unwrap();
    }
    pack(folder.path(), &["parameters", "config.json"], &path("own")).unwrap();
    std::fs::write(path("other"), gzip(&tar_of(|tar| file(tar, "params.best", "x")))).unwrap();
    std::fs::write(path("text"), "x").unwrap();
    let found = ["own", "other", "text", "none"].map(|name| first_entry(&path(name)));
    let expected = [Some("parameters"), Some("params.best"), None, None];
    assert_eq!(found, expected.map(|name| name.map(PathBuf::from)));
    let error = pack(folder.path(), &["gone"], &path("own")).unwrap_err().to_string();
    assert!(error.contains("cannot pack") && error.contains("/gone"), "{error}");
    assert!(first_entry(&path("own")).is_some(), "the archive before is kept");
}

#[cfg(unix)]
#[test]
fn programs_stay_programs() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    for (name, mode) in [("run", 0o700), ("data", 0o600)] {
        std::fs::write(folder.path().join(name), "x").expect("writes");
        std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(mode))
            .expect("sets");
    }
    let archive = folder.path().join("model.tar.gz");
    pack(folder.path(), &["data", "run"], &archive).expect("packs");
    unpack(&archive, &folder.path().join("out")).expect("unpacks");
    let mode = |name: &str| {
        let metadata = std::fs::metadata(folder.path().join("out").join(name)).expect("is there");
        metadata.permissions().mode() & 0o100
    };
    assert_eq!([mode("data"), mode("run")], [0, 0o100]);
}
