//! ym: the command line of the house

fn main() {}
