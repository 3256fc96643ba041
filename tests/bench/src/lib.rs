//! What the house can bear: one binary a subject, each prints a table (`make bench`).
//!
//! No figure stands alone: beside it stands a reference that was measured in the same run, since the same disk is
//! thirty times faster, and the same processor twice as fast, when nobody else uses it. The last line says
//! what the limit is and how far off we are.
#![allow(clippy::print_stdout, reason = "the table is the result")]

mod caller;
mod cpu;
mod disk;
mod figures;
pub mod house;
mod message;
mod peer;
mod phones;
mod processes;
pub mod rivals;

pub use caller::{Caller, Came, Hold};
pub use cpu::{resident, used};
pub use disk::{Syncs, folder};
pub use figures::{Figures, Target};
pub use peer::{Peer, program};
pub use phones::{Phones, Sound};
pub use processes::Processes;

/// Why a subject could not be measured.
pub type Failure = Box<dyn std::error::Error>;

/// The place of a quantile in sorted values, e.g. 0.99.
///
/// # Panics
/// There are no values.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}
