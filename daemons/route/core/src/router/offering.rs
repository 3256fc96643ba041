//! The ACD: whom the next caller is offered to, and what comes of the offer.
//!
//! Callers are looked at in the order in which they entered, over all queues. Among the agents who serve a
//! caller's queue, are ready and have a phone that can be reached, the highest skill counts, then the longest
//! idle time, then the name.

use super::{
    HOLD, Link, MEDIA, REMOVED, Router, SIGN, Staffing, Unserved, queueing::FIRST_WORD, staffing::PHONE_LOST,
};
use crate::{
    agent::{Agent, State, Touched},
    bench::Rank,
    call::{Call, Offer, OfferStep, Place, Stage, Wait},
    leg::{Line, Sound},
    memo,
};
use mutant::mutant;
use report_api::{OfferOutcome, OfferRecord};
use route_api::{
    Cause, EndedBy, Endpoint, MediaRefusal, Reachability, SessionDescription, SignallingCommand,
};
use std::{collections::BTreeSet, time::Duration};
use types::{AgentId, CallId, Extension, LegId, Monotonic, QueueId};

/// Ring, no answer: the reason of the agent's auxiliary work.
const RONA: &str = "rona";

/// What becomes of the agent when an offer has failed.
pub(super) enum Fate {
    /// Not the agent's doing.
    Ready,
    /// The agent takes no more contacts until they say so.
    Aux(&'static str),
}

/// An agent who can be offered a caller.
struct Candidate {
    agent: AgentId,
    phone: Extension,
    level: u8,
    idle: Monotonic,
}

impl Router {
    /// Makes every offer that can be made now.
    pub(super) fn dispatch(&mut self) {
        if std::mem::replace(&mut self.staffing, Staffing::Settled) == Staffing::Fewer {
            self.leave_unstaffed();
        }
        if self.signalling != Link::Attached || self.media != Link::Attached {
            return;
        }
        self.follow_roster();
        if self.bench.is_empty() || self.seeking.is_empty() {
            return;
        }
        let now = self.now.monotonic;
        let seeking: Vec<CallId> = self.seeking.iter().map(|(_, call)| *call).collect();
        let mut exhausted = BTreeSet::new();
        for call in seeking {
            let Some(Stage::Waiting(wait)) = self.calls.get(&call).map(|call| &call.stage) else { continue };
            if wait.hold > now || exhausted.contains(&wait.queue) {
                continue;
            }
            match self.best(&wait.queue) {
                Some((chosen, ready)) => {
                    self.with_call(call, |router, call| router.make_offer(call, chosen, ready));
                    self.follow_roster();
                }
                None => {
                    exhausted.insert(wait.queue.clone());
                }
            }
        }
    }

    /// Brings the bench up to what has become of agents.
    fn follow_roster(&mut self) {
        let Some(touched) = self.roster.0.take_unseated() else { return };
        let touched: Vec<AgentId> = match touched {
            Touched::Only(some) => some.into_iter().collect(),
            Touched::All => {
                self.bench.clear();
                self.roster.0.keys().cloned().collect()
            }
        };
        for id in touched {
            self.bench.leave(&id);
            let Some(Agent { phone: Some(phone), state: State::Ready, idle, .. }) = self.roster.0.get(&id)
            else {
                continue;
            };
            let reachable = self.endpoints.get(&Endpoint::Phone(phone.clone()));
            if reachable == Some(&Reachability::Reachable)
                && let Some(agent) = self.plan.agent(&id)
            {
                self.bench.join(&id, phone, *idle, &agent.queues);
            }
        }
    }

    /// Who takes the next caller of this queue, and out of how many: nobody at whose phone somebody calls.
    fn best(&self, queue: &QueueId) -> Option<(Candidate, usize)> {
        let ready = self.bench.of(queue)?;
        let (rank, phone) = ready.iter().find(|(_, phone)| !self.is_dialling(phone))?;
        let count = match self.dialling.is_empty() {
            true => ready.len(),
            false => ready.values().filter(|phone| !self.is_dialling(phone)).count(),
        };
        let Rank { level, idle, agent } = rank.clone();
        Some((Candidate { agent, phone: phone.clone(), level: level.0, idle }, count))
    }

    /// Whether somebody is on a call of their own at this phone.
    pub(super) fn is_dialling(&self, phone: &Extension) -> bool {
        self.dialling.values().any(|other| other == phone)
    }

    fn make_offer(&mut self, call: &mut Call, chosen: Candidate, ready: usize) {
        let Stage::Waiting(wait) = &call.stage else { return };
        let wait = wait.clone();
        let now = self.now;
        let Candidate { agent, phone, level, idle } = chosen;
        call.decide(
            now.utc,
            "offer.made",
            format!(
                "longest-idle in {}: {agent} (level {level}, idle {} s) of {ready} ready",
                wait.queue,
                now.monotonic.since(idle).as_secs()
            ),
        );
        let leg = self.open_leg(call, Endpoint::Phone(phone.clone()), Some(agent.clone()));
        self.set_agent(&agent, State::Offered { call: call.id });
        call.stage = Stage::Offering(
            wait,
            Offer {
                agent,
                phone,
                leg,
                at: now.utc,
                step: OfferStep::Opening,
                until: now.monotonic.plus(MEDIA),
            },
        );
        self.begin_recording(call);
    }

    /// media made our description for the agent's phone; `false` where this leg is no such offer.
    pub(super) fn offer_opened(
        &mut self,
        call: &mut Call,
        id: LegId,
        description: &SessionDescription,
    ) -> bool {
        let (call_id, from) = (call.id, call.from.clone());
        let ring = self.ring(&call.stage);
        let Stage::Offering(_, offer) = &mut call.stage else { return false };
        if offer.leg != id || offer.step != OfferStep::Opening {
            return false;
        }
        offer.step = OfferStep::Dialling;
        offer.at = self.now.utc;
        offer.until = self.now.monotonic.plus(ring.min(SIGN));
        let phone = offer.phone.clone();
        if let Some(leg) = call.leg(id) {
            leg.sound = Sound::Open;
            leg.line = Line::Ringing;
            leg.began = self.now.utc;
        }
        // The call's own memo goes first: after a crash between the two the leg is known as this offer's.
        self.remember(call);
        self.signal(SignallingCommand::Dial {
            leg: id,
            number: phone.to_string(),
            over: Endpoint::Phone(phone),
            from,
            description: description.clone(),
            memo: memo::part_of(call_id),
            silence_ms: None,
        });
        true
    }

    fn ring(&self, stage: &Stage) -> Duration {
        let queue = match stage {
            Stage::Offering(wait, _) => self.plan.queue(&wait.queue),
            _ => None,
        };
        queue.map_or(Duration::from_secs(15), |queue| queue.ring.duration())
    }

    /// The called side rings. What an agent's phone says early nobody hears: the caller has its music.
    pub(super) fn rings(&mut self, call: &mut Call, id: LegId, early: Option<SessionDescription>) {
        self.reach_rings(call, id, early);
        let ring = self.ring(&call.stage);
        if let Stage::Offering(_, offer) = &mut call.stage
            && offer.leg == id
            && offer.step == OfferStep::Dialling
        {
            offer.step = OfferStep::Ringing;
            offer.at = self.now.utc;
            offer.until = self.now.monotonic.plus(ring);
        }
    }

    pub(super) fn offer_overdue(&mut self, call: &mut Call) {
        let Stage::Offering(_, offer) = &call.stage else { return };
        match offer.step {
            OfferStep::Dialling => {
                let why = "the phone gave no sign of ringing";
                let fate = Fate::Aux(PHONE_LOST);
                self.offer_failed(call, OfferOutcome::Failed, fate, Cause::NoUserResponding, why);
            }
            OfferStep::Ringing => {
                let fate = Fate::Aux(RONA);
                self.offer_failed(
                    call,
                    OfferOutcome::NoAnswer,
                    fate,
                    Cause::NoAnswer,
                    "it rang, nobody answered",
                );
            }
            OfferStep::Opening | OfferStep::Connecting { .. } => {
                let why = "media did not answer in time";
                self.offer_failed(call, OfferOutcome::Failed, Fate::Ready, Cause::TemporaryFailure, why);
            }
        }
    }

    /// The agent's leg ended before the two talked.
    pub(super) fn offer_ended(&mut self, call: &mut Call, cause: Cause, by: EndedBy) {
        let (outcome, fate) = match (by, cause) {
            (_, Cause::NoAnswer) => (OfferOutcome::NoAnswer, Fate::Aux(RONA)),
            (_, Cause::NoUserResponding | Cause::RecoveryOnTimerExpiry) => {
                (OfferOutcome::Failed, Fate::Aux(PHONE_LOST))
            }
            (_, Cause::UserBusy) => (OfferOutcome::Failed, Fate::Aux("busy")),
            (_, Cause::CallRejected) => (OfferOutcome::Failed, Fate::Aux("refused")),
            (EndedBy::House, _) | (_, Cause::TemporaryFailure | Cause::NoCircuitAvailable) => {
                (OfferOutcome::Failed, Fate::Ready)
            }
            _ => (OfferOutcome::Failed, Fate::Aux("phone-failed")),
        };
        self.offer_failed(call, outcome, fate, cause, &format!("the leg ended, cause {}", cause.q850()));
    }

    /// media cannot open the agent's leg, or not take the phone's answer.
    pub(super) fn offer_refused(
        &mut self,
        call: &mut Call,
        id: LegId,
        reason: MediaRefusal,
        cause: Cause,
        why: &str,
    ) {
        if matches!(&call.stage, Stage::Reaching(reach) if reach.leg == id) {
            return self.reach_failed(call, cause, why);
        }
        let Stage::Offering(_, offer) = &call.stage else { return };
        if offer.leg != id {
            return;
        }
        let fate = match offer.step {
            OfferStep::Connecting { .. } if reason != MediaRefusal::NoPort => Fate::Aux("phone-failed"),
            _ => Fate::Ready,
        };
        self.offer_failed(call, OfferOutcome::Failed, fate, cause, why);
    }

    /// The offer came to nothing: the caller waits again, at its place.
    pub(super) fn offer_failed(
        &mut self,
        call: &mut Call,
        outcome: OfferOutcome,
        fate: Fate,
        cause: Cause,
        why: &str,
    ) {
        let Some((mut wait, offer)) = self.end_offer(call, outcome, cause) else { return };
        call.decide(self.now.utc, "offer.failed", format!("{}: {why}", offer.agent));
        match fate {
            Fate::Aux(reason) => {
                let offered =
                    self.roster.0.get(&offer.agent).is_some_and(|agent| agent.call() == Some(call.id));
                if offered {
                    self.set_agent(&offer.agent, State::Aux { reason: reason.to_owned() });
                }
            }
            Fate::Ready => {
                self.release(&offer.agent);
                wait.failures += 1;
                let hold = HOLD.saturating_mul(wait.failures).min(Duration::from_secs(60));
                wait.hold = self.now.monotonic.plus(hold);
            }
        }
        if mutant("route-lose-place-on-rona") {
            self.orders += 1;
            let last = Place { entered: self.now.monotonic, order: self.orders };
            let places = self.queues.entry(wait.queue.clone()).or_default();
            places.remove(&wait.place);
            places.insert(last, call.id);
            wait.place = last;
        }
        let removed = self.plan.queue(&wait.queue).is_none();
        // A word that fell due while it rang is said soon, unless the next phone rings at once.
        wait.word = wait.word.max(self.now.monotonic.plus(FIRST_WORD));
        call.stage = Stage::Waiting(wait);
        if removed {
            self.overflow(call, Unserved::Removed, REMOVED);
        }
    }

    /// Ends the offer of a call, if there is one, and its leg; the agent's state is left to the caller of
    /// this. The stage is to be set afterwards.
    pub(super) fn end_offer(
        &mut self,
        call: &mut Call,
        outcome: OfferOutcome,
        cause: Cause,
    ) -> Option<(Wait, Offer)> {
        let Stage::Offering(wait, offer) = &call.stage else { return None };
        let (mut wait, offer) = (wait.clone(), offer.clone());
        wait.offers.push(OfferRecord {
            agent: offer.agent.clone(),
            phone: offer.phone.clone(),
            at: offer.at,
            until: self.now.utc,
            outcome,
        });
        if let Some(leg) = call.leg(offer.leg) {
            self.hang_up_leg(leg, cause);
        }
        Some((wait, offer))
    }
}
