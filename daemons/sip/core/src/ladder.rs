//! The ladder of each leg: which messages came and went, and when, for people who look at a call.
//!
//! Owns no bytes of a message: a step is a method or a status, its CSeq and a moment; no body, no credentials
//! and no number stands in it. Never decides anything. A message belongs to the leg that has its Call-ID. The
//! ladder begins with the INVITE that made the leg; the challenges before it made none.

use crate::message::{Head, Message, Method, Request, Response, Status};
use route_api::{Ladder, Step, Way};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use types::{LegId, Monotonic};

/// Steps kept of the beginning of a leg, and of its end; those between are counted.
const FIRST: usize = 24;
const LAST: usize = 8;
/// Bytes kept of a method that has no name here.
const METHOD: usize = 16;

/// The ladder of one leg.
#[derive(Clone, Serialize, Deserialize)]
pub struct Rungs {
    call_id: Vec<u8>,
    began: Monotonic,
    steps: Vec<Rung>,
    left_out: u32,
}

/// One message, however often it came or went.
#[derive(Clone, Serialize, Deserialize)]
struct Rung {
    at: Monotonic,
    way: Way,
    what: What,
    number: u32,
    repeated: u32,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum What {
    Request(Method),
    Response(Status, Method),
}

/// Every ladder.
#[derive(Default)]
pub(crate) struct Ladders {
    now: Monotonic,
    kept: BTreeMap<LegId, Rungs>,
    by_call: HashMap<Vec<u8>, LegId>,
    touched: BTreeSet<LegId>,
}

impl Ladders {
    /// The moment of what happens next.
    pub(crate) fn arrive_at(&mut self, now: Monotonic) {
        self.now = now;
    }

    /// A leg with that Call-ID begins. Should a call come back to us with the Call-ID of another leg, that one
    /// keeps what follows.
    pub(crate) fn begin(&mut self, leg: LegId, call_id: &[u8]) {
        self.by_call.entry(call_id.to_vec()).or_insert(leg);
        let rungs = Rungs { call_id: call_id.to_vec(), began: self.now, steps: Vec::new(), left_out: 0 };
        self.kept.insert(leg, rungs);
        self.touched.insert(leg);
    }

    /// A message came.
    pub(crate) fn received(&mut self, message: &Message) {
        match message {
            Message::Request(request) => self.asked(request),
            Message::Response(Response { status, head, .. }) => {
                self.note(head, What::Response(*status, head.cseq.method.clone()));
            }
        }
    }

    /// A request came.
    pub(crate) fn asked(&mut self, request: &Request) {
        if mutant::mutant("sip-ladder-of-sent-alone") {
            return;
        }
        self.note(&request.head, What::Request(request.method.clone()));
    }

    /// A message of ours goes out.
    pub(crate) fn sent(&mut self, bytes: &[u8]) {
        if let Some((what, number, leg)) = self.read(bytes) {
            self.step(leg, Way::Sent, what, number);
        }
    }

    /// The ladder of a leg, as far as it is; empty where there is no such leg.
    pub(crate) fn of(&self, leg: LegId) -> Ladder {
        let Some(rungs) = self.kept.get(&leg) else { return Ladder::default() };
        let steps = rungs.steps.iter().map(|rung| rung.shown(rungs.began)).collect();
        Ladder { began: rungs.began, steps, left_out: rungs.left_out }
    }

    /// The leg of that Call-ID.
    pub(crate) fn leg_of(&self, call_id: &[u8]) -> Option<LegId> {
        self.by_call.get(call_id).copied()
    }

    pub(crate) fn forget(&mut self, leg: LegId) {
        if let Some(rungs) = self.kept.remove(&leg) {
            if self.by_call.get(&rungs.call_id) == Some(&leg) {
                self.by_call.remove(&rungs.call_id);
            }
            self.touched.insert(leg);
        }
    }

    /// Takes a change back: see [`Self::changes`].
    pub(crate) fn restore(&mut self, leg: LegId, rungs: Option<Rungs>) {
        self.forget(leg);
        if let Some(rungs) = rungs {
            self.by_call.entry(rungs.call_id.clone()).or_insert(leg);
            self.kept.insert(leg, rungs);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LegId, &Rungs)> {
        self.kept.iter().map(|(leg, rungs)| (*leg, rungs))
    }

    /// Those that changed since the last call; `None` for one that is forgotten.
    pub(crate) fn changes(&mut self) -> Vec<(LegId, Option<Rungs>)> {
        let touched = std::mem::take(&mut self.touched);
        touched.into_iter().map(|leg| (leg, self.kept.get(&leg).cloned())).collect()
    }

    fn note(&mut self, head: &Head, what: What) {
        if let Some(leg) = self.by_call.get(&head.call_id).copied() {
            self.step(leg, Way::Received, what, head.cseq.number);
        }
    }

    fn step(&mut self, leg: LegId, way: Way, what: What, number: u32) {
        let now = self.now;
        let Some(rungs) = self.kept.get_mut(&leg) else { return };
        rungs.step(Rung { at: now, way, what: what.bounded(), number, repeated: 0 });
        self.touched.insert(leg);
    }

    /// What a message of ours says in its first line, Call-ID and CSeq, where a leg has that Call-ID. Only its
    /// head is looked at, and nothing is copied.
    fn read(&self, bytes: &[u8]) -> Option<(What, u32, LegId)> {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
        let first = lines.next()?;
        let (mut leg, mut cseq) = (None, None);
        for line in lines.take_while(|line| !line.is_empty()) {
            if let Some(call_id) = line.strip_prefix(b"Call-ID: ") {
                leg = Some(*self.by_call.get(call_id)?);
            } else if let Some(value) = line.strip_prefix(b"CSeq: ") {
                cseq = Some(value);
            }
            if leg.is_some() && cseq.is_some() {
                break;
            }
        }
        let (number, method) = std::str::from_utf8(cseq?).ok()?.split_once(' ')?;
        let method = Method::parse(method.as_bytes())?;
        let what = match first.strip_prefix(b"SIP/2.0 ") {
            Some(rest) => {
                let status = std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()?;
                What::Response(Status(status), method)
            }
            None => What::Request(method),
        };
        Some((what, number.parse().ok()?, leg?))
    }
}

impl Rungs {
    /// One step more; the same message once more is counted where it stands.
    fn step(&mut self, rung: Rung) {
        let same = |known: &&mut Rung| {
            known.way == rung.way && known.number == rung.number && known.what == rung.what
        };
        if let Some(known) = self.steps.iter_mut().rev().find(same) {
            known.repeated = known.repeated.saturating_add(1);
            return;
        }
        if self.steps.len() >= FIRST + LAST && !mutant::mutant("sip-ladder-unbounded") {
            self.steps.remove(FIRST);
            self.left_out = self.left_out.saturating_add(1);
        }
        self.steps.push(rung);
    }
}

impl Rung {
    fn shown(&self, began: Monotonic) -> Step {
        let (message, method) = match &self.what {
            What::Request(method) => (text(method), method),
            What::Response(status, method) => (format!("{} {}", status.0, status.phrase()), method),
        };
        let after = self.at.since(began);
        Step {
            after_us: u64::try_from(after.as_micros()).unwrap_or(u64::MAX),
            way: self.way,
            message,
            exchange: format!("{} {}", self.number, text(method)),
            repeated: self.repeated,
        }
    }
}

impl What {
    /// The same, in which no method is longer than [`METHOD`].
    fn bounded(self) -> Self {
        let short = |method: Method| match method {
            Method::Other(mut name) => {
                name.truncate(METHOD);
                Method::Other(name)
            }
            named => named,
        };
        match self {
            Self::Request(method) => Self::Request(short(method)),
            Self::Response(status, method) => Self::Response(status, short(method)),
        }
    }
}

fn text(method: &Method) -> String {
    String::from_utf8_lossy(method.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Uid;

    const LEG: LegId = LegId(Uid([1; 16]));

    fn message(method: &str, number: u32) -> Vec<u8> {
        format!("{method} sip:x SIP/2.0\r\nCall-ID: a\r\nCSeq: {number} {method}\r\n\r\nCall-ID: b\r\n")
            .into_bytes()
    }

    fn ladders() -> Ladders {
        let mut ladders = Ladders::default();
        ladders.arrive_at(Monotonic(1_000_000));
        ladders.begin(LEG, b"a");
        ladders
    }

    /// Guarded by the mutant `sip-ladder-unbounded`.
    #[test]
    fn a_ladder_keeps_its_beginning_and_its_end() {
        let mut ladders = ladders();
        for number in 0..1_000 {
            ladders.sent(&message("INFO", number));
        }
        let ladder = ladders.of(LEG);
        assert_eq!((ladder.steps.len(), ladder.left_out), (FIRST + LAST, 1_000 - 32));
        assert_eq!(ladder.steps[FIRST - 1].exchange, "23 INFO");
        assert_eq!(ladder.steps[FIRST].exchange, "992 INFO");
        assert_eq!(ladder.steps[31].exchange, "999 INFO");
        ladders.sent(&message(&"X".repeat(10_000), 2_000));
        assert_eq!(ladders.of(LEG).steps[31].message, "X".repeat(METHOD));
    }

    #[test]
    fn a_copy_is_a_mark_and_not_a_step() {
        let mut ladders = ladders();
        for after in [0, 500_000, 1_500_000] {
            ladders.arrive_at(Monotonic(1_000_000 + after * 1_000));
            ladders.sent(&message("INVITE", 1));
        }
        ladders.sent(b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\nCall-ID: a\r\n\r\n");
        ladders.sent(b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\nCall-ID: another\r\n\r\n");
        let steps = ladders.of(LEG).steps;
        let seen: Vec<_> =
            steps.iter().map(|s| (s.after_us, &*s.message, &*s.exchange, s.repeated)).collect();
        assert_eq!(seen, [(0, "INVITE", "1 INVITE", 2), (1_500_000, "200 OK", "1 INVITE", 0)]);
        ladders.forget(LEG);
        ladders.sent(&message("BYE", 2));
        assert!(ladders.of(LEG).steps.is_empty() && ladders.by_call.is_empty());
    }
}
