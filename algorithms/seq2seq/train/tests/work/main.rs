//! Tests of the work of an update and of a step of decoding, counted instead of timed: multiply-adds of matrix products exactly as
//! many as the shapes require, heap allocations at most as many as stated here. Counts are the same on every machine and under any
//! load, so these tests detect that a hot loop has grown.
//!
//! **When a change is meant to change a count**: multiply-adds follow from `shapes.rs`, whose formulas must explain the change;
//! allocations have their limits in [`CASES`], and each failure prints the new figure for them.

mod shapes;

use std::collections::BTreeMap;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_kernels::packed::Format;
use kokanee_kernels::{Team, work};
use kokanee_seq2seq_data::{BatchPlan, Corpus, define_buckets};
use kokanee_seq2seq_nn::decode::{Decoding, Request, Search};
use kokanee_seq2seq_nn::init::Initialisation;
use kokanee_seq2seq_nn::{LengthStatistics, Model, ModelConfig};
use kokanee_seq2seq_train::Trainer;
use kokanee_testkit::Rng;

use shapes::{Network, SOURCE_WORDS, TARGET_WORDS, Tokens};

/// A model, and its limits of allocations.
struct Case {
    network: Network,
    update: Allocated,
    step: Allocated,
}

/// Heap allocations, on average per update or per step of decoding.
#[derive(Clone, Copy)]
struct Allocated {
    count: u64,
    bytes: u64,
}

/// Limits are the measured values plus 2% of the count and a quarter of the bytes, with the instruction set that takes most
/// (without AVX-512 the products of an update go through a crate with its own buffers). This leaves room for another standard
/// library, but not for one more allocation in each product of a recurrence.
const CASES: &[Case] = &[
    Case {
        network: Network::Recurrent { gates: 4, states: 2, encoder_layers: 2, decoder_layers: 2 },
        update: Allocated { count: 2111, bytes: 521_811 },
        step: Allocated { count: 140, bytes: 16_490 },
    },
    Case {
        network: Network::Recurrent { gates: 3, states: 1, encoder_layers: 1, decoder_layers: 1 },
        update: Allocated { count: 1530, bytes: 348_720 },
        step: Allocated { count: 111, bytes: 13_832 },
    },
    Case {
        network: Network::Convolutional { encoder_layers: 2, decoder_layers: 3 },
        update: Allocated { count: 462, bytes: 688_740 },
        step: Allocated { count: 127, bytes: 16_935 },
    },
];

/// Number of pairs in a batch, and of hypotheses per sentence.
const BATCH: usize = 6;
const BEAM: usize = 3;
/// The largest number of words in a sentence.
const LONGEST: usize = 12;

#[test]
fn an_update_makes_the_products_that_its_shapes_say_and_allocates_no_more_than_stated() {
    report(CASES.iter().flat_map(check_update).collect());
}

#[test]
fn a_step_of_decoding_makes_the_products_that_its_shapes_say_and_allocates_no_more_than_stated() {
    let formats = [Format::F32, Format::Bf16, Format::Int8];
    report(CASES.iter().flat_map(|case| formats.map(|format| check_step(case, format))).flatten().collect());
}

#[track_caller]
fn report(faults: Vec<String>) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Runs one epoch of a training that has warmed up, and returns the faults.
fn check_update(case: &Case) -> Vec<String> {
    let (h, corpus) = (hyperparameters(&case.network), corpus());
    let team = Arc::new(Team::new(1));
    let buckets = define_buckets(LONGEST, LONGEST + 1, 4, 1.0);
    let plan = BatchPlan::new(&corpus, &buckets, BATCH, 1);
    let updates = plan.batches_per_epoch() as u64;
    let mut tokens = Tokens::default();
    for pair in plan.epoch(WARM_UP_EPOCHS).into_iter().flatten() {
        tokens += Tokens::of_pair(corpus.source(pair as usize), corpus.target(pair as usize));
    }
    let model = model(&h, &team);
    let mut trainer = Trainer::new(model, corpus, plan, &h, team).unwrap();
    let mut epoch = || {
        for _ in 0..updates {
            trainer.update().unwrap();
        }
    };
    (0..WARM_UP_EPOCHS).for_each(|_| epoch());

    let (before, blocks) = (work::multiply_adds(), work::blocks());
    let allocated = allocation_counter::measure(epoch);
    let name = format!("an epoch of {}", case.network);
    let products = products(&name, work::multiply_adds() - before, case.network.update(tokens));
    let blocks = work::blocks() - blocks;
    // Occasionally a batch is the largest so far of its kind.
    let blocks = (4 * blocks > updates).then(|| {
        format!(
            "{name}: {blocks} new blocks of memory in {updates} updates, where those at hand should be used again"
        )
    });
    let name = format!("an update of {}", case.network);
    let allocated =
        Allocated { count: allocated.count_total / updates, bytes: allocated.bytes_total / updates };
    products.into_iter().chain(blocks).chain(allocations(&name, allocated, case.update)).collect()
}

/// Number of epochs after which buffers of all sizes exist.
const WARM_UP_EPOCHS: u64 = 4;

/// Decodes sentences together, for the second time, and returns the faults.
fn check_step(case: &Case, format: Format) -> Vec<String> {
    let (h, corpus) = (hyperparameters(&case.network), corpus());
    let team = Arc::new(Team::new(1));
    let lengths = LengthStatistics {
        ratio_mean: 1.0,
        ratio_std: 0.2,
        longest_source: LONGEST,
        longest_target: LONGEST,
        bucket_width: 4,
    };
    let mut decoding = Decoding::new(&model(&h, &team), &lengths, &team, format);
    let search = Search { beam_size: BEAM, ..Search::default() };
    let requests: Vec<Request> =
        (0..BATCH).map(|pair| Request::new(corpus.source(pair).to_vec(), search.clone())).collect();
    let mut tokens = Tokens::default();
    (0..BATCH).for_each(|pair| tokens += Tokens::of_pair(corpus.source(pair), &[]));
    decoding.translate(requests.clone());

    let (before, done) = (work::multiply_adds(), decoding.work());
    let allocated = allocation_counter::measure(|| drop(decoding.translate(requests)));
    let multiply_adds = work::multiply_adds() - before;
    let (steps, rows) = (decoding.work().steps - done.steps, decoding.work().rows - done.rows);
    let name = format!("decoding in {format:?} with {}", case.network);
    let products = products(&name, multiply_adds, case.network.decoding(tokens, rows));
    let name = format!("a step of {name}");
    let allocated = Allocated { count: allocated.count_total / steps, bytes: allocated.bytes_total / steps };
    products.into_iter().chain(allocations(&name, allocated, case.step)).collect()
}

fn products(what: &str, got: u64, want: u64) -> Option<String> {
    (got != want).then(|| {
        format!(
            "{what}: {got} multiply-adds of matrix products, where its shapes need {want} ({:+.2}%): a product is made twice, left \
             out, or made on padding; if it is meant to be, tests/work/shapes.rs has to say why",
            100.0 * (got as f64 / want as f64 - 1.0)
        )
    })
}

fn allocations(what: &str, got: Allocated, limit: Allocated) -> Option<String> {
    (got.count > limit.count || got.bytes > limit.bytes).then(|| {
        format!(
            "{what}: {} heap allocations of {} bytes together, where the limit is {} of {}: if the growth is worth it, put \
             `Allocated {{ count: {}, bytes: {} }}` (with the usual room) into CASES of tests/work/main.rs",
            got.count,
            got.bytes,
            limit.count,
            limit.bytes,
            got.count + got.count / 50,
            got.bytes + got.bytes / 4
        )
    })
}

fn hyperparameters(network: &Network) -> Hyperparameters {
    let common = [("max_seq_len_source", 40), ("max_seq_len_target", 40)];
    let common = common.map(|(name, value)| (name.to_owned(), value.to_string()));
    let set: BTreeMap<String, String> = common.into_iter().chain(network.settings()).collect();
    Hyperparameters::resolve(&set).unwrap()
}

fn model(h: &Hyperparameters, team: &Team) -> Model {
    let config = ModelConfig::new(h, SOURCE_WORDS as usize, TARGET_WORDS as usize).unwrap();
    Model::new(config, &Initialisation::from(h), team).unwrap()
}

/// Pairs of all lengths, so that sentences of a batch end at different steps.
fn corpus() -> Corpus {
    let mut rng = Rng::new(3);
    let mut corpus = Corpus::new();
    for _ in 0..80 {
        let mut sentence = |words: u64| -> Vec<u32> {
            (0..rng.range(1..LONGEST + 1)).map(|_| rng.range(4..words as usize) as u32).collect()
        };
        let (source, target) = (sentence(SOURCE_WORDS), sentence(TARGET_WORDS));
        corpus.push(&source, &target);
    }
    corpus
}
