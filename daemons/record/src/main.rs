//! Sealed recordings: the daemon

fn main() {}
