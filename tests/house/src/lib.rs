//! The running house held to `configs/house.toml`: a whole house by `ym up` in a home of its own, asked by
//! outside processes that are somebody else.
#![expect(clippy::expect_used, clippy::panic, reason = "what fails here fails the test")]

pub mod attempt;
pub mod idl;
pub mod interfaces;
pub mod running;
