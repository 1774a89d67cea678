//! The programs that names of images stand for.
//!
//! SageMaker's own images are recognised by the last part of their name. Account and region differ by region, and any are accepted.

use kokanee_contract::{AlgorithmContract, algorithm};
use thiserror::Error;

use crate::images::is_ecr;

/// The tags of SageMaker's own images. Older notebooks use `latest`.
const TAGS: [&str; 2] = ["1", "latest"];

/// The meaning of an image's name.
#[derive(Clone, Copy, Debug)]
pub enum Image {
    /// A built-in algorithm.
    BuiltIn(&'static AlgorithmContract),
    /// An image that a user brings.
    Own,
}

/// An error in an image's tag: the built-in algorithm does not have it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "The image \"{image}\" has the tag \"{tag}\", which the algorithm {algorithm} does not have: use {algorithm}:1 (or :latest)"
)]
pub struct ImageError {
    /// The image's name.
    pub image: String,
    /// Its tag.
    pub tag: String,
    /// The algorithm.
    pub algorithm: &'static str,
}

impl Image {
    /// Reads a name such as `382416733822.dkr.ecr.us-east-1.amazonaws.com/NAME:1`. Images outside ECR are a user's own, whatever their
    /// names are.
    ///
    /// # Errors
    /// If it names a version that the built-in algorithm does not have.
    pub fn parse(name: &str) -> Result<Self, ImageError> {
        let Some((registry, repository)) = name.split_once('/') else { return Ok(Self::Own) };
        if !is_ecr(registry) {
            return Ok(Self::Own);
        }
        let (repository, digest) =
            repository.split_once('@').map_or((repository, None), |(name, digest)| (name, Some(digest)));
        let (repository, tag) =
            repository.split_once(':').map_or((repository, None), |(name, tag)| (name, Some(tag)));
        match (algorithm(repository), digest, tag) {
            (None, ..) => Ok(Self::Own),
            (Some(contract), Some(_), _) | (Some(contract), None, None) => Ok(Self::BuiltIn(contract)),
            (Some(contract), None, Some(tag)) if TAGS.contains(&tag) => Ok(Self::BuiltIn(contract)),
            (Some(contract), None, Some(tag)) => {
                Err(ImageError { image: name.to_owned(), tag: tag.to_owned(), algorithm: contract.name })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, want: &str) {
        let said = match Image::parse(name) {
            Ok(Image::BuiltIn(contract)) => contract.name.to_owned(),
            Ok(Image::Own) => "own".to_owned(),
            Err(error) => format!("no {}", error.tag),
        };
        assert_eq!(said, want, "{name}");
    }

    #[test]
    fn images_are_known_by_name() {
        check("811284229777.dkr.ecr.us-east-1.amazonaws.com/seq2seq:1", "seq2seq");
        check("000000000000.dkr.ecr.cn-north-1.amazonaws.com.cn/seq2seq:latest", "seq2seq");
        check("811284229777.dkr.ecr-fips.us-east-1.amazonaws.com/seq2seq", "seq2seq");
        check("811284229777.dkr.ecr.us-east-1.amazonaws.com/seq2seq@sha256:00", "seq2seq");
        check("811284229777.dkr.ecr.us-east-1.amazonaws.com/seq2seq:2", "no 2");
        check("811284229777.dkr.ecr.us-east-1.amazonaws.com/my-seq2seq:2", "own");
        check("seq2seq:1", "own");
        check("example.com/seq2seq:1", "own");
        check("811284229777.dkr.ecr.evil.example/seq2seq:1", "own");
    }
}
