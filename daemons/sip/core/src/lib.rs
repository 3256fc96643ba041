//! SIP trunks and phones: the sans-IO core
mod agenda;
pub mod digest;
mod flow;
pub mod message;
pub mod random;
pub mod transaction;
pub use flow::Flow;
