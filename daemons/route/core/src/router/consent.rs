//! Why a party that joins a call may be recorded, and what record is told of it. The consent of a caller from outside
//! is the announcement, heard to its end (`flowing`).

use crate::{
    call::Call,
    leg::{Leg, Track},
    memo,
};
use mutant::mutant;
use record_api::{Consent, Join, PartyRole, Track as RecordTrack};
use route_api::Endpoint;
use settings::record::Outside;
use types::RecordingId;

/// Whoever sits at a phone of the house knows by contract; whoever is reached over a trunk has heard nothing, and the
/// settings say what that means. record leaves out what a party without consent says.
pub(super) fn of_joining(over: &Endpoint, outside: Outside) -> Consent {
    match (over, outside) {
        (Endpoint::Phone(_), _) => Consent::Employed {},
        (Endpoint::Trunk(_), Outside::Recorded) => Consent::Ruled {},
        (Endpoint::Trunk(_), Outside::LeftOut) if mutant("route-outside-recorded") => Consent::Ruled {},
        (Endpoint::Trunk(_), Outside::LeftOut) => Consent::Refused {},
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
    let tracks = call.agents.iter().filter(move |leg| of(leg)).filter_map(track);
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
