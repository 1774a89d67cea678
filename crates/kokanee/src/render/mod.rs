//! What people look at: attention maps, learning curves, tables, and numbers written for eyes.
//!
//! Nothing here prints: each function gives a string, and the caller decides where it goes and
//! whether the place shows colours (`NO_COLOR`, not a terminal, `--color`).

pub mod attention;
pub mod heatmap;
mod label;
mod palette;
pub mod report;
pub mod svg;
pub mod table;

pub use attention::{Attention, Scale};
