//! A caller with keys: what SIPp cannot be, whose digits leave on another port and under another SSRC than its
//! speech. One socket speaks SIP as the carrier, one sends A-law silence all the time, and keys as RFC 4733
//! events within that very stream.

use crate::House;
use std::{
    net::UdpSocket,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

/// The payload type that the caller gives to telephone events.
const EVENTS: u8 = 97;
const PACKET: Duration = Duration::from_millis(20);

/// A caller on a call.
pub struct KeyCaller {
    sip: Arc<UdpSocket>,
    house: String,
    dialled: String,
    call_id: String,
    to: String,
    keys: Sender<char>,
    ended: Receiver<()>,
}

impl KeyCaller {
    /// Calls this number over the trunk, and speaks once it is answered.
    ///
    /// # Panics
    /// Nobody answers within some seconds.
    pub fn call(house: &House, dialled: &str) -> Self {
        let sip = UdpSocket::bind(("127.0.0.1", house.trunk)).unwrap();
        let rtp = UdpSocket::bind("127.0.0.1:0").unwrap();
        sip.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let target = format!("127.0.0.1:{}", house.sip);
        let port = rtp.local_addr().unwrap().port();
        let call_id = format!("keys-{port}-{dialled}");
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 {EVENTS}\r\n\
             a=rtpmap:8 PCMA/8000\r\na=rtpmap:{EVENTS} telephone-event/8000\r\na=fmtp:{EVENTS} 0-15\r\n"
        );
        let (keys, pressed) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let mut caller = Self {
            sip: Arc::new(sip),
            house: target,
            dialled: dialled.to_owned(),
            call_id,
            to: String::new(),
            keys,
            ended,
        };
        caller.send("INVITE", 1, "1", &sdp);
        let answer = caller.answer("INVITE");
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        caller.to = header(&answer, "To").unwrap().to_owned();
        caller.send("ACK", 1, "1a", "");
        let media = answer.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap();
        let to = format!("127.0.0.1:{}", media.split(' ').next().unwrap());
        thread::spawn(move || speak(&rtp, &to, &pressed));
        let sip = Arc::clone(&caller.sip);
        thread::spawn(move || until_bye(&sip, &end));
        caller
    }

    /// Presses keys, each for 100 ms with 150 ms between them.
    pub fn press(&self, keys: &str) {
        keys.chars().for_each(|key| self.keys.send(key).unwrap());
    }

    /// Hangs up.
    pub fn hang_up(self) {
        self.send("BYE", 2, "2", "");
    }

    /// Waits until the house has hung up.
    ///
    /// # Panics
    /// It does not in time.
    pub fn ended(&self, patience: Duration) {
        self.ended.recv_timeout(patience).expect("the house hangs up");
    }

    fn send(&self, method: &str, number: u32, branch: &str, body: &str) {
        let Self { house, dialled, call_id, .. } = self;
        let here = self.sip.local_addr().unwrap();
        let to = if self.to.is_empty() { format!("<sip:{dialled}@{house}>") } else { self.to.clone() };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:{dialled}@{house} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{call_id}{branch}\r\n\
             From: <sip:13800138000@{here}>;tag=k\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:carrier@{here}>\r\nMax-Forwards: 70\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.sip.send_to(text.as_bytes(), house).unwrap();
    }

    /// The final response to a request.
    fn answer(&self, method: &str) -> String {
        let mut buffer = [0; 8192];
        loop {
            let length = self.sip.recv(&mut buffer).expect("the house answers");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let ours = header(&text, "CSeq").is_some_and(|value| value.ends_with(method));
            if ours && text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1") {
                return text;
            }
        }
    }
}

fn header<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Answers BYE, and says that it came.
fn until_bye(sip: &UdpSocket, end: &Sender<()>) {
    sip.set_read_timeout(None).unwrap();
    let mut buffer = [0; 8192];
    while let Ok((length, from)) = sip.recv_from(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with("BYE ") {
            let kept = ["Via", "From", "To", "Call-ID", "CSeq"];
            let lines =
                text.lines().filter(|line| kept.iter().any(|name| line.starts_with(&format!("{name}: "))));
            let head = lines.collect::<Vec<_>>().join("\r\n");
            let answer = format!("SIP/2.0 200 OK\r\n{head}\r\nContent-Length: 0\r\n\r\n");
            sip.send_to(answer.as_bytes(), from).unwrap();
            // The test may be over.
            end.send(()).ok();
            return;
        }
        if text.contains("CSeq: 2 BYE") {
            return;
        }
    }
}

/// A packet every 20 ms: silence, or the key that is held.
fn speak(rtp: &UdpSocket, to: &str, pressed: &Receiver<char>) {
    let (mut sequence, mut timestamp) = (7_u16, 800_u32);
    let mut due = Instant::now();
    let mut send = |marker: bool, kind: u8, timestamp: u32, payload: &[u8]| {
        let mut datagram = vec![0x80, u8::from(marker) << 7 | kind];
        datagram.extend(sequence.to_be_bytes());
        datagram.extend(timestamp.to_be_bytes());
        datagram.extend(0x1234_5678_u32.to_be_bytes());
        datagram.extend(payload);
        sequence = sequence.wrapping_add(1);
        due += PACKET;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        rtp.send_to(&datagram, to).is_ok()
    };
    let mut silence = 0;
    loop {
        let key = if silence == 0 { pressed.try_recv() } else { Err(mpsc::TryRecvError::Empty) };
        match key {
            Ok(key) => {
                let code = "0123456789*#ABCD".find(key).unwrap() as u8;
                // RFC 4733 §2.5.1: one timestamp, a growing duration, the end said three times.
                for at in 0..7_u16 {
                    let end = if at >= 4 { 0x80 } else { 0 };
                    let duration = (160 * (at + 1)).min(800).to_be_bytes();
                    send(at == 0, EVENTS, timestamp, &[code, end | 10, duration[0], duration[1]]);
                }
                timestamp += 7 * 160;
                silence = 7;
            }
            Err(mpsc::TryRecvError::Empty) => {
                if !send(false, 8, timestamp, &[0xd5; 160]) {
                    return;
                }
                timestamp += 160;
                silence = u16::saturating_sub(silence, 1);
            }
            // The caller is gone.
            Err(mpsc::TryRecvError::Disconnected) => return,
        }
    }
}
