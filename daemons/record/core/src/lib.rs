//! Sealed recordings: the sans-IO core
