//! The way of a call through its flow: which step is next, in which version of the flow, and prompts.
//!
//! ```text
//!   go_on(where) ──► step ──► where ──► step … until one waits: for a prompt, for digits, for an agent
//!                      each is noted; too many without the caller, and the call ends
//! ```

use super::{PROMPT, Router};
use crate::{
    calendar::{Opening, opening},
    call::{Call, Comfort, Hears, Hold, Overflow, Playing, Purpose, Stage},
    flows::Position,
    plan,
};
use mutant::mutant;
use record_api::Consent;
use report_api::Disposition;
use route_api::{Cause, Extent, MediaCommand, PlayedPrompt, Times};
use settings::{
    Prompt,
    route::{Deed, Flow, HangUp, Where},
};
use std::sync::Arc;
use types::{Name, Utc};

/// Steps that a call may take without anything that the caller does and without a wait.
const UNASKED: u32 = 100;

/// Where a call's flow is found again.
enum Found {
    /// The version that it is in, or another with a step of the same name.
    At(Arc<Flow>, usize),
    /// Another version, and no such step in it.
    Anew,
    /// No flow of this name.
    Gone,
}

impl Router {
    /// Begins the flow.
    pub(super) fn begin_flow(&mut self, call: &mut Call) {
        if call.position.is_none() {
            return self.reach_dialled(call);
        }
        self.go_on(call, Where::Step(0));
    }

    /// The present step is done: goes on as the flow says.
    pub(super) fn leave_step(&mut self, call: &mut Call, which: impl FnOnce(&Flow, usize) -> Where) {
        match self.find(call) {
            Found::At(flow, at) => {
                let to = which(&flow, at);
                self.go_on(call, to);
            }
            Found::Anew => self.go_on(call, Where::Step(0)),
            Found::Gone => {
                let why = "its flow is not in the settings any more".to_owned();
                self.refuse(call, Disposition::Failed, Cause::TemporaryFailure, why);
            }
        }
    }

    /// The step of a call in the version that it is in.
    pub(super) fn deed(&self, call: &Call) -> Option<Deed> {
        let position = call.position.as_ref()?;
        let flow = self.flows.version(position.version)?;
        flow.steps.get(position.step).map(|step| step.does.clone())
    }

    /// The flow and the step of a call, where it is still to be found; else the call goes on elsewhere.
    pub(super) fn step_of(&mut self, call: &mut Call) -> Option<(Arc<Flow>, usize)> {
        match self.find(call) {
            Found::At(flow, at) => Some((flow, at)),
            Found::Anew => {
                self.go_on(call, Where::Step(0));
                None
            }
            Found::Gone => {
                let why = "its flow is not in the settings any more".to_owned();
                self.refuse(call, Disposition::Failed, Cause::TemporaryFailure, why);
                None
            }
        }
    }

    /// The flow and the step of a call. Where the version that it began in is gone, the call goes on in the
    /// present one, at the step of the same name, else from its beginning, and says so.
    fn find(&self, call: &mut Call) -> Found {
        let Some(position) = &mut call.position else { return Found::Gone };
        if let Some(flow) = self.flows.version(position.version)
            && position.step < flow.steps.len()
            && !mutant("route-flow-changes-under-call")
        {
            return Found::At(flow, position.step);
        }
        let Some((version, flow)) = self.flows.present(&position.flow) else { return Found::Gone };
        let step = position.name.as_ref().and_then(|name| flow.find(name));
        let (was, name) = (position.version, flow.called(position.step));
        *position = Position { version, step: step.unwrap_or(0), ..position.clone() };
        let how = match step {
            Some(_) => format!("at its step {name}"),
            None => "from its beginning".to_owned(),
        };
        let flow_name = position.flow.clone();
        call.decide(
            self.now.utc,
            "flow.version-gone",
            format!("{flow_name}@{was} is not kept any more: goes on in {version}, {how}"),
        );
        step.map_or(Found::Anew, |step| Found::At(flow, step))
    }

    /// Does step after step until one waits.
    pub(super) fn go_on(&mut self, call: &mut Call, to: Where) {
        let mut to = to;
        loop {
            let Where::Step(at) = to else { return self.flow_over(call) };
            let Some(flow) = call.position.as_ref().and_then(|p| self.flows.version(p.version)) else {
                return self.flow_over(call);
            };
            let Some(step) = flow.steps.get(at) else { return self.flow_over(call) };
            if let Some(position) = &mut call.position {
                (position.step, position.name) = (at, step.name.clone());
            }
            call.unasked += 1;
            let most = if mutant("route-flow-spins") { UNASKED * 1000 } else { UNASKED };
            if call.unasked > most {
                let why = format!("{UNASKED} steps without the caller, the last was {}", flow.called(at));
                call.decide(self.now.utc, "flow.spins", &why);
                return self.refuse(call, Disposition::Failed, Cause::TemporaryFailure, why);
            }
            call.decide(self.now.utc, "flow.step", format!("{}: {}", flow.called(at), step.does));
            match self.begin_step(call, &flow, at) {
                Some(next) => to = next,
                None => return,
            }
        }
    }

    /// Does a step; where it goes on, or `None` where something has to happen first.
    fn begin_step(&mut self, call: &mut Call, flow: &Flow, at: usize) -> Option<Where> {
        match &flow.steps.get(at)?.does {
            Deed::Play(prompt) => {
                self.play_whole(call, prompt, Purpose::Prompt).then_some(flow.onward(at, None))
            }
            Deed::Announce(prompt) => {
                self.play_whole(call, prompt, Purpose::Announcement).then_some(flow.onward(at, None))
            }
            Deed::Menu(menu) => self.begin_menu(call, flow, at, menu),
            Deed::Hours(hours) => {
                let calendar = self.plan.calendar(&hours.calendar);
                let opening = calendar.map_or(Opening::Closed, |calendar| opening(calendar, self.now.utc));
                let (what, to) = match opening {
                    Opening::Open => ("hours.open", flow.onward(at, None)),
                    Opening::Closed => ("hours.closed", flow.onward(at, Some(&hours.closed))),
                    Opening::Holiday => {
                        let step = hours.holiday.as_ref().unwrap_or(&hours.closed);
                        ("hours.holiday", flow.onward(at, Some(step)))
                    }
                };
                let why = match calendar {
                    Some(_) => format!("the calendar {} says so", hours.calendar),
                    None => format!("the calendar {} does not exist any more", hours.calendar),
                };
                call.decide(self.now.utc, what, why);
                Some(to)
            }
            Deed::Queue(queue) => self.enter(call, flow, at, queue),
            Deed::HangUp(cause) => {
                self.end_in_flow(call, cause_of(*cause));
                None
            }
        }
    }

    fn flow_over(&mut self, call: &mut Call) {
        call.decide(self.now.utc, "flow.ended", "no step is left");
        self.end_in_flow(call, Cause::NormalClearing);
    }

    fn end_in_flow(&mut self, call: &mut Call, cause: Cause) {
        let disposition = match call.overflow {
            Overflow::None => Disposition::EndedInFlow,
            Overflow::Happened => Disposition::Refused,
        };
        self.end(call, disposition, cause);
    }

    /// Plays a prompt to its end; `true` where there is none to wait for.
    fn play_whole(&mut self, call: &mut Call, prompt: &Prompt, purpose: Purpose) -> bool {
        let Some(prompt) = plan::prompt(prompt) else { return true };
        let until = self.now.monotonic.plus(PROMPT);
        let play = self.play(call, vec![prompt.clone()], Times::Once);
        call.stage = Stage::Playing(Playing { play, prompt, purpose, until });
        false
    }

    pub(super) fn play(&mut self, call: &mut Call, prompts: Vec<Name>, times: Times) -> u32 {
        call.plays = call.plays.wrapping_add(1);
        self.sound(MediaCommand::Play { leg: call.caller.id, play: call.plays, prompts, times });
        call.plays
    }

    /// Lets the caller hear again what its stage wants: media lost it, or something else was heard.
    pub(super) fn sound_again(&mut self, call: &mut Call) {
        match call.stage.clone() {
            Stage::Playing(mut playing) => {
                playing.play = self.play(call, vec![playing.prompt.clone()], Times::Once);
                call.stage = Stage::Playing(playing);
            }
            Stage::Choosing(mut choosing) => {
                if let Hears::Prompts { play, prompts } = &mut choosing.hears {
                    *play = self.play(call, prompts.clone(), Times::Once);
                    call.stage = Stage::Choosing(choosing);
                }
            }
            Stage::Waiting(_) | Stage::Offering(..) => self.play_music(call),
            Stage::Reaching(reach) => {
                if let Some(talk) = reach.instead {
                    self.comfort(call, talk.queue.as_ref());
                }
                self.hear_early_again(call);
            }
            Stage::Talking(talk) if talk.hold == Hold::Held => self.comfort(call, talk.queue.as_ref()),
            Stage::Arriving(_) | Stage::Talking(_) | Stage::Ending { .. } => {}
        }
    }

    pub(super) fn played(
        &mut self,
        call: &mut Call,
        play: u32,
        prompts: &[PlayedPrompt],
        ended: Utc,
        extent: Extent,
    ) {
        match &call.stage {
            Stage::Playing(playing) if playing.play == play => {
                let purpose = playing.purpose;
                let Some(played) = prompts.iter().find(|played| played.prompt == playing.prompt) else {
                    return;
                };
                if purpose == Purpose::Announcement {
                    announced(call, self.now.utc, played, ended, extent);
                }
                self.leave_step(call, |flow, at| flow.onward(at, None));
            }
            Stage::Choosing(choosing) if matches!(choosing.hears, Hears::Prompts { play: heard, .. } if heard == play) =>
            {
                self.menu_prompt_over(call);
            }
            Stage::Waiting(wait) if wait.comfort == (Comfort::Word { play }) => self.play_music(call),
            _ => {}
        }
    }

    pub(super) fn not_played(&mut self, call: &mut Call, play: u32, detail: &str) {
        match &call.stage {
            Stage::Playing(playing) if playing.play == play => {
                call.decide(self.now.utc, "prompt.failed", detail);
                self.leave_step(call, |flow, at| flow.onward(at, None));
            }
            Stage::Choosing(choosing) if matches!(choosing.hears, Hears::Prompts { play: heard, .. } if heard == play) =>
            {
                call.decide(self.now.utc, "prompt.failed", detail);
                self.menu_prompt_over(call);
            }
            Stage::Waiting(wait) if wait.comfort == (Comfort::Word { play }) => {
                call.decide(self.now.utc, "prompt.failed", detail);
                self.play_music(call);
            }
            _ if play == call.plays => call.decide(self.now.utc, "music.failed", detail),
            _ => {}
        }
    }
}

/// The announcement is over: heard to its end it is the ground to record.
fn announced(call: &mut Call, now: Utc, played: &PlayedPrompt, ended: Utc, extent: Extent) {
    let PlayedPrompt { prompt, digest } = played.clone();
    if extent == Extent::Whole || mutant("route-record-without-consent") {
        call.decide(now, "consent.announced", format!("{prompt} was heard to its end"));
        call.consent = Some(Consent::Announced { prompt, digest, at: ended });
    } else {
        call.decide(now, "consent.missing", format!("{prompt} was not heard to its end"));
    }
}

const fn cause_of(cause: HangUp) -> Cause {
    match cause {
        HangUp::NormalClearing => Cause::NormalClearing,
        HangUp::UserBusy => Cause::UserBusy,
        HangUp::CallRejected => Cause::CallRejected,
        HangUp::NoCircuitAvailable => Cause::NoCircuitAvailable,
        HangUp::TemporaryFailure => Cause::TemporaryFailure,
    }
}
