//! Voices that can be told apart: every packet of A-law says whose it is and which, so that a recording or an ear
//! shows to the packet what was heard of whom.

use g711::Law;
use std::{
    collections::HashMap,
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

const PACKET: Duration = Duration::from_millis(20);
/// Samples in a packet.
const SAMPLES: usize = 160;

/// What a packet says: whose, and which since it began to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The voice.
    pub who: u16,
    /// The packet.
    pub number: u16,
}

impl Stamp {
    fn quad(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.who.to_be_bytes(), self.number.to_be_bytes());
        [a, b, c, d]
    }

    /// A packet that says so.
    pub fn packet(self) -> Vec<u8> {
        let mut packet = vec![0x80, 8];
        packet.extend(self.number.to_be_bytes());
        packet.extend((u32::from(self.number) * SAMPLES as u32).to_be_bytes());
        packet.extend(u32::from(self.who).to_be_bytes());
        packet.extend(self.quad().repeat(SAMPLES / 4));
        packet
    }

    const fn of(quad: [u8; 4]) -> Self {
        let [a, b, c, d] = quad;
        Self { who: u16::from_be_bytes([a, b]), number: u16::from_be_bytes([c, d]) }
    }

    /// The stamp of a payload, where it is one of ours and whole.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let quad: [u8; 4] = payload.get(..4)?.try_into().ok()?;
        let whole = payload.len() == SAMPLES && payload.chunks_exact(4).all(|chunk| chunk == quad);
        // Music and prompts may hold a steady tone for a packet; silence does.
        (whole && quad[0] == MARK).then(|| Self::of(quad))
    }
}

/// The first octet of every stamp.
const MARK: u8 = 0x5a;

/// A voice with its ear: one RTP socket.
#[derive(Clone)]
pub struct Voice(Arc<Mutex<Singer>>);

struct Singer {
    who: u16,
    socket: UdpSocket,
    to: Option<SocketAddr>,
    mute: bool,
    sequence: u16,
    heard: Vec<Option<Stamp>>,
}

impl Voice {
    /// A voice that says nothing yet; `number` tells it from all others.
    pub fn new(number: u8) -> Self {
        let singer = Singer {
            who: u16::from_be_bytes([MARK, number]),
            socket: socket(),
            to: None,
            mute: false,
            sequence: 0,
            heard: Vec::new(),
        };
        let voice = Self(Arc::new(Mutex::new(singer)));
        choir().push(Arc::downgrade(&voice.0));
        voice
    }

    /// Its mark in stamps.
    pub fn who(&self) -> u16 {
        self.singer().who
    }

    /// Its offer or answer; a higher version is a new one (RFC 3264 §8).
    pub fn sdp(&self, version: u32) -> String {
        let port = self.singer().socket.local_addr().unwrap().port();
        format!(
            "v=0\r\no=- 7 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n\
             a=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"
        )
    }

    /// Speaks from now on to where this description says.
    pub fn speak_to(&self, sdp: &str) {
        let audio = sdp.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("an audio stream");
        let port: u16 = audio.split(' ').next().unwrap().parse().unwrap();
        self.singer().to = Some(([127, 0, 0, 1], port).into());
    }

    /// Where it speaks to.
    pub fn target(&self) -> Option<SocketAddr> {
        self.singer().to
    }

    /// Says nothing more, and goes on hearing.
    pub fn mute(&self) {
        self.singer().mute = true;
    }

    /// Speaks again.
    pub fn unmute(&self) {
        self.singer().mute = false;
    }

    /// Speaks and hears at another port from now on.
    pub fn move_port(&self) {
        self.singer().socket = socket();
    }

    /// The number of the packet that it says next.
    pub fn said(&self) -> u16 {
        self.singer().sequence
    }

    /// The stamps that it heard.
    pub fn heard(&self) -> Vec<Stamp> {
        self.singer().heard.iter().copied().flatten().collect()
    }

    /// How many packets came, whatever they held.
    pub fn packets(&self) -> usize {
        self.singer().heard.len()
    }

    /// Waits until it hears so many packets more of the other.
    ///
    /// # Panics
    /// It does not in time.
    pub fn hears(&self, other: &Self, more: usize) {
        let who = other.who();
        let count = || self.heard().iter().filter(|stamp| stamp.who == who).count();
        let (before, end) = (count(), Instant::now() + crate::ua::PATIENCE);
        while count() < before + more {
            assert!(
                Instant::now() < end,
                "voice {:x} hears {} packets of {who:x}, and {} in all",
                self.who(),
                count(),
                self.packets()
            );
            thread::sleep(PACKET);
        }
    }

    /// Waits for so many packets more, in which nobody speaks: tones, music, silence.
    ///
    /// # Panics
    /// Somebody does, or they do not come in time.
    pub fn hears_tones(&self, more: usize) {
        let (before, end) = (self.packets(), Instant::now() + crate::ua::PATIENCE);
        while self.packets() < before + more {
            assert!(Instant::now() < end, "voice {:x} hears {} packets", self.who(), self.packets() - before);
            thread::sleep(PACKET);
        }
        assert!(self.heard().is_empty(), "somebody speaks: {:x?}", self.heard().first());
    }

    fn singer(&self) -> MutexGuard<'_, Singer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// All voices of this process, paced by one thread.
fn choir() -> MutexGuard<'static, Vec<Weak<Mutex<Singer>>>> {
    static CHOIR: Mutex<Vec<Weak<Mutex<Singer>>>> = Mutex::new(Vec::new());
    static BEGUN: std::sync::Once = std::sync::Once::new();
    BEGUN.call_once(|| {
        thread::spawn(|| {
            let mut due = Instant::now();
            loop {
                choir().retain(|singer| {
                    let Some(singer) = singer.upgrade() else { return false };
                    singer.lock().unwrap_or_else(PoisonError::into_inner).turn();
                    true
                });
                due += PACKET;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        });
    });
    CHOIR.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Singer {
    /// Hears what came, says one packet.
    fn turn(&mut self) {
        let mut buffer = [0; 2048];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) if length >= 12 => {
                    self.heard.push(Stamp::read(&buffer[12..length]));
                }
                Ok(_) => {}
                // A house that is gone says so by ICMP.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => break,
            }
        }
        let (Some(to), false) = (self.to, self.mute) else { return };
        let stamp = Stamp { who: self.who, number: self.sequence };
        self.sequence = self.sequence.wrapping_add(1);
        let _gone = self.socket.send_to(&stamp.packet(), to);
    }
}

/// The stamps in one channel of an exported WAV, and how many samples are neither theirs nor silence.
pub fn stamps(wav: &[u8], channel: usize) -> (Vec<Stamp>, usize) {
    let octets: HashMap<i16, u8> = (0..=u8::MAX).map(|octet| (Law::A.expand(octet), octet)).collect();
    let samples: Vec<Option<u8>> = wav[44..]
        .chunks_exact(4)
        .map(|pair| octets.get(&i16::from_le_bytes([pair[2 * channel], pair[2 * channel + 1]])).copied())
        .collect();
    let (mut at, mut found, mut strange) = (0, Vec::new(), 0);
    while at < samples.len() {
        let frame: Option<Vec<u8>> =
            samples.get(at..at + SAMPLES).and_then(|frame| frame.iter().copied().collect());
        if let Some(stamp) = frame.and_then(|frame| Stamp::read(&frame)) {
            found.push(stamp);
            at += SAMPLES;
        } else {
            strange += usize::from(samples[at].is_some());
            at += 1;
        }
    }
    (found, strange)
}

/// Asserts that these are packets of one voice, each once, in order and without a gap; gives the first and last.
///
/// # Panics
/// They are not.
pub fn one_voice(stamps: &[Stamp], voice: &Voice, which: &str) -> (u16, u16) {
    let who = voice.who();
    assert!(!stamps.is_empty(), "{which}: nothing");
    if let Some(other) = stamps.iter().find(|stamp| stamp.who != who) {
        panic!("{which}: {other:x?} is another's voice, not {who:x}'s");
    }
    for pair in stamps.windows(2) {
        assert_eq!(pair[1].number, pair[0].number + 1, "{which}: a gap or an echo after {:?}", pair[0]);
    }
    (stamps[0].number, stamps[stamps.len() - 1].number)
}
