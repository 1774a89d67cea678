//! Tests of the queue and the decoder's thread: failures, cancelled sentences, limits.

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_kernels::Team;
use kokanee_kernels::packed::Format;
use kokanee_seq2seq_nn::{LengthStatistics, Model, ModelConfig};

use super::*;

fn decoding() -> Decoding {
    let h = Hyperparameters {
        num_embed_source: 4,
        num_embed_target: 4,
        rnn_num_hidden: 4,
        ..Hyperparameters::default()
    };
    let team = Arc::new(Team::new(1));
    let model = Model::new(ModelConfig::new(&h, 9, 9).unwrap(), &(&h).into(), &team).unwrap();
    let lengths = LengthStatistics {
        ratio_mean: 1.0,
        ratio_std: 0.0,
        longest_source: 50,
        longest_target: 50,
        bucket_width: 10,
    };
    Decoding::new(&model, &lengths, &team, Format::F32)
}

fn request(id: u32) -> Request {
    Request { source: vec![id; 3], ..Request::default() }
}

/// A batcher whose decoder panics on the word 99, and is created again `times` times.
fn batcher(times: usize) -> Batcher {
    with_faults(times, FaultLimits::default())
}

fn with_faults(times: usize, faults: FaultLimits) -> Batcher {
    let made = AtomicU64::new(0);
    let make = move || {
        let again = made.fetch_add(1, Ordering::Relaxed) < times as u64;
        if again { Ok(decoding()) } else { Err("no more".to_owned()) }
    };
    let limits = QueueLimits { sentences: 8, tokens: 64 };
    Batcher::start(decoding(), Box::new(make), limits, faults, Arc::default()).unwrap()
}

#[tokio::test]
async fn a_decoder_that_fails_is_made_anew() {
    let batcher = batcher(1);
    let healthy = batcher.try_submit(request(5)).unwrap().await.unwrap();
    assert!(healthy.is_ok());
    let poisoned = batcher.try_submit(request(99)).unwrap().await.unwrap();
    assert_eq!(poisoned.unwrap_err(), EngineFault);
    let after = batcher.submit(request(5)).await.unwrap().await.unwrap();
    assert_eq!(after.unwrap().hypotheses, healthy.unwrap().hypotheses);
    assert!(batcher.is_alive(request(5), Duration::from_secs(20)).await);
    assert!(!*batcher.broken().borrow());
}

#[tokio::test]
async fn who_no_longer_asks_whether_it_is_alive_does_not_keep_others_from_it() {
    let batcher = batcher(0);
    for _ in 0..3 {
        let asked = batcher.is_alive(request(5), Duration::from_secs(20));
        // Polled once, so that the probe is in progress, then dropped.
        let given_up = tokio::time::timeout(Duration::ZERO, asked).await;
        assert!(given_up.is_err() || given_up == Ok(true));
    }
    assert!(batcher.is_alive(request(5), Duration::from_secs(20)).await);
}

#[tokio::test]
async fn a_decoder_that_cannot_be_made_anew_is_told() {
    let batcher = batcher(0);
    let poisoned = batcher.try_submit(request(99)).unwrap().await.unwrap();
    assert_eq!(poisoned.unwrap_err(), EngineFault);
    let mut broken = batcher.broken();
    tokio::time::timeout(Duration::from_secs(20), broken.wait_for(|broken| *broken)).await.unwrap().unwrap();
    assert!(!batcher.is_alive(request(5), Duration::from_secs(20)).await);
    assert_eq!(batcher.submit(request(5)).await.unwrap_err(), Refused::Ended);
}

#[tokio::test]
async fn a_decoder_that_fails_again_and_again_is_left_alone_for_a_while() {
    let poison = async |batcher: &Batcher| {
        let answer = batcher.try_submit(request(99)).unwrap().await;
        // If this is the last allowed failure, those in the queue are sent away.
        assert_eq!(answer.unwrap().unwrap_err(), EngineFault);
    };
    let batcher = with_faults(usize::MAX, FaultLimits { most: 2, window: Duration::from_secs(3600) });
    for _ in 0..3 {
        assert_eq!(batcher.shared.failing(), None);
        poison(&batcher).await;
    }
    while batcher.shared.failing().is_none() {
        tokio::task::yield_now().await;
    }
    let Err(Refused::Failing(seconds)) = batcher.try_submit(request(5)) else { panic!("it was taken") };
    assert!((3590..=3600).contains(&seconds), "{seconds}");
    assert!(matches!(batcher.submit(request(5)).await, Err(Refused::Failing(_))));
    assert!(!batcher.is_alive(request(5), Duration::from_secs(20)).await);
    assert_eq!(batcher.shared.metrics.engine_faults.get(), 3);
    // The end does not wait for the sentence.
    drop(batcher);

    let batcher = with_faults(usize::MAX, FaultLimits { most: 0, window: Duration::from_millis(100) });
    poison(&batcher).await;
    while !batcher.is_alive(request(5), Duration::from_millis(200)).await {
        tokio::task::yield_now().await;
    }
    assert!(batcher.submit(request(5)).await.unwrap().await.unwrap().is_ok());
}

#[tokio::test]
async fn long_sentences_leave_room_in_the_queue_for_others() {
    let limits = QueueLimits { sentences: 100, tokens: 4 * LONG_TOKENS + 4 };
    let make = || Err("not needed".to_owned());
    let batcher =
        Batcher::start(decoding(), Box::new(make), limits, FaultLimits::default(), Arc::default()).unwrap();
    let long = || Request { source: vec![5; LONG_TOKENS + 1], ..Request::default() };
    // A sentence frees its place only when the decoder has it; this many are never all in it at once.
    let held = batcher.shared.tokens_of(&long());
    assert_eq!(held, (LONG_TOKENS as u32 + 1, Some(LONG_TOKENS as u32 + 1)));
    let all =
        Arc::clone(&batcher.shared.long_tokens).try_acquire_many_owned(limits.long_tokens() as u32).unwrap();
    assert!(matches!(batcher.try_submit(long()), Err(Refused::Full(_))));
    assert!(batcher.try_submit(request(5)).unwrap().await.unwrap().is_ok());
    drop(all);
    assert!(batcher.submit(long()).await.unwrap().await.unwrap().is_ok());
    let longer = Request { source: vec![5; 100 * LONG_TOKENS], ..Request::default() };
    assert!(batcher.submit(longer).await.unwrap().await.unwrap().is_ok());
}

#[tokio::test]
async fn a_short_sentence_does_not_wait_for_all_long_ones_before_it() {
    let limits = QueueLimits { sentences: 100, tokens: 100 * AHEAD_TOKENS };
    let make = || Err("not needed".to_owned());
    let batcher =
        Batcher::start(decoding(), Box::new(make), limits, FaultLimits::default(), Arc::default()).unwrap();
    let long = || Request { source: vec![5; AHEAD_TOKENS], ..Request::default() };
    let mut older: Vec<_> = (0..12).map(|_| batcher.try_submit(long()).unwrap()).collect();
    assert!(batcher.try_submit(request(5)).unwrap().await.unwrap().is_ok());
    let answered = older.iter_mut().filter_map(|answer| answer.try_recv().ok()).count();
    assert!(answered < 8, "{answered} of 12 long sentences were answered before it");
}
