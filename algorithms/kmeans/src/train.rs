//! A training job: channels in, model out, with the log of the real container.

use std::time::Instant;

use kokanee_algorithm::model_folder::{MANIFEST_FILE, Manifest, check_replaceable};
use kokanee_algorithm::numeric_log::NumericLog;
use kokanee_algorithm::row_channel::{BatchSize, Pass, RowChannel};
use kokanee_algorithm::{AlgorithmError, Console, Progress, TrainingJob};
use kokanee_contract::algorithms::kmeans::{EvalMetric, Hyperparameters, InitMethod, TEST, TRAIN};
use kokanee_contract::metrics::Measure;
use kokanee_contract::{AutoOr, resolve};
use kokanee_formats::archive;
use kokanee_formats::numeric::Batch;
use kokanee_kernels::{MemoryLimit, Team};

use crate::artifact::{Artifact, MODEL_FILE};
use crate::fault::Fault;
use crate::lloyd::LocalLloyd;
use crate::model::Model;
use crate::seeding::Start;
use crate::stream::{ExtraCenters, Settings, Shrunk, Stream};
use crate::team::start_team;

/// The real container's name for itself in its `#metrics` lines.
const NAME_IN_LOG: &str = "AWS/KMeansWebscale";
/// Number of batches in memory: one being read, one waiting, one being worked on, each with the rows moved to the middle of the
/// data.
const BATCHES_IN_MEMORY: u64 = 4;
/// Multiply-adds per second that any machine reaches, for the estimate of slow final clusterings.
const SLOW_MACHINE: f64 = 5e9;
/// Estimates below this are not worth a line.
const WORTH_TELLING_SECONDS: f64 = 30.0;

/// Runs a job.
pub(crate) fn run(job: &TrainingJob, console: &dyn Console) -> Result<(), AlgorithmError> {
    let resolved = resolve::<Hyperparameters>(&job.hyperparameters).map_err(AlgorithmError::user)?;
    let h = &resolved.hyperparameters;
    let log = NumericLog::begin(console, &job.host, NAME_IN_LOG);
    log.configuration(&job.hyperparameters, &h.to_strings());
    job.notes.iter().chain(&job.channels.notes).chain(&resolved.notes).for_each(|note| log.info(note));
    if job.hosts > 1 {
        log.warning(&format!(
            "the job was given {} machines; this one reads the union of all their data and does the work of all, so log lines \
             name it alone",
            job.hosts
        ));
    }
    check_replaceable(&job.files.model, &[MODEL_FILE]).map_err(AlgorithmError::user)?;
    let team = start_team(h.num_threads)?;
    let mut training = Training { h, job, log, console, team: &team, records: 0 };
    let Some((stream, width)) = training.stream()? else {
        training.log.warning("the job was stopped before the first mini-batch was read; there is no model");
        return Ok(());
    };
    let shrunk = training.shrink(&stream)?;
    let mut manifest = Manifest::new(CONTRACT_NAME, h.to_strings(), width);
    manifest.records.insert(TRAIN.to_owned(), training.records);
    if let Some(loss) = shrunk.loss {
        training.log.quality("train msd", Measure::Loss, loss);
        manifest.metrics.insert("train:msd".to_owned(), loss);
    }
    training.test(&shrunk.model, &mut manifest)?;
    training.save(&shrunk.model, manifest)?;
    training.log.end();
    Ok(())
}

const CONTRACT_NAME: &str = kokanee_contract::algorithms::kmeans::CONTRACT.name;

struct Training<'a> {
    h: &'a Hyperparameters,
    job: &'a TrainingJob,
    log: NumericLog<'a>,
    console: &'a dyn Console,
    team: &'a Team,
    /// Number of records of an epoch.
    records: u64,
}

impl Training<'_> {
    /// Streams all epochs through the centres; none if the job was stopped before it began. Returns the width of the rows too.
    fn stream(&mut self) -> Result<Option<(Stream, usize)>, AlgorithmError> {
        let mut channel = self.channel(TRAIN, self.h.feature_dim)?;
        let mut stream: Option<Stream> = None;
        let mut width = 0;
        for epoch in 0..self.h.epochs {
            let begun = Instant::now();
            let mut pass = self.pass(&channel, epoch)?;
            let mut counter = self.log.reading(epoch);
            while let Some(batch) = next(&mut pass)? {
                if stream.is_none() {
                    width = batch.rows.width();
                    channel.set_width(width);
                    stream = Some(self.begin(&batch)?);
                }
                let Some(stream) = &mut stream else { break };
                let first_record = counter.records();
                stream.update(self.team, &batch.rows).map_err(|fault| located(fault, TRAIN, first_record))?;
                counter.batch(batch.rows.len());
                pass.give_back(batch);
                self.show(epoch, counter.records(), begun);
            }
            self.records = self.records.max(counter.records());
            let seconds = begun.elapsed().as_secs_f64();
            self.log.read(&counter, "training_data_iter");
            if self.job.stop.is_requested() {
                self.log.warning(&format!(
                    "a stop was requested: the model is made of the {} records seen in {} of {} epochs",
                    stream.as_ref().map_or(0, Stream::rows_seen),
                    epoch,
                    self.h.epochs
                ));
                break;
            }
            self.log.info(&format!("processed a total of {} examples", counter.records()));
            self.log.progress(epoch + 1, self.h.epochs);
            self.log.throughput(counter.records(), seconds);
        }
        self.console.clear();
        Ok(stream.map(|stream| (stream, width)))
    }

    /// Draws the starting centres.
    fn begin(&self, first: &Batch) -> Result<Stream, AlgorithmError> {
        let h = self.h;
        let rows = first.rows.len();
        if rows < h.mini_batch_size {
            self.log.warning(&format!(
                "Batch size {} is bigger than the first batch data. Effective batch size used to initialize is {rows}",
                h.mini_batch_size
            ));
        }
        let settings = Settings {
            k: h.k,
            extra_centers: match h.extra_center_factor {
                AutoOr::Auto => ExtraCenters::Auto,
                AutoOr::Value(factor) => ExtraCenters::Times(factor),
            },
            start: start_of(h.init_method),
            half_life: h.half_life_time_size,
            local_lloyd: LocalLloyd {
                start: start_of(h.local_lloyd_init_method),
                max_iterations: h.local_lloyd_max_iter as u64,
                trials: match h.local_lloyd_num_trials {
                    AutoOr::Auto => LocalLloyd::AUTO_TRIALS,
                    AutoOr::Value(trials) => trials as u64,
                },
                tolerance: h.local_lloyd_tol,
            },
            seed: h.seed,
        };
        let is_all = rows < h.mini_batch_size;
        let stream = Stream::begin(self.team, &first.rows, is_all, settings)
            .map_err(|fault| located(fault, TRAIN, 0))?;
        if h.extra_center_factor == AutoOr::Auto {
            self.log
                .info(&format!("'extra_center_factor' was set to 'auto', evaluated to {}.", stream.factor()));
        }
        self.log.info("number of center slices 1");
        let centers = (h.k * stream.factor()) as f64;
        let trials = settings.local_lloyd.trials as f64;
        // A trial takes some dozen iterations.
        let seconds = trials * 30.0 * centers * h.k as f64 * first.rows.width() as f64 / SLOW_MACHINE;
        if seconds > WORTH_TELLING_SECONDS && stream.factor() > 1 {
            self.log.warning(&format!(
                "shrinking {centers:.0} centers into {} will take some {seconds:.0} seconds; a smaller extra_center_factor or \
                 local_lloyd_num_trials takes less",
                h.k
            ));
        }
        Ok(stream)
    }

    /// Clusters the centres down to k.
    fn shrink(&self, stream: &Stream) -> Result<Shrunk, AlgorithmError> {
        let (log, k) = (&self.log, self.h.k);
        if stream.factor() == 1 {
            log.info("No shrinking is required as extra_center_factor is 1.");
        } else {
            log.info(&format!("shrinking {} centers into {k}", k * stream.factor()));
        }
        let shrunk = stream
            .shrink(self.team, |number, trial| {
                log.info(&format!(
                    "local kmeans attempt #{number}. Current mean square distance {:.6}",
                    trial.loss
                ));
            })
            .map_err(AlgorithmError::user)?;
        if let Some(loss) = shrunk.loss {
            log.info(&format!("finished shrinking process. Mean Square Distance = {loss}"));
        }
        if shrunk.filled > 0 {
            let found = k - shrunk.filled;
            log.warning(&format!(
                "{found} distinct record{} for k={k}: {} of the clusters stay empty",
                if found == 1 { "" } else { "s" },
                shrunk.filled
            ));
        }
        let empty = shrunk.model.counts().iter().filter(|&&count| count == 0.0).count();
        if empty > shrunk.filled {
            log.warning(&format!(
                "{empty} of {k} clusters are empty, since their centres started at the same place as others; \
                 init_method=kmeans++ or a larger extra_center_factor starts better"
            ));
        }
        Ok(shrunk)
    }

    /// Measures the model on the test channel, if there is one.
    fn test(&mut self, model: &Model, manifest: &mut Manifest) -> Result<(), AlgorithmError> {
        if self.job.channels.get(TEST).is_none() {
            self.log.info("Test data is not provided.");
            return Ok(());
        }
        let channel = self.channel(TEST, Some(model.width()))?;
        let mut pass = self.pass(&channel, 0)?;
        let mut counter = self.log.reading(0);
        let predictor = model.predictor(self.team);
        let mut sum = 0.0;
        while let Some(batch) = next(&mut pass)? {
            let squares = predictor.sum_of_squares(self.team, &batch.rows);
            sum += squares.map_err(|fault| located(fault, TEST, counter.records()))?;
            counter.batch(batch.rows.len());
            pass.give_back(batch);
        }
        self.log.read(&counter, "test_data_iter");
        if self.job.stop.is_requested() {
            return Ok(());
        }
        manifest.records.insert(TEST.to_owned(), counter.records());
        for metric in &self.h.eval_metrics {
            let (name, line, value) = match metric {
                EvalMetric::Msd => ("test:msd", "test msd", sum / counter.records() as f64),
                EvalMetric::Ssd => ("test:ssd", "test ssd", sum),
            };
            self.log.quality(line, Measure::Loss, value);
            manifest.metrics.insert(name.to_owned(), value);
        }
        Ok(())
    }

    fn save(&self, model: &Model, manifest: Manifest) -> Result<(), AlgorithmError> {
        let files = &self.job.files;
        let begun = Instant::now();
        Artifact::save(model, manifest, &files.model).map_err(AlgorithmError::user)?;
        if let Some(path) = &files.archive {
            let names = [MANIFEST_FILE, MODEL_FILE];
            archive::pack(&files.model, &names, path).map_err(AlgorithmError::user)?;
        }
        self.log.timed("model.serialize.time", begun.elapsed());
        Ok(())
    }

    fn channel(&self, name: &str, width: Option<usize>) -> Result<RowChannel, AlgorithmError> {
        let channel = self
            .job
            .channels
            .get(name)
            .ok_or_else(|| AlgorithmError::user(format!("Missing required channel: {name}")))?;
        let opened = RowChannel::open(channel, width).map_err(AlgorithmError::user)?;
        self.log.iterator(&channel.content_type);
        Ok(opened)
    }

    fn pass(&self, channel: &RowChannel, epoch: usize) -> Result<Pass, AlgorithmError> {
        let limit = MemoryLimit::of_process().map_or(u64::MAX, |limit| limit.bytes);
        let most_bytes = usize::try_from(limit / 2 / BATCHES_IN_MEMORY).unwrap_or(usize::MAX);
        let size = BatchSize { rows: self.h.mini_batch_size, most_bytes };
        channel.pass(epoch, size, &self.job.stop).map_err(AlgorithmError::user)
    }

    fn show(&self, epoch: usize, records: u64, begun: Instant) {
        let seconds = begun.elapsed().as_secs_f64();
        let known = if epoch == 0 { None } else { Some(self.records) };
        self.console.progress(&Progress {
            stage: &format!("epoch {} of {}", epoch + 1, self.h.epochs),
            done: records,
            total: known,
            goal: "records",
            rate: Some((records as f64 / seconds.max(1e-9), "records/s")),
            figures: "",
        });
    }
}

fn next(pass: &mut Pass) -> Result<Option<Batch>, AlgorithmError> {
    pass.next_batch().map_err(AlgorithmError::user)
}

/// Turns a fault of a batch into one of the channel: its first record is number `first` (from 0).
fn located(fault: Fault, channel: &str, first: u64) -> AlgorithmError {
    AlgorithmError::user(match fault {
        Fault::Overflow { row, column } => {
            format!(
                "channel {channel}, record {}: squares overflow 32-bit floats; scale column {}",
                first + row as u64,
                column + 1
            )
        }
        other => other.to_string(),
    })
}

fn start_of(method: InitMethod) -> Start {
    match method {
        InitMethod::Random => Start::Random,
        InitMethod::KmeansPlusPlus => Start::KMeansPlusPlus,
    }
}
