//! The way into a queue, what is heard there, and the ways out of it without an agent.

use super::Router;
use crate::{
    agent::State,
    call::{Call, Comfort, Overflow, Place, Stage, Wait},
    plan, saying,
};
use mutant::mutant;
use report_api::Queued;
use route_api::{MediaCommand, Times};
use settings::route::{Deed, Flow, Queueing, Where, WhileWaiting};
use std::time::Duration;
use types::{CallId, Monotonic, Name, QueueId};

/// How long after entering the first word is said: who is offered to somebody at once does not hear that
/// everybody is busy.
pub(super) const FIRST_WORD: Duration = Duration::from_secs(2);

/// Stays in queues that are kept of one call.
const STAYS: usize = 100;

/// Why a caller leaves a queue unserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unserved {
    Full,
    Overdue,
    Unstaffed,
    Removed,
}

impl Unserved {
    /// The decision's code.
    const fn code(self) -> &'static str {
        match self {
            Self::Full => "queue.full",
            Self::Overdue => "queue.overdue",
            Self::Unstaffed => "queue.unstaffed",
            Self::Removed => "queue.removed",
        }
    }

    /// The step that the flow names for it.
    const fn step(self, queue: &Queueing) -> Option<&Name> {
        match self {
            Self::Full => queue.full.as_ref(),
            Self::Overdue => queue.overdue.as_ref(),
            Self::Unstaffed => queue.unstaffed.as_ref(),
            Self::Removed => None,
        }
    }
}

impl Router {
    /// Takes a place in a queue; where the call goes on if it gets none.
    pub(super) fn enter(
        &mut self,
        call: &mut Call,
        flow: &Flow,
        at: usize,
        queueing: &Queueing,
    ) -> Option<Where> {
        let now = self.now;
        let name = &queueing.name;
        let waiting = self.queues.get(name).map_or(0, |waiting| waiting.len());
        let refused = |call: &mut Call, unserved: Unserved, why: String| {
            call.overflow = Overflow::Happened;
            call.decide(now.utc, unserved.code(), why);
            Some(flow.onward(at, unserved.step(queueing)))
        };
        let Some(queue) = self.plan.queue(name) else {
            return refused(call, Unserved::Removed, format!("{name} does not exist any more"));
        };
        if waiting >= usize::try_from(queue.max_waiting).unwrap_or(usize::MAX) {
            return refused(call, Unserved::Full, format!("{waiting} wait in {name} already"));
        }
        let waits_for_nobody = mutant("route-unstaffed-queue-waits");
        if queueing.unstaffed.is_some() && self.signed_in(name) == 0 && !waits_for_nobody {
            return refused(call, Unserved::Unstaffed, format!("nobody who serves {name} is signed in"));
        }
        let word = next_word(queue.while_waiting.as_ref(), now.monotonic, FIRST_WORD);
        let until = now.monotonic.plus(queue.max_wait.duration());
        self.orders += 1;
        let place = Place { entered: now.monotonic, order: self.orders };
        self.queues.entry(name.clone()).or_default().insert(place, call.id);
        call.unasked = 0;
        call.decide(now.utc, "queue.entered", format!("{waiting} wait in {name} before"));
        call.stage = Stage::Waiting(Wait {
            queue: name.clone(),
            place,
            entered: now.utc,
            until,
            hold: now.monotonic,
            failures: 0,
            comfort: Comfort::Music,
            word,
            offers: Vec::new(),
        });
        self.play_music(call);
        None
    }

    /// Gives up the place in the queue; the stay is kept.
    pub(super) fn leave(&mut self, call: &mut Call, wait: Wait) {
        if let Some(waiting) = self.queues.get_mut(&wait.queue) {
            waiting.remove(&wait.place);
            if waiting.is_empty() {
                self.queues.remove(&wait.queue);
            }
        }
        let stay =
            Queued { queue: wait.queue, entered: wait.entered, left: self.now.utc, offers: wait.offers };
        // A flow may let a caller wait again and again: the last stay stands for those beyond.
        call.queued.truncate(STAYS - 1);
        call.queued.push(stay);
    }

    /// Lets a waiting caller go on unserved.
    pub(super) fn overflow(&mut self, call: &mut Call, unserved: Unserved, why: &str) {
        let Stage::Waiting(wait) = &call.stage else { return };
        let wait = wait.clone();
        call.overflow = Overflow::Happened;
        call.decide(self.now.utc, unserved.code(), format!("{}: {why}", wait.queue));
        self.leave(call, wait);
        self.leave_step(call, |flow, at| match flow.steps.get(at).map(|step| &step.does) {
            Some(Deed::Queue(queueing)) => flow.onward(at, unserved.step(queueing)),
            _ => flow.onward(at, None),
        });
    }

    /// Lets callers go on whose queue nobody serves any more, where their flow says so.
    pub(super) fn leave_unstaffed(&mut self) {
        let unstaffed: Vec<CallId> = self
            .queues
            .iter()
            .filter(|(queue, _)| self.signed_in(queue) == 0)
            .flat_map(|(_, waiting)| waiting.values().copied())
            .collect();
        for call in unstaffed {
            self.with_call(call, |router, call| {
                let named =
                    matches!(router.deed(call), Some(Deed::Queue(queue)) if queue.unstaffed.is_some());
                if named && matches!(call.stage, Stage::Waiting(_)) {
                    router.overflow(call, Unserved::Unstaffed, "the last who served it signed out");
                }
            });
        }
    }

    /// How many who serve the queue are signed in.
    fn signed_in(&self, queue: &QueueId) -> usize {
        let agents = self.roster.0.iter().filter(|(_, agent)| agent.state != State::SignedOut);
        agents.filter(|(id, _)| self.plan.level(id, queue).is_some()).count()
    }

    /// Music, or silence where the queue has none.
    pub(super) fn play_music(&mut self, call: &mut Call) {
        let (Stage::Waiting(wait) | Stage::Offering(wait, _)) = &mut call.stage else { return };
        wait.comfort = Comfort::Music;
        let music =
            self.plan.queue(&wait.queue).and_then(|queue| queue.music.as_ref()).and_then(plan::prompt);
        match music {
            Some(music) => {
                self.play(call, vec![music], Times::Endless);
            }
            None => self.sound(MediaCommand::Stop { leg: call.caller.id }),
        }
    }

    /// The next word to a waiting caller is due.
    pub(super) fn say_word(&mut self, call: &mut Call) {
        let now = self.now.monotonic;
        let Stage::Waiting(wait) = &call.stage else { return };
        let told = self.plan.queue(&wait.queue).and_then(|queue| queue.while_waiting.clone());
        let prompts = told.as_ref().map_or_else(Vec::new, |told| self.words(told, wait));
        let word =
            next_word(told.as_ref(), now, told.as_ref().map_or(Duration::ZERO, |t| t.every.duration()));
        let comfort = match prompts.is_empty() {
            true => wait.comfort,
            false => Comfort::Word { play: self.play(call, prompts, Times::Once) },
        };
        if let Stage::Waiting(wait) = &mut call.stage {
            (wait.comfort, wait.word) = (comfort, word);
        }
    }

    /// What a waiting caller is told now.
    fn words(&self, told: &WhileWaiting, wait: &Wait) -> Vec<Name> {
        let ahead = self.queues.get(&wait.queue).map_or(0, |waiting| waiting.range(..wait.place).count());
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        let estimate = self.estimate(&wait.queue, wait.place, ahead);
        let mut prompts: Vec<Name> = told.prompt.iter().filter_map(plan::prompt).collect();
        for language in &told.languages {
            let place = if told.position { saying::place(*language, ahead) } else { Vec::new() };
            let wait = estimate.filter(|_| told.estimate).map(|wait| saying::wait(*language, wait));
            let words = place.into_iter().chain(wait.into_iter().flatten());
            prompts.extend(words.filter_map(|word| word.prompt(*language).parse().ok()));
        }
        prompts
    }

    /// How long a caller with so many ahead will wait; `None` while there is nothing to reckon from.
    pub(super) fn estimate(&self, queue: &QueueId, place: Place, ahead: u32) -> Option<Duration> {
        let serving = self.roster.0.iter().filter(|(id, agent)| {
            let serves = !matches!(agent.state, State::SignedOut | State::Aux { .. });
            serves && self.plan.level(id, queue).is_some()
        });
        let serving = u32::try_from(serving.count()).unwrap_or(u32::MAX);
        let wait = self.paces.get(queue)?.wait(ahead, serving)?;
        // The mistake that users of others complain about.
        let waited = self.now.monotonic.since(place.entered);
        Some(if mutant("route-estimate-rises") { wait.max(waited) } else { wait })
    }
}

/// When the next word is due; never, where none is said.
fn next_word(told: Option<&WhileWaiting>, now: Monotonic, after: Duration) -> Monotonic {
    told.map_or(Monotonic(u64::MAX), |_| now.plus(after))
}
