//! What people look at: attention maps, learning curves, tables, and numbers written for eyes.
//!
//! Nothing here prints: each function gives a string, and the caller decides where it goes and
//! whether the place shows colours (`NO_COLOR`, not a terminal, `--color`).

pub(crate) mod attention;
pub(crate) mod heatmap;
pub(crate) mod human;
mod label;
mod palette;
pub(crate) mod svg;
pub(crate) mod table;

pub(crate) use attention::{Attention, Scale};
