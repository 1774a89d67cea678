//! Helpers for tests only: golden cases, random data, comparisons, finite differences, quantiles, an HTTP client, external programs.
//!
//! This crate is only a dev-dependency of the other crates. It uses none of them, so that the lowest can use it. Everything here panics on
//! failure, as tests need it.

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
pub use quantile::{median, quantiles};
pub use rng::Rng;
