//! The ladder of each leg: which messages came and went, and when, for people who look at a call.
//!
//! Owns no bytes of a message: a step is a method or a status, its CSeq, a moment, and between which addresses it
//! went; no body, no credentials and no number stands in it. Decides nothing but when a ladder is whole: when every
//! question in it has its answer. A message belongs to the leg that has its Call-ID. The ladder begins with the
//! INVITE that made the leg; the challenges before it made none.
//!
//! Bounded: [`FIRST`] + [`LAST`] steps, [`PATHS`] paths and [`CALL_ID`] bytes of a Call-ID for each leg, and as
//! many legs as the core has, living and over.

use crate::{
    flow::Protocol,
    message::{Head, Message, Method, Request, Response, Status},
};
use route_api::{Ladder, Step, Way};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
};
use types::{LegId, Monotonic};

/// Steps kept of the beginning of a leg, and of its end; those between are counted.
const FIRST: usize = 24;
const LAST: usize = 8;
/// Bytes kept of a method that has no name here.
const METHOD: usize = 16;
/// Paths kept of a leg; a message by yet another one is a step without a path.
const PATHS: usize = 8;
/// A leg with a longer Call-ID has no ladder.
const CALL_ID: usize = 512;
/// Questions of a leg whose answers are waited for.
const OPEN: usize = 8;

/// The ladder of one leg.
#[derive(Clone, Serialize, Deserialize)]
pub struct Rungs {
    call_id: Vec<u8>,
    began: Monotonic,
    steps: Vec<Rung>,
    left_out: u32,
    paths: Vec<Path>,
    /// What has no answer yet: requests of ours, and `ACK` for final responses of ours to INVITE.
    open: BTreeSet<(u32, Vec<u8>)>,
}

/// By which transport, between which addresses.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Path {
    pub(crate) protocol: Protocol,
    /// How the far side reaches us there.
    pub(crate) house: SocketAddr,
    pub(crate) far: SocketAddr,
}

/// One message, however often it came or went.
#[derive(Clone, Serialize, Deserialize)]
struct Rung {
    at: Monotonic,
    way: Way,
    what: What,
    number: u32,
    repeated: u32,
    /// Which of [`Rungs::paths`].
    path: Option<u8>,
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
    /// Those that became whole since the last look.
    whole: Vec<LegId>,
}

impl Ladders {
    /// The moment of what happens next.
    pub(crate) fn arrive_at(&mut self, now: Monotonic) {
        self.now = now;
    }

    /// A leg with that Call-ID begins. Should a call come back to us with the Call-ID of another leg, that one
    /// keeps what follows.
    pub(crate) fn begin(&mut self, leg: LegId, call_id: &[u8]) {
        if call_id.len() > CALL_ID && !mutant::mutant("sip-ladder-unbounded") {
            return;
        }
        self.by_call.entry(call_id.to_vec()).or_insert(leg);
        let rungs = Rungs {
            call_id: call_id.to_vec(),
            began: self.now,
            steps: Vec::new(),
            left_out: 0,
            paths: Vec::new(),
            open: BTreeSet::new(),
        };
        self.kept.insert(leg, rungs);
        self.touched.insert(leg);
    }

    /// A message came; gives the leg that it belongs to.
    pub(crate) fn received(&mut self, message: &Message, path: Path) -> Option<LegId> {
        match message {
            Message::Request(request) => self.asked(request, path),
            Message::Response(Response { status, head, .. }) => {
                self.note(head, What::Response(*status, head.cseq.method.clone()), path)
            }
        }
    }

    /// A request came; gives the leg that it belongs to.
    pub(crate) fn asked(&mut self, request: &Request, path: Path) -> Option<LegId> {
        if mutant::mutant("sip-ladder-of-sent-alone") {
            return None;
        }
        self.note(&request.head, What::Request(request.method.clone()), path)
    }

    /// A message of ours goes out; gives the leg that it belongs to.
    pub(crate) fn sent(&mut self, bytes: &[u8], path: Path) -> Option<LegId> {
        let (what, number, leg) = self.read(bytes)?;
        self.step(leg, Way::Sent, what, number, path);
        Some(leg)
    }

    /// Whether an answer is to come that belongs into the ladder of this leg.
    pub(crate) fn awaits(&self, leg: LegId) -> bool {
        self.kept.get(&leg).is_some_and(|rungs| !rungs.open.is_empty())
    }

    /// The legs whose ladders became whole since the last call.
    pub(crate) fn whole(&mut self) -> Vec<LegId> {
        std::mem::take(&mut self.whole)
    }

    /// The ladder of a leg, as far as it is; empty where there is no such leg.
    pub(crate) fn of(&self, leg: LegId) -> Ladder {
        let Some(rungs) = self.kept.get(&leg) else { return Ladder::default() };
        let steps = rungs.steps.iter().map(|rung| rung.shown(rungs.began)).collect();
        let paths = rungs.paths.iter().map(Path::shown).collect();
        Ladder { began: rungs.began, steps, left_out: rungs.left_out, paths }
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
    pub(crate) fn changes(&mut self) -> impl Iterator<Item = (LegId, Option<&Rungs>)> {
        let touched = std::mem::take(&mut self.touched);
        touched.into_iter().map(|leg| (leg, self.kept.get(&leg)))
    }

    fn note(&mut self, head: &Head, what: What, path: Path) -> Option<LegId> {
        let leg = self.by_call.get(&head.call_id).copied()?;
        self.step(leg, Way::Received, what, head.cseq.number, path);
        Some(leg)
    }

    fn step(&mut self, leg: LegId, way: Way, what: What, number: u32, path: Path) {
        let now = self.now;
        let Some(rungs) = self.kept.get_mut(&leg) else { return };
        let open = !rungs.open.is_empty();
        rungs.ask(way, &what, number);
        if open && rungs.open.is_empty() {
            self.whole.push(leg);
        }
        let path = rungs.path(path);
        rungs.step(Rung { at: now, way, what: what.bounded(), number, repeated: 0, path });
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
    /// Keeps in mind what is asked, and strikes out what is answered.
    fn ask(&mut self, way: Way, what: &What, number: u32) {
        let acknowledgement = || (number, Method::Ack.as_bytes().to_vec());
        match (way, what) {
            (Way::Sent, What::Request(method)) if *method != Method::Ack && self.open.len() < OPEN => {
                self.open.insert((number, method.as_bytes().to_vec()));
            }
            (Way::Sent, What::Response(status, Method::Invite))
                if !status.is_provisional() && self.open.len() < OPEN =>
            {
                self.open.insert(acknowledgement());
            }
            (Way::Received, What::Response(status, method)) if !status.is_provisional() => {
                self.open.remove(&(number, method.as_bytes().to_vec()));
            }
            (Way::Received, What::Request(Method::Ack)) => {
                self.open.remove(&acknowledgement());
            }
            _ => {}
        }
    }

    /// The number of a path, where there is room for it.
    fn path(&mut self, path: Path) -> Option<u8> {
        let at = match self.paths.iter().position(|known| *known == path) {
            Some(at) => at,
            None if self.paths.len() < PATHS => {
                self.paths.push(path);
                self.paths.len() - 1
            }
            None => return None,
        };
        u8::try_from(at).ok()
    }

    /// One step more; the same message once more is counted where it stands.
    fn step(&mut self, rung: Rung) {
        let same = |known: &&mut Rung| {
            (known.way, known.number, known.path) == (rung.way, rung.number, rung.path)
                && known.what == rung.what
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
            path: self.path,
        }
    }
}

impl Path {
    fn shown(&self) -> route_api::Path {
        route_api::Path {
            protocol: self.protocol.token().to_owned(),
            house: self.house.to_string(),
            far: self.far.to_string(),
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

    fn by(port: u16) -> Path {
        let address = |octet| SocketAddr::from(([192, 0, 2, octet], port));
        Path { protocol: Protocol::Tcp, house: address(1), far: address(2) }
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
            ladders.sent(&message("INFO", number), by(u16::try_from(number).unwrap()));
        }
        let ladder = ladders.of(LEG);
        assert_eq!((ladder.steps.len(), ladder.left_out), (FIRST + LAST, 1_000 - 32));
        assert_eq!(ladder.steps[FIRST - 1].exchange, "23 INFO");
        assert_eq!(ladder.steps[FIRST].exchange, "992 INFO");
        assert_eq!(ladder.steps[31].exchange, "999 INFO");
        assert_eq!((ladder.paths.len(), ladder.steps[0].path, ladder.steps[8].path), (PATHS, Some(0), None));
        ladders.sent(&message(&"X".repeat(10_000), 2_000), by(0));
        assert_eq!(ladders.of(LEG).steps[31].message, "X".repeat(METHOD));
        assert_eq!(ladders.kept[&LEG].open.len(), OPEN);
        let other = LegId(Uid([2; 16]));
        ladders.begin(other, &[b'a'; CALL_ID + 1]);
        assert!(!ladders.kept.contains_key(&other), "a Call-ID without end");
    }

    #[test]
    fn a_copy_is_a_mark_and_not_a_step() {
        let mut ladders = ladders();
        for after in [0, 500_000, 1_500_000] {
            ladders.arrive_at(Monotonic(1_000_000 + after * 1_000));
            ladders.sent(&message("INVITE", 1), by(1));
        }
        ladders.sent(b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\nCall-ID: a\r\n\r\n", by(1));
        ladders.sent(b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\nCall-ID: a\r\n\r\n", by(2));
        assert!(
            ladders.sent(b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\nCall-ID: another\r\n\r\n", by(1)).is_none()
        );
        let steps = ladders.of(LEG).steps;
        let seen: Vec<_> = steps.iter().map(|s| (s.after_us, &*s.message, s.repeated, s.path)).collect();
        let answer = |path| (1_500_000, "200 OK", 0, Some(path));
        assert_eq!(seen, [(0, "INVITE", 2, Some(0)), answer(0), answer(1)], "another path is another step");
        ladders.forget(LEG);
        ladders.sent(&message("BYE", 2), by(1));
        assert!(ladders.of(LEG).steps.is_empty() && ladders.by_call.is_empty());
    }
}
