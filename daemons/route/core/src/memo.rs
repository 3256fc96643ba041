//! The memo: what an edge keeps of a leg for route's next life. The caller's leg carries its whole call, the
//! other legs only whose they are.

use crate::call::{Call, Secrets};
use mutant::mutant;
use report_api::Decision;
use route_api::Memo;
use serde::{Deserialize, Serialize};
use types::CallId;

/// The longest memo, in bytes: the edges take no longer one.
pub const MOST: usize = 4096;

/// What a memo says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// The leg of the caller, with the call.
    Call(Box<Call>),
    /// Another leg, or the media of one.
    PartOf(CallId),
}

impl Memory {
    /// Reads a memo; `None` where it is empty or of another version of route.
    pub fn read(memo: &Memo) -> Option<Self> {
        serde_json::from_str(&memo.0).ok()
    }
}

/// The memo of a leg that is not the caller's.
pub fn part_of(call: CallId) -> Memo {
    text(&Memory::PartOf(call))
}

/// The memo of the caller's leg, at most [`MOST`] bytes: what is only for the call record goes first, the
/// older decisions, then legs that are over, then offers that came to nothing.
pub fn of_call(call: &Call) -> Memo {
    let mut less = call.clone();
    if less.secrets == Secrets::Asked && !mutant("route-secret-digits-kept") {
        less.digits.forget();
    }
    let whole = text(&Memory::Call(Box::new(less.clone())));
    if whole.0.len() <= MOST {
        return whole;
    }
    let fits =
        |call: &Call| Some(text(&Memory::Call(Box::new(call.clone())))).filter(|memo| memo.0.len() <= MOST);
    while fewer_decisions(&mut less) {
        if let Some(memo) = fits(&less) {
            return memo;
        }
    }
    for forget in [no_ended_legs, no_offers, no_display] {
        forget(&mut less);
        if let Some(memo) = fits(&less) {
            return memo;
        }
    }
    // Not reached: what is left is bounded by the lengths of names and of what `Router` takes from the edge.
    part_of(call.id)
}

/// Forgets the older half of what was decided, and says so to whoever reads the call record after a restart;
/// `false` where nothing is left to forget.
fn fewer_decisions(call: &mut Call) -> bool {
    const LOST: &str = "decisions.lost";
    let before = call.decisions.iter().filter(|decision| decision.what != LOST).count();
    if before == 0 {
        call.decisions.clear();
        return false;
    }
    let rest = call.decisions.split_off(call.decisions.len() - before / 2);
    if let Some(last) = call.decisions.pop() {
        let why = "earlier ones were not kept over a restart of route".to_owned();
        let lost = Decision { at: last.at, what: LOST.to_owned(), why };
        call.decisions = std::iter::once(lost).chain(rest).collect();
    }
    true
}

fn no_ended_legs(call: &mut Call) {
    call.agents.retain(|leg| !leg.over());
}

fn no_offers(call: &mut Call) {
    use crate::call::Stage;
    call.queued.clear();
    if let Stage::Waiting(wait) | Stage::Offering(wait, _) = &mut call.stage {
        wait.offers.clear();
    }
}

fn no_display(call: &mut Call) {
    call.from.display = None;
}

fn text(memory: &Memory) -> Memo {
    // Everything in it is text, numbers and lists, which JSON can always carry.
    Memo(serde_json::to_string(memory).unwrap_or_default())
}
