//! Two phones of ours on loopback: what one says the other hears and the record side gets, and a killed
//! worker's next life goes on where it was.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by panicking.

use crate::worker::{Beginning, Handle, Keeper, Kept, Order, Ports, Speech, Word, Worker};
use media_core::{
    Core,
    codec::Codec,
    rtp::{Packet, PayloadType, Ssrc},
    sdp::{self, Description},
    session::{Limits, Prompt},
    srtp::Policy,
};
use nix::sys::{
    memfd::{MFdFlags, memfd_create},
    socket::{MsgFlags, recv},
};
use record_api::tap;
use route_api::{Endpoint, Extent, MediaCommand, MediaEvent, Memo, SessionDescription, Times};
use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use types::{LegId, RecordingId, Uid};

const A: LegId = LegId(Uid([1; 16]));
const B: LegId = LegId(Uid([2; 16]));
const KEPT: RecordingId = RecordingId(Uid([9; 16]));
const PCMA: PayloadType = PayloadType(8);

/// The supervisor's part: copies of descriptors that outlive a worker.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Kept>>);

impl Keeper for Store {
    fn keep(&self, name: &str, descriptors: &[BorrowedFd<'_>]) {
        let copies = descriptors.iter().map(|one| one.try_clone_to_owned().unwrap()).collect();
        self.0.lock().unwrap().insert(name.to_owned(), copies);
    }
    fn forget(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }
}

impl Store {
    fn copies(&self) -> Kept {
        let kept = self.0.lock().unwrap();
        // In another order than they were given: a supervisor promises none.
        let copies = |all: &Vec<OwnedFd>| all.iter().rev().map(|one| one.try_clone().unwrap()).collect();
        kept.iter().map(|(name, all)| (name.clone(), copies(all))).collect()
    }

    /// What there is at this moment: later writings into the snapshots are not in it.
    fn frozen(&self) -> Self {
        let mut kept = self.copies();
        let snapshots = kept.iter_mut().filter(|(name, _)| name.starts_with("snapshot"));
        for descriptor in snapshots.flat_map(|(_, all)| all) {
            let written = File::from(descriptor.try_clone().unwrap());
            let mut bytes = vec![0; written.metadata().unwrap().len() as usize];
            written.read_exact_at(&mut bytes, 0).unwrap();
            let copy = File::from(memfd_create("copy", MFdFlags::empty()).unwrap());
            copy.write_all_at(&bytes, 0).unwrap();
            *descriptor = copy.into();
        }
        Self(Arc::new(Mutex::new(kept)))
    }
}

fn every_codec() -> Speech {
    Speech { codecs: Codec::ALL.into(), policy: Policy::Off, policies: Arc::default() }
}

struct House {
    handle: Handle,
    words: mpsc::Receiver<Word>,
    store: Store,
    thread: Option<JoinHandle<()>>,
}

impl House {
    fn begin(first_port: u16, store: Store) -> Self {
        Self::begin_after(first_port, store, |_| ())
    }

    /// With orders that wait when the worker begins to run.
    fn begin_after(first_port: u16, store: Store, waiting: impl FnOnce(&Handle)) -> Self {
        let (worker, handle, words) = Worker::new(Beginning {
            core: Core::new(Limits::default()),
            ports: Ports::new(Ipv4Addr::LOCALHOST.into(), first_port, first_port + 99),
            advertised: Ipv4Addr::LOCALHOST.into(),
            library: media_core::codec::Library::default(),
            speech: every_codec(),
            keeper: Box::new(store.clone()),
            kept: store.copies(),
        })
        .unwrap();
        waiting(&handle);
        let thread = thread::spawn(move || worker.run().unwrap());
        Self { handle, words, store, thread: Some(thread) }
    }

    fn order(&self, command: MediaCommand) {
        self.handle.order(Order::Media(command));
    }

    fn word(&mut self) -> Word {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match self.words.try_recv() {
                Ok(word) => return word,
                Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
                Err(error) => panic!("no word: {error}"),
            }
        }
    }

    fn event(&mut self) -> MediaEvent {
        match self.word() {
            Word::Event(event) => event,
            Word::Feed(..) | Word::Captured(..) => panic!("a descriptor where an event was to come"),
        }
    }

    fn open(&mut self, leg: LegId, phone: &mut Phone) {
        let offer = Some(SessionDescription(phone.offer()));
        self.order(MediaCommand::Open {
            leg,
            offer,
            memo: Memo("memo".to_owned()),
            beside: None,
            over: None,
        });
        let MediaEvent::Opened { description, .. } = self.event() else { panic!("not opened") };
        let answer = Description::parse(description.0.as_bytes()).unwrap();
        let address = sdp::remote_address(&answer).unwrap();
        phone.house = Some(SocketAddr::new(address, answer.streams[0].port));
    }

    fn feed(&mut self) -> OwnedFd {
        match self.word() {
            Word::Feed(KEPT, descriptor) => descriptor,
            other => panic!("{other:?}"),
        }
    }

    fn stop(mut self) -> Store {
        self.handle.order(Order::Stop);
        self.thread.take().unwrap().join().unwrap();
        self.store.clone()
    }
}

struct Phone {
    socket: UdpSocket,
    house: Option<SocketAddr>,
    spoken: u16,
    heard: Vec<Vec<u8>>,
}

impl Phone {
    fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        Self { socket, house: None, spoken: 0, heard: vec![] }
    }

    fn offer(&self) -> String {
        let port = self.socket.local_addr().unwrap().port();
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        )
    }

    fn payload(&self, number: u16) -> Vec<u8> {
        let seed = u32::from(self.socket.local_addr().unwrap().port());
        (0..160u32).map(|at| (seed.wrapping_mul(at + 1) + u32::from(number) * 11) as u8).collect()
    }

    fn speak(&mut self) {
        let payload = self.payload(self.spoken);
        let packet = Packet {
            marker: self.spoken == 0,
            payload_type: PCMA,
            sequence: 65_530u16.wrapping_add(self.spoken),
            timestamp: u32::from(self.spoken) * 160,
            ssrc: Ssrc(7),
            payload: &payload,
        };
        let datagram = [&packet.header()[..], &payload].concat();
        self.socket.send_to(&datagram, self.house.unwrap()).unwrap();
        self.spoken += 1;
    }

    fn hear(&mut self) -> &[u8] {
        let mut buffer = [0; 2048];
        let (length, from) = self.socket.recv_from(&mut buffer).unwrap();
        assert_eq!(Some(from), self.house, "symmetric RTP");
        self.heard.push(buffer[..length].to_vec());
        &self.heard[self.heard.len() - 1]
    }
}

/// Reads the record side's end to its end.
fn drain(feed: &OwnedFd) -> Vec<(u8, u16, u32, u64, Vec<u8>)> {
    let mut frames = vec![];
    let mut buffer = vec![0; tap::MAX_BATCH];
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        match recv(feed.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => return frames,
            Ok(length) => {
                let (kind, read) = tap::read(&buffer[..length]).unwrap();
                assert_eq!(kind, tap::Kind::Audio);
                frames.extend(
                    read.iter().map(|f| (f.track, f.sequence, f.timestamp, f.media_time, f.payload.to_vec())),
                );
            }
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
    panic!("the feed did not end");
}

fn talking(first_port: u16) -> (House, Phone, Phone, OwnedFd) {
    let mut house = House::begin(first_port, Store::default());
    let (mut a, mut b) = (Phone::new(), Phone::new());
    house.open(A, &mut a);
    house.open(B, &mut b);
    house.order(MediaCommand::Bridge { leg: A, with: B });
    house.order(MediaCommand::Tap { leg: A, recording: KEPT, track: 0 });
    house.order(MediaCommand::Tap { leg: B, recording: KEPT, track: 1 });
    let feed = house.feed();
    (house, a, b, feed)
}

#[test]
fn bridge_is_byte_exact_and_the_tap_is_what_was_sent() {
    let (mut house, mut a, mut b, feed) = talking(28_200);
    let began = service::clock::monotonic().0;
    for _ in 0..100 {
        a.speak();
        b.speak();
        a.hear();
        b.hear();
        thread::sleep(Duration::from_millis(5));
    }
    for (listener, speaker) in [(&b, &a), (&a, &b)] {
        for (at, datagram) in listener.heard.iter().enumerate() {
            let packet = Packet::parse(datagram).unwrap();
            assert_eq!((packet.payload_type, packet.payload), (PCMA, &speaker.payload(at as u16)[..]));
            let first = Packet::parse(&listener.heard[0]).unwrap();
            assert_eq!(packet.sequence, first.sequence.wrapping_add(at as u16));
            assert_eq!(packet.timestamp, first.timestamp.wrapping_add(at as u32 * 160));
        }
    }
    house.order(MediaCommand::Untap { leg: A });
    house.order(MediaCommand::Untap { leg: B });
    let frames = drain(&feed);
    for (track, phone) in [(0, &a), (1, &b)] {
        let of_track: Vec<_> = frames.iter().filter(|frame| frame.0 == track).collect();
        assert_eq!(of_track.len(), 100);
        for (at, (_, sequence, timestamp, media_time, payload)) in of_track.into_iter().enumerate() {
            assert_eq!((*sequence, *timestamp), (65_530u16.wrapping_add(at as u16), at as u32 * 160));
            assert_eq!(*payload, phone.payload(at as u16));
            assert!(*media_time >= began && *media_time <= service::clock::monotonic().0);
        }
    }
    house.order(MediaCommand::Close { leg: A });
    let MediaEvent::Closed { leg: A, quality } = house.event() else { panic!("not closed") };
    assert_eq!((quality.received, quality.lost, quality.sent, quality.codec.as_str()), (100, 0, 100, "PCMA"));
    let kept: Vec<String> = house.stop().copies().into_keys().collect();
    assert_eq!(kept.len(), 3, "two snapshots and, in one message, the sockets of B: {kept:?}");
}

#[test]
fn a_killed_worker_s_next_life_goes_on_with_sockets_bridge_and_tap() {
    let (house, mut a, mut b, feed) = talking(28_300);
    for _ in 0..20 {
        a.speak();
        b.hear();
    }
    // Longer than a snapshot gets old, also on a busy machine: what was said is in it.
    thread::sleep(Duration::from_millis(1500));
    let kept = house.store.frozen();
    for _ in 0..10 {
        a.speak();
        b.hear();
    }
    // The process is gone: what the supervisor kept is all that is left, and the phones speak on.
    house.stop();
    assert_eq!(drain(&feed).len(), 30, "a clean end hands over what it has");
    let last = Packet::parse(&b.heard[29]).map(|packet| packet.sequence).unwrap();
    a.speak();

    let mut house = House::begin(28_300, kept);
    let feed = house.feed();
    let next = Packet::parse(b.hear()).map(|packet| (packet.sequence, packet.payload.to_vec())).unwrap();
    assert_eq!(
        next,
        (last.wrapping_add(1), a.payload(30)),
        "the packet that came meanwhile waited in the socket"
    );
    b.speak();
    a.hear();
    house.order(MediaCommand::Close { leg: A });
    house.order(MediaCommand::Close { leg: B });
    assert_eq!(drain(&feed).len(), 2);
    house.stop();
}

#[test]
fn a_record_side_that_reads_nothing_costs_no_audio_and_is_told_what_it_missed() {
    let (mut house, mut a, mut b, feed) = talking(28_400);
    // More than the kernel keeps for a pair: 212,992 bytes by default.
    for _ in 0..3000 {
        a.speak();
        b.hear();
    }
    thread::sleep(Duration::from_millis(250));
    let mut buffer = vec![0; tap::MAX_BATCH];
    let (mut came, mut missing) = (0, 0);
    let mut take = |came: &mut u32, missing: &mut u32| {
        while let Ok(length @ 1..) = recv(feed.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            match tap::read(&buffer[..length]).unwrap() {
                (tap::Kind::Audio, frames) => *came += frames.len() as u32,
                (tap::Kind::Dropped, frames) => *missing += frames[0].timestamp,
            }
        }
    };
    take(&mut came, &mut missing);
    for _ in 0..5 {
        a.speak();
        b.hear();
    }
    house.order(MediaCommand::Close { leg: A });
    house.order(MediaCommand::Close { leg: B });
    let mut events = vec![house.event(), house.event(), house.event()];
    while !matches!(events.last(), Some(MediaEvent::Closed { leg: B, .. })) {
        events.push(house.event());
    }
    take(&mut came, &mut missing);
    assert!(missing > 0, "nothing was dropped: the test is too small");
    assert_eq!(came + missing, 3005);
    assert!(
        events.iter().any(|event| matches!(event, MediaEvent::TapLost { batches: 1.., .. })),
        "{events:?}"
    );
    house.stop();
}

/// Guarded by the mutant `media-tick-before-prompts`.
#[test]
fn a_killed_worker_s_next_life_plays_on() {
    let announcement = |handle: &Handle| {
        let mut file = wav_header();
        file.extend([0xd5; 8000 * 4]);
        handle.order(Order::Load("recorded".to_owned(), Prompt::read(&file).unwrap()));
    };
    let mut house = House::begin_after(28_600, Store::default(), announcement);
    let mut a = Phone::new();
    house.open(A, &mut a);
    let prompts = vec!["recorded".parse().unwrap()];
    house.order(MediaCommand::Play { leg: A, play: 1, prompts, times: Times::Once });
    a.hear();
    thread::sleep(Duration::from_millis(1500));
    let kept = house.store.frozen();
    house.stop();
    // The prompts are read while the clock is at work already.
    let mut house = House::begin_after(28_600, kept, |handle| {
        thread::sleep(Duration::from_millis(100));
        announcement(handle);
    });
    let MediaEvent::Played { play: 1, extent, .. } = house.event() else { panic!("not played") };
    assert_eq!(extent, Extent::Whole);
    house.stop();
}

/// The header of four seconds of A-law (RIFF WAVE, format 6).
fn wav_header() -> Vec<u8> {
    let bytes = 8000_u32 * 4;
    let mut header = b"RIFF".to_vec();
    header.extend((bytes + 36).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(16_u32.to_le_bytes());
    header.extend([6, 0, 1, 0]);
    header.extend(8000_u32.to_le_bytes());
    header.extend(8000_u32.to_le_bytes());
    header.extend([1, 0, 8, 0]);
    header.extend(b"data");
    header.extend(bytes.to_le_bytes());
    header
}

#[test]
fn prompts_are_paced_by_the_clock_and_proven() {
    let mut house = House::begin(28_500, Store::default());
    let mut a = Phone::new();
    house.open(A, &mut a);
    let file =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/demo/prompts/goodbye.zh-CN.wav"));
    let prompt = Prompt::read(&file.unwrap()).unwrap();
    let (duration, digest) = (prompt.duration(), prompt.digest().to_string());
    house.handle.order(Order::Load("goodbye".to_owned(), prompt));
    let name = || "goodbye".parse().unwrap();
    house.order(MediaCommand::Play { leg: A, play: 5, prompts: vec![name()], times: Times::Once });
    let packets = duration.as_millis().div_ceil(20);
    let began = Instant::now();
    for _ in 0..packets {
        a.hear();
    }
    let took = began.elapsed();
    let expected = Duration::from_millis(20) * (packets as u32 - 1);
    assert!(
        took > expected - Duration::from_millis(30) && took < expected + Duration::from_millis(250),
        "{took:?}"
    );
    let MediaEvent::Played { play: 5, prompts: told, began, ended, extent: Extent::Whole, .. } =
        house.event()
    else {
        panic!("not played")
    };
    assert_eq!(told, [route_api::PlayedPrompt { prompt: name(), digest }]);
    assert_eq!(ended.since(began).as_millis().div_ceil(20), packets - 1);
    house.order(MediaCommand::Play {
        leg: A,
        play: 6,
        prompts: vec![name(), "other".parse().unwrap()],
        times: Times::Once,
    });
    assert!(matches!(house.event(), MediaEvent::NotPlayed { play: 6, .. }));
    house.stop();
}

#[test]
fn what_cannot_be_opened_is_refused_and_leaves_nothing_behind() {
    let mut house = House::begin(28_600, Store::default());
    for (offer, reason) in [
        ("no sdp", route_api::MediaRefusal::Malformed),
        (
            "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 4000 RTP/SAVP 8\r\n",
            route_api::MediaRefusal::NotAcceptable,
        ),
    ] {
        let offer = Some(SessionDescription(offer.to_owned()));
        house.order(MediaCommand::Open { leg: A, offer, memo: Memo::default(), beside: None, over: None });
        match house.event() {
            MediaEvent::Refused { reason: told, .. } => assert_eq!(told, reason),
            other => panic!("{other:?}"),
        }
    }
    // An offer of ours, and an answer that is none.
    house.order(MediaCommand::Open { leg: A, offer: None, memo: Memo::default(), beside: None, over: None });
    assert!(matches!(house.event(), MediaEvent::Opened { .. }));
    house.order(MediaCommand::Accept { leg: A, answer: SessionDescription("v=1".to_owned()) });
    assert!(matches!(house.event(), MediaEvent::Refused { .. }));
    assert!(matches!(house.event(), MediaEvent::Closed { leg: A, .. }));
    assert_eq!(house.stop().copies().len(), 2, "the snapshots alone");
}

/// Each endpoint by its own policy, the others by that of all. Guarded by the mutant `media-one-policy-for-all`.
#[test]
fn policies_hold_endpoint_by_endpoint() {
    let mut house = House::begin(28_800, Store::default());
    let phone = |number: &str| Endpoint::Phone(number.parse().unwrap());
    let policies = [(phone("8001"), Policy::Required), (phone("8002"), Policy::Offered)].into();
    house.handle.order(Order::Speak(Speech { policies: Arc::new(policies), ..every_codec() }));
    let plain = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n";
    for (over, ours, taken) in [
        (Some(phone("8001")), "RTP/SAVP", false),
        (Some(phone("8002")), "a=crypto", true),
        (Some(phone("8003")), "RTP/AVP", true),
        (None, "RTP/AVP", true),
    ] {
        house.order(MediaCommand::Open {
            leg: A,
            offer: None,
            memo: Memo::default(),
            beside: None,
            over: over.clone(),
        });
        let MediaEvent::Opened { description, .. } = house.event() else { panic!("not opened") };
        assert!(description.0.contains(ours), "{over:?}: {description:?}");
        assert_eq!(description.0.contains("a=crypto"), ours != "RTP/AVP", "{over:?}");
        house.order(MediaCommand::Close { leg: A });
        assert!(matches!(house.event(), MediaEvent::Closed { .. }));
        let offer = Some(SessionDescription(plain.to_owned()));
        house.order(MediaCommand::Open {
            leg: B,
            offer,
            memo: Memo::default(),
            beside: None,
            over: over.clone(),
        });
        match house.event() {
            MediaEvent::Opened { .. } if taken => {
                house.order(MediaCommand::Close { leg: B });
                assert!(matches!(house.event(), MediaEvent::Closed { .. }));
            }
            MediaEvent::Refused { reason, detail, .. } if !taken => {
                assert_eq!(reason, route_api::MediaRefusal::NotAcceptable);
                assert!(detail.contains("a=crypto"), "{detail}");
            }
            other => panic!("{over:?}: {other:?}"),
        }
    }
    house.stop();
}

/// Route and record as they are on the wire (Varlink): what they want reaches the worker, what it says
/// reaches them, also when they come later than we.
#[tokio::test(flavor = "current_thread")]
async fn the_edge_speaks_with_route_and_record() {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("route");
    let mut house = House::begin(28_700, Store::default());
    let words = std::mem::replace(&mut house.words, mpsc::channel(1).1);
    let prompts = crate::prompts::Prompts::of(directory.path().to_owned());
    tokio::spawn(crate::edge::attach(service::Client::at(path.clone()), house.handle.clone(), prompts));
    tokio::spawn(crate::edge::listen(
        words,
        service::Client::at(path.clone()),
        service::Client::at(directory.path().join("record")),
    ));
    tokio::time::sleep(Duration::from_millis(50)).await;

    let route = tokio::net::UnixListener::bind(&path).unwrap();
    let (mut commands, _) = route.accept().await.unwrap();
    let mut asked = vec![];
    BufReader::new(&mut commands).read_until(0, &mut asked).await.unwrap();
    let asked = String::from_utf8(asked).unwrap();
    assert!(asked.contains("cn.yanmen.route.AttachMedia") && asked.contains("\"legs\":[]"), "{asked}");
    for command in [
        MediaCommand::Attached {},
        MediaCommand::Open {
            leg: A,
            offer: Some(SessionDescription(Phone::new().offer())),
            memo: Memo::default(),
            beside: None,
            over: None,
        },
    ] {
        let command = serde_json::to_string(&command).unwrap();
        let reply = format!("{{\"parameters\":{command},\"continues\":true}}\0");
        commands.write_all(reply.as_bytes()).await.unwrap();
    }
    let (mut events, _) = route.accept().await.unwrap();
    let mut told = vec![];
    BufReader::new(&mut events).read_until(0, &mut told).await.unwrap();
    let told = String::from_utf8(told).unwrap();
    assert!(
        told.contains("cn.yanmen.route.Hear") && told.contains("opened") && told.contains("m=audio 28700"),
        "{told}"
    );
    house.stop();
}

#[test]
fn the_demonstration_s_prompts_are_prompts() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/demo/prompts");
    let mut names = vec![];
    for path in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "wav") {
            let file = std::fs::read(&path).unwrap();
            assert!(file.len() <= 100_000, "{}", path.display());
            let prompt = Prompt::read(&file).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            // Words of a row are short; whole sentences are not.
            assert!(prompt.duration() > Duration::from_millis(150), "{path:?}");
            names.push(
                path.file_stem().unwrap().to_str().unwrap().parse::<types::Name>().unwrap().to_string(),
            );
        }
    }
    for name in ["recorded", "waiting", "closing"] {
        assert!(names.iter().any(|there| there == name), "{name}, which the demonstration's settings name");
    }
}
