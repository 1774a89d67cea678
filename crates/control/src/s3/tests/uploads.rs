//! Uploads in parts, without clients.

use std::fs;

use super::*;

fn part(place: &Place, upload: &Upload, number: u32, bytes: &[u8]) -> Part {
    let mut staging = place.store.stage(&[Algorithm::Crc32]).unwrap();
    staging.write(bytes).unwrap();
    place.store.put_part("bucket", upload, number, staging.finish().unwrap()).unwrap()
}

fn listed(parts: &[&Part]) -> ListedParts {
    let one = |part: &&Part| ListedPart { number: part.number, etag: part.etag(), checksum: None };
    ListedParts { parts: parts.iter().map(one).collect(), ..ListedParts::default() }
}

#[test]
fn the_latest_of_a_number_counts_and_parts_survive_a_restart() {
    let mut place = Place::new();
    let checksum = Some((Algorithm::Crc32, Some(ChecksumType::FullObject)));
    let upload = place.store.begin_upload("bucket", "a/b", Description::default(), checksum).unwrap();
    let large = vec![b'x'; 5 << 20];
    let last = part(&place, &upload, 9, b"end");
    part(&place, &upload, 1, b"never mind");
    let first = part(&place, &upload, 1, &large);

    let Place { store, folder } = place;
    drop(store);
    place = Place { store: Store::open(&folder.path().join("s3")).unwrap(), folder };
    let again = place.store.upload("bucket", "a/b", &upload.id).unwrap();
    assert_eq!((&again, place.store.uploads("bucket").unwrap()), (&upload, vec![upload.clone()]));
    assert_eq!(place.store.parts("bucket", &upload).unwrap(), [first.clone(), last.clone()]);

    let complete = |listed: &ListedParts| {
        place.store.complete_upload("bucket", "a/b", &upload.id, listed, &WriteCondition::default())
    };
    let wrong = ListedParts { size: Some(3), ..listed(&[&first, &last]) };
    assert_eq!(complete(&wrong).unwrap_err().code, ErrorCode::InvalidRequest);
    let wrong =
        ListedParts { checksum: Some((Algorithm::Crc32, "AAAAAA==".into())), ..listed(&[&first, &last]) };
    assert_eq!(complete(&wrong).unwrap_err().code, ErrorCode::BadDigest);
    assert_eq!(complete(&listed(&[&last, &first])).unwrap_err().code, ErrorCode::InvalidPartOrder);
    assert_eq!(complete(&listed(&[])).unwrap_err().code, ErrorCode::MalformedXML);
    let record = complete(&listed(&[&first, &last])).unwrap();
    let whole = [&large[..], b"end"].concat();
    assert_eq!(record.checksum, Some(checksums::checksum_of(Algorithm::Crc32, &whole)));
    assert_eq!((record.size, &*record.parts), (whole.len() as u64, &[5 << 20, 3][..]));
    assert_eq!(fs::read(place.path("bucket/a/b")).unwrap(), whole);
    // A client that got no response retries; nothing remains of the upload.
    assert_eq!(complete(&listed(&[&first, &last])).unwrap(), record);
    assert_eq!(place.store.uploads("bucket").unwrap(), []);
    assert_eq!(fs::read_dir(place.path(".kokanee-s3/bucket/uploads")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(place.path(".kokanee-s3/unnamed")).unwrap().count(), 0);
}

#[test]
fn ids_that_are_paths_lead_nowhere() {
    let place = Place::new();
    let upload = place.store.begin_upload("bucket", "a", Description::default(), None).unwrap();
    for id in ["", "..", "../objects", &format!("./{}", upload.id), &upload.id[1..]] {
        assert_eq!(place.store.abort_upload("bucket", "a", id).unwrap_err().code, ErrorCode::NoSuchUpload);
    }
    assert_eq!(place.store.upload("bucket", "b", &upload.id).unwrap_err().code, ErrorCode::NoSuchUpload);
    place.store.abort_upload("bucket", "a", &upload.id).unwrap();
    // A bucket is deleted with its uncompleted uploads.
    place.store.begin_upload("bucket", "a", Description::default(), None).unwrap();
    place.store.delete_bucket("bucket").unwrap();
    assert!(!place.path(".kokanee-s3/bucket").exists());
}
