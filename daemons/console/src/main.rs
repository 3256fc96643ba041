//! The web console: the daemon

fn main() {}
