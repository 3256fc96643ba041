//! The settings file: one TOML file for the whole house.
//!
//! Owns the types of every section, the checks that look across sections, and for each mistake the place in
//! the file and the sentence that mends it. Reads no file and knows no clock: text goes in, [`Settings`] or
//! the complete list of [`Problem`]s comes out. An empty text is a valid house.
//!
//! ```text
//!   text ──parse──> Settings ──section──> one daemon's own part, secrets within
//!            │          └─────to_value───> the whole, secrets masked
//!            └──────> Vec<Problem> ──words──> "line 12, column 9: …" in zh-CN or en
//! ```
//!
//! A password leaves this crate by [`Settings::section`] and [`Secret::reveal`] alone: every other output,
//! `serde` included, carries the mask.

mod check;
mod diff;
mod fill;
mod problem;
mod read;
mod schema;
mod secret;
mod section;
mod tree;
mod value;

pub mod audit;
pub mod auth;
pub mod console;
pub mod media;
pub mod record;
pub mod route;
pub mod sip;
pub mod speech;

pub use diff::{Applied, Change, diff, live};
pub use problem::Problem;
pub use schema::schema;
pub use secret::{Given, MASK, Secret};
pub use section::{NoSection, Plain, Section};
pub use value::{Dialled, Fault, Period, PortRange, Prefix, Prompt, Size};

use media::LibraryLack;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::Path};
use zeroize::Zeroizing;

/// The whole house, one section for each daemon. `Debug` is missing on purpose: there are passwords within.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Signalling: trunks to carriers and phones of agents.
    pub sip: sip::Sip,
    /// Sound: where RTP is received, and where prompts lie.
    pub media: media::Media,
    /// Where calls go: numbers, flows, queues, agents.
    pub route: route::Route,
    /// Recording: when, for how long, and what happens when the disk fills.
    pub record: record::Record,
    /// Who may enter: passwords, lock-out, lengths of sessions.
    pub auth: auth::Auth,
    /// The audit log.
    pub audit: audit::Audit,
    /// Call records and figures: nothing to set yet.
    pub report: section::Plain,
    /// The web console.
    pub console: console::Console,
    /// The machine: nothing to set yet.
    pub host: section::Plain,
}

impl Settings {
    /// Reads a settings file.
    ///
    /// # Errors
    /// All mistakes in the order of the file, at most [`Problem::MOST`] of them; never an empty list.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        read::read(text, |_| None, |_| Ok(()))
    }

    /// [`Self::parse`], and a mistake for what the settings name and the disk has not: each prompt, and the library
    /// that speaks G.729. `prompts` gives the names of the files in the directory that the text itself sets; `None`
    /// where they cannot be listed. `library` says what keeps the library that the text names from being loaded.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_beside(
        text: &str,
        prompts: impl FnOnce(&Path) -> Option<BTreeSet<String>>,
        library: impl FnOnce(Option<&Path>) -> Result<(), LibraryLack>,
    ) -> Result<Self, Vec<Problem>> {
        read::read(text, prompts, library)
    }

    /// What is no mistake in the text that these settings were read from, and still worth a second look: at most
    /// [`Problem::MOST`].
    pub fn advice(&self, text: &str) -> Vec<Problem> {
        read::advise(text, self)
    }

    /// The names of all prompts that the settings need, those of numbers included.
    pub fn prompts(&self) -> BTreeSet<String> {
        let announcement = self.record.announcement.iter().map(ToString::to_string);
        check::prompts(&self.route).into_iter().chain(announcement).collect()
    }

    /// The text with each password that is only a [`MASK`] filled in from `current`: settings that were
    /// shown, changed and brought back keep the passwords that nobody touched.
    pub fn fill(text: &str, current: &Self) -> Zeroizing<String> {
        fill::fill(text, current)
    }

    /// The whole as a value, each secret replaced by [`MASK`].
    pub fn to_value(&self) -> serde_json::Value {
        // The sections hold numbers, texts and lists alone, which JSON can always carry.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// One daemon's own section with its secrets, for hand-out to that daemon and to nobody else.
    pub fn section(&self, section: Section) -> serde_json::Value {
        section::hand_out(self, section)
    }
}
