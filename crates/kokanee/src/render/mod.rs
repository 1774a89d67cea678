//! Text for people in a terminal: attention maps, reports and tables. Pictures are drawn by `kokanee-pages`.
//!
//! Nothing here prints: each function returns a string, and the caller decides where it goes and whether that place shows colours
//! (`NO_COLOR`, not a terminal, `--color`).

pub mod heatmap;
pub mod report;
pub mod table;
