//! Pages, tables, and charts as SVG. The crate turns data into markup, and knows nothing of jobs, models or HTTP.
//!
//! | module | content |
//! |---|---|
//! | [`page`] | the layout of a page, with its style sheet and script |
//! | [`parts`] | tables, links between pages of a list, badges, definition lists |
//! | [`svg`] | charts: lines, bars, parallel coordinates, scatter plots, heat maps |
//! | [`search`] | the charts of a search over settings |
//! | [`attention`] | the matrix that heat maps show |
//! | [`thinning`] | long series, reduced to what a screen can show |
//! | [`smoothing`] | the trend of a noisy series |
//! | [`human`] | human-readable numbers |
//! | [`label`] | labels made of arbitrary text |
//! | [`palette`] | colours |
//!
//! Nothing here prints: the caller decides where the markup goes.

pub mod attention;
mod escaped;
pub mod human;
pub mod label;
pub mod page;
pub mod palette;
pub mod parts;
pub mod search;
pub mod smoothing;
pub mod svg;
pub mod thinning;

pub use attention::{Attention, Scale};
pub use escaped::Escaped;
