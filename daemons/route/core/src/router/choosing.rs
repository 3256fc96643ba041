//! Menus: digits, and the time that is given for them.
//!
//! ```text
//!   begin ─► prompt ── its end ─► first digit ── in time ─► further digits ─► a choice ─► its step
//!              │ digit (barge-in)      │ none came    ▲         │ no choice
//!              └───────────────────────┼──────────────┘         │
//!                     no input, so often │                      │ invalid, so often
//!              prompt ◄──────────────────┴──────────────────────┴──► the step that the limit names
//! ```

use super::{PROMPT, Router};
use crate::{
    call::{Call, Choosing, Hears, Stage},
    digits::{self, Reading, Source},
    plan,
};
use mutant::mutant;
use route_api::{MediaCommand, Times};
use settings::{
    Prompt,
    route::{Deed, Flow, Menu, Where},
};
use types::Name;

impl Router {
    /// Begins a menu; where the call goes on when what was pressed before decides it.
    pub(super) fn begin_menu(
        &mut self,
        call: &mut Call,
        flow: &Flow,
        at: usize,
        menu: &Menu,
    ) -> Option<Where> {
        if !menu.type_ahead || mutant("route-type-ahead-lost") {
            call.digits.clear();
        }
        let now = self.now.monotonic;
        call.stage = Stage::Choosing(Choosing { hears: Hears::Silence, until: now, invalid: 0, no_input: 0 });
        if menu.barge_in && !call.digits.waiting().is_empty() {
            return self.choose(call, flow, at, menu, false);
        }
        self.say_menu(call, menu, None);
        None
    }

    /// A digit of the caller.
    pub(super) fn pressed(&mut self, call: &mut Call, digit: char, source: Source) {
        let waits = matches!(call.stage, Stage::Arriving(_) | Stage::Playing(_) | Stage::Choosing(_));
        if !waits || !call.digits.press(self.now.monotonic, digit, source) {
            return;
        }
        if matches!(call.stage, Stage::Choosing(_)) {
            self.at_menu(call, |router, call, flow, at, menu| {
                let Stage::Choosing(choosing) = &mut call.stage else { return None };
                if let Hears::Prompts { .. } = choosing.hears {
                    if !menu.barge_in || mutant("route-barge-in-deaf") {
                        return None;
                    }
                    choosing.hears = Hears::Silence;
                    router.sound(MediaCommand::Stop { leg: call.caller.id });
                }
                router.choose(call, flow, at, menu, false)
            });
        }
    }

    /// The prompt of a menu is over, or cannot be played.
    pub(super) fn menu_prompt_over(&mut self, call: &mut Call) {
        self.at_menu(call, |router, call, flow, at, menu| {
            let Stage::Choosing(choosing) = &mut call.stage else { return None };
            choosing.hears = Hears::Silence;
            choosing.until = router.now.monotonic.plus(menu.first_digit.duration());
            router.choose(call, flow, at, menu, false)
        });
    }

    /// No further digit is waited for.
    pub(super) fn menu_overdue(&mut self, call: &mut Call) {
        let Stage::Choosing(choosing) = &call.stage else { return };
        if let Hears::Prompts { .. } = choosing.hears {
            call.decide(self.now.utc, "prompt.overdue", "no word of its end came");
            return self.menu_prompt_over(call);
        }
        self.at_menu(call, |router, call, flow, at, menu| {
            if !call.digits.waiting().is_empty() {
                return router.choose(call, flow, at, menu, true);
            }
            let Stage::Choosing(choosing) = &mut call.stage else { return None };
            choosing.no_input = choosing.no_input.saturating_add(1);
            let (failed, most) = (choosing.no_input, menu.no_input.times);
            call.decide(router.now.utc, "menu.no-input", format!("{}: {failed} of {most}", flow.called(at)));
            if failed >= most && !mutant("route-menu-without-end") {
                return Some(flow.onward(at, menu.no_input.next.as_ref()));
            }
            router.say_menu(call, menu, menu.no_input.prompt.as_ref());
            None
        });
    }

    /// Does something with the menu that a call is at; a menu that is not there any more is left.
    fn at_menu(
        &mut self,
        call: &mut Call,
        act: impl FnOnce(&mut Self, &mut Call, &Flow, usize, &Menu) -> Option<Where>,
    ) {
        let Some((flow, at)) = self.step_of(call) else { return };
        let to = match flow.steps.get(at).map(|step| &step.does) {
            Some(Deed::Menu(menu)) => act(self, call, &flow, at, menu),
            // Another version of the flow has something else under this name: that is done.
            _ => Some(Where::Step(at)),
        };
        if let Some(to) = to {
            self.go_on(call, to);
        }
    }

    /// Reads what was pressed; where the call goes on when that decides it.
    fn choose(&mut self, call: &mut Call, flow: &Flow, at: usize, menu: &Menu, ended: bool) -> Option<Where> {
        let now = self.now;
        let pressed = call.digits.waiting().to_owned();
        let Stage::Choosing(choosing) = &mut call.stage else { return None };
        match digits::read(menu, &pressed, ended) {
            Reading::Nothing => None,
            Reading::More => {
                choosing.until = now.monotonic.plus(menu.inter_digit.duration());
                None
            }
            Reading::Choice(keys, taken) => {
                call.unasked = 0;
                call.digits.take(taken);
                let to = menu.choices.get(keys)?;
                let why = match menu.sensitive && !mutant("route-secret-digits-shown") {
                    true => format!("{}: → {to}", flow.called(at)),
                    false => format!("{}: {keys} → {to}", flow.called(at)),
                };
                call.decide(now.utc, "menu.chosen", why);
                Some(flow.onward(at, Some(to)))
            }
            Reading::Invalid(tried) => {
                call.unasked = 0;
                choosing.invalid = choosing.invalid.saturating_add(1);
                let (failed, most) = (choosing.invalid, menu.invalid.times);
                let tried = call.digits.take(tried);
                // What stood behind a mistake is a mistake too.
                call.digits.clear();
                let shown = if menu.sensitive { "what was pressed" } else { &tried };
                let why = format!("{}: {shown} is no choice, {failed} of {most}", flow.called(at));
                call.decide(now.utc, "menu.invalid", why);
                if failed >= most {
                    return Some(flow.onward(at, menu.invalid.next.as_ref()));
                }
                self.say_menu(call, menu, menu.invalid.prompt.as_ref());
                None
            }
        }
    }

    /// Says the menu, after a word about what went wrong.
    fn say_menu(&mut self, call: &mut Call, menu: &Menu, before: Option<&Prompt>) {
        let prompts: Vec<Name> = before.into_iter().chain([&menu.prompt]).filter_map(plan::prompt).collect();
        let until = self.now.monotonic.plus(PROMPT);
        let play = self.play(call, prompts.clone(), Times::Once);
        if let Stage::Choosing(choosing) = &mut call.stage {
            choosing.hears = Hears::Prompts { play, prompts };
            choosing.until = until;
        }
    }
}
