//! The memo: what an edge keeps of a leg for route's next life. The caller's leg carries its whole call, the
//! other legs only whose they are.

use crate::{
    call::{Call, Secrets, Stage},
    leg::Leg,
};
use mutant::mutant;
use report_api::Decision;
use route_api::{Memo, SessionDescription};
use serde::{Deserialize, Serialize};
use types::{CallId, Utc};

/// The longest memo, in bytes: the edges take no longer one.
pub const MOST: usize = 8192;
/// What most memos need, in bytes.
const USUAL: usize = 3072;
/// Decisions that stay as long as anything else can go.
const NEWEST: usize = 8;

/// What a memo says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// The leg of the caller, with the call.
    Call(Box<Call>),
    /// Another leg, or the media of one.
    PartOf(CallId),
}

/// The same, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Told<'a> {
    Call(&'a Call),
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
    text(&Told::PartOf(call))
}

/// The memo of the caller's leg, at most [`MOST`] bytes. Of a history that is longer the older decisions go
/// first, then calls to people who did not answer, and last the legs of people who talked with the caller: who
/// did is what a call record is for.
pub fn of_call(call: &Call) -> Memo {
    let is_secret = call.secrets == Secrets::Asked;
    // Keys of SRTP have no place in what is kept (RFC 4568).
    let is_key = |description: &SessionDescription| {
        description.0.contains("a=crypto") && !mutant("route-srtp-keys-kept")
    };
    if !is_secret && !call.caller.early.as_ref().is_some_and(is_key) {
        // Nearly always, and after each thing that happens to a call: without a copy of it.
        let memo = text(&Told::Call(call));
        if memo.0.len() <= MOST {
            return memo;
        }
    }
    let mut less = call.clone();
    if is_secret && !mutant("route-secret-digits-kept") {
        less.digits.forget();
    }
    less.caller.early.take_if(|description| is_key(description));
    let talked: fn(&mut Call) -> bool =
        if mutant("route-memo-forgets-talks") { no_leg_over } else { |_| false };
    let forget: [fn(&mut Call) -> bool; 7] = [
        talked,
        |call| call.decisions.len() > NEWEST && fewer_decisions(call),
        no_leg_unanswered,
        no_offers,
        fewer_decisions,
        no_display,
        no_leg_over,
    ];
    let mut forget = forget.into_iter().peekable();
    loop {
        let memo = text(&Told::Call(&less));
        if memo.0.len() <= MOST {
            return memo;
        }
        while let Some(step) = forget.peek()
            && !step(&mut less)
        {
            forget.next();
        }
        if forget.peek().is_none() {
            // Not reached: what is left is bounded by the lengths of names and of what `Router` takes from
            // the edge.
            return part_of(call.id);
        }
    }
}

/// Forgets the older half of what was decided, and says so to whoever reads the call record after a restart;
/// `false` where nothing is left to forget.
fn fewer_decisions(call: &mut Call) -> bool {
    let before = call.decisions.iter().filter(|decision| decision.what != LOST).count();
    if before == 0 {
        return false;
    }
    let rest = call.decisions.split_off(call.decisions.len() - before / 2);
    if let Some(last) = call.decisions.pop() {
        call.decisions = std::iter::once(lost(last.at)).chain(rest).collect();
    }
    true
}

const LOST: &str = "decisions.lost";

fn lost(at: Utc) -> Decision {
    let why = "earlier ones were not kept over a restart of route".to_owned();
    Decision { at, what: LOST.to_owned(), why }
}

/// Forgets those whom nobody answered on, at once.
fn no_leg_unanswered(call: &mut Call) -> bool {
    let before = call.agents.len();
    call.agents.retain(|leg| !leg.over() || leg.answered.is_some());
    call.agents.len() < before
}

/// Forgets the oldest that is over.
fn no_leg_over(call: &mut Call) -> bool {
    let Some(at) = call.agents.iter().position(Leg::over) else { return false };
    call.agents.remove(at);
    true
}

fn no_offers(call: &mut Call) -> bool {
    let mut forgot = !call.queued.is_empty();
    call.queued.clear();
    if let Stage::Waiting(wait) | Stage::Offering(wait, _) = &mut call.stage {
        forgot |= !wait.offers.is_empty();
        wait.offers.clear();
    }
    forgot
}

fn no_display(call: &mut Call) -> bool {
    call.from.display.take().is_some()
}

fn text(memory: &Told<'_>) -> Memo {
    let mut text = Vec::with_capacity(USUAL);
    // Everything in it is text, numbers and lists, which JSON can always carry.
    let written = serde_json::to_writer(&mut text, memory).is_ok();
    Memo(String::from_utf8(text).ok().filter(|_| written).unwrap_or_default())
}
