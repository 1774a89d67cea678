//! How a request becomes an answer, and how files of requests become files of answers.

pub mod transform;
