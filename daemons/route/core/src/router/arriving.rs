//! From the offer to the first sound: admission, number, media, answer.

use super::{CLOSING, CONFIRMATION, Link, MEDIA, Router, UNSAVED, Unserved, call_of};
use crate::{
    call::{Arrival, Call, Offerer, Overflow, Recording, Secrets, Stage},
    digits::Digits,
    flows::Position,
    leg::{Leg, Line, Negotiation, Sound},
    memo,
};
use mutant::mutant;
use report_api::Disposition;
use route_api::{Cause, Endpoint, MediaCommand, MediaRefusal, Party, SessionDescription, SignallingCommand};
use settings::route::{Deed, Flow, Step};
use std::time::Duration;
use types::{LegId, Monotonic, Pii};

/// How long a call that comes while media is away waits for it: media is back within a second as a rule, and the
/// caller's side has its 100 meanwhile.
const AWAY: Duration = Duration::from_secs(2);
/// The longest number, name or reference that is kept, in characters; the edges have bounds of their own.
const LONGEST: usize = 128;

impl Router {
    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    pub(super) fn offered(
        &mut self,
        leg: LegId,
        at: Monotonic,
        over: Endpoint,
        from: Party,
        dialled: String,
        description: Option<SessionDescription>,
        reference: String,
    ) {
        if self.legs.contains_key(&leg) || self.is_over(call_of(leg)) {
            return;
        }
        if self.unsaved.len() >= UNSAVED {
            // Not even a refusal can be recorded: the edge keeps its own count of these.
            self.signal(SignallingCommand::HangUp { leg, cause: Cause::NoCircuitAvailable });
            return;
        }
        let (now, at) = (self.now, self.utc_of(at));
        let dialled = cut(&dialled);
        let flow = self.plan.flow(&dialled).and_then(|name| {
            let (version, flow) = self.flows.present(name)?;
            Some((Position { flow: name.clone(), version, step: 0, name: None }, flow))
        });
        let mut call = Call {
            id: call_of(leg),
            offered: at,
            from: Party {
                number: Pii::new(cut(from.number.reveal())),
                display: from.display.map(|display| Pii::new(cut(display.reveal()))),
            },
            position: flow.as_ref().map(|(position, _)| position.clone()),
            unasked: 0,
            digits: Digits::default(),
            secrets: flow.as_ref().map_or(Secrets::None, |(_, flow)| secrets(flow)),
            caller: Leg::offered(leg, over, at, cut(&reference)),
            agents: Vec::new(),
            replacing: None,
            back_until: None,
            stage: Stage::Arriving(Arrival::Opening {
                offerer: if description.is_some() { Offerer::Caller } else { Offerer::House },
                offer: description.clone(),
                until: now.monotonic.plus(if self.media == Link::Attached { MEDIA } else { AWAY }),
            }),
            consent: None,
            recording: Recording::None,
            queued: Vec::new(),
            overflow: Overflow::None,
            decisions: Vec::new(),
            plays: 0,
            tracks: 0,
            dialled,
            remembered: String::new(),
            due: None,
        };
        self.legs.insert(leg, call.id);
        let live = self.calls.values().filter(|call| !matches!(call.stage, Stage::Ending { .. })).count();
        // A phone of the house calls another, or out.
        let dials = flow.is_none() && matches!(call.caller.over, Endpoint::Phone(_));
        let helps = dials && self.plan.is_emergency(&call.dialled);
        match flow {
            None if !dials => {
                let why = format!("no flow stands behind {}", call.dialled);
                self.refuse(&mut call, Disposition::Refused, Cause::UnallocatedNumber, why);
            }
            _ if live >= self.plan.max_calls() && !helps => {
                let why = format!("{live} calls are alive, {} may be", self.plan.max_calls());
                self.refuse(&mut call, Disposition::Refused, Cause::NoCircuitAvailable, why);
            }
            _ if self.nothing_can_be_recorded() && !helps => {
                let why = "no recording can be kept, and no unrecorded call is wanted".to_owned();
                self.refuse(&mut call, Disposition::Refused, Cause::NoCircuitAvailable, why);
            }
            _ if self.media != Link::Attached && mutant("route-refuses-while-media-is-away") => {
                let why = "media is away".to_owned();
                self.refuse(&mut call, Disposition::Failed, Cause::TemporaryFailure, why);
            }
            None => {
                call.caller.sound = Sound::Opening;
                let memo = memo::part_of(call.id);
                let over = Some(call.caller.over.clone());
                self.sound(MediaCommand::Open { leg, offer: description, memo, beside: None, over });
            }
            Some((Position { flow, version, .. }, _)) => {
                let why = format!("{} leads to {flow}, version {version}", call.dialled);
                call.decide(now.utc, "flow.chosen", why);
                call.caller.sound = Sound::Opening;
                self.sound(MediaCommand::Open {
                    leg,
                    offer: description,
                    memo: memo::part_of(call.id),
                    beside: None,
                    over: Some(call.caller.over.clone()),
                });
            }
        }
        if self.media != Link::Attached && call.caller.sound == Sound::Opening {
            call.decide(now.utc, "call.waits", "media is away");
        }
        self.put_back(call);
    }

    pub(super) fn opened(&mut self, call: &mut Call, id: LegId, description: SessionDescription) {
        let now = self.now;
        if id == call.caller.id
            && let Stage::Arriving(Arrival::Opening { offerer, .. }) = call.stage
        {
            call.caller.sound = Sound::Open;
            if call.position.is_none() && offerer == Offerer::Caller {
                // Answered when the other side is.
                call.caller.early = Some(description);
                return self.reach_dialled(call);
            }
            call.caller.answered = Some(now.utc);
            call.stage = Stage::Arriving(Arrival::Answering {
                description: Some(description.clone()),
                offerer,
                until: now.monotonic.plus(CONFIRMATION),
            });
            self.answer(call, description);
            return;
        }
        if self.place_opened(call, id, &description) {
            return;
        }
        if self.offer_opened(call, id, &description) || self.reach_opened(call, id, &description) {
            return;
        }
        let Some(leg) = call.leg(id) else { return };
        if leg.sound_over() {
            // Its end and our wish crossed on the way: nobody wants it any more.
            self.sound(MediaCommand::Close { leg: id });
        } else if leg.negotiation == Negotiation::Changing {
            leg.negotiation = Negotiation::Settled;
            if let Some(early) = &mut leg.early {
                early.clone_from(&description);
            }
            self.signal(SignallingCommand::Change { leg: id, description: Some(description) });
        }
    }

    pub(super) fn answer(&mut self, call: &mut Call, description: SessionDescription) {
        let memo = memo::of_call(call);
        call.remembered.clone_from(&memo.0);
        self.signal(SignallingCommand::Answer { leg: call.caller.id, description, memo });
    }

    pub(super) fn confirmed(&mut self, call: &mut Call, id: LegId, answer: Option<SessionDescription>) {
        if id != call.caller.id {
            self.place_confirmed(call, id, answer);
            return;
        }
        if matches!(call.stage, Stage::Talking(_)) && call.caller.line == Line::Ringing {
            (call.caller.line, call.caller.early) = (Line::Established, None);
        }
        let Stage::Arriving(Arrival::Answering { offerer, .. }) = call.stage else { return };
        call.caller.line = Line::Established;
        match (offerer, answer) {
            (Offerer::Caller, _) => self.begin_flow(call),
            (Offerer::House, Some(answer)) => {
                let until = self.now.monotonic.plus(MEDIA);
                call.caller.answer = Some(answer.clone());
                call.stage = Stage::Arriving(Arrival::Accepting { answer: Some(answer.clone()), until });
                self.sound(MediaCommand::Accept { leg: id, answer });
            }
            (Offerer::House, None) => {
                let why = "the caller confirmed without an answer to our offer".to_owned();
                self.refuse(call, Disposition::Failed, Cause::Interworking, why);
            }
        }
    }

    pub(super) fn accepted(&mut self, call: &mut Call, id: LegId) {
        if id == call.caller.id && matches!(call.stage, Stage::Arriving(Arrival::Accepting { .. })) {
            self.begin_flow(call);
        } else if !self.place_accepted(call, id) {
            self.connected(call, id);
        }
    }

    /// The far side wants another description: media answers, or refuses and goes on as it was.
    pub(super) fn changing(&mut self, call: &mut Call, id: LegId, offer: SessionDescription) {
        let memo = memo::part_of(call.id);
        let Some(leg) = call.leg(id) else { return };
        // Also before an answer: an UPDATE in an early dialog (RFC 3311 §5.1), once there is something to change.
        let early = leg.line == Line::Ringing && (leg.early.is_some() || leg.said_early.is_some());
        let stands = leg.line == Line::Established || early;
        if leg.sound == Sound::Open && stands && self.media == Link::Attached {
            leg.negotiation = Negotiation::Changing;
            leg.answer = None;
            leg.said_early = None;
            let over = Some(leg.over.clone());
            self.sound(MediaCommand::Open { leg: id, offer: Some(offer), memo, beside: None, over });
        } else if !leg.line_over() {
            self.signal(SignallingCommand::Change { leg: id, description: None });
        }
    }

    pub(super) fn refused(&mut self, call: &mut Call, id: LegId, reason: MediaRefusal, detail: &str) {
        let Some(leg) = call.leg(id) else { return };
        if leg.negotiation == Negotiation::Changing {
            leg.negotiation = Negotiation::Settled;
            self.signal(SignallingCommand::Change { leg: id, description: None });
            return;
        }
        if leg.sound_over() {
            return;
        }
        leg.sound = Sound::Closed { quality: None };
        let cause = match reason {
            MediaRefusal::NotAcceptable => Cause::BearerCapabilityNotImplemented,
            MediaRefusal::Malformed => Cause::Interworking,
            MediaRefusal::NoPort => Cause::NoCircuitAvailable,
        };
        if self.place_lost(call, id, cause) {
            return;
        }
        let why = format!("media refused: {detail}");
        if id == call.caller.id {
            let disposition =
                if reason == MediaRefusal::NoPort { Disposition::Refused } else { Disposition::Failed };
            self.refuse(call, disposition, cause, why);
        } else {
            self.offer_refused(call, id, reason, cause, &why);
        }
    }

    /// The call goes no further, for this reason.
    pub(super) fn refuse(&mut self, call: &mut Call, disposition: Disposition, cause: Cause, why: String) {
        call.decide(self.now.utc, "call.refused", why);
        self.end(call, disposition, cause);
    }

    /// A deadline passed.
    pub(super) fn expire(&mut self, call: &mut Call) {
        let now = self.now.monotonic;
        self.place_overdue(call);
        if call.deadline(now).is_none_or(|due| due > now) {
            return;
        }
        match &call.stage {
            Stage::Arriving(Arrival::Answering { .. }) => {
                let why = "the caller did not confirm our answer".to_owned();
                self.refuse(call, Disposition::Failed, Cause::RecoveryOnTimerExpiry, why);
            }
            Stage::Arriving(_) => {
                let why = match self.media {
                    Link::Attached => "media did not answer in time".to_owned(),
                    Link::Away { .. } => "media is away".to_owned(),
                };
                self.refuse(call, Disposition::Failed, Cause::TemporaryFailure, why);
            }
            Stage::Playing(_) => {
                call.decide(self.now.utc, "prompt.overdue", "no word of its end came");
                self.leave_step(call, |flow, at| flow.onward(at, None));
            }
            Stage::Choosing(_) => self.menu_overdue(call),
            Stage::Waiting(wait) if wait.until <= now => {
                self.overflow(call, Unserved::Overdue, "the longest wait of the queue is over");
            }
            Stage::Waiting(wait) if wait.word <= now => self.say_word(call),
            // The hold is over: the dispatcher looks at it now.
            Stage::Waiting(_) => {}
            Stage::Offering(..) => self.offer_overdue(call),
            Stage::Reaching(_) => self.reach_overdue(call),
            Stage::Talking(_) | Stage::Ending { .. } => {}
        }
    }

    pub(super) fn closing_time(&self) -> types::Monotonic {
        self.now.monotonic.plus(CLOSING)
    }
}

fn secrets(flow: &Flow) -> Secrets {
    let asks = |step: &Step| matches!(&step.does, Deed::Menu(menu) if menu.sensitive);
    if flow.steps.iter().any(asks) { Secrets::Asked } else { Secrets::None }
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
