//! What people do: call, ring, answer, talk, give up, vanish.

use crate::{
    line::{Birth, Line, Offering, Replacing, Side, State, stray},
    rest::amiss,
    scenario::{Agents, Menus, Network, Phones},
    world::{CARRIER, Event, World},
};
use media_core::g711::Law;
use route_api::AgentState;
use sip_core::message::{Message, Method, parse};
use std::{net::SocketAddr, time::Duration};
use types::{AgentId, Extension};

/// What a party does by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Repeats what is due.
    Fire,
    /// 180.
    Ring,
    /// 180 or 183 that the house has to acknowledge; the second with a description, and speech from then on.
    RingReliably(u16),
    /// 200.
    Answer,
    /// A final refusal.
    Refuse(u16),
    /// A re-INVITE.
    Change,
    /// A re-INVITE that puts the other side on hold, or takes it back.
    Hold(bool),
    /// REFER.
    Transfer(&'static str),
    /// A phone wants its place: INVITE with Replaces, proved where it was challenged.
    Replace(usize),
    /// CANCEL, BYE or 603.
    HangUp,
    /// Falls silent for ever.
    Vanish,
    /// Presses a key.
    Press(char),
    /// Speaks 20 ms; so many more follow without a pause.
    Speak(u64),
}

const VOICE: Duration = Duration::from_millis(20);

impl World {
    pub(crate) fn dial(&mut self) {
        let sip: SocketAddr = CARRIER.parse().unwrap();
        let birth = self.birth(Side::Caller, sip, [198, 51, 100, 8]);
        let number = birth.number;
        let offering = match self.chance.below(20) {
            0 | 1 => Offering::Late,
            2 => Offering::Unmeetable,
            _ => Offering::Early,
        };
        let dialled = match (self.chance.percent(4), self.scenario.menus) {
            (true, _) => "12345",
            (false, Menus::Most) if !number.is_multiple_of(3) => "95556",
            (false, _) => "95555",
        };
        let mut line = Line::dial(self.now, birth, dialled, offering);
        line.keys = self.scenario.menus == Menus::Most;
        self.trace.note(self.now, format_args!("line {number} dials {dialled}, {offering:?}"));
        self.insert(line);
        if self.chance.percent(12) {
            let patience = self.chance.millis(0, 400);
            self.after(patience, Event::Line(number, Act::HangUp));
        }
        self.maybe_vanish(number);
        // A caller who hears nothing at all gives up.
        self.after(Duration::from_secs(100), Event::Line(number, Act::HangUp));
        self.settle(number, State::Over);
    }

    fn birth(&mut self, side: Side, sip: SocketAddr, ip: [u8; 4]) -> Birth {
        let number = self.lines.len() as u32;
        let rtp = SocketAddr::from((ip, 10_000 + (number % 20_000) as u16 * 2));
        let law = if self.chance.percent(75) { Law::A } else { Law::Mu };
        Birth { number, side, sip, rtp, law, house: Self::house(), sequence: self.chance.draw() as u16 }
    }

    fn insert(&mut self, line: Line) {
        self.by_call.insert(line.call_id.clone(), line.number);
        self.by_rtp.insert(line.rtp, line.number);
        self.lines.insert(line.number, line);
    }

    fn maybe_vanish(&mut self, number: u32) {
        if self.chance.percent(self.scenario.vanish) {
            let patience = self.chance.millis(0, 40_000);
            self.after(patience, Event::Line(number, Act::Vanish));
        }
    }

    /// Does something as a party.
    pub(crate) fn act(&mut self, number: u32, act: Act) {
        let now = self.now;
        let Some(line) = self.lines.get_mut(&number).filter(|line| Self::is_live(line)) else { return };
        let before = line.state;
        match act {
            Act::Fire => line.fire(now),
            Act::Ring => line.respond(now, 180, false),
            Act::RingReliably(status) => {
                line.respond_reliably(now, status, status == 183);
                if line.early && line.spoken == 0 {
                    self.after(VOICE, Event::Line(number, Act::Speak(60)));
                }
            }
            Act::Answer => line.respond(now, 200, true),
            Act::Refuse(status) => line.respond(now, status, false),
            Act::Change => line.change(now),
            Act::Hold(holds) => {
                line.holds = holds;
                line.change(now);
            }
            Act::Transfer(to) => line.transfer(now, to),
            Act::HangUp => line.hang_up(now),
            Act::Vanish => line.vanish(),
            Act::Replace(by) => return self.replace(number, by),
            Act::Speak(more) => return self.speak(number, more),
            Act::Press(key) => return self.press(number, key),
        }
        if !matches!(act, Act::Fire) {
            self.trace.note(now, format_args!("line {number} {act:?}"));
        }
        if let (Act::Vanish, Side::Phone(phone)) = (act, self.lines[&number].side) {
            self.unplug(phone);
        }
        self.settle(number, before);
    }

    /// A phone wants the place of a line.
    fn replace(&mut self, of: u32, by: usize) {
        let (now, house) = (self.now, Self::house());
        let state = self.lines[&of].state;
        if self.phones[by].gone_until > now || !matches!(state, State::Talking | State::Ringing) {
            return;
        }
        let (sip, extension) = (self.phones[by].address, self.phones[by].account.extension.to_string());
        let proof = self.phones[by].prove(&Line::own_uri(&extension, house));
        let early = state == State::Ringing && self.fingers.percent(50);
        let birth = self.birth(Side::Phone(by), sip, [203, 0, 113, 100]);
        let number = birth.number;
        self.trace.note(now, format_args!("line {number} of phone {by} wants the place of line {of}"));
        let line = Line::replace(now, birth, &extension, &self.lines[&of], &Replacing { early, proof });
        self.insert(line);
        self.after(Duration::from_secs(100), Event::Line(number, Act::HangUp));
        self.settle(number, State::Over);
    }

    /// What an agent who talks does with devices: goes on at another one, or is not let by a colleague.
    fn plan_device(&mut self, number: u32, phone: usize) {
        if self.fingers.percent(60) {
            let at = self.fingers.millis(0, 9_000);
            let by = if self.fingers.percent(80) { phone } else { self.fingers.below(3) as usize };
            self.after(at, Event::Line(number, Act::Replace(by)));
        }
    }

    /// The phone is out of the network for a while, and forgets its calls.
    fn unplug(&mut self, phone: usize) {
        let away = self.chance.millis(2_000, 60_000);
        self.phones[phone].gone_until = self.now.plus(away);
        self.phones[phone].registered = false;
        for line in
            self.lines.values_mut().filter(|line| line.side == Side::Phone(phone) && Self::is_live(line))
        {
            line.vanish();
        }
        self.after(away, Event::Register(phone));
    }

    /// A key, packet by packet.
    fn press(&mut self, number: u32, key: char) {
        let Network { loss, delay, .. } = self.scenario.network.clone();
        let Some(line) = self.lines.get_mut(&number).filter(|line| line.state == State::Talking) else {
            return;
        };
        let Some(to) = line.house_rtp else { return };
        let (source, packets) = (line.rtp, line.press(key));
        self.trace.note(self.now, format_args!("line {number} presses {key}"));
        self.ledger.pressed(number, key);
        for (at, datagram) in (0_u32..).zip(packets) {
            let (lost, underway) = (self.fingers.percent(loss), self.fingers.within(&delay));
            if !lost {
                self.after(VOICE * at + underway, Event::RtpIn(to.port(), source, datagram));
            }
        }
    }

    /// What a caller will press, and when.
    fn plan_keys(&mut self, number: u32) {
        let wish = ["1", "12", "120", "123", "*1", "9", "", "7*123"][self.fingers.below(8) as usize];
        let mut at = self.fingers.millis(300, 4_000);
        for key in wish.chars() {
            self.after(at, Event::Line(number, Act::Press(key)));
            at += Duration::from_millis(400) + self.fingers.millis(0, 2_500);
        }
    }

    /// What an agent does with the caller: hold, a transfer, two, and the wrong moment for each.
    fn plan_transfer(&mut self, number: u32) {
        let mut at = self.fingers.millis(0, 5_000);
        for _ in 0..1 + self.fingers.below(3) {
            if self.fingers.percent(50) {
                self.after(at, Event::Line(number, Act::Hold(true)));
                at += self.fingers.millis(100, 20_000);
                self.after(at, Event::Line(number, Act::Hold(false)));
                at += self.fingers.millis(0, 2_000);
            }
            let to = ["8001", "8002", "8003", "8001", "8002", "8003", "service", "95555", "4711"]
                [self.fingers.below(9) as usize];
            self.after(at, Event::Line(number, Act::Transfer(to)));
            if self.fingers.percent(25) {
                // A phone that hangs up as soon as it has asked.
                let pause = self.fingers.millis(5, 1_500);
                self.after(at + pause, Event::Line(number, Act::HangUp));
            }
            at += self.fingers.millis(500, 9_000);
        }
    }

    fn speak(&mut self, number: u32, more: u64) {
        let speaks =
            |line: &&mut Line| line.state == State::Talking || (line.state == State::Ringing && line.early);
        let Some(line) = self.lines.get_mut(&number).filter(speaks) else { return };
        if let Some(to) = line.house_rtp {
            let (source, datagram) = (line.rtp, line.speak());
            self.send(|| Event::RtpIn(to.port(), source, datagram.clone()));
        }
        if more > 0 {
            self.after(VOICE, Event::Line(number, Act::Speak(more - 1)));
        } else {
            // Never so long that it would count as a dead line.
            let (pause, spurt) = (self.chance.millis(500, 4_000), 3 + self.chance.below(40));
            self.after(pause, Event::Line(number, Act::Speak(spurt)));
        }
    }

    /// Sends what a party has to say, and plans what follows from a new state.
    fn settle(&mut self, number: u32, before: State) {
        let Some(line) = self.lines.get_mut(&number) else { return };
        let (state, side, sip) = (line.state, line.side, line.sip);
        let (outbox, due) = (std::mem::take(&mut line.outbox), line.due());
        for bytes in outbox {
            self.send(|| Event::SipIn(sip, bytes.clone()));
        }
        if let Some(due) = due {
            self.at(due, Event::Line(number, Act::Fire));
        }
        if state != before {
            self.trace.note(self.now, format_args!("line {number} is {state:?}"));
        }
        if state == State::Talking && before != State::Talking {
            self.after(VOICE, Event::Line(number, Act::Speak(10)));
            if side == Side::Caller && self.lines[&number].keys {
                self.plan_keys(number);
            }
            if let (Side::Phone(_), Agents::HandOn) = (side, self.scenario.agents) {
                self.plan_transfer(number);
            }
            if let (Side::Phone(phone), Agents::Roam) = (side, self.scenario.agents) {
                self.plan_device(number, phone);
            }
            for _ in 0..self.chance.below(3) {
                let pause = self.chance.millis(0, 15_000);
                self.after(pause, Event::Line(number, Act::Change));
            }
            let talk = match (side, self.chance.below(100)) {
                (_, 0..15) => self.chance.millis(0, 3_000),
                (Side::Caller, 15..35) => self.chance.millis(3_000, 15_000),
                (Side::Caller, _) => self.chance.millis(15_000, 70_000),
                (Side::Phone(_), _) => self.chance.millis(3_000, 40_000),
            };
            self.after(talk, Event::Line(number, Act::HangUp));
        }
    }

    /// A datagram reached a party.
    pub(crate) fn sip_out(&mut self, to: SocketAddr, bytes: &[u8]) {
        let message =
            parse(bytes).unwrap_or_else(|malformed| panic!("the house sent nonsense: {}", malformed.fault));
        let phone = self.phones.iter().position(|phone| phone.address == to);
        if phone.is_some_and(|phone| self.phones[phone].gone_until > self.now) {
            return;
        }
        let head = match &message {
            Message::Request(request) => &request.head,
            Message::Response(response) => &response.head,
        };
        let known = self.by_call.get(&*String::from_utf8_lossy(&head.call_id)).copied();
        match (message, known, phone) {
            (Message::Response(response), None, Some(phone)) => {
                if let Some(register) = self.phones[phone].answered(&response) {
                    self.send(|| Event::SipIn(to, register.clone()));
                }
            }
            (Message::Request(request), None, Some(phone)) if request.method == Method::Invite => {
                self.rung(phone, to, request);
            }
            (Message::Request(request), known, phone) => {
                let vanished = |number| self.lines[&number].state == State::Vanished;
                if known.is_none_or(vanished) {
                    // A phone that is back knows nothing of what was; a caller who vanished stays away.
                    if phone.is_some() && request.method != Method::Ack {
                        let answer =
                            request.respond(sip_core::message::Status(481)).tagged(b"new").to_bytes();
                        self.send(|| Event::SipIn(to, answer.clone()));
                    }
                } else if let Some(number) = known {
                    let before = self.lines[&number].state;
                    let now = self.now;
                    self.lines.get_mut(&number).unwrap().requested(now, &request);
                    self.settle(number, before);
                }
            }
            (Message::Response(response), Some(number), _) => {
                let (before, now) = (self.lines[&number].state, self.now);
                self.lines.get_mut(&number).unwrap().response(now, &response);
                self.settle(number, before);
                let (side, wants) = (self.lines[&number].side, self.lines[&number].wants);
                if let (Side::Phone(phone), Some(of), 401, State::Inviting) =
                    (side, wants, response.status.0, before)
                {
                    self.phones[phone].challenged(&response);
                    self.after(VOICE, Event::Line(of, Act::Replace(phone)));
                }
            }
            (Message::Response(_), None, None) => {}
        }
    }

    /// A phone's INVITE: what the agent makes of it.
    fn rung(&mut self, phone: usize, address: SocketAddr, invite: sip_core::message::Request) {
        let birth = self.birth(Side::Phone(phone), address, [203, 0, 113, 100]);
        let number = birth.number;
        self.trace.note(self.now, format_args!("line {number} is called at phone {phone}"));
        self.insert(Line::called(birth, invite));
        let rings = self.chance.millis(10, 300);
        if self.scenario.phones == Phones::Reliable {
            self.ring_reliably(number);
        }
        let then = rings + self.chance.millis(0, 6_000);
        match self.chance.below(100) {
            0..5 => self.after(rings, Event::Line(number, Act::Answer)),
            5..11 => self.after(rings, Event::Line(number, Act::Refuse(486))),
            11..16 => {
                self.after(rings, Event::Line(number, Act::Ring));
                self.after(then, Event::Line(number, Act::Refuse(603)));
            }
            16..24 => self.after(rings, Event::Line(number, Act::Ring)),
            _ => {
                self.after(rings, Event::Line(number, Act::Ring));
                self.after(then, Event::Line(number, Act::Answer));
            }
        }
        if self.scenario.agents == Agents::Roam && self.fingers.percent(50) {
            let (at, by) = (self.fingers.millis(0, 5_000), self.fingers.below(3) as usize);
            self.after(rings + at, Event::Line(number, Act::Replace(by)));
        }
        self.maybe_vanish(number);
        if self.scenario.vanish > 0 {
            // A phone that comes back to the last copy of an INVITE rings for a house that has given it up.
            // Where no phone is ever away, ringing on without an end is the house's fault.
            self.after(Duration::from_secs(60), Event::Line(number, Act::Refuse(480)));
        }
    }

    /// What a phone says beside what it says in any case: words that the house has to acknowledge, and speech.
    fn ring_reliably(&mut self, number: u32) {
        let at = self.tongues.millis(5, 300);
        let second = at + self.tongues.millis(0, 2_000);
        match self.tongues.below(10) {
            0 => {}
            1..4 => self.after(at, Event::Line(number, Act::RingReliably(180))),
            4..7 => self.after(at, Event::Line(number, Act::RingReliably(183))),
            _ => {
                self.after(at, Event::Line(number, Act::RingReliably(180)));
                self.after(second, Event::Line(number, Act::RingReliably(183)));
            }
        }
    }

    /// A phone registers, tries again soon where it got no answer, and later anew.
    pub(crate) fn register(&mut self, phone: usize) {
        let pause = if self.phones[phone].registered { 250 } else { 2 };
        self.after(Duration::from_secs(pause), Event::Register(phone));
        let phone = &mut self.phones[phone];
        if phone.gone_until > self.now {
            return;
        }
        phone.registered = false;
        let (address, register) = (phone.address, phone.register());
        self.send(|| Event::SipIn(address, register.clone()));
    }

    /// Somebody who is on no call speaks to a leg.
    fn intrude(&mut self) {
        let count = self.ports.len().max(1) as u64;
        let place = self.chance.below(count) as usize;
        let Some(port) = self.ports.keys().nth(place).copied() else { return };
        let datagram = stray(self.chance.draw() as u16);
        self.send(|| Event::RtpIn(port, ([198, 51, 100, 66], 6666).into(), datagram.clone()));
    }

    /// Agents sign in, take a rest, and come back.
    pub(crate) fn desk(&mut self) {
        self.after(Duration::from_secs(3), Event::Desk);
        self.intrude();
        let moment = self.moment();
        if let Some(router) = &self.up.route {
            let amiss = amiss(router);
            self.ledger.amiss.extend(amiss);
        }
        if !self.is_lively() {
            return;
        }
        let seats: Vec<(AgentId, Extension)> = self
            .plan
            .route
            .agents
            .iter()
            .filter_map(|agent| Some((agent.name.clone(), agent.extension.clone()?)))
            .collect();
        for (agent, phone) in seats {
            let (draw, wish) = (self.chance.below(100), self.chance.below(2));
            let Some(router) = &mut self.up.route else { return };
            let entry = router.agents().into_iter().find(|entry| entry.agent == agent);
            let Some(state) = entry.map(|entry| entry.state) else { continue };
            let wanted = match (state, draw) {
                (AgentState::SignedOut, _) => {
                    // Refused while the phone is not known: signalling is not attached yet.
                    let _refused = router.sign_in(moment, &agent, Some(phone));
                    Some(AgentState::Ready)
                }
                (AgentState::Aux(_), 0..80) | (AgentState::WrapUp, 0..10) => Some(AgentState::Ready),
                (_, 97..) if wish == 0 => Some(AgentState::SignedOut),
                (_, 97..) => Some(AgentState::Aux("tea".to_owned())),
                _ => None,
            };
            if let Some(wanted) = wanted {
                let _refused = router.set_state(moment, &agent, wanted);
                self.drain_route();
            }
        }
    }
}
