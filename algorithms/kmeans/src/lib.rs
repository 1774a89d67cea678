//! SageMaker's k-means: mini-batches stream through more centres than asked for, and those are clustered down to k.
//!
//! [`Stream`] takes batches one after the other (Sculley 2010, "Web-Scale K-Means Clustering", exact for a whole batch).
//! [`Stream::shrink`] reduces its centres to the k centres of a [`Model`], by Lloyd's algorithm on the centres with the number of
//! their rows as weights (SageMaker Developer Guide, "How K-Means Clustering Works").
//!
//! Results depend on the data, their order, the settings and the seed, and on nothing else: not on the number of threads, and not
//! on the instruction set, since rows are compared with centres exactly wherever rounding could change the result.

mod algorithm;
mod artifact;
mod clusters;
mod describe;
mod fault;
mod lloyd;
mod model;
mod nearest;
mod parts;
mod seeding;
mod stream;
mod team;
#[cfg(test)]
mod tests;
mod train;

pub use algorithm::KMeans;
pub use fault::Fault;
pub use lloyd::{LocalLloyd, Trial};
pub use model::{Answer, Model, Predictor};
pub use seeding::Start;
pub use stream::{ExtraCenters, Settings, Shrunk, Stream};
