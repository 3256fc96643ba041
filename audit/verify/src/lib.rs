//! Verifies a log or a bundle off line
