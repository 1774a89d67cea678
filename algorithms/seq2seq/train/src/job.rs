//! A training job: builds a trainer from hyperparameters and files, and runs it.

use std::sync::Arc;

use kokanee_algorithm::{JobFiles, Resume, StopFlag};
use kokanee_contract::algorithms::seq2seq::{Hyperparameters, OverlongSequences, TrainingChannels, warnings};
use kokanee_kernels::{MemoryLimit, Team};
use kokanee_seq2seq_data::buckets::single_bucket;
use kokanee_seq2seq_data::{BatchPlan, Corpus, OverlongPolicy, Vocabulary, VocabularySizes, define_buckets};
use kokanee_seq2seq_nn::artifact::Metadata;
use kokanee_seq2seq_nn::init::Initialisation;
use kokanee_seq2seq_nn::{LengthStatistics, Model, ModelConfig};

use crate::checkpoint::{CheckpointFolder, RunIdentity};
use crate::model_folder::ModelFolder;
use crate::observer::{Level, Observer};
use crate::run_state::Outcome;
use crate::summary::{DataSummary, Summary, populate};
use crate::trainer::Keep;
use crate::validation::Validation;
use crate::word_vectors::VectorsReport;
use crate::{InitialModel, TrainError, Trainer, memory, precision, word_vectors};

/// All parts of a training, checked and built.
pub struct TrainingJob {
    trainer: Trainer,
    validation: Validation,
    keep: Keep,
    summary: Summary,
    notes: Vec<(Level, String)>,
    /// Whether the checkpoints before this run are reported again.
    retells: bool,
}

/// The data of a training.
pub struct TrainingData {
    /// Pairs for training.
    pub train: Corpus,
    /// Pairs for validation.
    pub validation: Corpus,
    /// Words of the sources.
    pub source_vocabulary: Vocabulary,
    /// Words of the targets.
    pub target_vocabulary: Vocabulary,
}

impl TrainingData {
    /// Reads the channels.
    ///
    /// # Errors
    /// When a file is missing or damaged, or holds ids beyond the vocabularies.
    pub fn read(channels: &TrainingChannels) -> Result<TrainingData, TrainError> {
        let source_vocabulary = Vocabulary::read(&channels.vocab_source)?;
        let target_vocabulary = Vocabulary::read(&channels.vocab_target)?;
        let sizes = VocabularySizes { source: source_vocabulary.len(), target: target_vocabulary.len() };
        let train = Corpus::read(&channels.train, sizes)?;
        let validation = Corpus::read(&channels.validation, sizes)?;
        Ok(TrainingData { train, validation, source_vocabulary, target_vocabulary })
    }
}

impl TrainingJob {
    /// Prepares a job: applies the length limits, deals pairs into buckets, builds the model, and reads the state to resume from.
    ///
    /// # Errors
    /// When no pair is left, the model is invalid, more memory would be needed than is available, or the state does not fit.
    pub fn new(
        h: &Hyperparameters,
        data: TrainingData,
        files: JobFiles,
        resume: Resume,
    ) -> Result<TrainingJob, TrainError> {
        TrainingJob::starting_from(None, h, data, files, resume)
    }

    /// As [`TrainingJob::new`], with parameters that start as those of an earlier model; a state to resume from takes precedence
    /// over them.
    ///
    /// # Errors
    /// As [`TrainingJob::new`], and when the model has another architecture.
    pub fn starting_from(
        initial: Option<&InitialModel>,
        h: &Hyperparameters,
        data: TrainingData,
        files: JobFiles,
        resume: Resume,
    ) -> Result<TrainingJob, TrainError> {
        let TrainingData { train, validation, source_vocabulary, target_vocabulary } = data;
        let (train, train_summary) = limited(train, h, "training")?;
        let (validation, validation_summary) = limited(validation, h, "validation")?;
        let ratio = train_summary.lengths.ratio_mean;
        let buckets = if h.bucketing_enabled {
            define_buckets(h.max_seq_len_source, h.max_seq_len_target, h.bucket_width, ratio)
        } else {
            single_bucket(h.max_seq_len_source, h.max_seq_len_target)
        };
        let populated = populate(&buckets, &train);

        let threads = match h.num_threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            threads => threads,
        };
        let mut config = ModelConfig::new(h, source_vocabulary.len(), target_vocabulary.len())?;
        // No hyperparameter determines it: a model from Sockeye may have been trained with it, and then continues with it.
        config.source_with_eos = initial.is_some_and(|i| i.artifact.model.config().source_with_eos);
        config.check_format(memory::inference_format(h))?;
        let longest = train.length_statistics();
        // The lengths of an earlier training still count.
        let earlier = initial.map(|initial| &initial.artifact.metadata.lengths);
        let lengths = LengthStatistics {
            ratio_mean: ratio,
            ratio_std: train_summary.lengths.ratio_std,
            longest_source: longest.longest_source.max(earlier.map_or(0, |e| e.longest_source)),
            longest_target: longest.longest_target.max(earlier.map_or(0, |e| e.longest_target)),
            bucket_width: h.bucket_width,
        };
        let words = [&source_vocabulary, &target_vocabulary];
        let mut identity = RunIdentity::new(h, [&train, &validation], words, threads);
        if let Some(initial) = initial {
            identity.starts_from(initial);
        }
        let checkpoints = CheckpointFolder::new(files.checkpoints, identity);
        if config.ties_source_and_target() && source_vocabulary != target_vocabulary {
            return Err(TrainError::TwoVocabularies(h.weight_tying));
        }
        let memory = memory::Training {
            hyperparameters: h,
            config: &config,
            buckets: &buckets,
            corpora: [&train, &validation],
            threads,
            initial: initial.map(|initial| initial.artifact.model.parameters()),
            resumes: resume != Resume::Never && checkpoints.holds_state(),
        };
        let memory = memory.memory()?;
        // Everything large is allocated after this.
        memory.check(MemoryLimit::of_process())?;
        let team = Arc::new(Team::start(threads)?);
        let plan = BatchPlan::new(&train, &buckets, h.batch_size, h.seed);
        let batches_per_epoch = plan.batches_per_epoch() as u64;
        let mut model = Model::new(config, &Initialisation::from(h), &team)?;
        let vectors = word_vectors::start(&mut model, h, words)?;
        let initial = initial.map(|initial| initial.start(&mut model, words)).transpose()?;
        let parameters = model.parameters().size();
        let vocabularies = [source_vocabulary.len(), target_vocabulary.len()];

        let metadata = Metadata { hyperparameters: h.to_strings(), lengths: lengths.clone(), training: None };
        let mut keep =
            Keep { model: ModelFolder::new(files.model, files.archive, metadata, words), checkpoints };
        keep.model.check_replaceable()?;
        let validation = Validation::new(validation, h, lengths);
        let mut trainer = Trainer::new(model, train, plan, h, team)?;
        let mut notes = Vec::new();
        let resumed_from = resumed(&mut trainer, &mut keep, resume, &mut notes)?;
        let mut warnings: Vec<String> = warnings(h).into_iter().chain(precision::warning(h)).collect();
        warnings.extend(train_summary.warnings("training data"));
        warnings.extend(validation_summary.warnings("validation data"));
        warnings.extend(vectors.iter().filter_map(VectorsReport::warning));
        let summary = Summary {
            train: train_summary,
            validation: validation_summary,
            vocabularies,
            buckets: populated,
            batch_size: h.batch_size,
            batches_per_epoch,
            updates_per_epoch: trainer.updates_per_epoch(),
            parameters,
            memory,
            threads,
            decoded_pairs: validation.decoded_pairs(),
            resumed_from,
            initial,
            vectors,
            warnings,
        };
        Ok(TrainingJob { trainer, validation, keep, summary, notes, retells: resume == Resume::Retell })
    }

    /// The plan of the job.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The trainer.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// Trains until there is a reason to stop; see [`Trainer::run`].
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub fn run(&mut self, observer: &mut dyn Observer, stop: &StopFlag) -> Result<Outcome, TrainError> {
        observer.started(&self.summary);
        for (level, text) in &self.notes {
            observer.message(*level, text);
        }
        if self.retells {
            self.trainer.state().history.iter().for_each(|report| observer.checkpoint(report));
        }
        self.trainer.run(&self.validation, &mut self.keep, observer, stop)
    }
}

/// Returns the corpus within the length limits, with its summary.
fn limited(corpus: Corpus, h: &Hyperparameters, what: &str) -> Result<(Corpus, DataSummary), TrainError> {
    let lengths = corpus.length_statistics();
    let pairs = corpus.len();
    if let Some(pair) = (0..pairs).find(|&pair| corpus.source(pair).is_empty()) {
        let number = pair + 1;
        return Err(TrainError::NoPairs(format!("pair {number} of the {what} data has an empty source")));
    }
    let policy = match h.overlong_sequences {
        OverlongSequences::Truncate => OverlongPolicy::Truncate,
        OverlongSequences::Drop => OverlongPolicy::Drop,
    };
    let (max_source, max_target) = (h.max_seq_len_source, h.max_seq_len_target);
    let (corpus, limits) = corpus.apply_limits(max_source, max_target, policy);
    if corpus.is_empty() {
        return Err(TrainError::NoPairs(format!(
            "no pair of the {what} data is left: all {pairs} exceed the length limits ({max_source} source tokens, \
             {max_target} target tokens of which <s> is one); raise the limits"
        )));
    }
    let summary = DataSummary::new(lengths, limits, &corpus);
    Ok((corpus, summary))
}

/// Resumes from an earlier state according to `resume`; returns the number of its updates.
fn resumed(
    trainer: &mut Trainer,
    keep: &mut Keep,
    resume: Resume,
    notes: &mut Vec<(Level, String)>,
) -> Result<Option<u64>, TrainError> {
    let present = keep.checkpoints.holds_state();
    let begins = match resume {
        Resume::Never => true,
        Resume::IfPresent | Resume::Retell => !present,
        Resume::Required => false,
    };
    if begins {
        keep.checkpoints.check_replaceable()?;
        if present {
            let folder = keep.checkpoints.path().display();
            let text = format!(
                "an earlier run left a state in {folder}: the first checkpoint of this run replaces it; resume to go on from \
                 it instead"
            );
            notes.push((Level::Warning, text));
        }
        return Ok(None);
    }
    let loaded = keep.checkpoints.load()?;
    if !loaded.same_threads {
        let text = "the earlier run had another number of threads: sums are rounded in another order, so losses may differ \
                    in their last digits from those of an uninterrupted run";
        notes.push((Level::Warning, text.to_owned()));
    }
    let updates = loaded.run.updates;
    trainer.resume(loaded, keep)?;
    Ok(Some(updates))
}

#[cfg(test)]
mod tests;
