//! A team of threads that work on one kernel at a time.
//!
//! A training step calls some hundreds of kernels of 50 to 500 microseconds, most of them split over the cores. Waking a
//! sleeping thread costs as much as the shorter of them, so members spin for a while before they sleep.

use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// Rounds of waiting before a member yields its core, and before it sleeps: about 30 microseconds and 200 microseconds.
const SPINS_BEFORE_YIELD: u32 = 1 << 10;
const SPINS_BEFORE_SLEEP: u32 = 1 << 13;

/// A fixed number of threads, the caller among them, that run one job together. Dropping the team ends its threads.
pub struct Team {
    shared: Arc<Shared>,
    members: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Number of jobs given out so far; a change tells the members that `job` is new.
    epoch: AtomicUsize,
    /// Members that have not finished the current job.
    pending: AtomicUsize,
    job: UnsafeCell<Job>,
    busy: AtomicBool,
    stop: AtomicBool,
    panicked: AtomicBool,
    sleepers: Mutex<()>,
    wake: Condvar,
}

#[derive(Clone, Copy)]
struct Job {
    call: unsafe fn(*const (), usize),
    data: *const (),
}

// SAFETY: `job` is written only by the thread that holds `busy`, before `epoch` is advanced (release), and read by members
// after they saw the new epoch (acquire); the writer waits until `pending` is zero before it may write again.
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `job` is only used while `Team::run` keeps its target alive.
unsafe impl Send for Shared {}

impl Team {
    /// A team of `size` threads (at least one), the caller included.
    pub fn new(size: usize) -> Team {
        unsafe fn nothing(_: *const (), _: usize) {}
        let shared = Arc::new(Shared {
            epoch: AtomicUsize::new(0),
            pending: AtomicUsize::new(0),
            job: UnsafeCell::new(Job { call: nothing, data: std::ptr::null() }),
            busy: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            sleepers: Mutex::new(()),
            wake: Condvar::new(),
        });
        let members = (1..size.max(1))
            .map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("kokanee-{index}"))
                    .spawn(move || shared.member(index))
                    .expect("the system refused to start a thread")
            })
            .collect();
        Team { shared, members }
    }

    /// A team of as many threads as this process may use cores.
    pub fn of_machine() -> Team {
        Team::new(std::thread::available_parallelism().map_or(1, |n| n.get()))
    }

    /// Number of threads, the caller included.
    pub fn size(&self) -> usize {
        self.members.len() + 1
    }

    /// Calls `part(i)` once for every `i` in `0..size()`, each on its own thread, and returns when all are done. A call
    /// from inside a part, or from a second thread meanwhile, runs all parts on the calling thread.
    pub fn run<F: Fn(usize) + Sync>(&self, part: F) {
        unsafe fn call<F: Fn(usize) + Sync>(data: *const (), index: usize) {
            // SAFETY: `data` is the `&F` that `run` keeps alive until every member is done.
            unsafe { (*data.cast::<F>())(index) }
        }
        let shared = &*self.shared;
        if self.members.is_empty() || shared.busy.swap(true, Ordering::Acquire) {
            (0..self.size()).for_each(part);
            return;
        }
        // SAFETY: `busy` is ours and no member is at work, so nobody else touches the job.
        unsafe { *shared.job.get() = Job { call: call::<F>, data: (&raw const part).cast() } };
        shared.pending.store(self.members.len(), Ordering::Relaxed);
        shared.epoch.fetch_add(1, Ordering::SeqCst);
        {
            // Taking the lock orders this wake-up after the check of a member that is about to sleep.
            let _guard = shared.sleepers.lock().expect("no thread panics while holding this lock");
            shared.wake.notify_all();
        }
        let own = catch_unwind(AssertUnwindSafe(|| part(0)));
        let mut spins = 0u32;
        while shared.pending.load(Ordering::Acquire) != 0 {
            spins += 1;
            if spins < SPINS_BEFORE_YIELD { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let member_panicked = shared.panicked.swap(false, Ordering::Relaxed);
        shared.busy.store(false, Ordering::Release);
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!member_panicked, "a kernel panicked on another thread of the team");
    }

    /// Splits `0..len` into one contiguous range a thread, with borders at multiples of `grain`, and calls `part` for
    /// those that are not empty. Short ranges (`len` up to `grain`) stay on the calling thread.
    pub fn split<F: Fn(Range<usize>) + Sync>(&self, len: usize, grain: usize, part: F) {
        let grain = grain.max(1);
        if len <= grain || self.size() == 1 {
            if len > 0 {
                part(0..len);
            }
            return;
        }
        let blocks = len.div_ceil(grain);
        self.run(|index| {
            let range = share(blocks, self.size(), index);
            let range = (range.start * grain).min(len)..(range.end * grain).min(len);
            if !range.is_empty() {
                part(range);
            }
        });
    }
}

/// The `index`-th of `parts` nearly equal ranges of `0..len`.
fn share(len: usize, parts: usize, index: usize) -> Range<usize> {
    (len * index / parts)..(len * (index + 1) / parts)
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        {
            let _guard = self.shared.sleepers.lock().expect("no thread panics while holding this lock");
            self.shared.wake.notify_all();
        }
        for member in self.members.drain(..) {
            // A member catches the panics of its jobs, so it ends normally.
            let _ = member.join();
        }
    }
}

impl Shared {
    fn member(&self, index: usize) {
        let mut seen = 0;
        while let Some(epoch) = self.next_epoch(seen) {
            seen = epoch;
            // SAFETY: a new epoch was seen, so the job is complete and stays until `pending` is zero.
            let job = unsafe { *self.job.get() };
            // SAFETY: `run` keeps `data` alive until this member has counted itself as done below.
            let done = catch_unwind(AssertUnwindSafe(|| unsafe { (job.call)(job.data, index) }));
            if done.is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
            self.pending.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for a job after number `seen`; `None` when the team ends.
    fn next_epoch(&self, seen: usize) -> Option<usize> {
        let ready = || {
            let epoch = self.epoch.load(Ordering::SeqCst);
            (epoch != seen || self.stop.load(Ordering::SeqCst)).then_some(epoch)
        };
        let answer = |epoch: usize| (epoch != seen).then_some(epoch);
        for spins in 0..SPINS_BEFORE_SLEEP {
            if let Some(epoch) = ready() {
                return answer(epoch);
            }
            if spins < SPINS_BEFORE_YIELD { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let mut guard = self.sleepers.lock().expect("no thread panics while holding this lock");
        loop {
            if let Some(epoch) = ready() {
                return answer(epoch);
            }
            guard = self.wake.wait(guard).expect("no thread panics while holding this lock");
        }
    }
}

/// A mutable slice that the threads of a team share, each using rows of its own.
#[derive(Clone, Copy)]
pub(crate) struct SharedMut<T> {
    data: *mut T,
    len: usize,
}

// SAFETY: only `slice` gives access, and its contract keeps the threads apart.
unsafe impl<T: Send> Send for SharedMut<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<T> {}

impl<T> SharedMut<T> {
    pub(crate) fn new(slice: &mut [T]) -> Self {
        SharedMut { data: slice.as_mut_ptr(), len: slice.len() }
    }

    /// The first element, for kernels whose threads write interleaved parts.
    pub(crate) fn as_mut_ptr(&self) -> *mut T {
        self.data
    }

    /// The elements of `range`.
    ///
    /// # Safety
    /// The slice given to `new` must still be borrowed, and no two threads (nor two live results of one thread) may hold
    /// overlapping ranges.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: the range lies inside the slice; the caller keeps ranges disjoint.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(range.start), range.end - range.start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_runs_once_and_borrows_locals() {
        for size in [1, 2, 3, 5] {
            let team = Team::new(size);
            for _ in 0..200 {
                let counts: Vec<AtomicUsize> = (0..size).map(|_| AtomicUsize::new(0)).collect();
                team.run(|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn split_covers_the_range_once() {
        let team = Team::new(3);
        for len in [0, 1, 7, 16, 17, 100, 1000] {
            for grain in [1, 4, 16] {
                let hits: Vec<AtomicUsize> = (0..len).map(|_| AtomicUsize::new(0)).collect();
                team.split(len, grain, |range| {
                    assert!(range.start % grain == 0 || range.start == 0);
                    range.for_each(|i| {
                        hits[i].fetch_add(1, Ordering::Relaxed);
                    });
                });
                assert!(hits.iter().all(|h| h.load(Ordering::Relaxed) == 1), "len {len} grain {grain}");
            }
        }
    }

    #[test]
    fn a_nested_call_runs_on_the_caller() {
        let team = Team::new(2);
        let total = AtomicUsize::new(0);
        team.run(|_| {
            team.run(|_| {
                total.fetch_add(1, Ordering::Relaxed);
            })
        });
        assert_eq!(total.into_inner(), 4);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_lives_on() {
        let team = Team::new(2);
        for bad in 0..2 {
            let result = catch_unwind(AssertUnwindSafe(|| team.run(|i| assert!(i != bad, "part {i}"))));
            assert!(result.is_err());
        }
        team.run(|_| {});
    }

    #[test]
    fn members_wake_after_sleeping() {
        let team = Team::new(2);
        std::thread::sleep(std::time::Duration::from_millis(20));
        let total = AtomicUsize::new(0);
        team.run(|_| {
            total.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(total.into_inner(), 2);
    }
}
