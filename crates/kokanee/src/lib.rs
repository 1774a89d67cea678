//! The output of the program `kokanee` for people, also used by its own benchmarks.
//!
//! Everything else of the program is in the library crates, or in the binary beside this file.

pub mod render;
