use super::*;
use crate::StopReason;
use crate::observer::Throughput;
use crate::report::{Best, Measures};

/// Checks the written lines, without the times.
fn check(tell: impl Fn(&mut dyn Observer), want: &[&str]) {
    let mut log = LogLines::new(Vec::new(), "algo-1", TrainingMetric::Perplexity, Metric::Bleu);
    tell(&mut log);
    let text = String::from_utf8(log.out).unwrap();
    let lines: Vec<&str> =
        text.lines().map(|line| line.split_at(1 + "2018-06-08 20:15:33 ".len()).1).collect();
    assert_eq!(lines, want);
}

fn measures(perplexity: f64, bleu: Option<f64>) -> Measures {
    Measures { perplexity: Some(perplexity), accuracy: Some(0.25), bleu, target_tokens: 80 }
}

fn progress(update: u64) -> Progress {
    let work = Throughput { sentences: 640, target_tokens: 8000, seconds: 4.0 };
    Progress {
        update,
        epoch: 1,
        batch: 3,
        batches_per_epoch: 46,
        updates_to_checkpoint: 10,
        updates_to_limit: Some(150),
        loss: 2.0,
        learning_rate: 3e-4,
        work,
        recent: work,
        train: measures(8.5, None),
    }
}

#[test]
fn updates_are_told_every_so_often() {
    check(|log| log.update(&progress(1)), &["INFO] first update: 640 pairs in 4.000 seconds, loss 2.000000"]);
    check(|log| log.update(&progress(49)), &[]);
    check(
        |log| log.update(&progress(50)),
        &["INFO] Epoch[1] Batch [3]\tSpeed: 160.00 samples/sec\tperplexity=8.500000"],
    );
}

fn report() -> CheckpointReport {
    CheckpointReport {
        checkpoint: 2,
        update: 50,
        epoch: 1,
        samples: 3200,
        learning_rate: 0.0003,
        next_learning_rate: 0.0003,
        train: measures(8.5, None),
        validation: measures(9.25, Some(0.125)),
        improved: false,
        not_improved: 1,
        train_seconds: 10.0,
        validation_seconds: 2.5,
        elapsed_seconds: 30.0,
        sentences_per_second: 160.04,
        target_tokens_per_second: 2000.0,
    }
}

#[test]
fn checkpoints_are_told_in_both_forms() {
    let report = report();
    check(
        |log| {
            log.update(&progress(50 - 1));
            log.checkpoint(&report);
        },
        &[
            "INFO] Checkpoint [2]\tUpdates=50 Epoch=1 Samples=3200 Time-cost=12.500",
            "INFO] Checkpoint [2]\tTrain-perplexity=8.500000",
            "INFO] #quality_metric: host=algo-1, epoch=1, train perplexity=8.5",
            "INFO] Checkpoint [2]\tTrain-accuracy=0.250000",
            "INFO] #quality_metric: host=algo-1, epoch=1, train accuracy=0.25",
            "INFO] Checkpoint [2]\tValidation-perplexity=9.250000",
            "INFO] #quality_metric: host=algo-1, epoch=1, validation perplexity=9.25",
            "INFO] Checkpoint [2]\tValidation-accuracy=0.250000",
            "INFO] #quality_metric: host=algo-1, epoch=1, validation accuracy=0.25",
            "INFO] Checkpoint [2]\tValidation-bleu=0.125000",
            "INFO] #quality_metric: host=algo-1, epoch=1, validation bleu=0.125",
            "INFO] #throughput_metric: host=algo-1, train throughput=160 records/second",
            "INFO] #progress_metric: host=algo-1, completed 24.6 %",
            "INFO] Checkpoint [2]\tno improvement for 1 checkpoint(s); 2000 target tokens/sec, learning rate 0.0003",
        ],
    );
}

#[test]
fn a_metric_that_was_not_measured_is_no_verdict() {
    let told = |validation: Measures| {
        let mut log = LogLines::new(Vec::new(), "algo-1", TrainingMetric::Perplexity, Metric::Bleu);
        log.checkpoint(&CheckpointReport { validation, ..report() });
        String::from_utf8(log.out).unwrap()
    };
    assert!(told(measures(9.25, None)).contains("Checkpoint [2]\tbleu not measured; 2000 target tokens/sec"));
    assert!(told(measures(9.25, Some(0.1))).contains("no improvement for 1 checkpoint(s)"));
}

#[test]
fn the_end_is_told_with_its_reason() {
    let outcome = Outcome {
        reason: StopReason::NoImprovement { checkpoints: 3 },
        updates: 50,
        best: Some(Best { checkpoint: 1, update: 25, value: Some(9.0) }),
        average: None,
        metric: Metric::Perplexity,
        elapsed_seconds: 31.25,
        resumable: true,
    };
    check(
        |log| {
            log.message(Level::Warning, "look out");
            log.finished(&outcome);
        },
        &[
            "WARNING] look out",
            "INFO] training ended after 50 updates and 31.2 seconds: the optimized metric has not improved for 3 \
             checkpoint(s)",
            "INFO] best model: checkpoint 1 (update 25), perplexity 9.000000",
        ],
    );
}
