//! Live contacts, queues, agents and flows: the daemon

fn main() {}
