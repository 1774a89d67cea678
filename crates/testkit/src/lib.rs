//! Helpers for tests only: golden cases, random data, comparisons, finite differences, quantiles, an HTTP client,
//! programs from outside.
//!
//! A dev-dependency of the other crates and of nothing else; it uses none of them, so that it can
//! serve the lowest. Everything here panics on failure, as a test wants it.

pub mod browser;
mod corpora;
mod golden;
pub mod http;
mod numeric;
pub mod outside;
mod quantile;
mod rng;

pub use corpora::corpora;
pub use golden::{golden, golden_cases, golden_folder};
pub use numeric::{assert_close, finite_difference};
pub use quantile::{median, quantile};
pub use rng::Rng;
