//! From text and bytes to batches of ids.
