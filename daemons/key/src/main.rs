//! Handles of keys, and nothing else: the daemon

fn main() {}
