//! A request in progress: block after block is read, predicted and written.

use std::sync::Arc;

use kokanee_contract::{ContentType, MediaType};
use kokanee_http::{Code, Counted, Rope, ServeError, Share};

use super::answers::Writer;
use super::cutting::{Cut, CutLimits};
use super::predictor::{AnswerOptions, PredictError, Predictor};
use super::requests::{Block, CONFIGURATION_BYTES, Place, Requests, refused};

/// The maximum number of rows of a block. If a block takes milliseconds, small requests get their turn between those of large
/// ones.
const BLOCK_ROWS: usize = 4096;
/// The maximum number of values of a block; a single row may have more.
const BLOCK_VALUES: usize = 1 << 20;

/// Memory for the answers of a block of a streamed body; a single row's answer may take more.
const STREAMED_ANSWERS_BYTES: usize = 1 << 20;

/// Steps per turn: opening the body, answering a block, and finding the end.
const STEPS: usize = 3;

/// A request that is being answered.
pub(super) struct Work<P> {
    predictor: Arc<P>,
    options: AnswerOptions,
    state: State,
    share: Share,
    answer: Rope,
    instances: u64,
    /// Bytes of the configuration's text.
    configuration_bytes: usize,
    /// Whether no more of the body will be put in.
    is_last: bool,
}

enum State {
    /// Nothing was read yet.
    Body {
        from: ContentType,
        to: MediaType,
        bytes: Rope,
        opening: usize,
    },
    Open {
        requests: Box<Requests>,
        writer: Writer,
        block_rows: usize,
    },
}

impl<P: Predictor> Work<P> {
    /// A request whose body is completely in memory.
    pub(super) fn begin(
        predictor: &Arc<P>,
        from: &ContentType,
        to: ContentType,
        body: Counted<Rope>,
    ) -> Self {
        let Counted { bytes, share } = body;
        let opening = Requests::opening_bytes(from, &bytes, predictor.width());
        let options = AnswerOptions { parameters: to.parameters, configuration: None };
        Self {
            predictor: Arc::clone(predictor),
            options,
            state: State::Body { from: from.clone(), to: to.media, bytes, opening },
            share,
            answer: Rope::default(),
            instances: 0,
            configuration_bytes: 0,
            is_last: true,
        }
    }

    /// A request whose body is still to arrive.
    ///
    /// # Errors
    /// When its types ask for something that the model does not have.
    pub(super) fn begin_stream(
        predictor: &Arc<P>,
        from: &ContentType,
        to: ContentType,
        share: Share,
    ) -> Result<Self, ServeError> {
        let nothing = Counted { bytes: Rope::default(), share };
        let mut work = Self { is_last: false, ..Self::begin(predictor, from, to, nothing) };
        work.open()?;
        if let State::Open { writer, block_rows, .. } = &mut work.state {
            *block_rows = (STREAMED_ANSWERS_BYTES / answer_bytes(1, writer)).clamp(1, *block_rows);
        }
        Ok(work)
    }

    /// The limits of the next block to put in.
    pub(super) fn cut_limits(&self) -> CutLimits {
        match &self.state {
            State::Open { requests, block_rows, .. } => {
                CutLimits { items: *block_rows, item_bytes: requests.most_item_bytes() }
            }
            // A streamed request is open from its beginning, so this is never used.
            State::Body { .. } => CutLimits { items: 1, item_bytes: 0 },
        }
    }

    /// Puts in the next block, once all earlier ones were answered.
    pub(super) fn put(&mut self, cut: Cut) {
        let Cut { bytes, longest, is_last } = cut;
        if let State::Open { requests, .. } = &mut self.state {
            requests.put(bytes, longest);
        }
        self.is_last = is_last;
    }

    /// Whether the last block was put in.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    /// The answers since the last call, and their number of instances.
    pub(super) fn take_answer(&mut self) -> (Counted<Vec<u8>>, u64) {
        let bytes = std::mem::take(&mut self.answer).into_vec();
        // The answer is part of the memory reserved earlier.
        let share = self.share.split(bytes.len());
        (Counted { bytes, share }, std::mem::take(&mut self.instances))
    }

    /// Reserves the memory that the next step needs.
    pub(super) async fn reserve(&mut self) -> Result<(), ServeError> {
        self.share.resize(self.needed_bytes()).await
    }

    /// Does the same without waiting; false if the memory is not available now.
    fn try_reserve(&mut self) -> bool {
        let needed = self.needed_bytes();
        match needed.checked_sub(self.share.bytes()) {
            Some(more) => self.share.try_grow(more),
            None => {
                self.share.shrink(self.share.bytes() - needed);
                true
            }
        }
    }

    fn needed_bytes(&self) -> usize {
        match &self.state {
            State::Body { bytes, opening, .. } => bytes.len() + opening,
            State::Open { requests, writer, block_rows } => {
                let rows = requests.most_rows(*block_rows);
                requests.held_bytes()
                    + CONFIGURATION_BYTES * self.configuration_bytes
                    + requests.block_bytes(rows)
                    + self.answer.len()
                    + answer_bytes(rows, writer)
            }
        }
    }

    /// Does the next steps; the memory of the first is already reserved. Returns true when nothing is left to do until more is put in. A
    /// request of one block is done in one turn.
    pub(super) fn turn(&mut self) -> Result<bool, ServeError> {
        for step in 0..STEPS {
            if step > 0 && !self.try_reserve() {
                break;
            }
            if self.step()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn step(&mut self) -> Result<bool, ServeError> {
        match &mut self.state {
            State::Body { .. } => {
                self.open()?;
                Ok(false)
            }
            State::Open { requests, writer, block_rows } => {
                let rows = requests.most_rows(*block_rows);
                let block = requests.read(rows)?;
                let count = block.rows.len();
                let mut bytes = Vec::with_capacity(count * writer.row_bytes().min(1 << 10));
                if count == 0 {
                    if self.is_last {
                        writer.finish(&mut bytes);
                        self.answer.push(&bytes);
                    }
                    return Ok(true);
                }
                let columns = self.predictor.predict(&block.rows, &self.options);
                let columns = columns.map_err(|error| told(error, &block))?;
                if !writer.fits(&columns, count) {
                    let lengths: Vec<usize> = columns.0.iter().map(Vec::len).collect();
                    let message = format!("{count} rows were answered by columns of {lengths:?} values");
                    return Err(ServeError::new(Code::Internal, message));
                }
                writer.write(&columns, &block.echoes, count, &mut bytes).map_err(|(index, key, value)| {
                    place(&block, index).refused(format!(
                        "its {key} is {value}, which is not a finite number; scale the features"
                    ))
                })?;
                self.answer.push(&bytes);
                self.instances += count as u64;
                Ok(false)
            }
        }
    }

    fn open(&mut self) -> Result<(), ServeError> {
        let State::Body { from, to, bytes, .. } = &mut self.state else { return Ok(()) };
        let (predictor, to) = (&self.predictor, *to);
        let (requests, configuration) = Requests::new(from, std::mem::take(bytes), predictor.width())?;
        self.configuration_bytes = configuration.as_ref().map_or(0, |value| value.to_string().len());
        self.options.configuration = configuration;
        let keys = predictor.keys(&self.options).map_err(|error| match error {
            PredictError::Internal(message) => ServeError::new(Code::Internal, message),
            other => refused(other),
        })?;
        let answered = keys.iter().map(super::Key::values).sum::<usize>();
        // A value of an answer takes at least four times the bytes of a value of a request.
        let values = predictor.width().max(4 * answered).max(1);
        let writer = Writer::new(to, predictor.container(), keys)
            .ok_or_else(|| ServeError::new(Code::NotAcceptable, format!("{to} is not written here")))?;
        let block_rows = (BLOCK_VALUES / values).clamp(1, BLOCK_ROWS);
        self.state = State::Open { requests: Box::new(requests), writer, block_rows };
        Ok(())
    }

    /// The complete answer, and its number of instances.
    pub(super) async fn finish(self) -> Result<(Counted<Rope>, u64), ServeError> {
        let Self { answer, mut share, instances, .. } = self;
        share.resize(answer.len()).await?;
        Ok((Counted { bytes: answer, share }, instances))
    }
}

/// An upper bound of the memory for the answers of so many rows: they exist as columns, as bytes, and as a part of all answers.
fn answer_bytes(rows: usize, writer: &Writer) -> usize {
    3 * rows * writer.row_bytes()
}

/// A predictor's error, with the position of the row in the request.
fn told(error: PredictError, block: &Block) -> ServeError {
    match error {
        PredictError::Options(message) => refused(message),
        PredictError::Row { index, problem } => place(block, index).refused(problem),
        PredictError::Internal(message) => ServeError::new(Code::Internal, message),
    }
}

/// The position of a row.
fn place(block: &Block, index: usize) -> Place {
    Place::Instance(block.first + index as u64)
}
