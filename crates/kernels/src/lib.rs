//! How fast this machine does one thing; the only crate with unsafe code.
