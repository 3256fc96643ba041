//! From the agent's answer to the conversation, and its recording.
//!
//! ```text
//!  offer made ── Begin(caller) ──► record        the key is there before anybody answers
//!  answered ──── Join(agent) ────► record ─┐
//!      └──────── Accept ─► media           │
//!  accepted ──── Bridge ─► media           │     the bridge never waits for record
//!                Tap each party ◄──────────┘     as soon as record is ready for its track
//! ```

use super::{FULL, MEDIA, Router, consent};
use crate::{
    agent::{Next, State},
    call::{Call, Hold, NotRecordedFor, OfferStep, Reach, Recording, Stage, Talk},
    ids::recording_of,
    input::{NotBegun, Output},
    leg::{Leg, Line, Sound, Told, Track},
    memo,
};
use mutant::mutant;
use record_api::{Begin, Consent};
use report_api::{Disposition, OfferOutcome, OfferRecord};
use route_api::{Cause, MediaCommand, SessionDescription};
use settings::record::{OnDiskFull, When};
use types::{LegId, RecordingId};

impl Router {
    pub(super) fn answered(&mut self, call: &mut Call, id: LegId, answer: Option<SessionDescription>) {
        let now = self.now;
        let (step, until) = match &mut call.stage {
            Stage::Offering(_, offer) if offer.leg == id => (&mut offer.step, &mut offer.until),
            Stage::Reaching(reach) if reach.leg == id => (&mut reach.step, &mut reach.until),
            _ => return,
        };
        if !matches!(step, OfferStep::Dialling | OfferStep::Ringing) {
            return;
        }
        *step = OfferStep::Connecting { answer: answer.clone() };
        *until = now.monotonic.plus(MEDIA);
        if let Some(leg) = call.leg(id) {
            leg.line = Line::Established;
            leg.answered = Some(now.utc);
            leg.answer.clone_from(&answer);
            leg.said_early = None;
        }
        let settled = answer.is_none();
        if let Some(answer) = answer {
            self.sound(MediaCommand::Accept { leg: id, answer });
        }
        // Of a call that came in it has begun with the offer.
        self.begin_recording(call);
        self.join_recording(call, id);
        if settled {
            // media has taken what it said early, and knows of nothing else.
            self.connected(call, id);
        }
    }

    /// media took the agent's answer: they talk.
    pub(super) fn connected(&mut self, call: &mut Call, id: LegId) {
        if matches!(call.stage, Stage::Reaching(_)) {
            return self.reach_connected(call, id);
        }
        let Stage::Offering(wait, offer) = &call.stage else { return };
        if offer.leg != id || !matches!(offer.step, OfferStep::Connecting { .. }) {
            return;
        }
        let (mut wait, offer) = (wait.clone(), offer.clone());
        wait.offers.push(OfferRecord {
            agent: offer.agent.clone(),
            phone: offer.phone,
            at: offer.at,
            until: self.now.utc,
            outcome: OfferOutcome::Answered,
        });
        let queue = wait.queue.clone();
        self.leave(call, wait);
        self.set_agent(&offer.agent, State::Talking { call: call.id, next: Next::WrapUp { lasting: None } });
        call.decide(self.now.utc, "call.answered", format!("{} answered", offer.agent));
        let (agent, queue) = (Some(offer.agent), Some(queue));
        call.stage =
            Stage::Talking(Talk { agent, leg: id, queue, since: self.now.monotonic, hold: Hold::None });
        self.sound(MediaCommand::Bridge { leg: call.caller.id, with: id });
        self.tap(call);
    }

    /// Asks record for a recording, as soon as it is likely that somebody will talk.
    pub(super) fn begin_recording(&mut self, call: &mut Call) {
        if call.recording != Recording::None {
            return;
        }
        let Some(consent) = call.consent.clone() else { return };
        if self.plan.rule.when == When::Never {
            call.recording = Recording::Failed(NotRecordedFor::Rule);
            call.decide(self.now.utc, "recording.none", "the settings say so");
            return;
        }
        let recording = recording_of(call.id);
        call.recording = Recording::Asked(recording);
        call.caller.track = Track::Asked { number: 0, consent: consent.clone() };
        self.recordings.insert(recording, call.id);
        self.output.push_back(Output::RecordBegin(begin(recording, call, consent)));
    }

    pub(super) fn join_recording(&mut self, call: &mut Call, id: LegId) {
        let (Recording::Asked(recording) | Recording::Begun(recording)) = call.recording else { return };
        let Some(number) = call.tracks.checked_add(1) else { return };
        call.tracks = number;
        let outside = self.plan.rule.outside;
        if let Some(leg) = call.leg(id) {
            leg.track = Track::Asked { number, consent: consent::of_joining(&leg.over, outside) };
            let joins = consent::joins(recording, call, |leg| leg.id == id);
            self.output.extend(joins.map(Output::RecordJoin));
        }
    }

    /// Asks record again for everything that it has not answered: another life may have asked in vain.
    pub(super) fn ask_record_again(&mut self, call: &Call) {
        let Some(recording) = call.recording() else { return };
        self.recordings.insert(recording, call.id);
        if let Recording::Finished(_) = call.recording {
            self.output.push_back(Output::RecordFinish(call.finish(recording)));
            return;
        }
        if let (Recording::Asked(_), Some(consent)) = (call.recording, call.consent.clone()) {
            self.output.push_back(Output::RecordBegin(begin(recording, call, consent)));
        }
        self.output.extend(consent::joins(recording, call, |_| true).map(Output::RecordJoin));
    }

    pub(super) fn begun(&mut self, recording: RecordingId) {
        let Some(call) = self.recordings.get(&recording).copied() else { return };
        self.with_call(call, |router, call| {
            if call.recording == Recording::Asked(recording) {
                call.recording = Recording::Begun(recording);
                ready(&mut call.caller, 0);
                router.tap(call);
            }
        });
    }

    pub(super) fn not_begun(&mut self, recording: RecordingId, why: NotBegun) {
        let Some(call) = self.recordings.get(&recording).copied() else { return };
        // Where its call is over already there is nothing to be finished.
        self.finished(recording);
        self.with_call(call, |router, call| {
            if call.recording != Recording::Asked(recording) {
                return;
            }
            call.recording = Recording::Failed(NotRecordedFor::Failure);
            call.legs_mut().for_each(|leg| leg.track = Track::Off);
            let text = match why {
                NotBegun::Failed => "record could not begin",
                NotBegun::DiskFull => "there is no room for it",
            };
            call.decide(router.now.utc, "recording.none", text);
            if why == NotBegun::DiskFull && router.plan.rule.on_disk_full == OnDiskFull::EndCalls {
                router.full_until = router.now.monotonic.plus(FULL);
                let why = "no unrecorded call is wanted".to_owned();
                router.refuse(call, Disposition::Failed, Cause::TemporaryFailure, why);
            }
        });
    }

    pub(super) fn joined(&mut self, recording: RecordingId, track: u8) {
        let Some(call) = self.recordings.get(&recording).copied() else { return };
        self.with_call(call, |router, call| {
            call.legs_mut().for_each(|leg| ready(leg, track));
            router.tap(call);
        });
    }

    pub(super) fn not_joined(&mut self, recording: RecordingId, track: u8) {
        let Some(call) = self.recordings.get(&recording).copied() else { return };
        self.with_call(call, |router, call| {
            for leg in call.legs_mut() {
                if matches!(leg.track, Track::Asked { number, .. } if number == track) {
                    leg.track = Track::Off;
                }
            }
            call.decide(router.now.utc, "recording.one-sided", format!("record did not take track {track}"));
        });
    }

    /// Taps each party of the conversation for whom record is ready.
    pub(super) fn tap(&mut self, call: &mut Call) {
        let (Stage::Talking(talk), Recording::Begun(recording)) = (&call.stage, call.recording) else {
            return;
        };
        let (caller, agent) = (call.caller.id, talk.leg);
        for leg in call.legs_mut().filter(|leg| leg.id == caller || leg.id == agent) {
            if let Track::Ready { number, consent } = leg.track.clone() {
                leg.track = Track::Tapped { number, consent };
                self.sound(MediaCommand::Tap { leg: leg.id, recording, track: number });
            }
        }
        if let Some(outside) = consent::to_be_told(call) {
            self.tell_outside(call, outside);
        }
    }

    /// Sets bridge and taps again after media was away; what still stands is not disturbed.
    pub(super) fn join_again(&mut self, call: &mut Call, bridged: Option<LegId>) {
        if let Stage::Talking(talk) = &call.stage
            && bridged != Some(talk.leg)
        {
            self.rejoin(call);
        }
        let Some(recording) = call.recording() else { return };
        for leg in call.legs() {
            if let (Track::Tapped { number, .. }, Sound::Open) = (&leg.track, &leg.sound) {
                self.sound(MediaCommand::Tap { leg: leg.id, recording, track: *number });
            }
        }
        // What media was playing is not known any more.
        for leg in call.agents.iter_mut().filter(|leg| matches!(leg.told, Told::Hearing { .. })) {
            leg.told = Told::Nothing;
        }
        self.tap(call);
    }

    /// No packet for the time that media's settings give.
    pub(super) fn silent(&mut self, call: &mut Call, id: LegId) {
        let concerned = match &call.stage {
            Stage::Talking(talk) => id == call.caller.id || id == talk.leg,
            Stage::Playing(_) | Stage::Choosing(_) | Stage::Waiting(_) | Stage::Offering(..) => {
                id == call.caller.id
            }
            // A phone that waits for an answer need not say anything.
            Stage::Reaching(_) => id == call.caller.id && call.caller.line == Line::Established,
            Stage::Arriving(_) | Stage::Ending { .. } => false,
        };
        if concerned {
            call.decide(self.now.utc, "media.silent", format!("nothing came on leg {id}"));
            let disposition = self.disposition_of_loss(call, route_api::EndedBy::Failure);
            self.end(call, disposition, Cause::RecoveryOnTimerExpiry);
        }
    }

    /// Caller and agent hear each other again; a caller on hold hears music.
    pub(super) fn rejoin(&mut self, call: &mut Call) {
        let Stage::Talking(talk) = &call.stage else { return };
        let (with, hold, queue) = (talk.leg, talk.hold, talk.queue.clone());
        self.sound(MediaCommand::Bridge { leg: call.caller.id, with });
        if hold == Hold::Held {
            self.comfort(call, queue.as_ref());
        }
    }

    /// Who talks with the caller puts the call on hold, or takes it back. The recording goes on.
    pub(super) fn held(&mut self, call: &mut Call, id: LegId, hold: Hold) {
        let now = self.now.utc;
        let (talk, talks) = match &mut call.stage {
            Stage::Talking(talk) => (talk, true),
            // The caller hears the music of the transfer already.
            Stage::Reaching(Reach { instead: Some(talk), .. }) => (talk, false),
            _ => return,
        };
        if talk.leg != id || talk.hold == hold {
            return;
        }
        talk.hold = hold;
        let queue = talk.queue.clone();
        match hold {
            Hold::Held => call.decide(now, "call.held", "the caller hears music"),
            Hold::None => call.decide(now, "call.resumed", "both hear each other again"),
        }
        match hold {
            Hold::Held if talks && !mutant("route-held-in-silence") => self.comfort(call, queue.as_ref()),
            Hold::None if talks => self.sound(MediaCommand::Stop { leg: call.caller.id }),
            Hold::Held | Hold::None => {}
        }
    }

    /// Tells record, once, that nothing more will come.
    pub(super) fn finish_recording(&mut self, call: &mut Call) {
        if let Recording::Asked(recording) | Recording::Begun(recording) = call.recording {
            call.recording = Recording::Finished(recording);
            if !mutant("route-unfinished-recording") {
                self.output.push_back(Output::RecordFinish(call.finish(recording)));
            }
        }
    }
}

/// What record is to be told of a call whose caller has heard the announcement.
fn begin(recording: RecordingId, call: &Call, consent: Consent) -> Begin {
    let track = consent::of_caller(call, consent);
    Begin { recording, call: call.id, tracks: vec![track], memo: memo::of_call(call).0 }
}

/// record is ready for the track of this number.
fn ready(leg: &mut Leg, track: u8) {
    if let Track::Asked { number, consent } = leg.track.clone()
        && number == track
    {
        leg.track = Track::Ready { number, consent };
    }
}
