//! Tests of the memory that a decoder holds, and that reading and writing parameters takes: a counting allocator counts the heap,
//! and `pages::live_bytes` blocks of tensors and weights. Blocks are those of the whole process, so only one test runs at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_kernels::packed::Format;
use kokanee_kernels::{Team, pages};
use kokanee_seq2seq_nn::artifact::{load_parameters, save_parameters};
use kokanee_seq2seq_nn::decode::{Decoding, Request, Search};
use kokanee_seq2seq_nn::{LengthStatistics, Model, ModelConfig};
use kokanee_tensor::Tensor;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const VOCABULARY: usize = 6000;

fn config(settings: &[(&str, &str)]) -> ModelConfig {
    let set: BTreeMap<String, String> =
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let h = Hyperparameters::resolve(&set).unwrap();
    ModelConfig::new(&h, VOCABULARY, VOCABULARY).unwrap()
}

fn model(settings: &[(&str, &str)]) -> Model {
    // Orthogonal matrices take long to compute, and do not matter here.
    let mut model = Model::zeros(config(settings)).unwrap();
    for (number, parameter) in model.parameters_mut().iter_mut().enumerate() {
        let values = Arc::make_mut(&mut parameter.value).data_mut();
        values.iter_mut().zip(0u32..).for_each(|(x, i)| *x = (i % 97 + number as u32) as f32 / 970.0 - 0.06);
    }
    model
}

fn lengths() -> LengthStatistics {
    LengthStatistics {
        ratio_mean: 1.0,
        ratio_std: 0.1,
        longest_source: 20,
        longest_target: 20,
        bucket_width: 10,
    }
}

/// Runs `work` on a separate thread, while no other test allocates or frees blocks: threads keep their buffers until they end.
fn alone<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The bytes that remain allocated after `make`, with its result.
fn left_behind<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let before = pages::live_bytes();
    let mut made = None;
    let heap = allocation_counter::measure(|| made = Some(make()));
    let bytes = pages::live_bytes() as i64 - before as i64 + heap.bytes_current;
    (made.unwrap(), usize::try_from(bytes).unwrap())
}

/// Bytes of a decoder whose model was dropped; `memory_bytes` must agree, except for the buffers that a first step keeps for the
/// next.
fn decoder_bytes(settings: &[(&str, &str)], format: Format) -> usize {
    let team = Arc::new(Team::new(1));
    let (mut decoding, bytes) = left_behind(|| Decoding::new(&model(settings), &lengths(), &team, format));
    let said = decoding.memory_bytes();
    let shapes = config(settings).decoder_bytes(format).unwrap().total() as f64;
    // The difference is scales, panels that are not full, and the first sentence.
    assert!((said as f64 / shapes - 1.0).abs() < 0.06, "{settings:?}: {said} bytes, by shapes {shapes}");
    assert!(
        bytes >= said && bytes - said < 2 << 20,
        "{format:?} with {settings:?}: {bytes} bytes are held, memory_bytes says {said}"
    );
    assert_eq!(decoding.translate([Request::new(vec![5, 6, 7], Search::default())]).len(), 1);
    bytes
}

#[test]
fn a_quantised_decoder_holds_its_own_weights_and_nothing_of_the_model() {
    let cnn = [
        ("encoder_type", "cnn"),
        ("decoder_type", "cnn"),
        ("num_layers_encoder", "3"),
        ("num_layers_decoder", "3"),
    ];
    let cases: [&[(&'static str, &'static str)]; 5] = [
        &[("rnn_num_hidden", "512")],
        &[
            ("rnn_num_hidden", "512"),
            ("rnn_cell_type", "gru"),
            ("rnn_attention_type", "dot"),
            ("rnn_attention_num_hidden", "256"),
        ],
        &[
            ("rnn_num_hidden", "512"),
            ("num_layers_encoder", "2"),
            ("num_layers_decoder", "2"),
            ("rnn_attention_type", "bilinear"),
        ],
        &[("rnn_num_hidden", "512"), ("weight_tying", "src_trg_softmax")],
        &cnn,
    ];
    for settings in cases {
        let bytes = |format| {
            let settings = settings.to_vec();
            alone(move || decoder_bytes(&settings, format) as f64)
        };
        let [f32, bf16, int8] = [Format::F32, Format::Bf16, Format::Int8].map(bytes);
        assert!(bf16 < 0.55 * f32, "{settings:?}: {bf16} bytes in bf16, {f32} in f32");
        assert!(int8 < 0.3 * f32, "{settings:?}: {int8} bytes in int8, {f32} in f32");
    }
}

/// Decodes a sentence of 4,096 tokens, and then short ones.
#[test]
fn memory_comes_down_again_after_a_long_sentence() {
    alone(|| {
        let team = Arc::new(Team::new(1));
        let sizes = [("rnn_num_hidden", "128"), ("num_embed_source", "32"), ("num_embed_target", "32")];
        let lengths = LengthStatistics { longest_source: 4096, ..lengths() };
        let mut decoding = Decoding::new(&model(&sizes), &lengths, &team, Format::Int8);
        let mut translate = |length: u32, count: usize| {
            let source: Vec<u32> = (0..length).map(|i| 4 + i % 100).collect();
            let search = Search { beam_size: 2, ..Search::default() };
            for _ in 0..count {
                let request = Request { max_length: Some(5), ..Request::new(source.clone(), search.clone()) };
                decoding.translate([request]);
            }
        };
        translate(10, 100);
        let before = pages::live_bytes();
        translate(4096, 1);
        let long = pages::live_bytes() - before;
        translate(10, 4000);
        let left = pages::live_bytes().saturating_sub(before);
        assert!(long > 8 << 20 && left < long / 8, "{left} bytes are left of {long}");
    });
}

#[test]
fn shortlists_leave_nothing_behind() {
    alone(check_shortlists);
}

fn check_shortlists() {
    for format in [Format::F32, Format::Bf16, Format::Int8] {
        let team = Arc::new(Team::new(1));
        let mut decoding = {
            let model =
                model(&[("rnn_num_hidden", "256"), ("num_embed_source", "64"), ("num_embed_target", "64")]);
            Decoding::new(&model, &lengths(), &team, format)
        };
        // Lists have many lengths, as those of lexicons do.
        let mut translate = |number: u32| {
            let shortlist = Some((4..1500 + number % 7 * 97).collect());
            let search = Search { beam_size: 2, ..Search::default() };
            let request = Request { shortlist, max_length: Some(3), ..Request::new(vec![5, 6], search) };
            decoding.translate([request]);
        };
        (0..7).for_each(&mut translate);
        let before = pages::live_bytes();
        (0..200).for_each(&mut translate);
        let more = pages::live_bytes().saturating_sub(before);
        assert!(more <= 1 << 20, "{format:?}: 200 shortlists left {more} bytes");
    }
}

#[test]
fn parameters_are_read_and_written_a_piece_at_a_time() {
    alone(check_parameter_files);
}

fn check_parameter_files() {
    const NUMBERS: usize = 4 << 20;
    /// Buffers of files, pieces and the header.
    const MOST_BYTES: u64 = 2 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let tensors = ["a", "b", "c"].map(|name| (name, Tensor::zeros([NUMBERS])));
    let named: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let writing = allocation_counter::measure(|| save_parameters(&path, &named).unwrap());
    assert!(writing.bytes_max < MOST_BYTES, "{} bytes to write", writing.bytes_max);
    let mut loaded = None;
    // The tensors themselves lie in separate pages, which are not counted here.
    let reading = allocation_counter::measure(|| loaded = Some(load_parameters(&path).unwrap()));
    assert!(reading.bytes_max < MOST_BYTES, "{} bytes to read", reading.bytes_max);
    assert_eq!(loaded.unwrap().len(), 3);
}
