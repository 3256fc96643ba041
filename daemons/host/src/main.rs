//! Settings and the machine: the daemon

fn main() {}
