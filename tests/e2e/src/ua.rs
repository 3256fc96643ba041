//! A SIP user agent that a test drives message by message: it does what SIPp and baresip never would, such as
//! hanging up at the wrong moment, asking twice at once, or falling silent.

use crate::{House, message::Message};
use md5::{Digest as _, Md5};
use std::{
    collections::HashMap,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

/// How long the house may take for anything on a busy machine; more than the 32 s of a transaction that fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

type Talks = Arc<Mutex<HashMap<String, Sender<Message>>>>;

/// One socket, on which any number of dialogs are held.
pub struct Line {
    socket: Arc<UdpSocket>,
    house: SocketAddr,
    user: String,
    talks: Talks,
    calls: Mutex<Receiver<(Message, Receiver<Message>)>>,
    count: AtomicU32,
}

/// One dialog, from its INVITE on.
pub struct Dialog {
    socket: Arc<UdpSocket>,
    house: SocketAddr,
    inbox: Receiver<Message>,
    /// Its Call-ID, by which the call record knows it.
    pub call_id: String,
    local: String,
    remote: String,
    target: String,
    number: u32,
    /// The branch of our INVITE that is being answered, which its CANCEL and the ACK of its refusal repeat.
    branch: String,
    /// The INVITE of the house, where it calls.
    pub invite: Option<Message>,
}

impl Line {
    /// The carrier: every call over the trunk comes from here.
    pub fn carrier(house: &House) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", house.trunk)).unwrap();
        Self::on(socket, house, "carrier")
    }

    /// A phone that registers with its password (RFC 7616, MD5).
    ///
    /// # Panics
    /// It is not taken.
    pub fn phone(house: &House, extension: &str, password: &str) -> Self {
        let line = Self::unregistered(house, extension, "127.0.0.1");
        assert_eq!(line.register(password, PATIENCE), Some(200), "{extension} registers");
        line
    }

    /// A phone at this address that has not registered.
    pub fn unregistered(house: &House, extension: &str, address: &str) -> Self {
        Self::on(UdpSocket::bind((address, 0)).unwrap(), house, extension)
    }

    fn on(socket: UdpSocket, house: &House, user: &str) -> Self {
        let socket = Arc::new(socket);
        let talks: Talks = Arc::default();
        let (tell, calls) = mpsc::channel();
        let (reading, known) = (Arc::clone(&socket), Arc::clone(&talks));
        thread::spawn(move || read(&reading, &known, &tell));
        Self {
            socket,
            house: ([127, 0, 0, 1], house.sip).into(),
            user: user.to_owned(),
            talks,
            calls: Mutex::new(calls),
            count: AtomicU32::new(0),
        }
    }

    /// Registers, proves the password when asked, and gives the last status; nothing where the house says nothing
    /// for so long.
    pub fn register(&self, password: &str, patience: Duration) -> Option<u16> {
        let Self { house, user, .. } = self;
        let mut dialog = self.dialog(format!("<sip:{user}@{house}>"), format!("sip:{house}"));
        dialog.ask_with("REGISTER", "Expires: 300\r\n", "");
        let challenged = dialog.final_within(patience)?;
        if challenged.status != Some(401) {
            return challenged.status;
        }
        let proof = self.proof(password, "REGISTER", &format!("sip:{house}"), &challenged);
        dialog.ask_with("REGISTER", &format!("{proof}Expires: 300\r\n"), "");
        dialog.final_within(patience)?.status
    }

    /// Calls a number as a phone that proves its password, with these header lines more.
    ///
    /// # Panics
    /// It is not asked for the password.
    pub fn dial_proved(&self, number: &str, password: &str, headers: &str, sdp: &str) -> Dialog {
        let target = format!("sip:{number}@{}", self.house);
        let mut dialog = self.dialog(format!("<sip:{number}@{}>", self.house), target.clone());
        dialog.ask_with("INVITE", headers, sdp);
        let challenged = dialog.last("INVITE");
        assert_eq!(challenged.status, Some(401), "{challenged:?}");
        dialog.ack_refusal(&challenged);
        let proof = self.proof(password, "INVITE", &target, &challenged);
        dialog.ask_with("INVITE", &(proof + headers), sdp);
        dialog
    }

    /// The answer to a challenge (RFC 7616, MD5), as a header line.
    fn proof(&self, password: &str, method: &str, uri: &str, challenged: &Message) -> String {
        let user = &self.user;
        let challenge = challenged.header("WWW-Authenticate").unwrap();
        let of = |name: &str| {
            let value =
                challenge.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{challenge}")).1;
            value.split('"').next().unwrap().to_owned()
        };
        let (realm, nonce) = (of("realm"), of("nonce"));
        let (first, second) = (md5(&format!("{user}:{realm}:{password}")), md5(&format!("{method}:{uri}")));
        let response = md5(&format!("{first}:{nonce}:00000001:c:auth:{second}"));
        format!(
            "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", qop=auth, \
             nc=00000001, cnonce=\"c\", algorithm=MD5, response=\"{response}\"\r\n"
        )
    }

    /// Calls a number with this session description; none makes it a late offer.
    pub fn dial(&self, number: &str, sdp: &str) -> Dialog {
        let mut dialog =
            self.dialog(format!("<sip:{number}@{}>", self.house), format!("sip:{number}@{}", self.house));
        dialog.ask("INVITE", sdp);
        dialog
    }

    /// Waits until the house calls.
    ///
    /// # Panics
    /// It does not in time.
    pub fn called(&self) -> Dialog {
        self.called_within(PATIENCE).expect("the house calls the phone")
    }

    /// Waits so long for a call of the house.
    pub fn called_within(&self, patience: Duration) -> Option<Dialog> {
        let (invite, inbox) = self.calls.lock().unwrap().recv_timeout(patience).ok()?;
        let header = |name: &str| invite.header(name).unwrap().to_owned();
        Some(Dialog {
            socket: Arc::clone(&self.socket),
            house: self.house,
            inbox,
            call_id: header("Call-ID"),
            local: format!("{};tag={}", header("To"), self.user),
            remote: header("From"),
            target: invite.contact().expect("a Contact").to_owned(),
            number: 100,
            branch: String::new(),
            invite: Some(invite),
        })
    }

    fn dialog(&self, remote: String, target: String) -> Dialog {
        let here = self.socket.local_addr().unwrap();
        let call_id = format!("{}-{}-{}", self.user, here.port(), self.count.fetch_add(1, Ordering::Relaxed));
        let (tell, inbox) = mpsc::channel();
        self.talks.lock().unwrap().insert(call_id.clone(), tell);
        let user = if self.user == "carrier" { "13800138000" } else { &self.user };
        Dialog {
            socket: Arc::clone(&self.socket),
            house: self.house,
            inbox,
            local: format!("<sip:{user}@{}>;tag=t{call_id}", self.house),
            call_id,
            remote,
            target,
            number: 0,
            branch: String::new(),
            invite: None,
        }
    }
}

impl Dialog {
    /// The header by which another device asks for the place of this dialog (RFC 3891), as it is written for the house.
    pub fn replaces(&self) -> String {
        let tag = |address: &str| address.rsplit_once(";tag=").expect("a tag").1.to_owned();
        format!("Replaces: {};to-tag={};from-tag={}", self.call_id, tag(&self.remote), tag(&self.local))
    }

    /// Sends a request with the next number; gives that.
    pub fn ask(&mut self, method: &str, sdp: &str) -> u32 {
        self.ask_with(method, "", sdp)
    }

    /// The same with these header lines more.
    pub fn ask_with(&mut self, method: &str, headers: &str, sdp: &str) -> u32 {
        self.number += 1;
        let branch = format!("z9hG4bK{}-{}", self.call_id, self.number);
        self.send(method, self.number, &branch, headers, sdp);
        if method == "INVITE" {
            self.branch = branch;
        }
        self.number
    }

    /// Sends our INVITE once more, octet for octet, as a retransmission.
    pub fn repeat(&self, sdp: &str) {
        self.send("INVITE", self.number, &self.branch, "", sdp);
    }

    /// ACK of a 2xx to the INVITE of this number: a request of its own.
    pub fn ack(&self, number: u32, sdp: &str) {
        self.send("ACK", number, &format!("z9hG4bK{}-a{number}", self.call_id), "", sdp);
    }

    /// CANCEL of our last INVITE (RFC 3261 §9.1).
    pub fn cancel(&self) {
        self.send("CANCEL", self.number, &self.branch, "", "");
    }

    /// ACK of a refusal of our last INVITE (§17.1.1.3).
    pub fn ack_refusal(&self, refusal: &Message) {
        let to = refusal.header("To").unwrap();
        self.send_to(to, "ACK", refusal.number(), &self.branch, "", "");
    }

    /// Waits for the 200 of our INVITE, and takes its tag and Contact.
    ///
    /// # Panics
    /// Another final response comes, or none in time.
    pub fn answered(&mut self) -> Message {
        let answer = self.last("INVITE");
        assert_eq!(answer.status, Some(200), "{answer:?}");
        self.taken(&answer);
        answer
    }

    /// Waits for the answer, confirms it, and gives the house's description.
    pub fn confirmed(&mut self) -> String {
        let answer = self.answered();
        self.ack(answer.number(), "");
        answer.body
    }

    /// Takes tag and Contact of the house from its answer.
    pub fn taken(&mut self, answer: &Message) {
        answer.header("To").unwrap().clone_into(&mut self.remote);
        answer.contact().unwrap().clone_into(&mut self.target);
    }

    /// Waits for the final response to our last request of this method; retransmissions of earlier ones are passed
    /// over.
    ///
    /// # Panics
    /// None comes in time.
    pub fn last(&self, method: &str) -> Message {
        self.response_to(method, self.number)
    }

    /// Waits for the final response to our request of this method and number.
    ///
    /// # Panics
    /// None comes in time.
    pub fn response_to(&self, method: &str, number: u32) -> Message {
        self.wait(&format!("a response to {method} {number}"), |message| {
            message.status.is_some_and(|status| status >= 200)
                && message.of() == method
                && message.number() == number
        })
    }

    /// Waits for a provisional response to our INVITE, and takes the tag and Contact of its early dialog.
    ///
    /// # Panics
    /// It does not come in time.
    pub fn progress(&mut self, status: u16) -> Message {
        let progress = self.wait(&status.to_string(), |message| message.status == Some(status));
        self.taken(&progress);
        progress
    }

    /// PRACK of a provisional response (RFC 3262 §4); gives the status of its answer.
    ///
    /// # Panics
    /// The response is not one to be acknowledged, or the PRACK has no answer in time.
    pub fn prack(&mut self, progress: &Message) -> Option<u16> {
        assert!(progress.header("Require").is_some_and(|options| options.contains("100rel")), "{progress:?}");
        let rseq = progress.header("RSeq").expect("an RSeq");
        let rack = format!("RAck: {rseq} {} INVITE\r\n", progress.number());
        self.ask_with("PRACK", &rack, "");
        self.last("PRACK").status
    }

    fn final_within(&self, patience: Duration) -> Option<Message> {
        let message = self.inbox.recv_timeout(patience).ok()?;
        message.status.filter(|status| *status >= 200)?;
        Some(message)
    }

    /// Waits for a request of the house; retransmissions of responses are passed over.
    ///
    /// # Panics
    /// None comes in time.
    pub fn asked(&self, method: &str) -> Message {
        self.wait(method, |message| message.status.is_none() && message.method == method)
    }

    /// How many requests of this method come within that time.
    pub fn count(&self, method: &str, within: Duration) -> usize {
        let (end, mut count) = (Instant::now() + within, 0);
        loop {
            match self.inbox.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(message) if message.status.is_none() && message.method == method => count += 1,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return count,
            }
        }
    }

    fn wait(&self, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        let (end, mut passed) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(left) {
                Ok(message) if wanted(&message) => return message,
                Ok(message) => {
                    passed.push(format!("{:?} {} {}", message.status, message.method, message.of()))
                }
                Err(_) => panic!("{}: {what} does not come, but {passed:?}", self.call_id),
            }
        }
    }

    /// Answers a request of the house.
    pub fn reply(&self, request: &Message, status: u16, sdp: &str) {
        self.reply_with(request, status, "", sdp);
    }

    /// The same with these header lines more.
    pub fn reply_with(&self, request: &Message, status: u16, headers: &str, sdp: &str) {
        let here = self.socket.local_addr().unwrap();
        let to = request.header("To").unwrap();
        let to = if to.contains(";tag=") || status == 100 { to } else { &self.local };
        let [via, from, call_id, cseq] = ["Via", "From", "Call-ID", "CSeq"].map(|name| request.lines(name));
        let text = format!(
            "SIP/2.0 {status} Said\r\n{via}{from}To: {to}\r\n{call_id}{cseq}Contact: <sip:peer@{here}>\r\n{headers}{}",
            body(sdp)
        );
        self.socket.send_to(text.as_bytes(), self.house).unwrap();
    }

    /// Answers the INVITE of the house, and waits for the ACK of a final answer.
    pub fn pick_up(&self, sdp: &str) {
        self.say(200, sdp);
        self.asked("ACK");
    }

    /// Answers the INVITE of the house.
    pub fn say(&self, status: u16, sdp: &str) {
        self.reply(self.invite.as_ref().expect("the house called"), status, sdp);
    }

    /// Another device that the same INVITE makes ring: it has a tag of its own, and says what it says by itself. What
    /// the house asks of it comes to the first.
    pub fn fork(&self, tag: &str) -> Self {
        let remote = self.local.split(";tag=").next().unwrap_or_default();
        Self {
            socket: Arc::clone(&self.socket),
            house: self.house,
            inbox: mpsc::channel().1,
            call_id: self.call_id.clone(),
            local: format!("{remote};tag={tag}"),
            remote: self.remote.clone(),
            target: self.target.clone(),
            number: self.number,
            branch: String::new(),
            invite: self.invite.clone(),
        }
    }

    /// Hangs up, and waits until the house agrees.
    pub fn bye(&mut self) {
        self.ask("BYE", "");
        assert_eq!(self.last("BYE").status, Some(200));
    }

    /// Waits until the house hangs up, and agrees; gives the BYE.
    pub fn hung_up(&self) -> Message {
        let bye = self.asked("BYE");
        self.reply(&bye, 200, "");
        bye
    }

    /// The test has seen enough: what comes is passed over.
    pub fn let_go(&mut self) {
        self.inbox = mpsc::channel().1;
    }

    fn send(&self, method: &str, number: u32, branch: &str, headers: &str, sdp: &str) {
        self.send_to(&self.remote, method, number, branch, headers, sdp);
    }

    fn send_to(&self, to: &str, method: &str, number: u32, branch: &str, headers: &str, sdp: &str) {
        let Self { target, local, call_id, .. } = self;
        let here = self.socket.local_addr().unwrap();
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch={branch};rport\r\nFrom: {local}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {number} {method}\r\nContact: <sip:peer@{here}>\r\nMax-Forwards: 70\r\n{headers}{}",
            body(sdp)
        );
        self.socket.send_to(text.as_bytes(), self.house).unwrap();
    }
}

fn body(sdp: &str) -> String {
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!("{kind}Content-Length: {}\r\n\r\n{sdp}", sdp.len())
}

fn md5(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Gives each message to its dialog; an INVITE that belongs to none is a call.
fn read(socket: &UdpSocket, talks: &Talks, calls: &Sender<(Message, Receiver<Message>)>) {
    let mut buffer = [0; 65_536];
    while let Ok(length) = socket.recv(&mut buffer) {
        let Some(message) = Message::read(&buffer[..length]) else { continue };
        let call_id = message.header("Call-ID").unwrap_or("").to_owned();
        let mut talks = talks.lock().unwrap();
        if let Some(talk) = talks.get(&call_id) {
            // A dialog that the test has let go.
            let _over = talk.send(message);
        } else if message.method == "INVITE" {
            let (tell, inbox) = mpsc::channel();
            talks.insert(call_id, tell);
            if calls.send((message, inbox)).is_err() {
                return;
            }
        }
    }
}
