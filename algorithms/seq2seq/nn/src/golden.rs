//! Comparison with recorded results of Sockeye 1.18.106: scores, gradients, greedy and 5-best outputs, attention.
//!
//! The folders and the tolerances are described in the README of the golden files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::artifact::read_mxnet_parameters;
use crate::artifact::sockeye::{self, ImportOptions};
use crate::batch::Sequences;
use crate::config::DecoderConfig;
use crate::decode::{Decoding, Request, Search, Translation, translate};
use crate::graph::Graph;
use crate::random::Stream;
use crate::weights::Weights;
use crate::{LengthStatistics, Model};
use kokanee_contract::algorithms::seq2seq::BeamSearchRule;
use kokanee_contract::algorithms::seq2seq::special_ids::{BOS, EOS, PAD};
use kokanee_kernels::packed::Format;
use kokanee_kernels::{Precision, Team};
use kokanee_tensor::ops;
use kokanee_tensor::{Gradient, Tape, Tensor};
use kokanee_testkit::golden;

struct Golden {
    folder: PathBuf,
    model: Model,
    lengths: LengthStatistics,
    source_words: HashMap<String, u32>,
    target_words: HashMap<String, u32>,
    team: Arc<Team>,
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn ids(words: &[String]) -> HashMap<String, u32> {
    words.iter().cloned().zip(0..).collect()
}

impl Golden {
    fn load(case: &str) -> Golden {
        let folder = golden(case);
        let options = ImportOptions { vocabularies: folder.parent(), ..ImportOptions::default() };
        let imported = sockeye::import(&folder, &options).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(imported.notes, Vec::<String>::new(), "{case}: nothing is unusual about it");
        Golden {
            model: imported.artifact.model,
            lengths: imported.artifact.metadata.lengths,
            source_words: ids(&imported.source_vocabulary),
            target_words: ids(&imported.target_vocabulary),
            team: Arc::new(Team::new(2)),
            folder,
        }
    }

    fn ids(words: &HashMap<String, u32>, line: &str) -> Vec<u32> {
        line.split_whitespace().map(|word| words.get(word).copied().unwrap_or(1)).collect()
    }

    /// Ids of `NAME.src` and `NAME.trg`.
    fn pairs(&self, name: &str) -> Vec<(Vec<u32>, Vec<u32>)> {
        let lines = |side: &str| text(&self.folder.parent().unwrap().join(format!("{name}.{side}")));
        lines("src")
            .lines()
            .zip(lines("trg").lines())
            .map(|(s, t)| (Self::ids(&self.source_words, s), Self::ids(&self.target_words, t)))
            .collect()
    }

    fn check_scores(&self, name: &str, file: &str, failures: &mut Vec<String>) {
        let pairs = self.pairs(name);
        let batch = self.model.batch(pairs.iter().map(|(s, t)| (&s[..], &t[..])));
        let loss = self.model.loss(&self.team, &batch);
        let want: Vec<f64> =
            text(&self.folder.join(file)).lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(want.len(), pairs.len());
        for (i, want) in want.iter().enumerate() {
            let span = batch.target.span(i);
            let tokens = &loss.tokens[span.start as usize..span.end as usize];
            let got: f64 = -tokens.iter().map(|t| f64::from(t.nll)).sum::<f64>();
            if (got - want).abs() > 2e-3 {
                failures.push(format!("{file}: line {}: {got:.4}, Sockeye says {want}", i + 1));
            }
        }
    }

    /// The gradient of every parameter on the recorded batch.
    fn gradients(&self, precision: Precision) -> Vec<Option<Tensor>> {
        let pairs = self.pairs("batch");
        let batch = self.model.batch(pairs.iter().map(|(s, t)| (&s[..], &t[..])));
        let dense = |gradient| match gradient {
            Gradient::Dense(dense) => dense,
            Gradient::Rows(rows) => rows.to_dense(),
        };
        let gradients = self.model.loss_and_gradients(&self.team, precision, &batch, 1).gradients;
        gradients.into_iter().map(|gradient| gradient.map(dense)).collect()
    }

    /// Compares the gradient of every parameter with Sockeye's, to four digits of its largest element.
    fn check_gradients(&self, failures: &mut Vec<String>) {
        let after = read_mxnet_parameters(&self.folder.join("sgd1.mxnet")).unwrap();
        for (parameter, gradient) in self.model.parameters().iter().zip(self.gradients(Precision::F32)) {
            let name = &parameter.name;
            let Some(got) = gradient else {
                failures.push(format!("{name}: no gradient"));
                continue;
            };
            let want: Vec<f32> =
                parameter.value.data().iter().zip(after[name].data()).map(|(w, after)| w - after).collect();
            let largest = want.iter().fold(0f32, |m, x| m.max(x.abs()));
            let tolerance = if largest < 1e-3 { 5e-4 } else { 1e-4 } * largest;
            let error = got.data().iter().zip(&want).fold(0f32, |m, (g, w)| m.max((g - w).abs()));
            // The largest of differences ignores NaN.
            if error > tolerance || got.data().iter().any(|g| g.is_nan()) {
                failures.push(format!("gradient of {name}: off by {error:e} of at most {largest:e}"));
            }
        }
    }

    /// Checks that in bf16, whose factors have 8 bits, gradients are those of `f32` within 8% of their length as vectors.
    ///
    /// The deviation of a single model is a matter of luck: a relu flips where its input is near zero, and that affects everything
    /// before it. So the check uses the median over models whose weights differ by up to 2% from the recorded ones.
    fn check_rounded_gradients(mut self, failures: &mut Vec<String>) {
        const MODELS: usize = 25;
        let recorded: Vec<Arc<Tensor>> =
            self.model.parameters().iter().map(|parameter| parameter.value.clone()).collect();
        let mut stream = Stream::new(1, "models nearby");
        let mut errors = vec![Vec::new(); recorded.len()];
        for _ in 0..MODELS {
            for (parameter, recorded) in self.model.parameters_mut().iter_mut().zip(&recorded) {
                let near = recorded.data().iter().map(|w| w * (1.0 + stream.symmetric(0.02))).collect();
                parameter.value = Arc::new(Tensor::from_vec(recorded.shape().clone(), near));
            }
            let both = self.gradients(Precision::F32).into_iter().zip(self.gradients(Precision::Bf16));
            for (errors, gradients) in errors.iter_mut().zip(both) {
                let (Some(exact), Some(rounded)) = gradients else { continue };
                let square = |x: f32| f64::from(x).powi(2);
                let off: f64 = exact.data().iter().zip(rounded.data()).map(|(e, r)| square(e - r)).sum();
                let length: f64 = exact.data().iter().copied().map(square).sum();
                errors.push((off / length).sqrt());
            }
        }
        for (parameter, errors) in self.model.parameters().iter().zip(&mut errors) {
            // NaN is sorted last, and any of them is a failure.
            errors.sort_by(f64::total_cmp);
            let is_a_number = errors.last().is_some_and(|most| !most.is_nan());
            if errors.len() != MODELS || !is_a_number || errors[MODELS / 2] > 0.08 {
                let name = &parameter.name;
                failures
                    .push(format!("bf16 gradients of {name} are off by these parts of them: {errors:.3?}"));
            }
        }
    }

    fn search(&self, beam_size: usize, nbest: usize) -> Search {
        Search {
            beam_size,
            rule: BeamSearchRule::Sockeye1_18,
            length_penalty_alpha: 1.0,
            length_penalty_beta: 0.0,
            nbest,
            attention: true,
        }
    }

    fn translate(&self, beam_size: usize, nbest: usize) -> Vec<Translation> {
        let pairs = self.pairs("test");
        let sources: Vec<&[u32]> = pairs.iter().map(|(s, _)| &s[..]).collect();
        translate(&self.model, &self.lengths, &self.team, &sources, &self.search(beam_size, nbest))
    }

    /// Checks that with coarser weights, Sockeye's outputs cost nearly the same. (They need not stay the best: these models were
    /// trained only a little, and have many answers that are nearly as good.)
    fn check_formats(&self, failures: &mut Vec<String>) {
        let pairs = self.pairs("test");
        let want = self.translate(1, 1);
        for (format, tolerance) in [(Format::F32, 0.0), (Format::Bf16, 0.02), (Format::Int8, 0.05)] {
            let mut decoding = Decoding::new(&self.model, &self.lengths, &self.team, format);
            let forced = pairs.iter().zip(&want).map(|((source, _), want)| Request {
                prefix: want.hypotheses[0].words.clone(),
                max_length: Some(want.hypotheses[0].scored_tokens),
                ..Request::new(source.clone(), self.search(1, 1))
            });
            decoding.admit((0..).zip(forced));
            while !decoding.is_idle() {
                for (i, got) in decoding.step() {
                    let (got, want) = (&got.hypotheses[0], &want[i as usize].hypotheses[0]);
                    let off = (got.score - want.score).abs();
                    if got.words != want.words || off.is_nan() || off > tolerance * want.score {
                        failures.push(format!("{format:?} {}: {} for {}", i + 1, got.score, want.score));
                    }
                }
            }
        }
    }

    fn sentence(&self, ids: &[u32]) -> String {
        let words: HashMap<u32, &str> = self.target_words.iter().map(|(w, id)| (*id, w.as_str())).collect();
        ids.iter().map(|id| words[id]).collect::<Vec<_>>().join(" ")
    }

    fn check_greedy(&self, failures: &mut Vec<String>) {
        let want = text(&self.folder.join("greedy.txt"));
        let got = self.translate(1, 1);
        assert_eq!(got.len(), want.lines().count());
        for (i, (got, want)) in got.iter().zip(want.lines()).enumerate() {
            let got = self.sentence(&got.hypotheses[0].words);
            if got != want {
                failures.push(format!("greedy {}: `{got}`, Sockeye says `{want}`", i + 1));
            }
        }
    }

    fn check_beam(&self, failures: &mut Vec<String>) {
        #[derive(serde::Deserialize)]
        struct Line {
            translations: Vec<String>,
            scores: Vec<f64>,
        }
        let want = text(&self.folder.join("beam5.jsonl"));
        let got = self.translate(5, 5);
        assert_eq!(got.len(), want.lines().count());
        for (i, (got, line)) in got.iter().zip(want.lines()).enumerate() {
            let want: Line = serde_json::from_str(line).unwrap();
            let scores: Vec<f64> = got.hypotheses.iter().map(|h| h.score).collect();
            let sentences: Vec<String> = got.hypotheses.iter().map(|h| self.sentence(&h.words)).collect();
            let near = |a: f64, b: f64| (a - b).abs() < 1e-4;
            let fine = sentences.len() == want.translations.len()
                && scores.iter().zip(&want.scores).all(|(a, b)| near(*a, *b))
                && (0..sentences.len()).all(|rank| {
                    // A swap of two whose scores are equal to four digits does not count as a difference.
                    (0..sentences.len()).any(|other| {
                        sentences[rank] == want.translations[other] && near(scores[rank], want.scores[other])
                    })
                });
            if !fine {
                failures.push(format!("beam {}: {sentences:?} {scores:?}, Sockeye says {line}", i + 1));
            }
        }
    }

    /// Sockeye 1.18 does not print the attention of the hypothesis that it returns: at each step it prints that of whichever
    /// hypothesis stands first on the beam afterwards, finished ones included (they continue, fed with `<pad>`). So the recorded
    /// file is compared with a plain search that keeps all rows and does just that.
    fn check_attention(&self, failures: &mut Vec<String>) {
        let recorded = text(&self.folder.join("attention.txt"));
        let blocks: Vec<&str> = recorded.split("\n\n").filter(|block| !block.trim().is_empty()).collect();
        let pairs = self.pairs("test");
        assert_eq!(blocks.len(), pairs.len());
        for (i, ((source, _), block)) in pairs.iter().zip(blocks).enumerate() {
            let mut lines = block.trim().lines();
            let header: Vec<&str> = lines.next().unwrap().split(" ||| ").collect();
            let words = header[1].split(' ').count();
            if matches!(self.model.config().decoder, DecoderConfig::Cnn(_)) {
                // Sockeye returns zeros for convolutional decoders, which we do not reproduce.
                assert!(lines.all(|line| line.split(' ').all(|x| x.parse() == Ok(0.0))));
                continue;
            }
            let attention = self.first_row_attention(source, words);
            for (s, line) in lines.enumerate() {
                for (t, want) in line.split(' ').enumerate() {
                    let (got, want) = (attention[t][s], want.parse::<f32>().unwrap());
                    if got.is_nan() || (got - want).abs() > 1e-4 {
                        failures.push(format!("attention {}: at {s},{t}: {got}, Sockeye says {want}", i + 1));
                    }
                }
            }
        }
    }

    /// The attention of the first row of a beam of 5 after each of `steps` steps.
    fn first_row_attention(&self, source: &[u32], steps: usize) -> Vec<Vec<f32>> {
        const BEAM: usize = 5;
        let tape = Tape::forgetting(Arc::clone(&self.team));
        let weights = Weights::new(self.model.parameters(), Format::F32);
        let graph = Graph::of_decoder(&tape, &weights);
        let layers = &self.model.layers;
        let batch = self.model.batch([(source, &[][..])]);
        let encoded = layers.encode(&graph, &batch.source);
        let decoder = layers.decoder.prepare(&graph);
        let memory = layers.decoder.memory(&graph, &encoded);
        let output = graph.weight(layers.output_weight);
        let length = batch.source.span(0).len();
        let mut state = layers.decoder.start(&graph, &encoded, &[0; BEAM]);
        // (score, last word, words said, finished)
        let mut beam = vec![(0.0, BOS, 0, false); BEAM];
        let mut attention = Vec::new();
        for step in 0..steps {
            let mut words = Sequences::default();
            beam.iter().for_each(|&(_, word, ..)| words.push([word]));
            let embedded = layers.embed_target(&graph, &words);
            let spans = vec![0..length as u32; BEAM].into();
            let stepped = decoder.advance(&graph, &memory, embedded, &spans, &state);
            let logits = ops::linear(&tape, &stepped.output, &output, &[graph.var(layers.output_bias)]);
            let mut candidates = Vec::new();
            for (row, &(score, _, said, finished)) in beam.iter().enumerate() {
                if finished {
                    candidates.push((score, row, PAD, said, true));
                } else if step > 0 || row == 0 {
                    let logits: Vec<f64> = logits.value().row(row).iter().map(|&x| f64::from(x)).collect();
                    let log_sum = logits.iter().map(|x| x.exp()).sum::<f64>().ln();
                    candidates.extend(
                        (0u32..)
                            .zip(logits)
                            .map(|(word, logit)| (score + log_sum - logit, row, word, said, false)),
                    );
                }
            }
            candidates.sort_by(|a, b| a.0.total_cmp(&b.0));
            candidates.truncate(BEAM);
            let parents: Vec<u32> = candidates.iter().map(|c| c.1 as u32).collect();
            let first = parents[0] as usize * length;
            attention.push(stepped.probabilities.data()[first..first + length].to_vec());
            beam = candidates
                .into_iter()
                .map(|(score, _, word, said, finished)| match word {
                    EOS if !finished => (score / f64::from(said), word, said, true),
                    _ => (score, word, said + i32::from(!finished), finished),
                })
                .collect();
            state = stepped.state.select(&graph, &parents.into());
        }
        attention
    }

    /// Checks that the attention of a hypothesis is that of its own words, not that of a neighbour on the beam.
    fn check_own_attention(&self, failures: &mut Vec<String>) {
        let pairs = self.pairs("test");
        for (i, (translation, (source, _))) in self.translate(5, 5).iter().zip(&pairs).enumerate() {
            for hypothesis in &translation.hypotheses {
                let forced = self.forced_attention(source, &hypothesis.words);
                let off = hypothesis
                    .attention
                    .iter()
                    .flat_map(|row| &row.weights)
                    .zip(forced.iter().flatten())
                    .fold(0f32, |m, (a, b)| m.max((a - b).abs()));
                if off > 1e-5 || hypothesis.attention.len() != hypothesis.scored_tokens {
                    failures.push(format!("attention of {} is not its own: off by {off}", i + 1));
                }
            }
        }
    }

    fn forced_attention(&self, source: &[u32], target: &[u32]) -> Vec<Vec<f32>> {
        let tape = Tape::forgetting(Arc::clone(&self.team));
        let weights = Weights::new(self.model.parameters(), Format::F32);
        let graph = Graph::of_decoder(&tape, &weights);
        let layers = &self.model.layers;
        let batch = self.model.batch([(source, target)]);
        let encoded = layers.encode(&graph, &batch.source);
        let steps = layers.decoder.prepare(&graph);
        let memory = layers.decoder.memory(&graph, &encoded);
        let mut state = layers.decoder.start(&graph, &encoded, &[0]);
        let spans = [batch.source.span(0)].into();
        batch
            .target
            .ids()
            .iter()
            .map(|&word| {
                let mut words = Sequences::default();
                words.push([word]);
                let embedded = layers.embed_target(&graph, &words);
                let stepped = steps.advance(&graph, &memory, embedded, &spans, &state);
                state = stepped.state;
                stepped.probabilities.data().to_vec()
            })
            .collect()
    }
}

/// The recorded architectures that are supported.
const CASES: &[&str] = &[
    "cnn_enc_rnn_dec",
    "cnn_glu_1",
    "cnn_glu_3",
    "cnn_relu_2",
    "rnn_gru_fixed_2",
    "rnn_gru_mlp_avg",
    "rnn_lstm_bilinear_upper2",
    "rnn_lstm_dot_zero",
    "rnn_lstm_enc3_dec1",
    "rnn_lstm_mlp_last",
    "rnn_lstm_residual3",
];

#[test]
fn golden_cases_agree() {
    let mut failures = Vec::new();
    for case in CASES {
        let golden = Golden::load(case);
        let before = failures.len();
        golden.check_scores("test", "scores.txt", &mut failures);
        golden.check_scores("batch", "batch_scores.txt", &mut failures);
        golden.check_gradients(&mut failures);
        golden.check_greedy(&mut failures);
        golden.check_beam(&mut failures);
        golden.check_attention(&mut failures);
        golden.check_own_attention(&mut failures);
        golden.check_formats(&mut failures);
        golden.check_rounded_gradients(&mut failures);
        failures[before..].iter_mut().for_each(|f| *f = format!("{case}: {f}"));
    }
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}
