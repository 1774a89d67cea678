//! The training loop and all that decides when a model is good enough.
