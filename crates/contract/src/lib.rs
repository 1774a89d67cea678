//! What SageMaker promises about sequence-to-sequence, as data.
