//! Tests of the program's demands on the machine, and of its messages if the machine does not meet them.

use std::process::Command;

use crate::container::job;
use crate::workplace::{Workplace, model, prepared, said};

#[test]
fn an_instruction_set_that_does_not_exist_is_refused() {
    let work = Workplace::new();
    for (value, part) in
        [("avx-2", "is no instruction set: expected portable, avx2 or avx512"), ("sse", "\"sse\"")]
    {
        let mut command = work.command(&["inspect", "."]);
        command.env("KOKANEE_ISA", value);
        said(command).refused(&["KOKANEE_ISA is", value, part]);
    }
    for value in ["", "portable", "PORTABLE"] {
        let mut command = work.command(&["inspect", "."]);
        command.env("KOKANEE_ISA", value);
        said(command).well();
    }
}

#[test]
fn a_job_says_in_its_failure_file_that_there_is_no_such_instruction_set() {
    let work = job();
    let mut command = work.command(&["train", "--prefix", "job"]);
    command.env("KOKANEE_ISA", "avx1024");
    said(command).refused(&["KOKANEE_ISA is \"avx1024\""]);
    let failure = work.read("job/output/failure");
    assert!(failure.starts_with("ClientError: KOKANEE_ISA is \"avx1024\""), "{failure}");
}

#[test]
fn a_job_that_no_machine_holds_is_a_client_error_at_once() {
    let work = job();
    work.write("job/input/config/hyperparameters.json", r#"{"rnn_num_hidden": "65536"}"#);
    // There is no room for a matrix of the model, so that allocating one would abort.
    said(limited(&work, 2_000_000, &["train", "--prefix", "job"])).refused(&["this training needs about"]);
    let failure = work.read("job/output/failure");
    assert!(failure.starts_with("ClientError: this training needs about "), "{failure}");
    for part in [
        "the limit of the process (ulimit -v) is 1.9 GiB",
        "optimizer state: ",
        "weights: ",
        "rnn_num_hidden",
    ] {
        assert!(failure.contains(part), "{failure}");
    }
}

#[test]
fn threads_that_the_system_refuses_are_an_error() {
    let work = Workplace::new();
    let model = model();
    let args = ["translate", "--model", &model, "--threads", "1024"];
    said(limited(&work, 1_000_000, &args)).refused(&["the system started ", " of 1024 threads", "--threads"]);
}

/// Preparing, reading and lexicons work with the only thread that there is.
#[test]
fn data_is_prepared_without_threads() {
    let work = Workplace::new();
    prepared(&work);
    let lines = [
        "prepare -ts train.src -tt train.trg --output-dir alone --quiet",
        "lexicon --train data/train.rec --vocab-source-json data/vocab.src.json --vocab-target-json data/vocab.trg.json \
         --output alone.bin --quiet",
    ];
    for line in lines {
        let mut shell = limited(&work, 1_000_000, &line.split_whitespace().collect::<Vec<_>>());
        shell.env("RAYON_NUM_THREADS", "1024");
        said(shell).well();
    }
    let read = |file: &str| std::fs::read(work.path(file)).unwrap();
    assert_eq!(read("alone/train.rec"), read("data/train.rec"));
}

#[test]
fn a_model_that_int8_has_no_room_for_is_refused_with_its_layers() {
    let work = job();
    let settings = r#"{"encoder_type": "cnn", "decoder_type": "cnn", "cnn_num_hidden": "64", "num_layers_encoder": "1",
        "num_layers_decoder": "1", "cnn_kernel_width_encoder": "2081", "num_embed_source": "8", "num_embed_target": "8",
        "max_num_batches": "1", "batch_size": "4", "num_threads": "1"}"#;
    work.write("job/input/config/hyperparameters.json", settings);
    work.run("train --prefix job").well();
    work.write("in.txt", "a b\n");
    for command in ["translate --model job/model --input in.txt", "serve --model job/model --port 0"] {
        let parts = [
            "cannot answer in int8",
            "encoder_cnn_0_conv_weight",
            "133184",
            "133144",
            "bf16 or f32",
            "job/model",
        ];
        work.run(&format!("{command} --precision int8")).refused(&parts);
    }
    work.run("translate --model job/model --input in.txt --precision bf16").well();
}

/// Runs the program with `kib` KiB of address space.
fn limited(work: &Workplace, kib: u64, args: &[&str]) -> Command {
    let program = work.command(args);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {kib} && exec \"$0\" \"$@\"")]);
    command.arg(program.get_program()).args(program.get_args());
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    command
}
