//! The workers of a local SageMaker besides its API: jobs, instances, and scaling.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use kokanee_control::engine::{Engine, Processes};
use kokanee_control::environment::Environment;
use kokanee_control::fleet::Fleet;
use kokanee_control::runner::Runner;
use kokanee_control::scaling::{Pace, Scaler};
use kokanee_control::server::LocalServer;
use kokanee_control::transformer::Transformer;
use kokanee_control::tuner::Tuner;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// All workers.
pub(super) struct Workers {
    runner: Arc<Runner>,
    transformer: Arc<Transformer>,
    tuner: Arc<Tuner>,
    scaler: Arc<Scaler>,
    fleet: Arc<Fleet>,
}

impl Workers {
    /// The workers of a server on the folder `data`. Programs get `environment`. `jobs` of each kind run in parallel, as many as
    /// there are cores if none is given; `keeps_jobs` leaves them to the next server.
    ///
    /// # Errors
    /// If the program does not know its own path.
    pub(super) fn new(
        server: &LocalServer,
        data: &Path,
        environment: &Environment,
        jobs: Option<usize>,
        keeps_jobs: bool,
    ) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let places = jobs.unwrap_or(cores);
        let program = std::env::current_exe().context("the program does not know where it lies")?;
        let variables = environment.variables.iter();
        let environment = variables.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let engine: Arc<dyn Engine> = Arc::new(Processes { shim: program.clone(), environment });
        let (control, objects) = (server.control(), server.objects());
        let fleet = Arc::new(Fleet {
            control: Arc::clone(control),
            routes: Arc::clone(server.routes()),
            objects: Arc::clone(&objects),
            folder: data.to_owned(),
            engine: Arc::clone(&engine),
            program: program.clone(),
        });
        Ok(Self {
            runner: Arc::new(Runner {
                control: Arc::clone(control),
                objects: Arc::clone(&objects),
                folder: data.to_owned(),
                program,
                engine,
                places,
                keeps_jobs,
            }),
            transformer: Arc::new(Transformer {
                control: Arc::clone(control),
                objects: Arc::clone(&objects),
                fleet: Arc::clone(&fleet),
                folder: data.to_owned(),
                places,
                most_concurrent: cores,
                keeps_jobs,
                runtime: Handle::current(),
            }),
            tuner: Arc::new(Tuner { control: Arc::clone(control), keeps_jobs }),
            scaler: Arc::new(control.scaler(Pace::default())),
            fleet,
        })
    }

    /// Works until `stop` counts 1, and then ends jobs and instances.
    pub(super) async fn run(self, stop: watch::Receiver<u32>) {
        // Transform jobs end their own instances.
        let jobs = async {
            tokio::join!(
                self.runner.run(stop.clone()),
                self.transformer.run(stop.clone()),
                self.tuner.run(stop.clone())
            )
        };
        tokio::join!(jobs, self.scaler.run(stop.clone()), self.fleet.run(stop.clone()));
    }
}
