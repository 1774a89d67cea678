//! A team of threads that work on one kernel at a time.
//!
//! A training step calls some hundreds of kernels of 5 to 500 microseconds, most of them split over the cores. Waking a
//! sleeping thread costs as much as the shorter of them, so members spin for a while before they sleep.
//!
//! Each part of the work has its own thread, the same from job to job, so that what a thread wrote in one kernel lies in its caches
//! in the next: cores that do not share a cache pass lines to each other as slowly as memory does. But other programs may use the
//! cores too. If the thread of a part has not begun it, another thread with nothing else to do takes it, so that a thread that the
//! system has stopped does not hold up the rest.

use std::cell::UnsafeCell;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{Builder, JoinHandle};

use crate::start_thread;

/// Rounds of waiting before a thread yields its core, and before a member sleeps: about 30 microseconds and 200 microseconds.
const SPINS_BEFORE_YIELD: u32 = 1 << 10;
const SPINS_BEFORE_SLEEP: u32 = 1 << 13;

/// A fixed number of threads, the caller among them, that run one job together. Dropping the team ends its threads.
pub struct Team {
    shared: Arc<Shared>,
    members: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Number of the current job.
    job_number: AtomicU64,
    /// For each part of a job, the number of the last job in which a thread has begun it.
    begun: Box<[Begun]>,
    /// Parts of the current job that are not done.
    pending: AtomicUsize,
    job: UnsafeCell<Job>,
    busy: AtomicBool,
    stop: AtomicBool,
    panicked: AtomicBool,
    sleeping: AtomicUsize,
    bed: Mutex<()>,
    wake: Condvar,
}

/// In its own cache line, since each part is begun by a different thread.
#[derive(Default)]
#[repr(align(64))]
struct Begun(AtomicU64);

#[derive(Clone, Copy)]
struct Job {
    call: unsafe fn(*const (), usize),
    data: *const (),
}

// SAFETY: `job` is written only by the thread that holds `busy`, while no part is pending, before the number of the new job is
// published (release); it is read only by a thread that has seen that number (acquire) and has then begun a part of that job, and
// the writer waits until all parts are done before anybody may write again.
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `job` is only used while `Team::run` keeps its target alive.
unsafe impl Send for Shared {}

/// The system refused to start a thread.
#[derive(Debug, thiserror::Error)]
#[error(
    "the system started {started} of {wanted} threads and refused the next ({source}): compute with fewer (num_threads, --threads), or \
     raise the limit of threads or of memory that this process runs under"
)]
pub struct TeamError {
    started: usize,
    wanted: usize,
    source: io::Error,
}

impl Team {
    /// Creates a team of `size` threads (at least one), the caller included.
    ///
    /// # Panics
    /// When the system refuses a thread; if the number comes from outside, use [`Team::start`].
    pub fn new(size: usize) -> Team {
        Team::start(size).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Creates a team of `size` threads (at least one), the caller included.
    ///
    /// # Errors
    /// When the system refuses a thread; the threads already started are ended.
    pub fn start(size: usize) -> Result<Team, TeamError> {
        Team::of_threads(size, start_thread)
    }

    fn of_threads(
        size: usize,
        mut spawn: impl FnMut(Builder, Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>,
    ) -> Result<Team, TeamError> {
        unsafe fn nothing(_: *const (), _: usize) {}
        let shared = Arc::new(Shared {
            job_number: AtomicU64::new(0),
            begun: (0..size.max(1)).map(|_| Begun::default()).collect(),
            pending: AtomicUsize::new(0),
            job: UnsafeCell::new(Job { call: nothing, data: std::ptr::null() }),
            busy: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            sleeping: AtomicUsize::new(0),
            bed: Mutex::new(()),
            wake: Condvar::new(),
        });
        // If it is dropped before it is complete, it ends the threads that it has.
        let mut team = Team { shared, members: Vec::new() };
        for index in 1..size.max(1) {
            let shared = Arc::clone(&team.shared);
            let builder = Builder::new().name(format!("kokanee-{index}"));
            let member = spawn(builder, Box::new(move || shared.member(index)));
            team.members.push(member.map_err(|source| TeamError { started: index, wanted: size, source })?);
        }
        Ok(team)
    }

    /// Creates a team of as many threads as this process may use cores.
    ///
    /// # Errors
    /// As [`Team::start`].
    pub fn of_machine() -> Result<Team, TeamError> {
        Team::start(std::thread::available_parallelism().map_or(1, |n| n.get()))
    }

    /// Number of threads, the caller included.
    pub fn size(&self) -> usize {
        self.members.len() + 1
    }

    /// Calls `part(i)` once for every `i` in `0..size()`, and returns when all are done. Each `i` runs on the same thread every
    /// time, unless that thread is not free. A call from inside a part, or from a second thread meanwhile, runs all parts on the
    /// calling thread.
    pub fn run<F: Fn(usize) + Sync>(&self, part: F) {
        unsafe fn call<F: Fn(usize) + Sync>(data: *const (), index: usize) {
            // SAFETY: `data` is the `&F` that `run` keeps alive until every part is done.
            unsafe { (*data.cast::<F>())(index) }
        }
        let shared = &*self.shared;
        if self.members.is_empty() || shared.busy.swap(true, Ordering::Acquire) {
            (0..self.size()).for_each(part);
            return;
        }
        // SAFETY: this thread holds `busy` and no part is pending, so nobody else touches the job.
        unsafe { *shared.job.get() = Job { call: call::<F>, data: (&raw const part).cast() } };
        shared.pending.store(self.size(), Ordering::Relaxed);
        shared.job_number.fetch_add(1, Ordering::SeqCst);
        // A member counts itself as sleeping before it looks at the number for the last time, so it is either seen here or
        // sees the new job.
        if shared.sleeping.load(Ordering::SeqCst) > 0 {
            let _guard = shared.bed.lock().expect("no thread panics while holding this lock");
            shared.wake.notify_all();
        }
        shared.work(0);
        let mut spins = 0u32;
        while shared.pending.load(Ordering::Acquire) != 0 {
            spins += 1;
            if spins < SPINS_BEFORE_YIELD { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let panicked = shared.panicked.swap(false, Ordering::Relaxed);
        shared.busy.store(false, Ordering::Release);
        if panicked {
            resume_unwind(Box::new("a kernel panicked; its message stands above"));
        }
    }

    /// Splits `0..len` into one contiguous range per thread, with boundaries at multiples of `grain`, and calls `part` for those
    /// that are not empty. Short ranges (`len` up to `grain`) stay on the calling thread.
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

    /// As [`Team::split`], into ranges of about the same weight: `before(i)` is the weight of all elements before number `i`, and
    /// `before(len)` that of all.
    pub(crate) fn split_by_weight<F: Fn(Range<usize>) + Sync>(
        &self,
        len: usize,
        before: impl Fn(usize) -> usize + Sync,
        part: F,
    ) {
        let all = before(len);
        if all == 0 || len <= 1 || self.size() == 1 {
            return self.split(len, 1, part);
        }
        // The first element before which this part of the weight lies.
        let border = |index: usize| {
            let (mut low, mut high) = (0, len);
            while low < high {
                let middle = (low + high) / 2;
                let below = before(middle) * self.size() < all * index;
                (low, high) = if below { (middle + 1, high) } else { (low, middle) };
            }
            low
        };
        self.run(|index| {
            let end = if index + 1 == self.size() { len } else { border(index + 1) };
            let range = border(index)..end;
            if !range.is_empty() {
                part(range);
            }
        });
    }

    /// Calls `part` for every one of `0..count`: for parts that are each much work. Every thread has its own range, the same each
    /// time; a thread that is done, since another is held up or has the slower core, helps the next.
    pub fn take_turns<F: Fn(usize) + Sync>(&self, count: usize, part: F) {
        /// The largest number of ranges: with more threads some share one.
        const RANGES: usize = 16;
        let ranges = self.size().min(RANGES);
        let range = |number: usize| share(count, ranges, number);
        let next: [AtomicUsize; RANGES] = std::array::from_fn(|number| {
            AtomicUsize::new(if number < ranges { range(number).start } else { 0 })
        });
        self.run(|thread| {
            let own = thread * ranges / self.size();
            for number in (own..ranges).chain(0..own) {
                loop {
                    let index = next[number].fetch_add(1, Ordering::Relaxed);
                    if index >= range(number).end {
                        break;
                    }
                    part(index);
                }
            }
        });
    }
}

/// The `index`-th of `parts` nearly equal ranges of `0..len`.
pub(crate) fn share(len: usize, parts: usize, index: usize) -> Range<usize> {
    (len * index / parts)..(len * (index + 1) / parts)
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        {
            let _guard = self.shared.bed.lock().expect("no thread panics while holding this lock");
            self.shared.wake.notify_all();
        }
        for member in self.members.drain(..) {
            // A member catches the panics of its jobs, so it ends normally.
            let _ = member.join();
        }
    }
}

impl Shared {
    /// Runs the thread's own part of the current job, and others that nobody has begun. Returns the job's number.
    fn work(&self, own: usize) -> u64 {
        let number = self.job_number.load(Ordering::Acquire);
        for index in (own..self.begun.len()).chain(0..own) {
            // Every part of the job before was begun. If this job is over by now, all of its own parts were begun too.
            let begun = &self.begun[index].0;
            let is_mine = begun.load(Ordering::Relaxed) + 1 == number
                && begun.compare_exchange(number - 1, number, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            if is_mine {
                self.do_part(index);
            }
        }
        number
    }

    /// Runs a part that this thread has begun.
    fn do_part(&self, index: usize) {
        // SAFETY: this thread has a part of this job that is not done, so the job stays as it is.
        let job = unsafe { *self.job.get() };
        // SAFETY: `run` keeps `data` alive until this part is counted as done below.
        let done = catch_unwind(AssertUnwindSafe(|| unsafe { (job.call)(job.data, index) }));
        if done.is_err() {
            self.panicked.store(true, Ordering::Relaxed);
        }
        self.pending.fetch_sub(1, Ordering::Release);
    }

    fn member(&self, index: usize) {
        let mut last_job = 0;
        while self.wait_for_job_after(last_job) {
            last_job = self.work(index);
        }
    }

    /// Waits until there is another job. Returns false when the team ends.
    fn wait_for_job_after(&self, last: u64) -> bool {
        let has_work = || self.job_number.load(Ordering::SeqCst) != last;
        let ends = || self.stop.load(Ordering::SeqCst);
        for spins in 0..SPINS_BEFORE_SLEEP {
            if has_work() || ends() {
                return !ends();
            }
            if spins < SPINS_BEFORE_YIELD { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let mut guard = self.bed.lock().expect("no thread panics while holding this lock");
        self.sleeping.fetch_add(1, Ordering::SeqCst);
        while !has_work() && !ends() {
            guard = self.wake.wait(guard).expect("no thread panics while holding this lock");
        }
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
        !ends()
    }
}

/// A mutable slice that the threads of a team share, each using its own rows.
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

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The first element, for kernels whose threads write interleaved parts.
    pub(crate) fn as_mut_ptr(&self) -> *mut T {
        self.data
    }

    /// Sets one element.
    ///
    /// # Safety
    /// As for [`SharedMut::slice`], of this element alone.
    pub(crate) unsafe fn set(&self, index: usize, value: T) {
        // SAFETY: the caller's promise.
        let element = unsafe { self.slice(index..index + 1) };
        element[0] = value;
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
    fn a_split_by_weight_covers_the_range_once_and_evenly() {
        let cases: [&[usize]; 6] =
            [&[], &[0, 0], &[4], &[1, 1, 1, 97], &[10, 0, 10, 0, 10], &[3, 3, 2, 1, 1, 1, 0]];
        for threads in [1, 2, 3] {
            let team = Team::new(threads);
            for weights in cases {
                let hits: Vec<AtomicUsize> = weights.iter().map(|_| AtomicUsize::new(0)).collect();
                let (all, heaviest) = (weights.iter().sum::<usize>(), weights.iter().max().copied());
                let before = |i: usize| weights[..i].iter().sum();
                team.split_by_weight(weights.len(), before, |range| {
                    let weight = weights[range.clone()].iter().sum::<usize>();
                    assert!(weight <= all / threads + heaviest.unwrap_or(0) + 1, "{weights:?}: {range:?}");
                    range.for_each(|i| {
                        hits[i].fetch_add(1, Ordering::Relaxed);
                    });
                });
                assert!(
                    hits.iter().all(|h| h.load(Ordering::Relaxed) == 1),
                    "{threads} threads, {weights:?}"
                );
            }
        }
    }

    #[test]
    fn every_turn_is_taken_once() {
        for (threads, count) in [(1, 5), (2, 0), (2, 1), (3, 100)] {
            let hits: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            Team::new(threads).take_turns(count, |i| {
                hits[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(hits.iter().all(|h| h.load(Ordering::Relaxed) == 1), "{threads} threads, {count} turns");
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
    fn a_thread_that_is_refused_is_an_error_and_ends_the_others() {
        let running = Arc::new(AtomicUsize::new(0));
        let mut left = 2;
        let spawn = |builder: Builder, work: Box<dyn FnOnce() + Send>| {
            if left == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            left -= 1;
            running.fetch_add(1, Ordering::SeqCst);
            let running = Arc::clone(&running);
            builder.spawn(move || {
                work();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        };
        let error = Team::of_threads(1024, spawn).err().expect("a refused thread").to_string();
        assert!(error.contains("started 3 of 1024 threads") && error.contains("num_threads"), "{error}");
        assert_eq!(running.load(Ordering::SeqCst), 0, "threads go on without a team");
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
