//! What people look at: pages, tables, and charts as SVG. Data goes in, markup comes out; no job, no model and no HTTP is known here.
//!
//! | module | what stands in it |
//! |---|---|
//! | [`page`] | the layout of a page, with its style sheet and script |
//! | [`parts`] | tables, links between pages of a list, badges, definition lists |
//! | [`svg`] | charts: lines, bars, parallel coordinates, scatter plots, heat maps |
//! | [`search`] | the pictures of a search over settings |
//! | [`attention`] | the matrix that heat maps draw |
//! | [`thinning`] | long series, cut to what a screen shows |
//! | [`smoothing`] | the trend of a noisy series |
//! | [`human`] | numbers written for eyes |
//! | [`label`] | any text as a label |
//! | [`palette`] | colours |
//!
//! Nothing here prints: whoever asks decides where the markup goes.

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
