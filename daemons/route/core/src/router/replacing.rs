//! A new leg takes the place of one that a call has (INVITE with Replaces, RFC 3891): a second device of a phone takes
//! its talk over, a colleague picks up what rings.
//!
//! ```text
//!  Replacing ─► entitled? ─► media opens ─► Answer ─► Confirmed ─► still entitled? ─► bridged, the other let go
//!                   └─ HangUp                 └─ nothing comes, it ends: the call is as it was      └─ HangUp
//! ```
//!
//! Until the new leg has confirmed our answer nothing of the call changes: whatever comes to nothing, the caller is
//! where they were. Who may:
//!
//! | the leg                           | whose place a phone may take                                                 |
//! |-----------------------------------|------------------------------------------------------------------------------|
//! | talks                             | the phone's own                                                              |
//! | rings, of a queue                 | the phone's own; for a signed-in agent who serves the queue and is free: any |
//! | rings, of a transfer or a phone's call | the phone's own; for a free agent who serves a queue with who is rung: theirs |
//!
//! The recording goes on; the new leg has a track of its own, and the leg that it replaced keeps what it said.

use super::{CONFIRMATION, Link, MEDIA, Router, reaching::free};
use crate::{
    agent::{Next, State},
    call::{Call, Hold, Offer, OfferStep, Reach, Replacing, Stage, Talk, Wait},
    leg::{Leg, Line, Sound},
    memo,
};
use mutant::mutant;
use report_api::{OfferOutcome, OfferRecord};
use route_api::{Cause, Endpoint, LegState, MediaCommand, SessionDescription, SignallingCommand, Wanted};
use types::{AgentId, Extension, LegId, Monotonic, QueueId};

/// A new leg and the place that it wants.
pub(super) struct Newcomer {
    pub leg: LegId,
    pub at: Monotonic,
    pub over: Endpoint,
    pub replaces: LegId,
    pub wanted: Wanted,
    pub description: Option<SessionDescription>,
    pub reference: String,
}

/// Who would be in the conversation, and what they do afterwards.
type Seat = (Option<AgentId>, Next);
type Refusal = (Cause, &'static str);

const NOT_THEIRS: Refusal = (Cause::CallRejected, "neither the phone's own nor a colleague's that rings");
const NOT_NOW: Refusal = (Cause::TemporaryFailure, "nobody's place is free at this moment");

impl Router {
    /// A phone wants the place of a leg.
    pub(super) fn replacing(&mut self, newcomer: Newcomer) {
        let (leg, over) = (newcomer.leg, newcomer.over.clone());
        // One that an earlier life of route has taken, and of which nobody knows any more, is ended as the edge attaches.
        if self.legs.contains_key(&leg) || self.signalling != Link::Attached {
            return;
        }
        let mut refused = Some(Cause::NormalClearing);
        self.with_leg(newcomer.replaces, |router, call, of| {
            let outcome = match (&call.replacing, router.media) {
                (None, Link::Attached) => router.entitled(call, of, newcomer.wanted, &over),
                _ => Err(NOT_NOW),
            };
            let asked = match outcome {
                Ok(_) => "place.asked",
                Err(_) => "place.refused",
            };
            let why = outcome.as_ref().err().map_or("", |(_, why)| why);
            call.decide(
                router.now.utc,
                asked,
                format!("{} wants the place of leg {of} {why}", named(&over)).trim_end(),
            );
            refused = outcome.as_ref().err().map(|(cause, _)| *cause);
            if let Ok((agent, _)) = outcome {
                router.admit(call, newcomer, agent);
            }
        });
        if let Some(cause) = refused {
            self.signal(SignallingCommand::HangUp { leg, cause });
        }
    }

    fn admit(&mut self, call: &mut Call, newcomer: Newcomer, agent: Option<AgentId>) {
        let Newcomer { leg, at, over, replaces: of, wanted, description, reference } = newcomer;
        let endpoint = Some(over.clone());
        let mut side = Leg::offered(leg, over, self.utc_of(at), super::arriving::cut(&reference));
        (side.sound, side.agent) = (Sound::Opening, agent);
        call.agents.push(side);
        self.legs.insert(leg, call.id);
        let until = self.now.monotonic.plus(MEDIA);
        call.replacing = Some(Replacing { leg, of, wanted, until, offer: description.clone() });
        let memo = memo::part_of(call.id);
        self.signal(SignallingCommand::Remember { leg, memo: memo.clone() });
        self.sound(MediaCommand::Open { leg, offer: description, memo, beside: None, over: endpoint });
    }

    /// media made its description for a newcomer; `false` where this leg is none.
    pub(super) fn place_opened(
        &mut self,
        call: &mut Call,
        id: LegId,
        description: &SessionDescription,
    ) -> bool {
        let (now, memo) = (self.now, memo::part_of(call.id));
        let Some(replacing) = call.replacing.as_mut().filter(|replacing| replacing.leg == id) else {
            return false;
        };
        replacing.until = now.monotonic.plus(CONFIRMATION);
        if let Some(leg) = call.leg(id) {
            leg.sound = Sound::Open;
            leg.answered = Some(now.utc);
            leg.early = Some(description.clone());
        }
        self.signal(SignallingCommand::Answer { leg: id, description: description.clone(), memo });
        if mutant("route-place-taken-unconfirmed") {
            self.take_place(call, id);
        }
        true
    }

    /// The newcomer has our answer; `false` where this leg is none.
    pub(super) fn place_confirmed(
        &mut self,
        call: &mut Call,
        id: LegId,
        answer: Option<SessionDescription>,
    ) -> bool {
        let Some(replacing) = call.replacing.as_mut().filter(|replacing| replacing.leg == id) else {
            return false;
        };
        replacing.until = self.now.monotonic.plus(MEDIA);
        let theirs = replacing.offer.is_some();
        let Some(leg) = call.leg(id) else { return true };
        (leg.line, leg.early) = (Line::Established, None);
        match answer {
            _ if theirs => self.take_place(call, id),
            Some(answer) => {
                leg.answer = Some(answer.clone());
                self.sound(MediaCommand::Accept { leg: id, answer });
            }
            None => {
                self.give_up_place(call, Cause::Interworking, "it confirmed without an answer to our offer")
            }
        }
        true
    }

    /// media took the newcomer's answer to our offer; `false` where this leg is none.
    pub(super) fn place_accepted(&mut self, call: &mut Call, id: LegId) -> bool {
        let ours = call.replacing.as_ref().is_some_and(|replacing| replacing.leg == id);
        if ours && call.leg(id).is_some_and(|leg| leg.line == Line::Established) {
            self.take_place(call, id);
        }
        ours
    }

    /// The leg of a newcomer is over, or media cannot have it; `false` where this leg is none.
    pub(super) fn place_lost(&mut self, call: &mut Call, id: LegId, cause: Cause) -> bool {
        let ours = call.replacing.as_ref().is_some_and(|replacing| replacing.leg == id);
        if ours {
            self.give_up_place(call, cause, "its leg ended");
        }
        ours
    }

    /// Lets a newcomer go; the call is as it was.
    pub(super) fn give_up_place(&mut self, call: &mut Call, cause: Cause, why: &str) {
        let Some(replacing) = call.replacing.take() else { return };
        call.decide(self.now.utc, "place.kept", why.to_owned());
        if let Some(leg) = call.leg(replacing.leg) {
            self.hang_up_leg(leg, cause);
        }
    }

    /// A newcomer's time is over.
    pub(super) fn place_overdue(&mut self, call: &mut Call) {
        if call.replacing.as_ref().is_some_and(|replacing| replacing.until <= self.now.monotonic) {
            self.give_up_place(call, Cause::RecoveryOnTimerExpiry, "nothing more came of it");
        }
    }

    /// What the edge has of a newcomer's leg as it comes back; `false` where this leg is none.
    pub(super) fn place_found(&mut self, call: &mut Call, id: LegId, state: LegState) -> bool {
        let Some(replacing) = call.replacing.as_ref().filter(|replacing| replacing.leg == id) else {
            return false;
        };
        let theirs = replacing.offer.is_some();
        let early = call.leg(id).and_then(|leg| leg.early.clone());
        match (state, early) {
            (LegState::Ringing, Some(description)) => {
                let memo = memo::part_of(call.id);
                self.signal(SignallingCommand::Answer { leg: id, description, memo });
            }
            (LegState::Ringing, None) => {}
            (LegState::Established, _) if theirs => {
                self.place_confirmed(call, id, None);
            }
            // Its answer came while nobody listened.
            (LegState::Established, _) => {
                self.give_up_place(call, Cause::TemporaryFailure, "its answer was lost");
            }
        }
        true
    }

    /// The offer of a newcomer, for a media edge that may not have heard it; nothing where this leg is none.
    pub(super) fn place_offer(call: &Call, id: LegId) -> Option<SessionDescription> {
        call.replacing.as_ref().filter(|replacing| replacing.leg == id)?.offer.clone()
    }

    /// Who would sit in the place of this leg, for a phone that wants it; or why it may not be had.
    fn entitled(&self, call: &Call, of: LegId, wanted: Wanted, over: &Endpoint) -> Result<Seat, Refusal> {
        let Endpoint::Phone(phone) = over else { return Err(NOT_THEIRS) };
        let leg = call.legs().find(|leg| leg.id == of).ok_or(NOT_NOW)?;
        let own = leg.over == *over || mutant("route-anybody-takes-a-place");
        let answered = match &call.stage {
            Stage::Talking(talk) => of == talk.leg || of == call.caller.id,
            Stage::Offering(_, Offer { leg, step, .. }) | Stage::Reaching(Reach { leg, step, .. }) => {
                of == *leg && matches!(step, OfferStep::Connecting { .. })
            }
            _ => false,
        };
        if answered && !own {
            return Err(NOT_THEIRS);
        } else if answered && wanted == Wanted::Ringing {
            return Err((Cause::UserBusy, "it has been answered, and only what rings was wanted"));
        }
        let wrap_up = Next::WrapUp { lasting: None };
        match &call.stage {
            Stage::Talking(_) if answered && leg.line != Line::Established => Err(NOT_NOW),
            Stage::Talking(talk) if of == talk.leg => {
                Ok((talk.agent.clone(), self.next_of(talk.agent.as_ref())))
            }
            Stage::Talking(_) if answered => Ok((None, wrap_up)),
            Stage::Offering(wait, offer) if of == offer.leg && offer.step != OfferStep::Opening => {
                match own {
                    true => Ok((Some(offer.agent.clone()), wrap_up)),
                    false => self.colleague(phone, |agent| self.plan.level(agent, &wait.queue).is_some()),
                }
            }
            Stage::Reaching(reach) if of == reach.leg && reach.step != OfferStep::Opening => match own {
                true => Ok((reach.agent.clone(), reach.next.clone())),
                false => {
                    let queue = reach.instead.as_ref().and_then(|talk| talk.queue.as_ref());
                    self.colleague(phone, |agent| self.works_with(agent, queue, reach.agent.as_ref()))
                }
            },
            _ => Err(NOT_NOW),
        }
    }

    /// Who sits at a phone, where that one may pick up and is free.
    fn colleague(&self, phone: &Extension, may: impl Fn(&AgentId) -> bool) -> Result<Seat, Refusal> {
        let seat = self.roster.0.iter().find(|(_, agent)| agent.phone.as_ref() == Some(phone));
        let (id, agent) = seat.filter(|(id, _)| may(id)).ok_or(NOT_THEIRS)?;
        let busy = (Cause::UserBusy, "who sits there is on a call");
        let next = free(agent).filter(|_| !self.is_dialling(phone)).ok_or(busy)?;
        Ok((Some(id.clone()), next))
    }

    /// Whether an agent serves the queue by which the caller came, or one that the other serves.
    fn works_with(&self, agent: &AgentId, queue: Option<&QueueId>, other: Option<&AgentId>) -> bool {
        let serves = |agent: &AgentId, queue: &QueueId| self.plan.level(agent, queue).is_some();
        let together = |queue: &QueueId| other.is_some_and(|other| serves(other, queue));
        let queues = self.plan.route.queues.iter().map(|queue| &queue.name);
        queues.into_iter().any(|name| serves(agent, name) && (queue == Some(name) || together(name)))
    }

    /// The newcomer is there: it takes the place, if it still may.
    fn take_place(&mut self, call: &mut Call, id: LegId) {
        let Some(Replacing { of, wanted, .. }) = call.replacing.clone() else { return };
        let Some(over) = call.leg(id).map(|leg| leg.over.clone()) else { return };
        let seat = match self.entitled(call, of, wanted, &over) {
            Ok(seat) => seat,
            Err((cause, why)) => return self.give_up_place(call, cause, why),
        };
        call.replacing = None;
        call.decide(self.now.utc, "place.taken", format!("{} is in the place of leg {of}", named(&over)));
        match call.stage.clone() {
            Stage::Talking(talk) if of == talk.leg => self.go_on_at(call, talk, id),
            Stage::Talking(talk) => self.go_on_from(call, &talk, id),
            Stage::Offering(wait, offer) => self.pick_up(call, wait, offer, id, seat),
            Stage::Reaching(reach) => self.reach_by(call, reach, id, seat),
            _ => {}
        }
        self.join_recording(call, id);
        self.tap(call);
    }

    /// The other device of who talks with the caller.
    fn go_on_at(&mut self, call: &mut Call, talk: Talk, id: LegId) {
        let before = talk.leg;
        call.stage = Stage::Talking(Talk { leg: id, hold: Hold::None, ..talk });
        self.sound(MediaCommand::Bridge { leg: call.caller.id, with: id });
        if let Some(leg) = call.leg(before).filter(|_| !mutant("route-replaced-leg-left")) {
            self.hang_up_leg(leg, Cause::NormalClearing);
        }
    }

    /// The other device of who called. The memo of the call goes to its leg first: after a kill in between either of the
    /// two has the call.
    fn go_on_from(&mut self, call: &mut Call, talk: &Talk, id: LegId) {
        let Some(at) = call.agents.iter().position(|leg| leg.id == id) else { return };
        let newcomer = call.agents.remove(at);
        let mut before = std::mem::replace(&mut call.caller, newcomer);
        before.line = Line::Ending { cause: Cause::NormalClearing };
        let (leg, memo) = (before.id, memo::part_of(call.id));
        call.agents.insert(0, before);
        call.remembered.clear();
        self.remember(call);
        self.signal(SignallingCommand::Remember { leg, memo: memo.clone() });
        self.sound(MediaCommand::Bridge { leg: id, with: talk.leg });
        self.signal(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
        if let Some(leg) = call.leg(leg) {
            self.close(leg);
        }
    }

    /// A colleague, or another device of who is rung, takes a caller of a queue.
    fn pick_up(&mut self, call: &mut Call, mut wait: Wait, offer: Offer, id: LegId, (agent, next): Seat) {
        let Some(agent) = agent else { return };
        let now = self.now;
        let entry = |agent: &AgentId, phone: &Extension, at, outcome| OfferRecord {
            agent: agent.clone(),
            phone: phone.clone(),
            at,
            until: now.utc,
            outcome,
        };
        if agent == offer.agent {
            wait.offers.push(entry(&agent, &offer.phone, offer.at, OfferOutcome::Answered));
        } else {
            wait.offers.push(entry(&offer.agent, &offer.phone, offer.at, OfferOutcome::Taken));
            let phone = self.roster.0.get(&agent).and_then(|agent| agent.phone.clone());
            let phone = phone.unwrap_or_else(|| offer.phone.clone());
            wait.offers.push(entry(&agent, &phone, now.utc, OfferOutcome::Answered));
            self.release(&offer.agent);
        }
        let queue = wait.queue.clone();
        self.leave(call, wait);
        self.set_agent(&agent, State::Talking { call: call.id, next });
        let talk =
            Talk { agent: Some(agent), leg: id, queue: Some(queue), since: now.monotonic, hold: Hold::None };
        call.stage = Stage::Talking(talk);
        self.sound(MediaCommand::Bridge { leg: call.caller.id, with: id });
        if let Some(leg) = call.leg(offer.leg) {
            self.hang_up_leg(leg, Cause::NormalClearing);
        }
    }

    /// The same for who is called by a phone, or by a transfer.
    fn reach_by(&mut self, call: &mut Call, reach: Reach, id: LegId, (agent, next): Seat) {
        if agent == reach.agent {
            if let Some(leg) = call.leg(reach.leg) {
                self.hang_up_leg(leg, Cause::NormalClearing);
            }
        } else {
            self.give_up_reach(call, &reach, Cause::NormalClearing);
        }
        self.reached(call, id, (agent, next), reach.instead);
    }
}

fn named(over: &Endpoint) -> String {
    match over {
        Endpoint::Phone(phone) => format!("phone {phone}"),
        Endpoint::Trunk(trunk) => format!("trunk {trunk}"),
    }
}
