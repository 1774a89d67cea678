//! Start of new threads, leaving room for the allocations of other threads.

use std::hint::black_box;
use std::io;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

/// Address space that must be free before a thread starts: its stack (2 MiB), and the space that glibc's allocator asks for at the
/// thread's first allocation (128 MiB, of which it keeps half).
const ROOM: usize = 160 << 20;

/// Starts a thread and returns once it runs.
///
/// A thread may take the last of the address space that the process is allowed (`ulimit -v`), and an allocation that fails
/// afterwards, in any thread, aborts the process. So a thread that would leave too little is refused, and the next one is only
/// started after this one's allocator is set up.
///
/// # Errors
/// [`io::ErrorKind::OutOfMemory`] if there is too little room, and the system's error if it refuses the thread.
pub fn start_thread(builder: Builder, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let mut room = Vec::<u8>::new();
    room.try_reserve_exact(ROOM).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // Otherwise the compiler leaves the allocation out.
    drop(black_box(room));
    let (tell, runs) = mpsc::channel();
    let thread = builder.spawn(move || {
        // Nobody receives this if the starting thread is gone.
        let _ = tell.send(());
        drop(tell);
        work();
    })?;
    let _ = runs.recv();
    Ok(thread)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_thread_does_its_work_and_a_panic_is_its_own() {
        let done = Arc::new(AtomicBool::new(false));
        let thread = {
            let done = Arc::clone(&done);
            start_thread(Builder::new(), move || done.store(true, Ordering::SeqCst)).unwrap()
        };
        thread.join().unwrap();
        assert!(done.load(Ordering::SeqCst));
        assert!(start_thread(Builder::new(), || panic!("meant")).unwrap().join().is_err());
    }
}
