//! Helpers for tests only: shared files, random data, comparisons, finite differences.
//!
//! A dev-dependency of the other crates and of nothing else; it uses none of them, so that it can
//! serve the lowest. Everything here panics on failure, as a test wants it.

mod numeric;
mod rng;
mod shared;

pub use numeric::{assert_close, finite_difference};
pub use rng::Rng;
pub use shared::{golden, shared_dir};
