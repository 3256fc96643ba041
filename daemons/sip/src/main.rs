//! SIP trunks and phones: the daemon

fn main() {}
