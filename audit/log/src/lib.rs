//! The tamper-evident log: entries, segments, SM3 tree, SM2-signed checkpoints
