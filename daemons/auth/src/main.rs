//! Accounts, roles and assertions: the daemon

fn main() {}
