//! The objects of a channel, in the order and under the names that a job sees.

use std::io::Read as _;
use std::path::PathBuf;

use kokanee_contract::channels::Distribution;
use serde::{Deserialize, Serialize};

use super::RunError;
use crate::objects::ObjectStore;
use crate::s3::{self, ListRequest, MAX_KEYS};
use crate::s3_uri::S3Uri;
use crate::training::ChannelRequest;

/// The largest manifest. Its keys take about a hundred bytes each.
const MOST_MANIFEST_BYTES: u64 = 256 << 20;

/// One of the machines of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// Its index in the order of the hosts' names.
    pub(super) index: u64,
    /// The number of hosts.
    pub(super) count: u64,
}

/// The only machine of a job.
pub(super) const ONLY_HOST: Host = Host { index: 0, count: 1 };

/// An object of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChannelObject {
    pub(super) bucket: String,
    pub(super) key: String,
    /// Its path in the channel's folder.
    pub(super) path: PathBuf,
    /// Whether a manifest names it. Then it must exist.
    pub(super) is_named: bool,
}

/// An entry of a manifest: first the prefix of all keys, then keys without the prefix.
#[derive(Deserialize)]
#[serde(untagged)]
enum ManifestEntry {
    Prefix { prefix: String },
    Key(String),
}

impl Host {
    /// Whether this machine gets the object at this position in the order of a channel's objects.
    fn takes(self, distribution: Distribution, place: u64) -> bool {
        match distribution {
            Distribution::FullyReplicated => true,
            Distribution::ShardedByS3Key => place % self.count == self.index,
        }
    }
}

/// Visits the objects of a channel that a machine gets, in the order of their keys or of the manifest.
///
/// # Errors
/// If they cannot be listed, or have names that a file cannot have; and the errors of `visit`.
pub(super) fn each_object(
    channel: &ChannelRequest,
    host: Host,
    objects: &dyn ObjectStore,
    mut visit: impl FnMut(ChannelObject) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let mut place = 0;
    let mut deal = |bucket: &str, key: &str, relative: &str, is_named| {
        let path = s3::plain_path(relative).ok_or_else(|| {
            refuse(channel, format!("the key {key} is not a path of a file, so that it cannot be given to a job; rename the object"))
        })?;
        let is_ours = host.takes(channel.distribution, place);
        place += 1;
        if !is_ours {
            return Ok(());
        }
        visit(ChannelObject { bucket: bucket.to_owned(), key: key.to_owned(), path, is_named })
    };
    let S3Uri { bucket, key: prefix } = &channel.source;
    if channel.is_manifest {
        let (head, keys) = manifest(channel, objects)?;
        for key in keys {
            deal(&head.bucket, &format!("{}{key}", head.key), &key, true)?;
        }
        return Ok(());
    }
    let mut request = ListRequest { prefix: prefix.clone(), limit: MAX_KEYS, ..ListRequest::default() };
    loop {
        let page = objects.page(bucket, &request).map_err(|error| refuse(channel, error))?;
        for (key, _) in &page.objects {
            // Keys that end with a slash stand for folders.
            if !key.ends_with('/') {
                deal(bucket, key, s3::path_below(prefix, key), false)?;
            }
        }
        match page.next {
            Some(next) => request.after = next,
            None => return Ok(()),
        }
    }
}

/// An error in a channel that the author of the job must correct.
pub(super) fn refuse(channel: &ChannelRequest, problem: impl std::fmt::Display) -> RunError {
    RunError::Client(format!("channel {}: {problem}", channel.name))
}

/// Reads a manifest: the prefix of all keys, and the rest of each key.
fn manifest(channel: &ChannelRequest, objects: &dyn ObjectStore) -> Result<(S3Uri, Vec<String>), RunError> {
    let S3Uri { bucket, key } = &channel.source;
    let bad = |problem: String| refuse(channel, format!("the manifest {}: {problem}", channel.source));
    let input = objects.open_object(bucket, key).map_err(|error| bad(error.to_string()))?.input;
    let mut text = String::new();
    let read = input.take(MOST_MANIFEST_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| bad(error.to_string()))?;
    if text.len() as u64 > MOST_MANIFEST_BYTES {
        return Err(bad(format!("it has more than {MOST_MANIFEST_BYTES} bytes")));
    }
    let expected = "expected [{\"prefix\": \"s3://bucket/prefix/\"}, \"key\", …]";
    let entries: Vec<ManifestEntry> =
        serde_json::from_str(&text).map_err(|error| bad(format!("{error}; {expected}")))?;
    let mut entries = entries.into_iter();
    let Some(ManifestEntry::Prefix { prefix }) = entries.next() else { return Err(bad(expected.to_owned())) };
    let prefix = S3Uri::parse(&prefix).map_err(|error| bad(error.to_string()))?;
    let keys = entries.map(|entry| match entry {
        ManifestEntry::Key(key) => Ok(key),
        ManifestEntry::Prefix { prefix } => Err(bad(format!("a second prefix, {prefix}; {expected}"))),
    });
    Ok((prefix, keys.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::test_channel::{channel, store};

    fn objects(
        channel: &ChannelRequest,
        host: Host,
        objects: &dyn ObjectStore,
    ) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        let all = each_object(channel, host, objects, |object| {
            found.push(format!("{} {}", object.key, object.path.display()));
            Ok(())
        });
        all.map(|()| found).map_err(|error| error.to_string())
    }

    #[test]
    fn objects_are_dealt_in_the_order_of_their_keys() {
        let (_folder, store) =
            store(&[("in/b", ""), ("in/a", ""), ("in/c/d", ""), ("in/", ""), ("in/e", "")]);
        let mut sharded = channel("s3://bucket/in");
        let all = ["in/a a", "in/b b", "in/c/d c/d", "in/e e"];
        assert_eq!(objects(&sharded, ONLY_HOST, &store).unwrap(), all);
        sharded.distribution = Distribution::ShardedByS3Key;
        assert_eq!(objects(&sharded, ONLY_HOST, &store).unwrap(), all);
        let of = |index| objects(&sharded, Host { index, count: 3 }, &store).unwrap();
        assert_eq!([of(0), of(1), of(2)], [vec![all[0], all[3]], vec![all[1]], vec![all[2]]]);
    }

    #[test]
    fn a_manifest_names_keys_behind_a_prefix() {
        let manifest = "[{\"prefix\": \"s3://bucket/in/\"}, \"c/d\", \"a\"]";
        let (_folder, store) = store(&[
            ("list", manifest),
            ("up", "[{\"prefix\": \"s3://bucket/in/\"}, \"../x\"]"),
            ("bad", "{}"),
            ("two", "[{\"prefix\": \"s3://bucket/a/\"}, {\"prefix\": \"s3://bucket/b/\"}]"),
        ]);
        let listed = |key: &str| {
            let mut listed = channel(&format!("s3://bucket/{key}"));
            listed.is_manifest = true;
            objects(&listed, ONLY_HOST, &store)
        };
        assert_eq!(listed("list").unwrap(), ["in/c/d c/d", "in/a a"]);
        for (key, part) in [
            ("up", "the key in/../x is not a path"),
            ("bad", "expected [{"),
            ("two", "a second prefix"),
            ("gone", "key"),
        ] {
            let said = listed(key).unwrap_err();
            assert!(said.starts_with("ClientError: channel train: ") && said.contains(part), "{said}");
        }
    }
}
