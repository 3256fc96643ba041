//! Call records and figures: the daemon

fn main() {}
