//! Errors in data that comes from outside, and their messages.
//!
//! Every message says where the error is (file, record or line, byte, field), what was expected, what was found, and, if that does
//! not make it clear, what to do.

use std::io;
use std::path::{Path, PathBuf};

use kokanee_formats::compression::Compression;
use kokanee_formats::recordio::RecordIoError;
use kokanee_formats::text_lines::TextError;
use thiserror::Error;

/// A fault in files or options given by the user.
#[derive(Debug, Error)]
pub enum DataError {
    /// The operating system refused to read or write.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The attempted action, as a verb phrase: "open the file".
        action: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// A file of records that cannot be read, or is not RecordIO.
    #[error(transparent)]
    RecordIo(#[from] RecordIoError),
    /// A record's content is not a pair of sequences of word ids.
    #[error("{path}: record {record} at byte {offset}: {fault}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Number of the record, from 1.
        record: u64,
        /// Where the record's first frame begins, in bytes from the start of the file.
        offset: u64,
        /// The fault.
        fault: RecordFault,
    },
    /// A channel (file or folder) without a single record.
    #[error("{path}: {fault}")]
    Channel {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        fault: ChannelFault,
    },
    /// A vocabulary file that does not give every id from 0 up exactly one word.
    #[error("{path}{}: {fault}", at_line(*.line))]
    Vocabulary {
        /// The file, or the name given for the text.
        path: PathBuf,
        /// Line of the fault, from 1, if it belongs to one line.
        line: Option<usize>,
        /// The fault.
        fault: VocabularyFault,
    },
    /// A file that is not a lexicon, or is damaged.
    #[error("{path}: {fault}")]
    Lexicon {
        /// The file.
        path: PathBuf,
        /// The fault.
        fault: LexiconFault,
    },
    /// A text file that cannot be read, or is not text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A line of a text file that does not have the expected content.
    #[error("{path}:{line}:{byte}: {fault}")]
    Entry {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Byte within the line, from 1.
        byte: u64,
        /// The fault.
        fault: EntryFault,
    },
    /// Source and target text of a parallel corpus have different numbers of lines.
    #[error(
        "{shorter} ends at line {shorter_lines}, but {longer} goes on to line {longer_lines}: line N of the \
         one must be the translation of line N of the other; find the first pair that does not match"
    )]
    UnequalLines {
        /// The file that ends first.
        shorter: PathBuf,
        /// Number of its lines.
        shorter_lines: u64,
        /// The other file.
        longer: PathBuf,
        /// Number of its lines.
        longer_lines: u64,
    },
    /// A parallel corpus in which no pair has words on both sides.
    #[error(
        "{source_path} and {target_path}: none of the {lines} line pairs has words on both sides; nothing to write"
    )]
    NothingKept {
        /// The source text.
        source_path: PathBuf,
        /// The target text.
        target_path: PathBuf,
        /// Number of line pairs read.
        lines: u64,
    },
    /// A text that is read twice but is not a file.
    #[error(
        "{path}: the training text is read twice, first to count its words, and a {kind} can be read once only: give a file \
         (one that is compressed with gzip is read as it is), or both vocabularies"
    )]
    ReadTwice {
        /// The path given.
        path: PathBuf,
        /// The kind of thing at the path.
        kind: &'static str,
    },
    /// An option that contradicts another one, or cannot be met.
    #[error("{option}: {problem}")]
    Options {
        /// The option as the user wrote it.
        option: &'static str,
        /// The problem, and the remedy.
        problem: String,
    },
}

impl DataError {
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }
}

impl From<kokanee_formats::FileError> for DataError {
    fn from(error: kokanee_formats::FileError) -> Self {
        let kokanee_formats::FileError { path, action, source } = error;
        Self::Io { path, action, source }
    }
}

fn at_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(":{line}"))
}

/// A fault in the content of a record.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RecordFault {
    /// The payload cannot be decoded.
    #[error("its {bytes} bytes are not an aialgs.data.Record in protobuf encoding: {problem}")]
    NotProtobuf {
        /// Length of the payload.
        bytes: usize,
        /// The decoder's message.
        problem: String,
    },
    /// A field is absent.
    #[error("{field} is missing; the record has {present}")]
    Missing {
        /// The field, as `features["source"]`.
        field: &'static str,
        /// The content of the record instead.
        present: String,
    },
    /// A field holds no values.
    #[error("{field} is empty; expected at least one word id")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// A field holds another kind of value.
    #[error("{field} holds {got}; expected an int32_tensor (or a float tensor of whole numbers)")]
    WrongKind {
        /// The field.
        field: &'static str,
        /// The kind found.
        got: &'static str,
    },
    /// A tensor with keys.
    #[error("{field} is a sparse tensor ({keys} keys); expected a dense one: a sequence has no gaps")]
    Sparse {
        /// The field.
        field: &'static str,
        /// Number of its keys.
        keys: usize,
    },
    /// A value that is not a word id.
    #[error("{field}: value {position} is {got}; expected {expected}")]
    Value {
        /// The field.
        field: &'static str,
        /// Position of the value, from 1.
        position: usize,
        /// The value as text.
        got: String,
        /// The allowed values.
        expected: String,
    },
    /// Two different targets.
    #[error(
        "features[\"target\"] and label[\"target\"] both hold values, and not the same; give the target once"
    )]
    TwoTargets,
}

/// A fault in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChannelFault {
    /// There is no such file or folder.
    #[error("there is no such file or folder; looked for a RecordIO file or a folder of them")]
    Absent,
    /// A folder without data files.
    #[error(
        "the folder holds no data files; looked for files, in subfolders too, whose names begin with neither \
         '.' nor '_'{}", passed_over(.skipped)
    )]
    NoFiles {
        /// Files that were left out because of their names.
        skipped: usize,
    },
    /// Files without a record.
    #[error("no record in {files} file(s); looked for RecordIO-framed records in all of them")]
    NoRecords {
        /// Number of files read.
        files: usize,
    },
    /// Every record has an empty side.
    #[error(
        "each of the {records} record(s) has an empty source or an empty target; nothing is left to train on"
    )]
    EmptySides {
        /// Number of records.
        records: usize,
    },
    /// Folders nested too deeply, most likely because of a link that leads back.
    #[error("folders are nested more than {limit} deep; does a link lead back to a folder above it?")]
    TooDeep {
        /// The largest allowed depth.
        limit: usize,
    },
    /// More pairs than an index can name.
    #[error("more than {limit} pairs; divide the corpus")]
    TooMany {
        /// The largest allowed number of pairs.
        limit: u64,
    },
}

fn passed_over(count: &usize) -> String {
    if *count == 0 { String::new() } else { format!("; {count} file(s) were passed over by that rule") }
}

/// A fault in a vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VocabularyFault {
    /// Not JSON, or not an object of word to id.
    #[error("expected a JSON object that gives every word an id, {{\"<pad>\": 0, …}}: {problem}")]
    NotJson {
        /// The parser's message.
        problem: String,
    },
    /// The file is compressed or an archive.
    #[error("the file is {0}, but a vocabulary is read as it is: unpack it first ({undo})", undo = .0.undo)]
    Packed(Compression),
    /// Not UTF-8.
    #[error("byte {byte} is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// Byte offset from the start of the file.
        byte: usize,
    },
    /// A word that occurs twice.
    #[error("the word {word:?} stands there twice, with id {first} and again with id {second}")]
    DuplicateWord {
        /// The word.
        word: String,
        /// Its id the first time.
        first: u32,
        /// Its id the second time.
        second: u32,
    },
    /// An id given to two words.
    #[error(
        "id {id} is given to {second:?}, but {first:?} has it already; every word needs an id of its own"
    )]
    DuplicateId {
        /// The id.
        id: u32,
        /// The word that has it.
        first: String,
        /// The second word with this id.
        second: String,
    },
    /// A value that is not an id.
    #[error("the id of {word:?} is {got}; expected a whole number from 0 to 2147483647")]
    NotAnId {
        /// The word.
        word: String,
        /// The value as JSON.
        got: String,
    },
    /// An id without a word.
    #[error(
        "no word has id {id}, though there are {words} words and ids go up to {last:?} = {last_id}; ids must \
         run from 0 without gaps"
    )]
    Gap {
        /// The lowest id without a word.
        id: u32,
        /// Number of words.
        words: usize,
        /// The word with the highest id.
        last: String,
        /// That id.
        last_id: u32,
    },
    /// One of the four special symbols is absent.
    #[error("the special symbol {symbol:?} is missing; expected it with id {expected}")]
    MissingSpecial {
        /// The symbol.
        symbol: &'static str,
        /// Its id.
        expected: u32,
    },
    /// One of the four special symbols has another id.
    #[error("the special symbol {symbol:?} has id {got}; expected id {expected}")]
    MisplacedSpecial {
        /// The symbol.
        symbol: &'static str,
        /// The id it has.
        got: u32,
        /// The id it must have.
        expected: u32,
    },
}

/// A fault in a lexicon's file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LexiconFault {
    /// Another kind of file.
    #[error("the file is no lexicon: expected it to begin with KOKLEXIC; make one with kokanee lexicon")]
    NotALexicon,
    /// An unknown version of the format.
    #[error(
        "the lexicon has format {got}, and only format {known} is known here; make it again with kokanee lexicon"
    )]
    Version {
        /// The version found.
        got: u32,
        /// The supported version.
        known: u32,
    },
    /// Bytes are missing, or there are too many.
    #[error(
        "expected {expected} bytes from what its first {header} say, got {got}; copy or make the file again"
    )]
    Length {
        /// Number of bytes that determine how long the file is.
        header: usize,
        /// Expected number of bytes; `u64::MAX` for more than any file has.
        expected: u64,
        /// Actual number of bytes.
        got: u64,
    },
    /// Bytes have changed.
    #[error("its checksum is {got:08x}, expected {expected:08x}: the file is damaged; copy or make it again")]
    Checksum {
        /// The checksum in the file.
        expected: u32,
        /// The checksum of the actual bytes.
        got: u32,
    },
    /// The checksum is right, but the content is not: the file was written by a different program.
    #[error("{problem}; make it again with kokanee lexicon")]
    Content {
        /// The impossible part of the content.
        problem: String,
    },
}

/// A fault in an entry of a file with one entry per line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryFault {
    /// A word vector with something that is not a number.
    #[error("the vector of {word:?} has {got:?} where a finite number is expected")]
    NotANumber {
        /// The word.
        word: String,
        /// The text found instead of a number.
        got: String,
    },
    /// A word vector of another width than the embedding.
    #[error(
        "the vector of {word:?} has {got} numbers; expected {expected}, the width of the embedding: choose the \
         embedding size of the file"
    )]
    VectorWidth {
        /// The word.
        word: String,
        /// Actual number of numbers.
        got: usize,
        /// Expected number of numbers.
        expected: usize,
    },
    /// A first line that announces word vectors of another width than the embedding.
    #[error(
        "the file's vectors have {got} numbers; expected {expected}, the width of the embedding: choose the embedding size \
         of the file"
    )]
    FileWidth {
        /// Numbers per vector of the file.
        got: u64,
        /// Expected numbers per vector.
        expected: usize,
    },
    /// A word of a dictionary without sounds.
    #[error("no sounds follow {word:?}; expected a word, white space, and its sounds")]
    NoSounds {
        /// The word.
        word: String,
    },
    /// An entry of a dictionary that has several words.
    #[error("{word:?} has a blank in it; a dictionary gives the sounds of single words")]
    BlankInWord {
        /// The text before the sounds.
        word: String,
    },
    /// A dictionary without an entry.
    #[error("none of the {lines} lines has a word with its sounds")]
    NoPronunciation {
        /// Number of lines read.
        lines: u64,
    },
}
