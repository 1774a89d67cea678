//! The artefacts that a job leaves in S3, in the folder `<S3OutputPath>/<job>/output`.

use std::fs;
use std::path::{Path, PathBuf};

use kokanee_formats::archive;

use super::RunError;
use crate::folder_files::{FolderFile, files_below};
use crate::objects::ObjectStore;
use crate::s3;
use crate::s3_uri::S3Uri;
use crate::training::Packing;

/// The packed model.
const MODEL_ARCHIVE: &str = "model.tar.gz";
/// The packed files of `/opt/ml/output/data`.
const OUTPUT_ARCHIVE: &str = "output.tar.gz";

/// The destination and the packing of a job's artefacts.
pub(super) struct Artefacts<'a> {
    pub(super) objects: &'a dyn ObjectStore,
    /// `<S3OutputPath>/<job>/output`.
    pub(super) address: S3Uri,
    pub(super) packing: Packing,
    /// A folder for archives that are being uploaded.
    pub(super) scratch: &'a Path,
}

impl Artefacts<'_> {
    /// Uploads the model. Returns its address, or none if the folder contains no files and `may_be_empty` is not set.
    pub(super) fn put_model(&self, folder: &Path, may_be_empty: bool) -> Result<Option<String>, RunError> {
        let files = files_below(folder).map_err(|error| unreadable(folder, &error))?;
        if files.is_empty() && !may_be_empty {
            return Ok(None);
        }
        let address = match self.packing {
            Packing::Gzip => self.put_archive(MODEL_ARCHIVE, folder, &files)?,
            Packing::None => self.put_files("model/", &files)?,
        };
        Ok(Some(address.to_string()))
    }

    /// Uploads the program's other output for its author, `/opt/ml/output/data`, if there is any.
    pub(super) fn put_output(&self, folder: &Path) -> Result<(), RunError> {
        let files = files_below(folder).map_err(|error| unreadable(folder, &error))?;
        if !files.is_empty() {
            match self.packing {
                Packing::Gzip => self.put_archive(OUTPUT_ARCHIVE, folder, &files)?,
                Packing::None => self.put_files("data/", &files)?,
            };
        }
        Ok(())
    }

    fn put_archive(&self, name: &str, folder: &Path, files: &[FolderFile]) -> Result<S3Uri, RunError> {
        let archive = self.scratch.join(name);
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        archive::pack(folder, &names, &archive).map_err(|error| RunError::Machine(error.to_string()))?;
        let address = self.address.below(name);
        self.put(&address, &archive)?;
        fs::remove_file(&archive)
            .map_err(|error| RunError::Machine(format!("{}: {error}", archive.display())))?;
        Ok(address)
    }

    fn put_files(&self, folder: &str, files: &[FolderFile]) -> Result<S3Uri, RunError> {
        let address = self.address.below(folder);
        for file in files {
            self.put(&address.below(&file.name), &file.path)?;
        }
        Ok(address)
    }

    fn put(&self, S3Uri { bucket, key }: &S3Uri, file: &Path) -> Result<(), RunError> {
        // The program has ended, so nothing writes the file any more.
        let put = self.objects.upload_file(bucket, key, file, &|| true);
        put.map(drop).map_err(|error| cannot_put(file, bucket, key, &error))
    }
}

/// The error for a file that cannot be uploaded to S3, with the name by which its program knows it.
pub(super) fn cannot_put(file: &Path, bucket: &str, key: &str, error: &s3::S3Error) -> RunError {
    let name = PathBuf::from(file.file_name().unwrap_or_default());
    RunError::Client(format!("{} cannot be put into s3://{bucket}/{key}: {error}", name.display()))
}

fn unreadable(folder: &Path, error: &std::io::Error) -> RunError {
    RunError::Machine(format!("{}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::test_channel::store;

    #[test]
    fn files_are_packed_or_put_one_by_one() {
        let (folder, objects) = store::<&str>(&[]);
        let model = folder.path().join("model");
        let put = |packing, may_be_empty| {
            let address = S3Uri::new("bucket", "out/").below("job/output");
            let artefacts = Artefacts { objects: &objects, address, packing, scratch: folder.path() };
            artefacts.put_output(&model).unwrap();
            artefacts.put_model(&model, may_be_empty).unwrap()
        };
        assert_eq!(put(Packing::Gzip, false), None);
        assert_eq!(put(Packing::Gzip, true).unwrap(), "s3://bucket/out/job/output/model.tar.gz");
        objects.stat("bucket", "out/job/output/model.tar.gz").unwrap();
        fs::create_dir_all(model.join("a")).unwrap();
        fs::write(model.join("a/b"), "1").unwrap();
        assert_eq!(put(Packing::None, false).unwrap(), "s3://bucket/out/job/output/model/");
        assert_eq!(objects.stat("bucket", "out/job/output/model/a/b").unwrap().size, 1);
        objects.stat("bucket", "out/job/output/data/a/b").unwrap();
        put(Packing::Gzip, false).unwrap();
        let output = folder.path().join("unpacked");
        let archive = objects.get("bucket", "out/job/output/output.tar.gz").unwrap().path;
        archive::unpack(&archive, &output).unwrap();
        assert_eq!(fs::read(output.join("a/b")).unwrap(), b"1");
        assert!(!folder.path().join(MODEL_ARCHIVE).exists());
    }
}
