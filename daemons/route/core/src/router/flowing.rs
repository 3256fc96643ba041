//! The steps of a flow: prompts, the announcement and its proof, the way into a queue and out of it.

use super::{PROMPT, Router};
use crate::{
    call::{Call, Overflow, Place, Playing, Purpose, Stage, Wait},
    plan,
};
use mutant::mutant;
use record_api::Consent;
use report_api::{Disposition, Queued};
use route_api::{Cause, Extent, MediaCommand, Times};
use settings::{Prompt, route::Step};
use types::{Name, QueueId, Utc};

impl Router {
    /// Does the next step of the flow; after the last the call ends.
    pub(super) fn next_step(&mut self, call: &mut Call) {
        while let Some(step) = call.steps.pop_front() {
            let begun = match step {
                Step::Play(prompt) => self.play_whole(call, &prompt, Purpose::Prompt),
                Step::Announce(prompt) => self.play_whole(call, &prompt, Purpose::Announcement),
                Step::Queue(queue) => self.enter(call, queue),
            };
            if begun {
                return;
            }
        }
        call.decide(self.now.utc, "flow.ended", "no step is left");
        let disposition = match call.overflow {
            Overflow::None => Disposition::EndedInFlow,
            Overflow::Happened => Disposition::Refused,
        };
        self.end(call, disposition, Cause::NormalClearing);
    }

    fn play_whole(&mut self, call: &mut Call, prompt: &Prompt, purpose: Purpose) -> bool {
        let Some(prompt) = plan::prompt(prompt) else { return false };
        let until = self.now.monotonic.plus(PROMPT);
        let play = self.play(call, prompt.clone(), Times::Once);
        call.stage = Stage::Playing(Playing { play, prompt, purpose, until });
        true
    }

    fn play(&mut self, call: &mut Call, prompt: Name, times: Times) -> u32 {
        call.plays = call.plays.wrapping_add(1);
        self.sound(MediaCommand::Play { leg: call.caller.id, play: call.plays, prompt, times });
        call.plays
    }

    /// Lets the caller hear again what its stage wants: media lost it, or something else was heard.
    pub(super) fn sound_again(&mut self, call: &mut Call) {
        match &call.stage {
            Stage::Playing(playing) => {
                let Playing { prompt, purpose, until, .. } = playing.clone();
                let play = self.play(call, prompt.clone(), Times::Once);
                call.stage = Stage::Playing(Playing { play, prompt, purpose, until });
            }
            Stage::Waiting(wait) | Stage::Offering(wait, _) => {
                let queue = wait.queue.clone();
                self.play_music(call, &queue);
            }
            Stage::Arriving(_) | Stage::Talking(_) | Stage::Ending { .. } => {}
        }
    }

    fn play_music(&mut self, call: &mut Call, queue: &QueueId) {
        let music = self.plan.queue(queue).and_then(|queue| queue.music.as_ref()).and_then(plan::prompt);
        match music {
            Some(music) => {
                self.play(call, music, Times::Endless);
            }
            None => self.sound(MediaCommand::Stop { leg: call.caller.id }),
        }
    }

    pub(super) fn played(
        &mut self,
        call: &mut Call,
        play: u32,
        prompt: Name,
        digest: String,
        ended: Utc,
        extent: Extent,
    ) {
        let Stage::Playing(playing) = &call.stage else { return };
        if playing.play != play || playing.prompt != prompt {
            return;
        }
        if playing.purpose == Purpose::Announcement {
            if extent == Extent::Whole || mutant("route-record-without-consent") {
                call.decide(self.now.utc, "consent.announced", format!("{prompt} was heard to its end"));
                call.consent = Some(Consent::Announced { prompt, digest, at: ended });
            } else {
                call.decide(self.now.utc, "consent.missing", format!("{prompt} was not heard to its end"));
            }
        }
        self.next_step(call);
    }

    pub(super) fn not_played(&mut self, call: &mut Call, play: u32, detail: &str) {
        if matches!(&call.stage, Stage::Playing(playing) if playing.play == play) {
            call.decide(self.now.utc, "prompt.failed", detail);
            self.next_step(call);
        } else if play == call.plays {
            call.decide(self.now.utc, "music.failed", detail);
        }
    }

    /// Takes a place in a queue; `false` where there is none.
    fn enter(&mut self, call: &mut Call, name: QueueId) -> bool {
        let now = self.now;
        let waiting = self.queues.get(&name).map_or(0, |waiting| waiting.len());
        let Some(queue) = self.plan.queue(&name) else {
            call.overflow = Overflow::Happened;
            call.decide(now.utc, "queue.removed", format!("{name} does not exist any more"));
            return false;
        };
        if waiting >= usize::try_from(queue.max_waiting).unwrap_or(usize::MAX) {
            call.overflow = Overflow::Happened;
            call.decide(now.utc, "queue.full", format!("{waiting} wait in {name} already"));
            return false;
        }
        self.orders += 1;
        let place = Place { entered: now.monotonic, order: self.orders };
        let wait = Wait {
            queue: name.clone(),
            place,
            entered: now.utc,
            until: now.monotonic.plus(queue.max_wait.duration()),
            hold: now.monotonic,
            failures: 0,
            offers: Vec::new(),
        };
        self.queues.entry(name.clone()).or_default().insert(place, call.id);
        call.decide(now.utc, "queue.entered", format!("{waiting} wait in {name} before"));
        call.stage = Stage::Waiting(wait);
        self.play_music(call, &name);
        true
    }

    /// Gives up the place in the queue; the stay is kept.
    pub(super) fn leave(&mut self, call: &mut Call, wait: Wait) {
        if let Some(waiting) = self.queues.get_mut(&wait.queue) {
            waiting.remove(&wait.place);
            if waiting.is_empty() {
                self.queues.remove(&wait.queue);
            }
        }
        call.queued.push(Queued {
            queue: wait.queue,
            entered: wait.entered,
            left: self.now.utc,
            offers: wait.offers,
        });
    }

    /// Lets a waiting caller go on unserved.
    pub(super) fn overflow(&mut self, call: &mut Call, what: &str, why: &str) {
        let Stage::Waiting(wait) = &call.stage else { return };
        let wait = wait.clone();
        call.overflow = Overflow::Happened;
        call.decide(self.now.utc, what, format!("{}: {why}", wait.queue));
        self.leave(call, wait);
        self.next_step(call);
    }
}
