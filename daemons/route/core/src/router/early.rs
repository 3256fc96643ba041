//! Early media (RFC 3960): what a called side says before it answers, such as a carrier's announcement or its
//! ringing tone.
//!
//! ```text
//!   called side ── 183 with a description ──► Ringing ──► Early ──► media: the caller hears it, one way
//!                                                └──────► Ring ───► a caller who is not answered gets a 183
//! ```
//!
//! The caller of a call from a phone hears the house's ringing tone until something comes, the caller of a
//! transfer the music of the queue. Nothing of it is recorded: who has not answered has no track.

use super::Router;
use crate::{
    call::{Call, Stage},
    leg::Line,
};
use route_api::{MediaCommand, SessionDescription, Times};
use types::{LegId, Name};

impl Router {
    /// A called side says something before it answers: the caller hears it from now on.
    pub(super) fn hear_early(&mut self, call: &mut Call, id: LegId, description: SessionDescription) {
        let (caller, unanswered) = (call.caller.id, call.caller.line == Line::Ringing);
        let Some(leg) = call.leg(id) else { return };
        let first = leg.said_early.replace(description.clone()).is_none();
        if first && !call.decisions.iter().any(|decision| decision.what == "early.heard") {
            call.decide(self.now.utc, "early.heard", "the called side sends sound before it answers");
        }
        if first && unanswered {
            self.ring_tone(call);
        }
        if !mutant::mutant("route-early-unheard") {
            self.sound(MediaCommand::Early { leg: id, answer: description, to: caller });
        }
    }

    /// The same again: media was away, or another caller hears it now.
    pub(super) fn hear_early_again(&mut self, call: &mut Call) {
        let Stage::Reaching(reach) = &call.stage else { return };
        let (id, caller) = (reach.leg, call.caller.id);
        let Some(answer) = call.leg(id).and_then(|leg| leg.said_early.clone()) else { return };
        if call.caller.line == Line::Ringing {
            self.ring_tone(call);
        }
        self.sound(MediaCommand::Early { leg: id, answer, to: caller });
    }

    /// The house's own tone, for as long as nothing comes.
    fn ring_tone(&mut self, call: &mut Call) {
        if let Ok(tone) = "tone.ringback".parse::<Name>() {
            self.play(call, vec![tone], Times::Endless);
        }
    }
}
