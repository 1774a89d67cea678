//! Conversion of text and bytes to batches of ids.
//!
//! A sentence passes through these steps: text lines become ids by a [`vocab::Vocabulary`] in [`mod@prepare`], are stored on disk
//! as protobuf [`record`]s framed by [`recordio`](kokanee_formats::recordio), are read back as a flat [`corpus::Corpus`], and are
//! dealt into [`batches`] of similar length by [`buckets`].
//!
//! Ids are `u32`; 0 is `<pad>`, 1 `<unk>`, 2 `<s>`, 3 `</s>`. Sequences on disk and in a [`Corpus`] hold
//! neither `<s>` nor `</s>`. Numbers of records and lines in errors count from 1, byte offsets from 0.

pub mod batches;
pub mod buckets;
pub mod channel;
pub mod corpus;
pub mod error;
pub mod lexicon;
pub mod prepare;
pub mod pronunciations;
pub mod record;
pub mod text;
mod threads;
pub mod vectors;
pub mod vocab;
mod word_table;

pub use batches::{BatchPlan, LastBatch, sequential_batches};
pub use buckets::{Bucket, assign, define_buckets};
pub use corpus::{Corpus, LengthStatistics, LimitReport, OverlongPolicy, SkippedInput, VocabularySizes};
pub use error::DataError;
pub use lexicon::{Lexicon, LexiconOptions};
pub use prepare::{PrepareOptions, PrepareReport, Progress, Silent, prepare};
pub use record::{SequencePair, SequenceReader, TargetRule};
pub use vectors::WordVectors;
pub use vocab::{Vocabulary, VocabularyLimits};
