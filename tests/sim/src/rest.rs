//! The house at rest: what must be true whatever happened.

use crate::{
    ledger::Track,
    line::{Line, State},
    world::World,
};
use report_api::{Disposition, Recorded};
use route_api::{AgentState, Cause, EndedBy, Stage};
use route_core::Router;
use sip_core::Change;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use types::{LegId, Monotonic};

/// What a kill of media may cost: the batch that is not handed over, and what waits for its order.
const MEDIA_LOSS: Duration = Duration::from_millis(300);
/// How long a daemon may be away for its calls to go on.
const PATIENCE: Duration = Duration::from_secs(5);
/// How far the end of a leg in a call record may be from its end at the edge.
const PUNCTUAL: Duration = Duration::from_millis(20);
/// Violations that are told.
const TOLD: usize = 12;

impl World {
    /// Every promise that was broken, in words; empty where all were kept.
    pub fn violations(&self) -> Vec<String> {
        let mut broken = self.ledger.amiss.clone();
        self.check_cores(&mut broken);
        self.check_parties(&mut broken);
        self.check_records(&mut broken);
        self.check_recordings(&mut broken);
        self.check_tracks(&mut broken);
        self.check_hearing(&mut broken);
        self.check_keys(&mut broken);
        if self.scenario.deaths.as_ref().is_none_or(|deaths| deaths.away.end < PATIENCE) {
            self.check_talks(&mut broken);
            self.check_ends(&mut broken);
        }
        if self.scenario.deaths.is_none() && self.scenario.vanish == 0 {
            self.check_calm(&mut broken);
        }
        broken.truncate(TOLD);
        broken
    }

    /// Choices at menus.
    pub fn choices(&self) -> usize {
        let decisions = self.ledger.records.values().flat_map(|record| &record.decisions);
        decisions.filter(|decision| decision.what == "menu.chosen").count()
    }

    /// Provisional responses that the house acknowledged, and packets that were heard before an answer.
    pub fn early(&self) -> (u32, usize) {
        (self.lines.values().map(|line| line.pracks).sum(), self.ledger.early)
    }

    /// Transfers that came to a good end, and those that did not.
    pub fn transfers(&self) -> (usize, usize) {
        let decisions = self.ledger.records.values().flat_map(|record| &record.decisions);
        let count = |what: &str| decisions.clone().filter(|decision| decision.what == what).count();
        (count("transfer.done"), count("transfer.failed"))
    }

    /// Places that were taken by another device or a colleague, and those that were asked for and not had.
    pub fn places(&self) -> (usize, usize) {
        let decisions = self.ledger.records.values().flat_map(|record| &record.decisions);
        let count = |what: &str| decisions.clone().filter(|decision| decision.what == what).count();
        (count("place.taken"), count("place.refused") + count("place.kept"))
    }

    /// What happened, in figures.
    pub fn summary(&self) -> String {
        let mut dispositions: BTreeMap<String, u32> = BTreeMap::new();
        for record in self.ledger.records.values() {
            *dispositions.entry(format!("{:?}", record.disposition)).or_default() += 1;
        }
        let changes: u32 = self.lines.values().map(|line| line.changes).sum();
        let frames: usize = self.ledger.tracks.values().map(|track| track.recorded.len()).sum();
        format!(
            "{} s simulated, {} lines, {} offered, {dispositions:?}, {} recordings with {frames} frames, {changes} re-INVITEs, \
             {} deaths of media, {} of route, {} trace lines",
            self.now.0 / 1_000_000_000,
            self.lines.len(),
            self.ledger.offered.len(),
            self.ledger.recordings.len(),
            self.ledger.media_deaths.len(),
            self.ledger.route_deaths,
            self.trace().count(),
        )
    }

    fn check_cores(&self, broken: &mut Vec<String>) {
        let (Some(sip), Some(media), Some(route)) = (&self.up.sip, &self.up.media, &self.up.route) else {
            broken.push("a daemon is dead at the end".to_owned());
            return;
        };
        broken.extend(amiss(route));
        for change in sip.snapshot() {
            match change {
                Change::Leg(leg, Some(_)) => broken.push(format!("sip still has leg {leg}")),
                Change::Ended(leg, Some(_)) => broken.push(format!("sip still has the end of leg {leg}")),
                _ => {}
            }
        }
        broken.extend(media.legs().map(|leg| format!("media still has leg {}", leg.leg)));
        broken.extend(self.by_leg.keys().map(|leg| format!("leg {leg} still has a port")));
        broken.extend(route.live_calls().iter().map(|call| format!("route still has call {call:?}")));
        broken.extend(
            Router::queues(route)
                .iter()
                .flat_map(|queue| &queue.waiting)
                .map(|call| format!("call {call} still waits")),
        );
    }

    fn check_parties(&self, broken: &mut Vec<String>) {
        for line in self.lines.values().filter(|line| Self::is_live(line)) {
            broken.push(format!(
                "line {} ({:?}, {}) is still {:?}",
                line.number, line.side, line.call_id, line.state
            ));
        }
    }

    fn check_records(&self, broken: &mut Vec<String>) {
        let ledger = &self.ledger;
        let mut records: BTreeMap<LegId, u32> = BTreeMap::new();
        for record in ledger.records.values() {
            if let Some(leg) = record.legs.iter().find(|leg| leg.agent.is_none()) {
                *records.entry(leg.leg).or_default() += 1;
            }
        }
        for leg in &ledger.offered {
            match records.get(leg) {
                Some(1) => {}
                count => {
                    broken.push(format!("leg {leg} was offered and has {} call records", count.unwrap_or(&0)))
                }
            }
        }
    }

    fn check_recordings(&self, broken: &mut Vec<String>) {
        for (recording, (leg, times)) in &self.ledger.recordings {
            match times {
                1.. => {}
                0 => broken.push(format!("recording {recording} of leg {leg} was begun and never finished")),
            }
        }
    }

    fn check_tracks(&self, broken: &mut Vec<String>) {
        for ((recording, number), track) in &self.ledger.tracks {
            let Track { came, again, recorded } = track;
            let name = format!("recording {recording} track {number}");
            let lost: Vec<_> = came
                .iter()
                .filter(|(spoken, at)| !recorded.contains_key(spoken) && !self.died_with_media(**at))
                .collect();
            if !lost.is_empty() {
                broken.push(format!("{name}: {} of {} packets lost, {:?}", lost.len(), came.len(), lost[0]));
            }
            let extra = recorded
                .keys()
                .filter(|spoken| !came.contains_key(spoken) && !again.contains(spoken))
                .count();
            if extra > 0 {
                broken.push(format!("{name}: {extra} packets that did not come while it was tapped"));
            }
            // A copy that comes after the death of who heard the first cannot be told from a first.
            let copied = |spoken: &(u32, u32)| !self.ledger.media_deaths.is_empty() && again.contains(spoken);
            let twice: Vec<_> =
                recorded.iter().filter(|(spoken, times)| **times > 1 && !copied(spoken)).collect();
            if !twice.is_empty() {
                broken.push(format!(
                    "{name}: {} packets recorded more than once, {:?}",
                    twice.len(),
                    twice[0]
                ));
            }
        }
    }

    fn died_with_media(&self, came: Monotonic) -> bool {
        let soon = |death: &&Monotonic| **death >= came && death.since(came) <= MEDIA_LOSS;
        self.ledger.media_deaths.iter().any(|death| soon(&death))
    }

    /// Nobody hears himself, a stranger, or anything twice.
    fn check_hearing(&self, broken: &mut Vec<String>) {
        let mut together: BTreeSet<(u32, u32)> = BTreeSet::new();
        for record in self.ledger.records.values() {
            let lines: Vec<u32> =
                record.legs.iter().filter_map(|leg| self.ledger.line_of.get(&leg.leg)).copied().collect();
            for one in &lines {
                together.extend(lines.iter().filter(|other| *other != one).map(|other| (*one, *other)));
            }
        }
        for (speaker, hearer) in self.ledger.heard.keys() {
            if !together.contains(&(*speaker, *hearer)) {
                broken.push(format!("line {hearer} heard line {speaker}, who is not on its call"));
            }
        }
        if self.ledger.heard_twice > 0 && self.ledger.media_deaths.is_empty() {
            broken.push(format!("{} packets were passed on twice", self.ledger.heard_twice));
        }
    }

    /// Who hung up while nobody listened has hung up then, not when somebody listened again.
    fn check_ends(&self, broken: &mut Vec<String>) {
        for leg in self.ledger.records.values().flat_map(|record| &record.legs) {
            let Some(at) = self.ledger.ended.get(&leg.leg).map(|at| World::calendar(*at)) else { continue };
            let wrong = leg.ended.since(at).max(at.since(leg.ended));
            // Where route itself gave a leg up, it does not wait for the edge.
            if leg.by != EndedBy::Failure && wrong > PUNCTUAL {
                broken.push(format!("leg {} ended {wrong:?} from the time in its call record", leg.leg));
            }
        }
    }

    /// What a menu took is what the caller pressed, in order: nothing made up, nothing twice. Where nothing is
    /// lost, the first choice is the first key.
    fn check_keys(&self, broken: &mut Vec<String>) {
        for record in self.ledger.records.values() {
            let line = record.legs.first().and_then(|leg| self.ledger.line_of.get(&leg.leg));
            let pressed = line.and_then(|line| self.ledger.keys.get(line)).map_or("", String::as_str);
            let taken: String = record
                .decisions
                .iter()
                .filter(|decision| decision.what == "menu.chosen" || decision.what == "menu.invalid")
                .filter_map(|decision| decision.why.split([':', ' ']).nth(2))
                .collect();
            let mut rest = pressed.chars();
            let in_order = taken.chars().all(|key| rest.any(|pressed| pressed == key));
            if !in_order {
                broken.push(format!("call {}: menus took {taken:?} of {pressed:?}", record.call));
            }
        }
    }

    /// A conversation ends when one of the two ends it, whoever of the house died meanwhile.
    fn check_talks(&self, broken: &mut Vec<String>) {
        for record in self.ledger.records.values().filter(|r| r.disposition == Disposition::Answered) {
            // Who hung up before a word came has no line that is known, and has ended it.
            let unheard = |leg: &report_api::LegRecord| !self.ledger.line_of.contains_key(&leg.leg);
            if record.legs.iter().any(|leg| leg.by == EndedBy::Peer && leg.answered.is_some() && unheard(leg))
            {
                continue;
            }
            let lines =
                record.legs.iter().filter_map(|leg| self.lines.get(self.ledger.line_of.get(&leg.leg)?));
            let talked: Vec<_> = lines.filter(|line| line.status == 200).collect();
            if talked.len() > 1 && talked.iter().all(|line| line.ended_by_house) {
                broken.push(format!(
                    "call {} was cut by the house: {:?}",
                    record.call,
                    record.decisions.last()
                ));
            }
        }
    }

    /// Where nobody vanished and nobody died, no call fails and nobody goes unrecorded.
    fn check_calm(&self, broken: &mut Vec<String>) {
        for record in self.ledger.records.values() {
            let unmeetable = |leg: &report_api::LegRecord| leg.cause == Cause::BearerCapabilityNotImplemented;
            if record.disposition == Disposition::Failed && !record.legs.iter().any(unmeetable) {
                broken.push(format!("call {} failed: {:?}", record.call, record.decisions.last()));
            }
            if let (Disposition::Answered, Recorded::Yes { recording, .. }) =
                (record.disposition, &record.recording)
            {
                let long = record.legs.iter().filter_map(|leg| leg.answered).max();
                let long = long.is_some_and(|at| record.ended.since(at) > Duration::from_secs(2));
                let tracks = (0..=9).filter(|n| self.ledger.tracks.contains_key(&(*recording, *n))).count();
                if long && tracks < 2 {
                    broken.push(format!("call {} was talked on and has {tracks} tracks", record.call));
                }
            }
        }
        let unanswered = |line: &&Line| line.state == State::Over && line.status == 0;
        broken.extend(
            self.lines
                .values()
                .filter(unanswered)
                .map(|line| format!("line {} never had a final response", line.number)),
        );
    }
}

/// Agents are Offered or Talking with a live call that says the same, and calls with such agents.
pub fn amiss(route: &Router) -> Vec<String> {
    let busy = |state: &AgentState| matches!(state, AgentState::Offered | AgentState::Talking);
    let calls = route.live_calls();
    let on_call = |id| calls.iter().find(|call| Some(call.call) == id).map(|call| call.stage);
    let agents = route.agents();
    let wrong = agents.iter().filter(|agent| match on_call(agent.call) {
        Some(Stage::Offering) => agent.state != AgentState::Offered,
        Some(Stage::Talking) => agent.state != AgentState::Talking,
        // One hands the caller on, another is called.
        Some(Stage::Reaching) => !busy(&agent.state),
        Some(_) => true,
        None => busy(&agent.state) || agent.call.is_some(),
    });
    let idle = |agent: &types::AgentId| agents.iter().all(|a| a.agent != *agent || a.call.is_none());
    let forgotten = calls.iter().filter(|call| call.agent.as_ref().is_some_and(idle));
    wrong
        .map(|a| format!("agent {} is {:?}, and on a call that is {:?}", a.agent, a.state, on_call(a.call)))
        .chain(forgotten.map(|call| format!("call {call:?} has an agent who knows nothing of it")))
        .collect()
}
