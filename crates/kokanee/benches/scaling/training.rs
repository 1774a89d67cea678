//! Measures training time per target token.

use std::sync::Arc;

use kokanee_kernels::Team;
use kokanee_seq2seq_data::buckets::single_bucket;
use kokanee_seq2seq_data::{BatchPlan, Corpus};
use kokanee_seq2seq_train::Trainer;
use kokanee_testkit::Rng;

use crate::Options;
use crate::curve::{Axes, Curve, Point, Study, Unit};
use crate::law::{Cost, Law};
use crate::machine::Machine;
use crate::shape::{BASE, BASE_BATCH, BASE_LENGTH, FORWARD_AND_BACKWARD, Shape};
use crate::windows::Windows;

/// The least number of seconds in a window.
const WINDOW_SECONDS: f64 = 0.5;
/// Number of batches in the corpus: it only has to be more than one.
const BATCHES: usize = 4;
/// Adam reads a parameter, its gradient and two moments, and writes parameter and moments, four bytes each.
const BYTES_A_PARAMETER: f64 = 7.0 * 4.0;

const UNIT: Unit =
    Unit { name: "training time for a target token in µs", of_a_second: 1e6, column: "µs a token" };

/// One measurement.
#[derive(Clone, Copy)]
struct Work {
    shape: Shape,
    length: usize,
    batch: usize,
    threads: usize,
}

/// The quantity that a curve varies.
struct Sweep {
    file: &'static str,
    title: &'static str,
    x_label: &'static str,
    axes: Axes,
    values: Vec<usize>,
    /// Changes the work to a value of the curve.
    change: fn(&mut Work, usize),
}

/// Measures all curves in every supported precision.
///
/// # Errors
/// When none of the precisions is supported.
pub(crate) fn study(options: &Options, machine: &Machine) -> Result<Study, String> {
    let base = Work { shape: BASE, length: BASE_LENGTH, batch: BASE_BATCH, threads: options.threads };
    let (is_built, refused): (Vec<_>, Vec<_>) = options.precisions.iter().partition(|p| base.with(p).is_ok());
    for precision in refused {
        println!("precision {precision} is left out: {}", base.with(precision).err().unwrap_or_default());
    }
    if is_built.is_empty() {
        return Err("no precision is left to train in".to_owned());
    }
    let mut curves: Vec<Curve> = Vec::new();
    for sweep in sweeps() {
        curves.push(sweep.measure(base, &is_built, options, machine)?);
    }
    let mut by_threads = threads(options).measure(base, &is_built, options, machine)?;
    let mut laws = Vec::new();
    for precision in is_built {
        let points = curves.iter_mut().flat_map(|curve| &mut curve.points);
        let mut points: Vec<&mut Point> = points.filter(|point| point.series == *precision).collect();
        let measured: Vec<_> = points.iter().map(|point| (point.cost, point.seconds.median)).collect();
        let law = Law::fitted(&measured);
        points.iter_mut().for_each(|point| point.expected = law.expects(point.cost));
        laws.push((precision.clone(), law, machine.training_peak(precision)));
        // Threads share the work: the law goes through the first point.
        let points = by_threads.points.iter_mut().filter(|point| point.series == *precision);
        let mut first = None;
        points.for_each(|p| p.expected = *first.get_or_insert(p.seconds.median * p.x) / p.x);
    }
    curves.push(by_threads);
    Ok(Study { curves, laws })
}

/// The curves of one law.
fn sweeps() -> [Sweep; 5] {
    [
        Sweep {
            file: "training-hidden",
            title: "Hidden units",
            x_label: "hidden units",
            axes: Axes::Logarithmic,
            values: vec![128, 256, 512, 1024],
            change: |work, x| work.shape.hidden = x,
        },
        Sweep {
            file: "training-vocabulary",
            title: "Target vocabulary",
            x_label: "target words",
            axes: Axes::FromZero,
            values: vec![2000, 10_000, 20_000, 50_000],
            change: |work, x| work.shape.target_vocabulary = x,
        },
        Sweep {
            file: "training-layers",
            title: "Layers",
            x_label: "layers of the encoder, and of the decoder",
            axes: Axes::FromZero,
            values: vec![1, 2, 4, 8],
            change: |work, x| work.shape.layers = x,
        },
        Sweep {
            file: "training-length",
            title: "Length of sentences",
            x_label: "tokens of a sentence, each side",
            axes: Axes::FromZero,
            values: vec![5, 10, 20, 40, 80],
            change: |work, x| work.length = x,
        },
        Sweep {
            file: "training-batch",
            title: "Sentences in a batch",
            x_label: "sentences in a batch",
            axes: Axes::Logarithmic,
            values: vec![8, 16, 32, 64, 128, 256],
            change: |work, x| work.batch = x,
        },
    ]
}

fn threads(options: &Options) -> Sweep {
    Sweep {
        file: "training-threads",
        title: "Threads",
        x_label: "threads",
        axes: Axes::FromZero,
        values: (1..=options.threads).filter(|count| count.is_power_of_two()).collect(),
        change: |work, x| work.threads = x,
    }
}

impl Sweep {
    /// Measures the points in each precision, without their expected times yet.
    fn measure(
        &self,
        base: Work,
        precisions: &[&String],
        options: &Options,
        machine: &Machine,
    ) -> Result<Curve, String> {
        let mut curve = Curve::new(self.file, self.title, self.x_label, self.axes, UNIT);
        for &precision in precisions {
            for x in options.points_of(&self.values) {
                let mut work = base;
                (self.change)(&mut work, x);
                let seconds = work.measure(precision, options.windows)?;
                println!("{} {precision} {x}: {:.1} µs a token", self.file, seconds.median * 1e6);
                curve.points.push(Point {
                    series: precision.clone(),
                    x: x as f64,
                    seconds,
                    cost: work.cost(),
                    expected: f64::NAN,
                    peak: machine.training_peak(precision) * work.threads as f64 / options.threads as f64,
                });
            }
        }
        Ok(curve)
    }
}

impl Work {
    fn with(
        &self,
        precision: &str,
    ) -> Result<kokanee_contract::algorithms::seq2seq::Hyperparameters, String> {
        let further = [("batch_size", self.batch.to_string()), ("precision", precision.to_owned())];
        self.shape.hyperparameters(self.length, &further)
    }

    /// The cost of one target token; a sentence has as many target tokens as source tokens, plus its `</s>`.
    fn cost(&self) -> Cost {
        let target = self.length as f64 + 1.0;
        let source_share = self.length as f64 / target;
        let forward = self.shape.for_target_token(self.length) + self.shape.for_source_token() * source_share;
        Cost {
            multiply_adds: FORWARD_AND_BACKWARD * forward,
            bytes: BYTES_A_PARAMETER * self.shape.dense_parameters() / (self.batch as f64 * target),
        }
    }

    fn measure(&self, precision: &str, windows: usize) -> Result<Windows, String> {
        let h = self.with(precision)?;
        let team = Arc::new(Team::new(self.threads));
        let mut random = Rng::new(self.length as u64);
        let mut sentence = |vocabulary: usize| -> Vec<u32> {
            // The first four ids are not words.
            (0..self.length).map(|_| random.range(4..vocabulary) as u32).collect()
        };
        let mut corpus = Corpus::new();
        for _ in 0..self.batch * BATCHES {
            corpus.push(&sentence(self.shape.source_vocabulary), &sentence(self.shape.target_vocabulary));
        }
        let bucket = single_bucket(h.max_seq_len_source, h.max_seq_len_target);
        let plan = BatchPlan::new(&corpus, &bucket, h.batch_size, h.seed);
        let model = self.shape.model(&h, &team);
        let mut trainer = Trainer::new(model, corpus, plan, &h, team).map_err(|error| error.to_string())?;
        let mut update = || trainer.update().expect("a loss that is a number").work.target_tokens as usize;
        Ok(Windows::measure(windows, WINDOW_SECONDS, &mut update))
    }
}
