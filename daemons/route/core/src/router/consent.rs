//! Why a party that joins a call may be recorded, and what record is told of it. The consent of a caller from outside
//! is the announcement, heard to its end (`flowing`).

use super::Router;
use crate::{
    call::{Call, Stage},
    input::Output,
    leg::{Leg, Told, Track},
    memo,
};
use mutant::mutant;
use record_api::{Consent, Join, PartyRole, Track as RecordTrack};
use route_api::{Endpoint, MediaCommand, PlayedPrompt, Times};
use settings::record::Outside;
use types::{LegId, RecordingId, Utc};

/// Whoever sits at a phone of the house knows by contract; whoever is reached over a trunk has heard nothing, and the
/// settings say what that means. record leaves out what a party without consent says.
pub(super) fn of_joining(over: &Endpoint, outside: Outside) -> Consent {
    match (over, outside) {
        (Endpoint::Phone(_), _) => Consent::Employed {},
        (Endpoint::Trunk(_), Outside::Recorded) => Consent::Ruled {},
        (Endpoint::Trunk(_), Outside::LeftOut) if mutant("route-outside-recorded") => Consent::Ruled {},
        (Endpoint::Trunk(_), Outside::Announced) if mutant("route-outside-recorded-untold") => {
            Consent::Ruled {}
        }
        // Until it has heard the announcement.
        (Endpoint::Trunk(_), Outside::LeftOut | Outside::Announced) => Consent::Refused {},
    }
}

/// The party outside that is to hear the announcement now: it talks, and its track is written without its words.
pub(super) fn to_be_told(call: &Call) -> Option<LegId> {
    let Stage::Talking(talk) = &call.stage else { return None };
    let leg = call.agents.iter().find(|leg| leg.id == talk.leg)?;
    let masked = matches!(&leg.track, Track::Tapped { consent, .. } if *consent == Consent::Refused {});
    (masked && leg.told == Told::Nothing && matches!(leg.over, Endpoint::Trunk(_))).then_some(leg.id)
}

impl Router {
    /// Plays the announcement to a party outside, in the place of what it hears: the other side hears it on.
    pub(super) fn tell_outside(&mut self, call: &mut Call, id: LegId) {
        let prompt = self.plan.rule.announcement.clone();
        let wanted = self.plan.rule.outside == Outside::Announced;
        // Whoever is to help in an emergency is not kept from hearing what is wrong.
        let helps = matches!(call.caller.over, Endpoint::Phone(_)) && self.plan.is_emergency(&call.dialled);
        let Some(prompt) = prompt.filter(|_| wanted && !helps) else { return };
        call.plays = call.plays.wrapping_add(1);
        let play = call.plays;
        let Some(leg) = call.leg(id) else { return };
        leg.told = Told::Hearing { play };
        self.sound(MediaCommand::Play { leg: id, play, prompts: vec![prompt], times: Times::Once });
    }

    /// The announcement to a party outside is over: heard to its end it is the ground to record.
    pub(super) fn outside_heard(
        &mut self,
        call: &mut Call,
        id: LegId,
        play: u32,
        heard: Option<(PlayedPrompt, Utc)>,
    ) {
        let now = self.now.utc;
        let Some(leg) = call.leg(id).filter(|leg| leg.told == Told::Hearing { play }) else { return };
        leg.told = Told::Over;
        let Some((PlayedPrompt { prompt, digest }, at)) = heard else {
            return call.decide(now, "consent.missing", format!("leg {id} did not hear the announcement"));
        };
        if let Track::Tapped { number, .. } = leg.track {
            let consent = Consent::Announced { prompt: prompt.clone(), digest, at };
            leg.track = Track::Asked { number, consent };
        }
        call.decide(now, "consent.announced", format!("leg {id} heard {prompt} to its end"));
        if let Some(recording) = call.recording() {
            let joins = joins(recording, call, |leg| leg.id == id);
            self.output.extend(joins.map(Output::RecordJoin));
        }
    }
}

/// The track of who called: a customer over a trunk, a phone of the house otherwise.
pub(super) fn of_caller(call: &Call, consent: Consent) -> RecordTrack {
    let party = match call.caller.over {
        Endpoint::Phone(_) => PartyRole::Agent,
        Endpoint::Trunk(_) => PartyRole::Customer,
    };
    RecordTrack { track: 0, leg: call.caller.id, party, consent }
}

/// What record is to be asked for these legs, of those that it has not answered.
pub(super) fn joins(
    recording: RecordingId,
    call: &Call,
    of: impl Fn(&Leg) -> bool,
) -> impl Iterator<Item = Join> {
    // The track of who called first is none that joins, but that of another device of the caller is.
    let joins = |leg: &&Leg| !matches!(leg.track, Track::Asked { number: 0, .. });
    let tracks = call.legs().filter(joins).filter(move |leg| of(leg)).filter_map(track);
    tracks.map(move |track| Join { recording, track, memo: memo::of_call(call).0 })
}

fn track(leg: &Leg) -> Option<RecordTrack> {
    let Track::Asked { number: track, consent } = leg.track.clone() else { return None };
    let party = match leg.over {
        Endpoint::Phone(_) => PartyRole::Agent,
        Endpoint::Trunk(_) => PartyRole::Outside,
    };
    Some(RecordTrack { track, leg: leg.id, party, consent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{LegId, TrunkId, Uid, Utc};

    /// Mutant route-outside-recorded.
    #[test]
    fn a_party_outside_the_house_is_left_out_unless_the_house_answers_for_its_consent() {
        let phone = Endpoint::Phone("8001".parse().unwrap());
        let trunk = Endpoint::Trunk(TrunkId("carrier".parse().unwrap()));
        let asked = |over: &Endpoint, outside| {
            let mut leg = Leg::ours(LegId(Uid([1; 16])), over.clone(), None, Utc(0));
            leg.track = Track::Asked { number: 2, consent: of_joining(over, outside) };
            let track = track(&leg).unwrap();
            (track.party, track.consent)
        };
        for outside in [Outside::LeftOut, Outside::Recorded] {
            assert_eq!(asked(&phone, outside), (PartyRole::Agent, Consent::Employed {}));
        }
        assert_eq!(asked(&trunk, Outside::LeftOut), (PartyRole::Outside, Consent::Refused {}));
        assert_eq!(asked(&trunk, Outside::Recorded), (PartyRole::Outside, Consent::Ruled {}));
    }
}
