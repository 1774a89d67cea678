//! Measures decoding time per sentence.

use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::special_ids::{EOS, PAD};
use kokanee_kernels::Team;
use kokanee_seq2seq_nn::decode::{Decoding, Request, Search};
use kokanee_seq2seq_nn::{LengthStatistics, Model};
use kokanee_testkit::Rng;

use crate::Options;
use crate::curve::{Axes, Curve, Point, Study, Unit};
use crate::law::{Cost, Law};
use crate::machine::{FORMATS, Machine};
use crate::shape::{BASE, BASE_LENGTH};
use crate::windows::Windows;

/// The least number of seconds in a window.
const WINDOW_SECONDS: f64 = 0.3;
/// Numbers of sentences that are decoded together: one alone, and many.
const BATCHES: [usize; 2] = [1, 64];
/// SageMaker's default beam.
const BASE_BEAM: usize = 5;
const LENGTHS: [usize; 5] = [5, 10, 20, 40, 80];
const BEAMS: [usize; 5] = [1, 2, 5, 10, 20];
/// Far below any logit, so that words that end an answer are never emitted, and each answer has as many words as requested.
const NEVER: f32 = -1e4;

const UNIT: Unit = Unit { name: "time for a sentence in ms", of_a_second: 1e3, column: "ms a sentence" };

/// One measurement.
#[derive(Clone, Copy)]
struct Work {
    beam: usize,
    length: usize,
    batch: usize,
}

/// Measures both curves in every format, for one sentence at a time and for many.
pub(crate) fn study(options: &Options, machine: &Machine) -> Study {
    let team = Arc::new(Team::new(options.threads));
    let model = model_that_never_ends(&team);
    let axes = Axes::Logarithmic;
    let mut curves = [
        Curve::new("decoding-beam", "Beam", "beam size", axes, UNIT),
        Curve::new(
            "decoding-length",
            "Length of sentences",
            "tokens of a sentence, source and answer",
            axes,
            UNIT,
        ),
    ];
    let mut laws = Vec::new();
    for (name, format) in FORMATS {
        // Any length is accepted; the request limits the answer.
        let lengths = LengthStatistics {
            ratio_mean: 2.0,
            ratio_std: 0.0,
            longest_source: LENGTHS[LENGTHS.len() - 1],
            longest_target: LENGTHS[LENGTHS.len() - 1],
            bucket_width: 1,
        };
        let mut decoding = Decoding::new(&model, &lengths, &team, format);
        for batch in BATCHES {
            let base = Work { beam: BASE_BEAM, length: BASE_LENGTH, batch };
            let by_beam = options.points_of(&BEAMS).into_iter().map(|beam| (0, beam, Work { beam, ..base }));
            let by_length =
                options.points_of(&LENGTHS).into_iter().map(|length| (1, length, Work { length, ..base }));
            for (curve, x, work) in by_beam.chain(by_length).collect::<Vec<_>>() {
                decoding = decoding.with_window(work.batch * work.beam);
                let seconds = work.measure(&mut decoding, options.windows);
                let curve: &mut Curve = &mut curves[curve];
                println!("{} {name} x {batch}, {x}: {:.2} ms a sentence", curve.file, seconds.median * 1e3);
                curve.points.push(Point {
                    series: format!(
                        "{name}, {}",
                        if batch == 1 { "one alone".into() } else { format!("{batch} at a time") }
                    ),
                    x: x as f64,
                    seconds,
                    cost: work.cost(bytes_a_value(name)),
                    expected: f64::NAN,
                    peak: machine.decoding_peak(name),
                });
            }
        }
        let points =
            || curves.iter().flat_map(|curve| &curve.points).filter(|point| point.series.starts_with(name));
        let law = Law::fitted(&points().map(|point| (point.cost, point.seconds.median)).collect::<Vec<_>>());
        let points = curves.iter_mut().flat_map(|curve| &mut curve.points);
        let of_format = points.filter(|point| point.series.starts_with(name));
        of_format.for_each(|point| point.expected = law.expects(point.cost));
        laws.push((name.to_owned(), law, machine.decoding_peak(name)));
    }
    Study { curves: curves.into(), laws }
}

fn bytes_a_value(format: &str) -> f64 {
    match format {
        "f32" => 4.0,
        "bf16" => 2.0,
        _ => 1.0,
    }
}

/// Creates the base model with initial parameters, except for the biases of `</s>` and `<pad>`, which end an answer.
fn model_that_never_ends(team: &Team) -> Model {
    let h = BASE.hyperparameters(LENGTHS[LENGTHS.len() - 1], &[]).expect("hyperparameters that are built");
    let mut model = BASE.model(&h, team);
    let biases =
        model.parameters_mut().iter_mut().filter(|parameter| parameter.name.ends_with("output_bias"));
    for bias in biases {
        let bias = Arc::make_mut(&mut bias.value).data_mut();
        (bias[EOS as usize], bias[PAD as usize]) = (NEVER, NEVER);
    }
    model
}

impl Work {
    /// The cost of one sentence: the encoder runs once, the decoder for each hypothesis and word; the weights that a step
    /// multiplies by are read once per step for the whole batch.
    fn cost(&self, bytes_a_value: f64) -> Cost {
        let (words, rows) = (self.length as f64, (self.length * self.beam) as f64);
        let encoder = words * BASE.for_source_token();
        Cost {
            multiply_adds: encoder + rows * BASE.for_target_token(self.length),
            bytes: bytes_a_value * words * BASE.step_weights() / self.batch as f64,
        }
    }

    fn measure(&self, decoding: &mut Decoding, windows: usize) -> Windows {
        let search = Search { beam_size: self.beam, ..Search::default() };
        let mut random = Rng::new(self.length as u64);
        let mut word = || random.range(4..BASE.source_vocabulary) as u32;
        let sources: Vec<Vec<u32>> =
            (0..self.batch).map(|_| (0..self.length).map(|_| word()).collect()).collect();
        let mut translate = || {
            let requests = sources.iter().map(|source| Request {
                max_length: Some(self.length),
                ..Request::new(source.clone(), search.clone())
            });
            let answers = decoding.translate(requests);
            let whole = |words: usize| words == self.length;
            assert!(answers.iter().all(|a| whole(a.hypotheses[0].words.len())), "an answer ended early");
            sources.len()
        };
        Windows::measure(windows, WINDOW_SECONDS, &mut translate)
    }
}
