//! Encoder-decoder models: layers, parameters, search and artefacts.
