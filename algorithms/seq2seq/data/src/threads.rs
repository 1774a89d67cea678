//! The threads that read and prepare data.

use std::sync::Once;
use std::thread;

use kokanee_kernels::start_thread;
use rayon::ThreadPoolBuilder;

/// Starts the threads, once; the current thread works alone if the system refuses others. Without this call the first use would
/// start them, and panic in that case.
pub(crate) fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let builder = ThreadPoolBuilder::new();
        let builder = if are_there_threads() { builder } else { builder.num_threads(1).use_current_thread() };
        // An error means that something has started it already.
        let _ = builder.build_global();
    });
}

/// Whether the system grants all threads of a pool. The only pool of the process cannot be tried a second time, so another pool is
/// tried; it is gone with all of its threads afterwards.
fn are_there_threads() -> bool {
    let mut threads = Vec::new();
    let spawn = |worker: rayon::ThreadBuilder| {
        threads.push(start_thread(thread::Builder::new(), || worker.run())?);
        Ok(())
    };
    let are_there = ThreadPoolBuilder::new().spawn_handler(spawn).build().is_ok();
    for thread in threads {
        let _ = thread.join();
    }
    are_there
}
