//! Kokanee: sequence-to-sequence training and inference as SageMaker does it, on your own machine.

fn main() {}
