//! A carrier that calls: so many calls, so many a second, each held for a while.

use crate::{
    Failure,
    message::{Message, described, uri},
    phones::{Sound, end},
};
use std::{
    collections::{BTreeMap, VecDeque},
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// When a request is sent again (RFC 3261 Timer A and E, without their doubling).
const AGAIN: Duration = Duration::from_millis(500);
/// How long the last reply is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The carrier.
pub struct Caller {
    socket: UdpSocket,
    sound: Sound,
    sink: UdpSocket,
    numbers: u32,
    live: BTreeMap<u32, Call>,
}

/// What came of some calls.
pub struct Came {
    /// From the INVITE to its 200 OK, in milliseconds and ascending.
    pub set_up: Vec<f64>,
    /// Calls that were not answered or not ended in order.
    pub failed: usize,
}

/// When calls end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// So long after their answer.
    For(Duration),
    /// When they are told to.
    UntilTold,
}

struct Call {
    to: SocketAddr,
    invited: Instant,
    /// The request URI and the Route headers of what comes after the answer.
    dialog: Option<(String, String, String)>,
    dialled: String,
    end: Option<UdpSocket>,
    /// What is not answered yet, and when it was sent.
    pending: Option<(String, Instant)>,
}

impl Caller {
    /// A carrier on a new port.
    ///
    /// # Errors
    /// No socket.
    pub fn new(sound: Sound) -> Result<Self, Failure> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let sink = UdpSocket::bind("127.0.0.1:0")?;
        Ok(Self { socket, sound, sink, numbers: 0, live: BTreeMap::new() })
    }

    /// Where it calls from.
    ///
    /// # Errors
    /// The kernel's.
    pub fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.socket.local_addr()?)
    }

    /// Makes calls. Those that are not ended by then stay.
    ///
    /// # Errors
    /// The kernel's.
    pub fn call(
        &mut self,
        to: SocketAddr,
        dialled: &str,
        (calls, rate): (u32, u32),
        hold: Hold,
    ) -> Result<Came, Failure> {
        let (began, first) = (Instant::now(), self.numbers);
        let mut hang_ups: VecDeque<(Instant, u32)> = VecDeque::new();
        let (mut placed, mut done, mut last) = (0, 0, Instant::now());
        let mut came = Came { set_up: Vec::new(), failed: 0 };
        while done < calls && last.elapsed() < PATIENCE {
            let now = Instant::now();
            while placed < calls && began + Duration::from_secs(1) / rate * placed <= now {
                self.invite(to, dialled)?;
                placed += 1;
            }
            while let Some((_, number)) = hang_ups.pop_front_if(|(due, _)| *due <= now) {
                self.bye(number)?;
            }
            self.send_again(now)?;
            let next_call = (placed < calls).then(|| began + Duration::from_secs(1) / rate * placed);
            let next_end = hang_ups.front().map(|(due, _)| *due);
            let due = next_call.into_iter().chain(next_end).min().unwrap_or(now + Duration::from_millis(100));
            let Some(heard) = self.hear(due)? else { continue };
            last = Instant::now();
            match heard {
                Heard::Answered(number, set_up) if number >= first => {
                    came.set_up.push(set_up.as_secs_f64() * 1e3);
                    match hold {
                        Hold::For(hold) => hang_ups.push_back((last + hold, number)),
                        Hold::UntilTold => done += 1,
                    }
                }
                Heard::Refused(number) if number >= first => {
                    came.failed += 1;
                    done += 1;
                }
                Heard::Over(number) if number >= first => done += 1,
                _ => {}
            }
        }
        came.failed += (calls - done) as usize;
        came.set_up.sort_by(f64::total_cmp);
        if hold != Hold::UntilTold {
            self.live.clear();
        }
        Ok(came)
    }

    /// The sockets of the calls that stand.
    pub fn ends(&mut self) -> Vec<UdpSocket> {
        self.live.values_mut().filter_map(|call| call.end.take()).collect()
    }

    /// Ends all calls that stand.
    ///
    /// # Errors
    /// The kernel's.
    pub fn end(&mut self) -> Result<(), Failure> {
        let mut left: Vec<u32> = self.live.keys().copied().collect();
        for number in &left {
            self.bye(*number)?;
        }
        let deadline = Instant::now() + PATIENCE;
        while !left.is_empty() && Instant::now() < deadline {
            self.send_again(Instant::now())?;
            if let Some(Heard::Over(number)) = self.hear(Instant::now() + Duration::from_millis(100))? {
                left.retain(|other| *other != number);
            }
        }
        self.live.clear();
        match left.len() {
            0 => Ok(()),
            left => Err(format!("{left} calls were not ended").into()),
        }
    }

    fn invite(&mut self, to: SocketAddr, dialled: &str) -> Result<(), Failure> {
        let number = self.numbers;
        self.numbers += 1;
        let (own, port) = match self.sound {
            Sound::None => (None, self.sink.local_addr()?.port()),
            Sound::EachCall => end(None).map(|(end, port)| (Some(end), port))?,
        };
        let head =
            self.head("INVITE", number, &format!("sip:{dialled}@{to}"), &format!("<sip:{dialled}@{to}>"))?;
        let contact = format!("Contact: <sip:carrier@{}>\r\n", self.address()?);
        let request = format!("{head}{contact}{}", described(port));
        let call = Call {
            to,
            invited: Instant::now(),
            dialog: None,
            dialled: dialled.to_owned(),
            end: own,
            pending: Some((request.clone(), Instant::now())),
        };
        self.live.insert(number, call);
        self.socket.send_to(request.as_bytes(), to)?;
        Ok(())
    }

    fn bye(&mut self, number: u32) -> Result<(), Failure> {
        let Some(Call { dialog: Some((target, routes, far)), to, .. }) = self.live.get(&number) else {
            return Ok(());
        };
        let head = self.head("BYE", number, target, far)?;
        let request = format!("{head}{routes}Content-Length: 0\r\n\r\n");
        self.socket.send_to(request.as_bytes(), *to)?;
        if let Some(call) = self.live.get_mut(&number) {
            call.pending = Some((request, Instant::now()));
        }
        Ok(())
    }

    fn send_again(&mut self, now: Instant) -> Result<(), Failure> {
        for call in self.live.values_mut() {
            if let Some((request, sent)) = &mut call.pending
                && now.saturating_duration_since(*sent) > AGAIN
            {
                self.socket.send_to(request.as_bytes(), call.to)?;
                *sent = now;
            }
        }
        Ok(())
    }

    fn head(&self, method: &str, number: u32, target: &str, far: &str) -> Result<String, Failure> {
        let address = self.address()?;
        let sequence = if method == "BYE" { 2 } else { 1 };
        Ok(format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{method}{number}\r\n\
             From: <sip:1380013{number:04}@{address}>;tag=c{number}\r\nTo: {far}\r\n\
             Call-ID: {number}-{address}\r\nCSeq: {sequence} {method}\r\nMax-Forwards: 70\r\n"
        ))
    }

    /// What comes before that moment.
    fn hear(&mut self, due: Instant) -> Result<Option<Heard>, Failure> {
        let patience = due.saturating_duration_since(Instant::now());
        self.socket.set_read_timeout(Some(patience.max(Duration::from_micros(50))))?;
        let mut buffer = [0; 8192];
        let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { return Ok(None) };
        let text = String::from_utf8_lossy(&buffer[..length]);
        let message = Message(&text);
        let number = message.one("Call-ID").split('-').next().and_then(|number| number.parse::<u32>().ok());
        let Some(number) = number else { return Ok(None) };
        let Some(status) = message.status() else {
            // The other side ends it.
            let reply = message.reply("200 OK", "c", "Content-Length: 0\r\n\r\n");
            self.socket.send_to(reply.as_bytes(), from)?;
            let known = message.asks("BYE") && self.live.remove(&number).is_some();
            return Ok(known.then_some(Heard::Over(number)));
        };
        let answers_invite = message.one("CSeq").ends_with("INVITE");
        let Some(call) = self.live.get_mut(&number) else { return Ok(None) };
        call.pending = None;
        match status {
            200 if answers_invite => {
                let again = call.dialog.is_some();
                let routes: Vec<&str> = message.all("Record-Route").collect();
                let routes =
                    routes.iter().rev().map(|route| format!("Route: {route}\r\n")).collect::<String>();
                let target = uri(message.one("Contact")).to_owned();
                let (far, set_up, to) = (message.one("To").to_owned(), call.invited.elapsed(), call.to);
                if let (Some(end), Some(port)) = (&call.end, message.audio()) {
                    end.connect(("127.0.0.1", port))?;
                }
                call.dialog = Some((target.clone(), routes.clone(), far.clone()));
                let head = self.head("ACK", number, &target, &far)?;
                self.socket.send_to(format!("{head}{routes}Content-Length: 0\r\n\r\n").as_bytes(), to)?;
                Ok((!again).then_some(Heard::Answered(number, set_up)))
            }
            300.. if answers_invite => {
                let (to, target) = (call.to, format!("sip:{}@{}", call.dialled, call.to));
                let far = message.one("To").to_owned();
                let request = self.head("ACK", number, &target, &far)?.replace("z9hG4bKACK", "z9hG4bKINVITE");
                self.socket.send_to(format!("{request}Content-Length: 0\r\n\r\n").as_bytes(), to)?;
                self.live.remove(&number);
                Ok(Some(Heard::Refused(number)))
            }
            200.. if !answers_invite => {
                self.live.remove(&number);
                Ok(Some(Heard::Over(number)))
            }
            _ => Ok(None),
        }
    }
}

/// What a reply says of a call.
enum Heard {
    Answered(u32, Duration),
    Refused(u32),
    Over(u32),
}
