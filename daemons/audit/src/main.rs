//! The audit log: the daemon

fn main() {}
