//! The one front door behind make

fn main() {}
