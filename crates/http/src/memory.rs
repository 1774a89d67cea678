//! One budget for the memory of all requests: bodies, the instances parsed from them, sentences that wait or are being decoded, and
//! responses until they are sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::error::{Code, ServeError};
use crate::rope::Rope;

/// Unit of the budget.
const UNIT_BYTES: usize = 1 << 10;
/// A small share: a few sentences. With the default limits, every connection can hold one within the part that large shares leave free, so
/// small requests always find room.
const SMALL_BYTES: usize = 64 << 10;
/// The divisor of the budget that gives the part reserved for small shares.
const RESERVE: usize = 4;
/// How long a growing share waits for others to shrink.
const WAIT: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(10);
/// The minimum rate of a body; a slower one is given up when other requests need its memory.
pub(crate) const LEAST_BYTES_PER_SECOND: usize = 16 << 10;
/// How long a body may fall behind that rate.
const GRACE: Duration = Duration::from_secs(2);

/// Bounds the memory of all requests together.
pub struct MemoryBudget {
    free: Arc<Semaphore>,
    units: usize,
    arriving: Mutex<Vec<Weak<Arrival>>>,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Arc<Self> {
        let units = (bytes / UNIT_BYTES).clamp(RESERVE, Semaphore::MAX_PERMITS);
        Arc::new(Self { free: Arc::new(Semaphore::new(units)), units, arriving: Mutex::default() })
    }

    /// A new, empty share.
    pub fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), permit: None, bytes: 0 }
    }

    /// The maximum bytes of one share: half of all, so that no request blocks all others.
    pub fn most(&self) -> usize {
        self.units / 2 * UNIT_BYTES
    }

    /// Bytes in use.
    pub fn taken(&self) -> usize {
        (self.units - self.free.available_permits()) * UNIT_BYTES
    }

    /// A record of a body that is about to arrive.
    pub fn arrival(&self) -> Arc<Arrival> {
        let arrival = Arc::new(Arrival {
            pace: Mutex::new(Pace { credit: GRACE, waiting_since: None }),
            held: AtomicUsize::new(0),
            gives_way: Notify::new(),
        });
        let mut arriving = self.arriving();
        arriving.retain(|other| other.strong_count() > 0);
        arriving.push(Arc::downgrade(&arrival));
        arrival
    }

    fn take(&self, units: usize, is_small: bool) -> Option<OwnedSemaphorePermit> {
        let reserve = if is_small { 0 } else { self.units / RESERVE };
        if self.free.available_permits() < units + reserve {
            return None;
        }
        Arc::clone(&self.free).try_acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX)).ok()
    }

    /// Gives up the slow body that holds the most memory.
    fn shed(&self) {
        let now = Instant::now();
        let slow: Vec<Arc<Arrival>> =
            self.arriving().iter().filter_map(Weak::upgrade).filter(|arrival| arrival.is_slow(now)).collect();
        if let Some(arrival) = slow.iter().max_by_key(|arrival| arrival.held.load(Ordering::Relaxed)) {
            arrival.gives_way.notify_one();
        }
    }

    fn arriving(&self) -> MutexGuard<'_, Vec<Weak<Arrival>>> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's part of the budget, returned when this value is dropped.
pub struct Share {
    budget: Arc<MemoryBudget>,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Share {
    /// Another, empty share of the same budget.
    pub fn another(&self) -> Self {
        self.budget.share()
    }

    /// A record of a body that is about to arrive and to be held by this share.
    pub fn arrival(&self) -> Arc<Arrival> {
        self.budget.arrival()
    }

    /// The bytes of this share.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reserves `more` bytes, waiting a while for others to return some. If this fails or is dropped, nothing is reserved.
    ///
    /// # Errors
    /// 413 if one share can never have so many bytes, 429 if they do not become free in time.
    pub async fn grow(&mut self, more: usize) -> Result<(), ServeError> {
        let most = self.budget.most();
        let bytes = self.bytes.saturating_add(more);
        if bytes > most.max(SMALL_BYTES) {
            let message = format!(
                "the request and its answer need more than {most} bytes of memory, the most that one may take; send fewer \
                 instances at a time"
            );
            return Err(ServeError::new(Code::PayloadTooLarge, message).with("limit_bytes", most));
        }
        let until = Instant::now() + WAIT;
        while !self.try_grow(more) {
            if Instant::now() >= until {
                let message = "running requests take all of the memory for requests; try again in 1 s";
                return Err(ServeError::new(Code::TooManyRequests, message).retry_after(1));
            }
            self.budget.shed();
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Reserves `more` bytes, if they are free now.
    pub fn try_grow(&mut self, more: usize) -> bool {
        let bytes = self.bytes.saturating_add(more);
        let is_small = bytes <= SMALL_BYTES;
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(UNIT_BYTES).saturating_sub(held);
        if !is_small && bytes > self.budget.most() {
            return false;
        }
        if missing > 0 {
            let Some(permit) = self.budget.take(missing, is_small) else { return false };
            match &mut self.permit {
                Some(held) => held.merge(permit),
                none => *none = Some(permit),
            }
        }
        self.bytes = bytes;
        true
    }

    /// Returns `less` bytes.
    pub fn shrink(&mut self, less: usize) {
        drop(self.split(less));
    }

    /// Splits off a separate share of `bytes` bytes.
    pub fn split(&mut self, bytes: usize) -> Self {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        self.bytes = self.bytes.saturating_sub(bytes);
        let surplus = held.saturating_sub(self.bytes.div_ceil(UNIT_BYTES));
        let permit = self.permit.as_mut().and_then(|permit| permit.split(surplus));
        Self { budget: Arc::clone(&self.budget), permit, bytes }
    }

    /// Grows or shrinks to `bytes`.
    ///
    /// # Errors
    /// As [`grow`](Self::grow).
    pub async fn resize(&mut self, bytes: usize) -> Result<(), ServeError> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.grow(more).await,
            None => {
                self.shrink(self.bytes - bytes);
                Ok(())
            }
        }
    }
}

/// Bytes with their share, which are released together.
pub struct Counted<T> {
    /// The bytes.
    pub bytes: T,
    /// Their part of the budget.
    pub share: Share,
}

impl AsRef<[u8]> for Counted<Vec<u8>> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Counted<Rope> {
    /// Appends bytes as soon as there is memory for them.
    ///
    /// # Errors
    /// As [`Share::grow`].
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), ServeError> {
        self.share.grow(bytes.len()).await?;
        self.bytes.push(bytes);
        Ok(())
    }
}

/// A response that is sent piece by piece.
impl Body for Counted<Rope> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(bytes) = self.bytes.pop() else { return Poll::Ready(None) };
        let share = self.share.split(bytes.len());
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(Counted { bytes, share })))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

/// The arrival of a body.
pub struct Arrival {
    pace: Mutex<Pace>,
    held: AtomicUsize,
    gives_way: Notify,
}

struct Pace {
    /// How long the client may still be silent.
    credit: Duration,
    /// `None` while the server is not waiting for the client.
    waiting_since: Option<Instant>,
}

impl Arrival {
    /// Marks that the server waits for the client, until the returned guard is dropped.
    pub fn wait(&self) -> impl Drop {
        self.pace().waiting_since = Some(Instant::now());
        Turn(self)
    }

    /// Records that bytes have arrived; `held` bytes of the body are in memory now.
    pub fn received(&self, bytes: usize, held: usize) {
        let mut pace = self.pace();
        let earned = Duration::from_secs_f64(bytes as f64 / LEAST_BYTES_PER_SECOND as f64);
        pace.credit = (pace.credit + earned).min(GRACE);
        self.held.store(held, Ordering::Relaxed);
    }

    /// Resolves when the body is given up.
    pub async fn given_up(&self) {
        self.gives_way.notified().await;
    }

    fn is_slow(&self, now: Instant) -> bool {
        let pace = self.pace();
        pace.waiting_since.is_some_and(|since| now.duration_since(since) > pace.credit)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Turn<'a>(&'a Arrival);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut pace = self.0.pace();
        let waited = pace.waiting_since.take().map_or(Duration::ZERO, |since| since.elapsed());
        pace.credit = pace.credit.saturating_sub(waited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_is_never_more_than_there_is_and_comes_back() {
        let budget = MemoryBudget::new(16 * MIB);
        let (mut first, mut second) = (budget.share(), budget.share());
        first.grow(8 * MIB).await.unwrap();
        let refused = second.grow(6 * MIB).await.unwrap_err();
        assert_eq!((refused.code, refused.retry_after), (Code::TooManyRequests, Some(1)));
        assert_eq!((second.bytes(), budget.taken()), (0, 8 * MIB));
        first.resize(2 * MIB + 1).await.unwrap();
        second.grow(6 * MIB).await.unwrap();
        assert_eq!(budget.taken(), 8 * MIB + UNIT_BYTES);
        drop((first, second));
        assert_eq!(budget.taken(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn large_shares_leave_room_for_small_ones() {
        let budget = MemoryBudget::new(16 * MIB);
        let mut large = [budget.share(), budget.share()];
        large[0].grow(6 * MIB).await.unwrap();
        large[1].grow(6 * MIB).await.unwrap();
        large[1].grow(1).await.unwrap_err();
        let mut small = budget.share();
        small.grow(SMALL_BYTES).await.unwrap();
        small.grow(1).await.unwrap_err();
        let mut others: Vec<Share> = (1..4 * MIB / SMALL_BYTES).map(|_| budget.share()).collect();
        for other in &mut others {
            other.grow(SMALL_BYTES).await.unwrap();
        }
        budget.share().grow(1).await.unwrap_err();
        drop((small, others));
        // A retry does not help for an amount that is never available.
        drop(large);
        let refused = budget.share().grow(8 * MIB + 1).await.unwrap_err();
        assert_eq!((refused.code, refused.retry_after), (Code::PayloadTooLarge, None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_slow_body_that_holds_most_gives_way_and_steady_ones_do_not() {
        let budget = MemoryBudget::new(16 * MIB);
        let body = |held| {
            let arrival = budget.arrival();
            arrival.received(held, held);
            arrival
        };
        let (stopped, smaller, steady, paused) = (body(6 * MIB), body(MIB), body(9 * MIB), body(9 * MIB));
        let is_slow = |arrival: &Arrival| arrival.is_slow(Instant::now());
        let _never = stopped.wait();
        // A burst earns no more than the grace time; a body slower than the rate uses it up, one at the rate does not.
        let mut turns = [smaller.wait(), steady.wait()];
        for _ in 0..5 {
            tokio::time::advance(Duration::from_secs(1)).await;
            drop(turns);
            smaller.received(4, MIB);
            steady.received(LEAST_BYTES_PER_SECOND, 9 * MIB);
            turns = [smaller.wait(), steady.wait()];
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(is_slow(&stopped) && is_slow(&smaller) && !is_slow(&steady));
        // A client that nobody waits for is not slow.
        assert!(!is_slow(&paused));
        budget.shed();
        let gave_way = |arrival: Arc<Arrival>| async move {
            tokio::time::timeout(Duration::from_millis(1), arrival.given_up()).await.is_ok()
        };
        assert!(gave_way(Arc::clone(&stopped)).await);
        assert!(!gave_way(Arc::clone(&smaller)).await && !gave_way(Arc::clone(&steady)).await);
    }
}
