//! Parallel work by several threads whose results are taken in order, with a bounded number of pieces in progress.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Pieces in progress per thread, so that the other threads have work while the oldest piece is not finished.
const PIECES_PER_WORKER: usize = 2;

/// The maximum number of pieces in progress between `produce` and `take`.
pub(crate) const fn most_on_the_way(workers: usize) -> usize {
    workers * PIECES_PER_WORKER
}

/// Runs `work` on the pieces that `produce` feeds, on `workers` threads, and passes the results to `take` on the calling thread, in the
/// order in which they were fed. At most [`most_on_the_way`] pieces are fed and not yet taken.
///
/// # Errors
/// The inner error is the first that `take` returns; it ends the run. The outer error is the system's if it refuses the threads, before
/// anything is fed.
pub(crate) fn run<T: Send, A: Send, E>(
    workers: usize,
    produce: impl FnOnce(&mut Feed<T, A>) + Send,
    work: impl Fn(T) -> A + Sync,
    mut take: impl FnMut(A) -> Result<(), E>,
) -> io::Result<Result<(), E>> {
    let workers = workers.max(1);
    let on_the_way = most_on_the_way(workers);
    let (places, taken) = sync_channel(on_the_way);
    let (tasks, queue) = sync_channel::<(u64, T)>(on_the_way);
    let (results, done) = channel();
    let (queue, stop) = (Mutex::new(queue), AtomicBool::new(false));
    let (queue, stop, work) = (&queue, &stop, &work);
    thread::scope(|scope| {
        for _ in 0..workers {
            let results = results.clone();
            // The threads already started end when the sender of tasks is dropped.
            thread::Builder::new().spawn_scoped(scope, move || worker(queue, stop, work, results))?;
        }
        let mut feed = Feed { places, tasks, results, next: 0 };
        thread::Builder::new().spawn_scoped(scope, move || {
            let _gone = Gone(feed.results.clone());
            produce(&mut feed);
        })?;
        let result = take_in_order(done, &taken, &mut take);
        stop.store(true, Ordering::Relaxed);
        // A producer that waits for a permit gets an error.
        drop(taken);
        Ok(result)
    })
}

/// The input end for pieces.
pub(crate) struct Feed<T, A> {
    places: SyncSender<()>,
    tasks: SyncSender<(u64, T)>,
    results: Sender<Message<A>>,
    next: u64,
}

impl<T, A> Feed<T, A> {
    /// Feeds a piece of work, once there is a permit. False when no more pieces are wanted.
    pub(crate) fn work(&mut self, task: T) -> bool {
        self.next += 1;
        self.places.send(()).is_ok() && self.tasks.send((self.next - 1, task)).is_ok()
    }

    /// Feeds a result that needs no work. False when no more pieces are wanted.
    pub(crate) fn pass(&mut self, result: A) -> bool {
        self.next += 1;
        self.places.send(()).is_ok() && self.results.send(Message::Done(self.next - 1, result)).is_ok()
    }
}

enum Message<A> {
    Done(u64, A),
    /// A thread panicked: the result of some piece will never come.
    Died,
}

/// Reports a panic, so that nobody waits for the results of a dead thread.
struct Gone<A>(Sender<Message<A>>);

impl<A> Drop for Gone<A> {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.send(Message::Died);
        }
    }
}

fn worker<T, A>(
    queue: &Mutex<Receiver<(u64, T)>>,
    stop: &AtomicBool,
    work: &impl Fn(T) -> A,
    results: Sender<Message<A>>,
) {
    let gone = Gone(results);
    loop {
        // A separate statement: the lock must not be held during the work.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, task)) = next else { return };
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if gone.0.send(Message::Done(number, work(task))).is_err() {
            return;
        }
    }
}

fn take_in_order<A, E>(
    done: Receiver<Message<A>>,
    taken: &Receiver<()>,
    take: &mut impl FnMut(A) -> Result<(), E>,
) -> Result<(), E> {
    let (mut next, mut early) = (0, BTreeMap::new());
    for message in done {
        let Message::Done(number, result) = message else { break };
        early.insert(number, result);
        while let Some(result) = early.remove(&next) {
            take(result)?;
            next += 1;
            let _ = taken.recv();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(workers: usize, count: usize, fail_at: Option<usize>) {
        let on_the_way = Mutex::new((0_i64, 0_i64));
        let mut seen = Vec::new();
        let result = run(
            workers,
            |feed| {
                for piece in 0..count {
                    let fed = if piece % 7 == 3 { feed.pass(piece) } else { feed.work(piece) };
                    if !fed {
                        return;
                    }
                    let mut now = on_the_way.lock().unwrap();
                    now.0 += 1;
                    now.1 = now.1.max(now.0);
                }
            },
            |piece| {
                // The first piece of each group finishes last.
                if piece % workers == 0 {
                    thread::sleep(Duration::from_micros(200));
                }
                piece
            },
            |piece| {
                on_the_way.lock().unwrap().0 -= 1;
                seen.push(piece);
                if Some(piece) == fail_at { Err(piece) } else { Ok(()) }
            },
        );
        let result = result.unwrap();
        let expected = fail_at.map_or(count, |at| at + 1);
        assert_eq!(seen, (0..expected).collect::<Vec<_>>());
        assert_eq!(result, fail_at.map_or(Ok(()), Err));
        // A piece returns its permit a moment after it is counted as taken.
        assert!(on_the_way.lock().unwrap().1 <= most_on_the_way(workers) as i64);
    }

    #[test]
    fn results_come_in_order_and_a_fault_ends_all() {
        for workers in [1, 2, 5] {
            check(workers, 0, None);
            check(workers, 1, None);
            check(workers, 200, None);
            check(workers, 100, Some(37));
            check(workers, 100, Some(0));
        }
    }

    #[test]
    fn a_panic_at_work_is_passed_on_and_nobody_waits_for_ever() {
        let work = |piece: usize| if piece == 5 { panic!("at work") } else { piece };
        let produce = |feed: &mut Feed<usize, usize>| while feed.work(feed.next as usize) {};
        let result = catch_unwind(AssertUnwindSafe(|| run(2, produce, work, |_| Ok::<_, ()>(()))));
        assert!(result.is_err());
        let produce = |feed: &mut Feed<usize, usize>| {
            feed.work(1);
            panic!("while feeding")
        };
        let result = catch_unwind(AssertUnwindSafe(|| run(2, produce, |piece| piece, |_| Ok::<_, ()>(()))));
        assert!(result.is_err());
    }
}
