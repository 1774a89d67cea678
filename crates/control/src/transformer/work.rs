//! The run of one transform job, from its input to its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kokanee_transform::{Job, Progress, Settings, TransformError};

use super::data_log::DataLog;
use super::folder::{TransformFolder, machine};
use super::model::Model;
use super::{TransformFault, Transformer};
use crate::fleet::{Lone, LoneInstance, LonePhase};
use crate::jobs::JobError;
use crate::metrics;
use crate::runner::{RunError, download_channel};
use crate::transform::{LOG_GROUP, Outcome, TransformJob, TransformRequest};

/// The time between two looks at an instance that is starting.
const POLL: Duration = Duration::from_millis(20);
/// The time between two checks whether the job was told to stop.
const LOOK: Duration = Duration::from_millis(250);
/// SageMaker's message for faulty records; details follow here.
const SEE_LOGS: &str = "See job logs for more information";

/// A running job.
pub(super) struct Work<'a> {
    transformer: &'a Transformer,
    job: &'a TransformJob,
    request: TransformRequest,
    folder: TransformFolder,
    is_ending: &'a AtomicBool,
}

/// The reason why a job is left before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It was told to stop.
    Stopped,
    /// The server is ending.
    Ending,
}

/// The files that got no answer.
#[derive(Default)]
struct Refusals {
    count: usize,
    first: Option<TransformFault>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        transformer: &'a Transformer,
        job: &'a TransformJob,
        is_ending: &'a AtomicBool,
    ) -> Result<Self, TransformFault> {
        let request = TransformRequest::parse(&job.request)
            .map_err(|error| TransformFault::Client(error.to_string()))?;
        let folder = TransformFolder::new(&transformer.folder, job);
        Ok(Self { transformer, job, request, folder, is_ending })
    }

    /// Runs the job to its end. None if it is left to the next server.
    pub(super) fn run(&self) -> Result<Option<Outcome>, TransformFault> {
        let control = &self.transformer.control;
        let stream = self.job.log_stream();
        let [log, data_log] = self.folder.logs();
        let about_records = format!("{stream}/data-log");
        for (stream, path) in [(&stream, log), (&about_records, data_log)] {
            control.logs.add_stream(&self.job.region, LOG_GROUP, stream, &path).map_err(JobError::from)?;
        }
        control.transform_jobs.begin(self.job.id)?;
        let instance = LoneInstance::start(
            &self.transformer.fleet,
            &self.transformer.runtime,
            Lone {
                folder: self.folder.instance(),
                id: self.job.instance_id(),
                region: self.job.region.clone(),
                job: self.job.name.clone(),
                arn: self.job.arn.clone(),
                container: self.job.state.container.clone(),
                log: (LOG_GROUP.to_owned(), stream),
                metrics: (metrics::TRANSFORM_JOBS, format!("{}/{}", self.job.name, self.job.instance_id())),
            },
        );
        let worked = self.work(&instance);
        // If the job is not done, the next server starts the instance again.
        self.transformer.runtime.block_on(instance.end());
        match worked? {
            Ok(outcome) => Ok(Some(outcome)),
            Err(Left::Stopped) => Ok(Some(Outcome::Stopped)),
            Err(Left::Ending) => Ok(None),
        }
    }

    fn work(&self, instance: &LoneInstance) -> Result<Result<Outcome, Left>, TransformFault> {
        let goes_on = || self.left().is_none();
        let is_filled = self.folder.fill(|folder| {
            let objects = &*self.transformer.objects;
            download_channel(&self.request.input, objects, folder, &goes_on).map_err(|error| match error {
                RunError::Client(problem) => TransformFault::Client(problem),
                other => TransformFault::Machine(other.to_string()),
            })
        })?;
        if !is_filled {
            return Ok(Err(self.left().unwrap_or(Left::Ending)));
        }
        loop {
            match instance.phase() {
                LonePhase::Ready => break,
                LonePhase::Failed(reason) => return Err(TransformFault::Algorithm(reason)),
                LonePhase::Starting => {}
            }
            if let Some(left) = self.left() {
                return Ok(Err(left));
            }
            std::thread::sleep(POLL);
        }
        let model = Model {
            runtime: &self.transformer.runtime,
            instance,
            timeout: self.request.timeout,
            retries: self.request.retries,
        };
        let settings = self.request.settings(model.defaults(), self.transformer.most_concurrent);
        let data_log = self.folder.data_log();
        let data_log =
            DataLog::open(&data_log, self.folder.input(), &self.request.input).map_err(machine(&data_log))?;
        data_log.begin(&settings);
        let mut refusals = Refusals::default();
        if let Err(left) = self.transform(&settings, &model, &data_log, &mut refusals)? {
            return Ok(Err(left));
        }
        self.upload()?;
        Ok(Ok(match refusals.first {
            None => Outcome::Completed,
            Some(first) if refusals.count == 1 => Outcome::Failed { reason: first.to_string() },
            Some(first) => {
                Outcome::Failed { reason: format!("{first} ({} more files failed)", refusals.count - 1) }
            }
        }))
    }

    /// Sends all files through the model. A file that gets no answer does not delay the others.
    fn transform(
        &self,
        settings: &Settings,
        model: &Model<'_>,
        data_log: &DataLog,
        refusals: &mut Refusals,
    ) -> Result<Result<(), Left>, TransformFault> {
        let job = Job {
            input: self.folder.input(),
            output: self.folder.output(),
            settings: settings.clone(),
            identity: [("job".to_owned(), self.job.arn.clone())].into(),
            overwrite: true,
        };
        let invoke =
            |content_type: &str, accept: &str, body: Vec<u8>| model.invoke(content_type, accept, body);
        let progress = Looking { work: self, looked: std::cell::Cell::new(Instant::now()) };
        loop {
            let error = match kokanee_transform::run(&job, &invoke, &progress) {
                Ok(_) => return Ok(Ok(())),
                Err(error) => error,
            };
            if let Some(left) = self.left() {
                return Ok(Err(left));
            }
            let (file, is_internal) = match &error {
                TransformError::Record { place, .. } => (place.file.clone(), false),
                TransformError::Invoke { place, source } => (place.file.clone(), source.is_internal),
                TransformError::RecordIo(_) => return Err(self.client(&error.to_string())),
                other => return Err(TransformFault::Machine(other.to_string())),
            };
            let said = error.to_string().replace(&format!("{}/", job.input.display()), "");
            data_log.refuse(&file, if is_internal { "AlgorithmError" } else { "ClientError" }, &said);
            refusals.count += 1;
            let fault = if is_internal {
                TransformFault::Algorithm(format!("{SEE_LOGS}. {said}"))
            } else {
                self.client(&said)
            };
            refusals.first.get_or_insert(fault);
            self.folder.refuse(&file)?;
        }
    }

    fn client(&self, problem: &str) -> TransformFault {
        TransformFault::Client(format!("{SEE_LOGS}. {problem}"))
    }

    /// Uploads the answers to S3, into the same folders as those of the input.
    fn upload(&self) -> Result<(), TransformFault> {
        for answer in self.folder.answers()? {
            let to = self.request.output.below(&answer.name);
            let put = self.transformer.objects.upload_file(&to.bucket, &to.key, &answer.path, &|| true);
            put.map_err(|error| {
                TransformFault::Client(format!("the answers cannot be put into {to}: {error}"))
            })?;
        }
        Ok(())
    }

    /// Whether the job is to be left, and why.
    fn left(&self) -> Option<Left> {
        match self.transformer.control.transform_jobs.is_stopping(self.job.id) {
            Ok(true) => Some(Left::Stopped),
            _ if self.is_ending.load(Ordering::SeqCst) && self.transformer.keeps_jobs => Some(Left::Ending),
            _ if self.is_ending.load(Ordering::SeqCst) => Some(Left::Stopped),
            _ => None,
        }
    }
}

/// Checks now and then whether the job must be left.
struct Looking<'a> {
    work: &'a Work<'a>,
    looked: std::cell::Cell<Instant>,
}

impl Progress for Looking<'_> {
    fn message(&self, text: &str) {
        tracing::debug!(job = self.work.job.name, text, "transform");
    }

    fn wants_stop(&self) -> bool {
        if self.looked.get().elapsed() < LOOK {
            return false;
        }
        self.looked.set(Instant::now());
        self.work.left().is_some()
    }
}
