//! The objects of a channel in a file that is read once per epoch: lists of any length need little memory, and every epoch has the same
//! objects.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use kokanee_formats::random::SplitMix64;

use super::channels::ChannelObject;

/// A list of objects in the order in which they were added.
#[derive(Debug)]
pub(super) struct ObjectList {
    path: PathBuf,
    /// The offset of each object in the file, if the order is shuffled.
    offsets: Option<Vec<u64>>,
    seed: u64,
}

/// Writes a list.
pub(super) struct ListWriter {
    output: BufWriter<File>,
    list: ObjectList,
    length: u64,
}

impl ListWriter {
    /// Starts a list in a file, which is replaced. With a seed, each epoch has its own order.
    pub(super) fn create(path: &Path, seed: Option<u64>) -> io::Result<Self> {
        let list =
            ObjectList { path: path.to_owned(), offsets: seed.map(|_| Vec::new()), seed: seed.unwrap_or(0) };
        Ok(Self { output: BufWriter::new(File::create(path)?), list, length: 0 })
    }

    pub(super) fn add(&mut self, object: &ChannelObject) -> io::Result<()> {
        let mut line = serde_json::to_vec(object)?;
        line.push(b'\n');
        if let Some(offsets) = &mut self.list.offsets {
            offsets.push(self.length);
        }
        self.length += line.len() as u64;
        self.output.write_all(&line)
    }

    pub(super) fn finish(mut self) -> io::Result<ObjectList> {
        self.output.flush()?;
        Ok(self.list)
    }
}

impl ObjectList {
    /// Visits the objects in the order of an epoch.
    pub(super) fn each<E: From<io::Error>>(
        &self,
        epoch: u64,
        mut visit: impl FnMut(ChannelObject) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut input = BufReader::new(File::open(&self.path)?);
        let mut line = String::new();
        let mut read = |input: &mut BufReader<File>| -> io::Result<Option<ChannelObject>> {
            line.clear();
            if input.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            Ok(Some(serde_json::from_str(&line)?))
        };
        let Some(offsets) = &self.offsets else {
            while let Some(object) = read(&mut input)? {
                visit(object)?;
            }
            return Ok(());
        };
        let mut order = offsets.clone();
        SplitMix64::stream(self.seed, &[epoch]).shuffle(&mut order);
        for offset in order {
            input.seek(SeekFrom::Start(offset))?;
            if let Some(object) = read(&mut input)? {
                visit(object)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(seed: Option<u64>) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let mut list = ListWriter::create(&folder.path().join("list"), seed).unwrap();
        for name in 0..20 {
            let key = format!("ü{name}\n");
            list.add(&ChannelObject {
                bucket: "b".to_owned(),
                path: PathBuf::from(&key),
                key,
                is_named: false,
            })
            .unwrap();
        }
        let list = list.finish().unwrap();
        let order = |epoch| {
            let mut keys = Vec::new();
            let visit = |object: ChannelObject| {
                keys.push(object.key);
                io::Result::Ok(())
            };
            list.each(epoch, visit).unwrap();
            keys
        };
        [0, 1, 0].map(order).to_vec()
    }

    #[test]
    fn each_epoch_has_an_order_of_its_own_where_a_seed_is_given() {
        let plain = orders(None);
        assert!(plain.iter().all(|order| *order == plain[0]) && plain[0][2] == "ü2\n");
        let drawn = orders(Some(7));
        assert_eq!(drawn[0], drawn[2]);
        assert!(drawn[0] != drawn[1] && drawn[0] != plain[0] && drawn != orders(Some(8)));
        let mut sorted = (drawn[1].clone(), plain[0].clone());
        sorted.0.sort();
        sorted.1.sort();
        assert_eq!(sorted.0, sorted.1);
    }
}
