//! Deliberate faults, so that every proof can be seen to fail.
//!
//! A place that a proof guards asks [`mutant`] whether it shall misbehave. In every build that ships the
//! answer is a constant `false` and the branch is gone; with the feature `armed` (only `cargo xtask mutants`
//! sets it) the environment variable `YANMEN_MUTANT` names the one fault of that run.
//!
//! Each name stands in `tests/mutants.toml` beside the test that must turn red.

/// Whether the fault of this name is on in this process.
#[cfg(feature = "armed")]
pub fn mutant(name: &str) -> bool {
    use std::sync::OnceLock;
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("YANMEN_MUTANT").ok()).as_deref() == Some(name)
}

/// Whether the fault of this name is on: never, in a build without the feature `armed`.
#[cfg(not(feature = "armed"))]
#[inline(always)]
pub const fn mutant(_name: &str) -> bool {
    false
}
