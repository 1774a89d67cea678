//! Helpers for tests only: shared files, random data, finite differences.
