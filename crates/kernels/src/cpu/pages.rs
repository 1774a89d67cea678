//! Memory in large pages.
//!
//! Second caches are indexed by physical addresses. Pages of 4 KiB lie anywhere, so by chance some sets of the cache get more lines
//! of a block than they hold and others fewer; within a page of 2 MiB neighbouring lines land in different sets. Large pages also
//! need fewer translations of addresses. Training is some 2% faster with all its blocks in large pages (Zen 4, `bench train`).

use std::alloc::{Layout, handle_alloc_error};
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a large page, on x86-64 and most others.
const PAGE_BYTES: usize = 2 << 20;
/// Bytes of a region that blocks are cut from.
const REGION_BYTES: usize = 8 * PAGE_BYTES;
/// A block of more than this has its own region.
const LARGE_BYTES: usize = REGION_BYTES / 4;
/// Bytes of the pages that the system gives otherwise: a multiple of the page size of every system.
const SMALL_PAGE_BYTES: usize = 1 << 16;
/// A dropped block of at least this many bytes gives its pages back although the region has other blocks: otherwise a live vector
/// of a few bytes would keep the whole region.
const WORTH_GIVING_BACK: usize = 4 * SMALL_PAGE_BYTES;
/// The alignment of blocks: that of cache lines.
const LINE_BYTES: usize = 64;

#[repr(align(64))]
struct Line;

/// Types for which any bits are a value.
///
/// # Safety
/// Zero bits must be a value. The type must not need to be dropped, nor be aligned to more than a cache line.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}

// SAFETY: all bits are numbers.
unsafe impl Plain for f32 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}

/// Total bytes of all blocks.
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Total bytes of all blocks that this process has at the moment, including those that a thread keeps for their next use.
/// Allocators do not see them.
pub fn live_bytes() -> usize {
    LIVE_BYTES.load(Ordering::Relaxed)
}

/// A slice in large pages, where the system offers them.
pub struct Block<T: Plain> {
    first: NonNull<T>,
    len: usize,
    /// Kept while the block lies in it.
    region: Option<Arc<Region>>,
}

impl<T: Plain> Block<T> {
    /// A block of `len` elements, all bits zero. Its memory goes back to the system with the last of its neighbours: code that
    /// needs many blocks for a short time keeps them for the next use.
    pub fn zeros(len: usize) -> Block<T> {
        const { assert!(align_of::<T>() <= LINE_BYTES) };
        let layout = Layout::array::<T>(len).expect("a block that fits the address space");
        if len > 0 {
            super::work::count_block();
        }
        LIVE_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        let (start, region) = cut(layout.size());
        Block { first: start.cast(), len, region }
    }
}

impl<T: Plain> Block<T> {
    /// The first `len` elements, of arbitrary content, of a block that grows if it is too small: for buffers that are needed
    /// repeatedly.
    pub fn room(&mut self, len: usize) -> &mut [T] {
        if self.len < len {
            // It gets somewhat more, so that it does not have to grow again soon.
            *self = Block::zeros(len + len / 4);
        }
        &mut self[..len]
    }
}

impl<T: Plain> Default for Block<T> {
    fn default() -> Self {
        Block::zeros(0)
    }
}

impl<T: Plain> From<&[T]> for Block<T> {
    fn from(values: &[T]) -> Self {
        let mut block = Block::zeros(values.len());
        block.copy_from_slice(values);
        block
    }
}

impl<T: Plain> Deref for Block<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `cut` gave these bytes of a live region to this block alone, zeroed and aligned; any bits are a `T`.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T: Plain> DerefMut for Block<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl<T: Plain> Drop for Block<T> {
    fn drop(&mut self) {
        let bytes = size_of_val(&self[..]);
        LIVE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(region) = self.region.take().filter(|_| bytes >= WORTH_GIVING_BACK)
            && Arc::strong_count(&region) > 1
        {
            region.give_back(self.first.cast(), bytes);
        }
    }
}

// SAFETY: a block owns its elements, which may be sent and shared.
unsafe impl<T: Plain> Send for Block<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for Block<T> {}

thread_local! {
    /// The region from which this thread cuts small blocks, and how many of its bytes are taken.
    static CURRENT: RefCell<Option<(Arc<Region>, usize)>> = const { RefCell::new(None) };
}

/// Returns zeroed bytes that nobody else has, and the region that they lie in; none if `bytes` is zero.
fn cut(bytes: usize) -> (NonNull<u8>, Option<Arc<Region>>) {
    if bytes == 0 {
        return (NonNull::<Line>::dangling().cast(), None);
    }
    let alone = || {
        let region = Arc::new(Region::new(bytes));
        (region.start, Some(region))
    };
    if bytes > LARGE_BYTES {
        return alone();
    }
    let from_current = CURRENT.try_with(|current| {
        let current = &mut *current.borrow_mut();
        let (region, taken) = match current {
            Some((region, taken)) if region.bytes - *taken >= bytes => (region, taken),
            full => {
                let (region, taken) = full.insert((Arc::new(Region::new(REGION_BYTES)), 0));
                (region, taken)
            }
        };
        // SAFETY: `taken` bytes and those asked for lie inside the region, as was just ensured.
        let start = unsafe { region.start.add(*taken) };
        *taken = (*taken + bytes).next_multiple_of(LINE_BYTES).min(region.bytes);
        (start, Some(Arc::clone(region)))
    });
    // A thread that is ending no longer has a current region.
    from_current.unwrap_or_else(|_| alone())
}

/// Memory from the system, zeroed, from the beginning of a large page.
struct Region {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a region is only an address and a size; `cut` decides who may use which of its bytes.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

#[cfg(unix)]
impl Region {
    fn new(bytes: usize) -> Region {
        // The system gives small pages at any address. The memory before and after the large ones goes back.
        let bytes = bytes.next_multiple_of(SMALL_PAGE_BYTES);
        let asked = bytes + PAGE_BYTES;
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
        // SAFETY: a new mapping of zeros, which touches nothing that exists.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), asked, access, kind, -1, 0) };
        if address == libc::MAP_FAILED {
            handle_alloc_error(Layout::from_size_align(bytes, 1).expect("a size that memory can have"));
        }
        let before = (address as usize).next_multiple_of(PAGE_BYTES) - address as usize;
        // SAFETY: both offsets lie inside the mapping; its ends are unmapped before anybody has them, in whole small pages.
        let start = unsafe {
            let start = address.byte_add(before);
            for (address, bytes) in [(address, before), (start.byte_add(bytes), PAGE_BYTES - before)] {
                if bytes > 0 {
                    libc::munmap(address, bytes);
                }
            }
            start
        };
        #[cfg(target_os = "linux")]
        {
            // The last page stays in small ones if little of it is used.
            let large = (bytes + PAGE_BYTES / 2) / PAGE_BYTES * PAGE_BYTES;
            // SAFETY: advice on how our own memory is backed; where the system refuses it, nothing has changed.
            unsafe { libc::madvise(start, large.min(bytes), libc::MADV_HUGEPAGE) };
        }
        Region { start: NonNull::new(start.cast()).expect("mappings do not begin at zero"), bytes }
    }

    /// Gives the whole pages of a dropped block back to the system. Nobody gets these addresses again before the region ends.
    fn give_back(&self, first: NonNull<u8>, bytes: usize) {
        let offset = first.as_ptr() as usize - self.start.as_ptr() as usize;
        let pages =
            offset.next_multiple_of(SMALL_PAGE_BYTES)..(offset + bytes) / SMALL_PAGE_BYTES * SMALL_PAGE_BYTES;
        if pages.is_empty() {
            return;
        }
        // SAFETY: whole pages inside this region's mapping that lay in one block, which is gone; advice that the system refuses
        // changes nothing.
        unsafe {
            let first = self.start.as_ptr().add(pages.start);
            libc::madvise(first.cast(), pages.len(), libc::MADV_DONTNEED);
        }
    }
}

#[cfg(unix)]
impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is this region's, and no block lies in it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(not(unix))]
impl Region {
    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, SMALL_PAGE_BYTES).expect("a size that memory can have")
    }

    fn new(bytes: usize) -> Region {
        // SAFETY: regions are not empty.
        let start = unsafe { std::alloc::alloc_zeroed(Region::layout(bytes)) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(Region::layout(bytes)));
        Region { start, bytes }
    }

    /// Pages go back with the whole region only.
    fn give_back(&self, _: NonNull<u8>, _: usize) {}
}

#[cfg(not(unix))]
impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the memory was allocated with this layout, and no block lies in it any more.
        unsafe { std::alloc::dealloc(self.start.as_ptr(), Region::layout(self.bytes)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_zeroed_and_their_own() {
        let lengths = [0, 1, 15, 16, 17, 1000, 300_000, LARGE_BYTES / 4, LARGE_BYTES / 4 + 1, 3 << 20];
        let mut blocks: Vec<Block<u32>> = Vec::new();
        for round in 0..3u32 {
            for (number, &len) in lengths.iter().enumerate() {
                let mut block = Block::<u32>::zeros(len);
                assert!(block.len() == len && block.iter().all(|&x| x == 0), "{len} elements");
                assert!((block.as_ptr() as usize).is_multiple_of(LINE_BYTES));
                block.fill(round << 8 | number as u32);
                blocks.push(block);
            }
        }
        for (index, block) in blocks.iter().enumerate() {
            let (round, number) = (index / lengths.len(), index % lengths.len());
            assert!(block.iter().all(|&x| x == (round << 8 | number) as u32), "block {index}");
        }
    }

    #[test]
    fn a_block_outlives_its_thread_and_its_neighbours() {
        let cut =
            || -> Vec<Block<f32>> { (0..100).map(|i| Block::from(&vec![i as f32; 50_000][..])).collect() };
        let mut blocks = std::thread::spawn(cut).join().expect("a thread that allocates");
        let last = blocks.pop().expect("a hundred blocks");
        drop(blocks);
        assert!(last.iter().all(|&x| x == 99.0));
    }
}
