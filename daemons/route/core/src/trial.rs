//! A flow tried without a phone: the very router that calls meet, between a caller who presses what was
//! written down and edges that do at once what they are asked.

use crate::{Flows, Input, Moment, Output, Roster, Router, agent::State, call::Stage};
use report_api::Decision;
use route_api::{
    AttachMedia, AttachSignalling, Cause, EndedBy, Endpoint, Extent, MediaCommand, MediaEvent, Memo, Party,
    PlayedPrompt, Quality, SessionDescription, SignallingCommand, SignallingEvent, Times,
};
use settings::{
    record::Record,
    route::{Number, Route},
};
use std::{collections::VecDeque, time::Duration};
use types::{LegId, Monotonic, Name, Pii, QueueId, TrunkId, Uid, Utc};

/// What a prompt takes in a trial, whose prompts are not looked at.
const PROMPT: Duration = Duration::from_secs(3);
/// Things that happen in one trial at most; digits and steps are bounded well below.
const MOST: usize = 10_000;
/// The leg of the caller.
const CALLER: LegId = LegId(Uid([1; 16]));

/// What a flow did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// What was decided and heard, in order.
    pub moments: Vec<Decision>,
    /// Where it ended.
    pub end: TrialEnd,
    /// Steps that were not met, by name or number.
    pub unmet: Vec<String>,
}

/// Where a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialEnd {
    /// In a queue: what follows depends on people.
    Queue(QueueId),
    /// The call was ended.
    HungUp(Cause),
    /// Nowhere, within the bounds of a trial.
    Open,
}

impl Trial {
    /// Tries a flow of these settings with a call at this time; `None` where there is no such flow. The caller
    /// presses at each menu what stands up to the next comma, and nothing where nothing is left.
    pub fn of(route: &Route, flow: &Name, at: Utc, digits: &str) -> Option<Self> {
        let dialled = "1".parse().ok()?;
        let trunk = "trial".parse().ok()?;
        let steps = route.flows.iter().find(|known| known.name == *flow)?;
        let plan = Route { numbers: vec![Number { dialled, flow: flow.clone() }], ..route.clone() };
        let now = Moment { monotonic: Monotonic(0), utc: at };
        let mut stage = Theatre {
            router: Router::new(
                now,
                [0; 16],
                plan,
                Record::default(),
                everybody(route, at),
                Flows::default(),
            ),
            now,
            moments: Vec::new(),
            decided: 0,
            events: VecDeque::new(),
            keys: digits.split(',').filter(|_| !digits.is_empty()).map(str::to_owned).collect(),
            end: None,
        };
        stage.begin(trunk);
        for _ in 0..MOST {
            if stage.end.is_some() || !stage.turn() {
                break;
            }
        }
        let moments = stage.moments;
        let met = |at: &usize| {
            let line = format!("{}: ", steps.called(*at));
            moments.iter().any(|moment| moment.what == "flow.step" && moment.why.starts_with(&line))
        };
        let unmet = (0..steps.steps.len()).filter(|at| !met(at)).map(|at| steps.called(at)).collect();
        Some(Self { end: stage.end.unwrap_or(TrialEnd::Open), moments, unmet })
    }
}

/// All agents are there, and none takes a call.
fn everybody(route: &Route, at: Utc) -> Roster {
    let agent = |row: &settings::route::Agent| {
        let mut agent = crate::agent::Agent::signed_out(at);
        agent.state = State::Aux { reason: "trial".to_owned() };
        (row.name.clone(), agent)
    };
    Roster(route.agents.iter().map(agent).collect())
}

/// The router and the edges that are played to it.
struct Theatre {
    router: Router,
    now: Moment,
    moments: Vec<Decision>,
    /// How many of the call's decisions are among them.
    decided: usize,
    events: VecDeque<Input>,
    /// What is pressed at the menus to come.
    keys: VecDeque<String>,
    end: Option<TrialEnd>,
}

impl Theatre {
    fn begin(&mut self, trunk: TrunkId) {
        self.give(Input::SignallingAttached(AttachSignalling::default()));
        self.give(Input::MediaAttached(AttachMedia::default()));
        self.give(Input::Signalling(SignallingEvent::Offered {
            leg: CALLER,
            at: self.now.monotonic,
            over: Endpoint::Trunk(trunk),
            from: Party { number: Pii::new(String::new()), display: None },
            dialled: "1".to_owned(),
            description: Some(SessionDescription(String::new())),
            reference: String::new(),
        }));
    }

    /// Lets the next thing happen; `false` where nothing can.
    fn turn(&mut self) -> bool {
        if let Some(event) = self.events.pop_front() {
            self.give(event);
            return true;
        }
        match self.router.only_call().map(|call| &call.stage) {
            Some(Stage::Waiting(wait)) => {
                self.end = Some(TrialEnd::Queue(wait.queue.clone()));
                return false;
            }
            Some(Stage::Choosing(_)) => {
                if let Some(keys) = self.keys.pop_front().filter(|keys| !keys.is_empty()) {
                    self.press(&keys);
                    return true;
                }
            }
            Some(_) => {}
            None => return false,
        }
        let Some(wake) = self.router.wake() else { return false };
        self.pass(wake.since(self.now.monotonic));
        self.give(Input::Tick);
        true
    }

    fn press(&mut self, keys: &str) {
        self.note("caller.presses", keys.to_owned());
        let digits = keys.chars().map(|digit| Input::Media(MediaEvent::Digit { leg: CALLER, digit }));
        self.events.extend(digits);
    }

    fn pass(&mut self, time: Duration) {
        self.now = Moment { monotonic: self.now.monotonic.plus(time), utc: self.now.utc.plus(time) };
    }

    fn note(&mut self, what: &str, why: String) {
        self.moments.push(Decision { at: self.now.utc, what: what.to_owned(), why });
    }

    /// What has been decided since.
    fn note_decisions(&mut self, decisions: &[Decision]) {
        // That the number of a trial leads to the flow is no news.
        let fresh = decisions.iter().skip(self.decided).filter(|decision| decision.what != "flow.chosen");
        self.moments.extend(fresh.cloned());
        self.decided = self.decided.max(decisions.len());
    }

    fn give(&mut self, input: Input) {
        if let Input::Media(MediaEvent::Played { .. }) = input {
            self.pass(PROMPT);
        }
        self.router.handle(self.now, input);
        let decisions = self.router.only_call().map(|call| call.decisions.clone());
        self.note_decisions(&decisions.unwrap_or_default());
        while let Some(output) = self.router.poll() {
            match output {
                Output::Signalling(command) => self.signalled(command),
                Output::Media(command) => self.sounded(command),
                Output::Save(record) => self.note_decisions(&record.decisions),
                Output::RecordBegin(_) | Output::RecordJoin(_) | Output::RecordFinish(_) => {}
            }
        }
    }

    fn signalled(&mut self, command: SignallingCommand) {
        match command {
            SignallingCommand::Answer { leg, .. } => {
                let confirmed = SignallingEvent::Confirmed { leg, description: None };
                self.events.push_back(Input::Signalling(confirmed));
            }
            SignallingCommand::HangUp { leg, cause } => {
                self.end = Some(TrialEnd::HungUp(cause));
                let (at, memo) = (self.now.monotonic, Memo::default());
                let ladder = route_api::Ladder::default();
                let ended = SignallingEvent::Ended { leg, at, cause, by: EndedBy::House, memo, ladder };
                self.events.push_back(Input::Signalling(ended));
            }
            _ => {}
        }
    }

    fn sounded(&mut self, command: MediaCommand) {
        match command {
            MediaCommand::Open { leg, .. } => {
                let description = SessionDescription(String::new());
                self.events.push_back(Input::Media(MediaEvent::Opened { leg, description }));
            }
            MediaCommand::Play { leg, play, prompts, times: Times::Once } => {
                let names: Vec<&str> = prompts.iter().map(Name::as_str).collect();
                self.note("caller.hears", names.join(", "));
                let menu =
                    matches!(self.router.only_call().map(|call| &call.stage), Some(Stage::Choosing(_)));
                // Who is going to press does so while the menu is said.
                if menu && self.keys.front().is_some_and(|keys| !keys.is_empty()) {
                    return;
                }
                let played = |prompt: Name| PlayedPrompt { prompt, digest: String::new() };
                self.events.push_back(Input::Media(MediaEvent::Played {
                    leg,
                    play,
                    prompts: prompts.into_iter().map(played).collect(),
                    began: self.now.utc,
                    ended: self.now.utc,
                    extent: Extent::Whole,
                }));
            }
            MediaCommand::Close { leg } => {
                let quality = Quality::default();
                self.events.push_back(Input::Media(MediaEvent::Closed { leg, quality }));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use settings::Settings;

    const FLOW: &str = r#"
[[route.flows]]
name = "service"
[[route.flows.steps]]
announce = "recorded"
[[route.flows.steps]]
name = "menu"
menu = { prompt = "menu", choices = { "1" = "people", "12" = "deep", "*" = "menu" } }
[[route.flows.steps]]
name = "bye"
hang_up = "user-busy"
[[route.flows.steps]]
name = "people"
queue = "service"
[[route.flows.steps]]
name = "deep"
menu = { prompt = "deep", choices = { "0" = "bye" } }
[[route.queues]]
name = "service"
"#;

    fn tried(digits: &str) -> Trial {
        let route = Settings::parse(FLOW).unwrap_or_else(|problems| panic!("{problems:?}")).route;
        Trial::of(&route, &"service".parse().unwrap(), Utc(1_800_000_000_000_000_000), digits).unwrap()
    }

    fn told(trial: &Trial) -> Vec<String> {
        trial.moments.iter().map(|moment| format!("{} {}", moment.what, moment.why)).collect()
    }

    #[test]
    fn what_is_pressed_leads_where_a_call_would_go() {
        let trial = tried("*,1#");
        assert_eq!(trial.end, TrialEnd::Queue("service".parse().unwrap()), "{:#?}", told(&trial));
        assert_eq!(trial.unmet, ["bye", "deep"]);
        assert_eq!(
            told(&trial),
            [
                "flow.step 1: announce recorded",
                "caller.hears recorded",
                "consent.announced recorded was heard to its end",
                "flow.step menu: menu menu",
                "caller.hears menu",
                "caller.presses *",
                "menu.chosen menu: * → menu",
                "flow.step menu: menu menu",
                "caller.hears menu",
                "caller.presses 1#",
                "menu.chosen menu: 1 → people",
                "flow.step people: queue service",
                "queue.entered 0 wait in service before",
            ]
        );
        let trial = tried("12,0");
        assert_eq!(trial.end, TrialEnd::HungUp(Cause::UserBusy), "{:#?}", told(&trial));
        assert_eq!(trial.unmet, ["people"]);
    }

    #[test]
    fn silence_runs_into_the_time_outs() {
        for digits in ["", ",,", ",1,"] {
            let trial = tried(digits);
            let ended = match digits {
                ",1," => TrialEnd::Queue("service".parse().unwrap()),
                _ => TrialEnd::HungUp(Cause::UserBusy),
            };
            assert_eq!(trial.end, ended, "{digits:?} {:#?}", told(&trial));
        }
        let silent = tried("");
        assert_eq!(told(&silent).iter().filter(|line| line.starts_with("menu.no-input")).count(), 3);
    }

    #[test]
    fn a_flow_that_is_not_there_is_not_tried() {
        let route = Route::default();
        assert_eq!(Trial::of(&route, &"service".parse().unwrap(), Utc(0), ""), None);
    }
}
