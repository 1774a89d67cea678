//! What the program `kokanee` shows to people, for its own benchmarks to draw with.
//!
//! Everything else of the program is in the library crates, or in the binary beside this file.

pub mod render;
