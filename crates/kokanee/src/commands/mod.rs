//! The commands, one file each: the arguments, and the work.

pub(crate) mod algorithms;
pub(crate) mod demo;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod inspect;
mod job_options;
pub(crate) mod lexicon;
pub(crate) mod local;
mod model;
mod parallel_input;
pub(crate) mod prepare;
pub(crate) mod score;
mod search_options;
pub(crate) mod serve;
pub(crate) mod shim;
pub(crate) mod train;
pub(crate) mod transform;
pub(crate) mod translate;
pub(crate) mod tune;
