//! What was counted: for figures and for tests, never for decisions.

use serde::Serialize;

/// Counts since the start of the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Datagrams that came.
    pub received: u64,
    /// Datagrams beyond their source's allowance, dropped.
    pub too_fast: u64,
    /// Datagrams that were no message, or a response that was not for us.
    pub malformed: u64,
    /// Requests refused because no transaction or leg was free.
    pub no_room: u64,
    /// Requests that did not prove who sends them.
    pub unproved: u64,
    /// Legs that came in.
    pub offered: u64,
    /// Legs that we dialled.
    pub dialled: u64,
    /// Calls that went to another target because one did not take them.
    pub failed_over: u64,
    /// Devices beyond the most that one call of ours may make ring at once: not heard.
    pub forks_unheard: u64,
    /// Calls that went where a carrier sent them.
    pub redirected: u64,
    /// Legs that ended.
    pub ended: u64,
    /// Ends of legs dropped though route had not forgotten them, because there was no more room.
    pub dropped_ends: u64,
}
