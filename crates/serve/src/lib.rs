//! How a request becomes an answer.

pub mod translator;

pub use translator::{Answer, PairScore, Sentence, Translator, TranslatorError, Vocabularies};
