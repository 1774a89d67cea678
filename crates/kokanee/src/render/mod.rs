//! What people look at in a terminal: attention maps, reports and tables. Pictures are drawn by `kokanee-pages`.
//!
//! Nothing here prints: each function gives a string, and the caller decides where it goes and
//! whether the place shows colours (`NO_COLOR`, not a terminal, `--color`).

pub mod heatmap;
pub mod report;
pub mod table;
