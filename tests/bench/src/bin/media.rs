//! What a second of a relayed and recorded call costs: two phones, a packet each 20 ms, bridged and both
//! tapped by the daemon media; this program is the phones, route and record. rtpengine relays the same, with and
//! without keeping it. Then the same through the whole house, sealed and on the disk, every process counted. Beside
//! it a bare relay, one socket
//! a leg, epoll, recv and send: what the kernel takes for the same packets.
#![allow(clippy::print_stdout, reason = "a peer says how to reach it")]

use bench::{
    Caller, Failure, Figures, Hold, Peer, Phones, Sound, Target,
    house::{House as WholeHouse, Kind, NUMBER, PASSWORD},
    program,
    rivals::{self, Recording, Rtpengine},
    used,
};
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    socket::{MsgFlags, recv},
};
use record_api::tap;
use route_api::{MediaCommand, MediaEvent, Memo, SessionDescription};
use serde_json::json;
use stage::{Answers, PATIENCE, Stage};
use std::{
    net::{SocketAddr, UdpSocket},
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};
use types::{LegId, RecordingId, Uid};

const CALLS: u16 = 100;
const SECONDS: u32 = 12;
const TICK: Duration = Duration::from_millis(20);
/// The ports of the house, and of the bare relay after them.
const FIRST: u16 = 21_000;
const BARE: u16 = 23_000;
/// The first agent of the whole house.
const AGENTS: u16 = 4000;

fn main() -> Result<(), Failure> {
    if std::env::args().nth(1).is_some() {
        return relay();
    }
    let bare = Peer::start("relay")?;
    let mut phones = (0..CALLS * 2)
        .map(|number| Phone::new((bare.address.as_str(), BARE + number)))
        .collect::<Result<Vec<_>, _>>()?;
    let before = bare.used()?;
    let bare_came = talk(&mut phones, &[])?;
    let reference = call_second(bare.used()? - before);
    drop((bare, phones));

    let house = House::start()?;
    let mut phones = (0..CALLS * 2).map(|number| house.phone(number)).collect::<Result<Vec<_>, _>>()?;
    let feeds = (0..CALLS).map(|call| house.join(call)).collect::<Result<Vec<_>, _>>()?;
    let before = used(house.stage.pid())?;
    let came = talk(&mut phones, &feeds)?;
    let ours = call_second(used(house.stage.pid())? - before);

    drop((house, phones, feeds));
    let sealed = sealed()?;

    let rival =
        if rivals::installed() { Some((rival(Recording::No)?, rival(Recording::Pcap)?)) } else { None };

    let mut figures = Figures::of("media");
    let over =
        figures.beside("a relayed and tapped call-second", "CPU ms", ours, ("a bare relay", reference));
    figures.alone("relayed and tapped ÷ a bare relay", "×", over);
    figures.target(Target::AtMost(1.3));
    if let Some((relayed, kept)) = &rival {
        figures.beside("a relayed call-second | rtpengine", "CPU ms", ours, ("rtpengine", *relayed));
        figures.beside(
            "a tapped call-second | rtpengine to pcap",
            "CPU ms",
            ours,
            ("rtpengine, pcap", *kept),
        );
        figures.target(Target::AtMost(kept / 2.0));
    }
    let (all, packets) = sealed;
    let total = all.iter().map(|(_, used)| used).sum();
    let sealed_over = figures.beside(
        "a recorded and sealed call-second, the house",
        "CPU ms",
        total,
        ("a bare relay", reference),
    );
    figures.alone("recorded and sealed ÷ a bare relay", "×", sealed_over);
    figures.target(Target::AtMost(1.3));
    if let Some((_, kept)) = &rival {
        let name = "a recorded and sealed call-second | rtpengine to pcap";
        figures.beside(name, "CPU ms", total, ("rtpengine, pcap", *kept));
        figures.target(Target::AtMost(kept / 2.0));
    }
    for (name, used) in all.iter().filter(|(_, used)| *used >= 0.001) {
        figures.alone(&format!("of it {name}"), "CPU ms", *used);
    }
    let sent = f64::from(SECONDS * 50) * f64::from(CALLS * 2);
    let share = |came: u64| came as f64 / sent * 100.0;
    figures.beside("packets delivered", "%", share(came.heard), ("a bare relay", share(bare_came.heard)));
    figures.alone("packets recorded", "%", share(came.recorded));
    figures.alone("packets sealed, the house", "%", share(packets));
    figures.end(&format!(
        "the limit is a bare relay: a relayed and tapped call costs {over:.2} × that, {:.0} calls a core",
        1e3 / ours
    ))
}

/// The same calls through the whole house: CPU milliseconds of each process for a call-second, and how many packets
/// its recordings hold.
fn sealed() -> Result<(Vec<(String, f64)>, u64), Failure> {
    let mut caller = Caller::new(Sound::EachCall)?;
    let (answering, agents) = (Phones::new(Sound::EachCall)?, AGENTS..AGENTS + CALLS);
    let house = WholeHouse::start(&program("ym")?, Kind::Full, agents.clone(), caller.address()?)?;
    answering.register(house.address, agents.clone(), PASSWORD)?;
    answering.answer()?;
    house.staff(agents)?;
    let came = caller.call(house.address, NUMBER, (CALLS.into(), 20), Hold::UntilTold)?;
    if came.failed > 0 {
        return Err(format!("{} of {CALLS} calls were not answered", came.failed).into());
    }
    // What belongs to the beginning of a call is not asked for here.
    thread::sleep(Duration::from_secs(3));
    let mut phones: Vec<Phone> =
        caller.ends().into_iter().chain(answering.ends()).map(|socket| Phone { socket }).collect();
    let before = house.names_used()?;
    talk(&mut phones, &[])?;
    let after = house.names_used()?;
    caller.end()?;
    thread::sleep(Duration::from_secs(3));
    let cost = |(name, used): (String, Duration)| {
        let used = used.saturating_sub(before.get(&name).copied().unwrap_or_default());
        (name, call_second(used))
    };
    Ok((after.into_iter().map(cost).collect(), house.recorded()?))
}

/// The same calls through rtpengine, which needs no signalling for them: CPU milliseconds for a call-second.
fn rival(recording: Recording) -> Result<f64, Failure> {
    let rtpengine = Rtpengine::start(recording)?;
    let mut phones = Vec::new();
    for call in 0..CALLS {
        let ends = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
        let (one, other) =
            rtpengine.relay(call, ends[0].local_addr()?.port(), ends[1].local_addr()?.port())?;
        for (socket, port) in ends.into_iter().zip([one, other]) {
            socket.set_nonblocking(true)?;
            socket.connect(("127.0.0.1", port))?;
            phones.push(Phone { socket });
        }
    }
    let before = rtpengine.processes().used()?;
    talk(&mut phones, &[])?;
    Ok(call_second(rtpengine.processes().used()? - before))
}

/// Milliseconds for one call and one second.
fn call_second(used: Duration) -> f64 {
    used.as_secs_f64() * 1e3 / f64::from(SECONDS) / f64::from(CALLS)
}

/// What came at the far ends.
struct Came {
    heard: u64,
    recorded: u64,
}

/// Every phone speaks and hears, for the whole time.
fn talk(phones: &mut [Phone], feeds: &[OwnedFd]) -> Result<Came, Failure> {
    let mut came = Came { heard: 0, recorded: 0 };
    let (mut buffer, began) = (vec![0; tap::MAX_BATCH], Instant::now());
    let mut take = |came: &mut Came| {
        came.heard += phones.iter().map(|phone| phone.hear(&mut buffer)).sum::<u64>();
        for feed in feeds {
            while let Ok(length @ 1..) = recv(feed.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                if let Some((tap::Kind::Audio, frames)) = tap::read(&buffer[..length]) {
                    came.recorded += frames.len() as u64;
                }
            }
        }
    };
    for packet in 0..SECONDS * 50 {
        // Spread over the 20 ms, as real phones are.
        for (at, some) in phones.chunks(10).enumerate() {
            let due = TICK * packet + TICK.mul_f64(at as f64 * 10.0 / phones.len() as f64);
            thread::sleep(due.saturating_sub(began.elapsed()));
            some.iter().try_for_each(|phone| phone.speak(packet))?;
        }
        take(&mut came);
    }
    thread::sleep(Duration::from_millis(600));
    take(&mut came);
    Ok(came)
}

/// A phone that speaks G.711 A-law.
struct Phone {
    socket: UdpSocket,
}

impl Phone {
    fn new(house: (&str, u16)) -> Result<Self, Failure> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        socket.connect(house)?;
        Ok(Self { socket })
    }

    fn speak(&self, number: u32) -> Result<(), Failure> {
        let mut packet = [0xd5; 172];
        packet[..2].copy_from_slice(&[0x80, 8]);
        packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(number * 160).to_be_bytes());
        packet[8..12].copy_from_slice(&7u32.to_be_bytes());
        self.socket.send(&packet)?;
        Ok(())
    }

    /// Packets of speech that came.
    fn hear(&self, buffer: &mut [u8]) -> u64 {
        let mut packets = 0;
        while let Ok(length) = self.socket.recv(buffer) {
            packets += u64::from(length == 172);
        }
        packets
    }
}

/// The daemon media with route and record around it.
struct House {
    stage: Stage,
    commands: Arc<Mutex<Option<Answers>>>,
    events: Receiver<MediaEvent>,
    feeds: Receiver<OwnedFd>,
}

impl House {
    fn start() -> Result<Self, Failure> {
        let mut stage = Stage::new("media", program("media")?);
        stage.settings(&format!("[media]\nbind = \"127.0.0.1\"\nports = \"{FIRST}-{}\"\n", FIRST + 999));
        stage.neighbour("audit", |_, answers| answers.only(&json!({ "sequence": 1 })));
        let ((told, events), (fed, feeds), (attached, attach)) = (channel(), channel(), channel());
        let commands: Arc<Mutex<Option<Answers>>> = Arc::default();
        let kept = Arc::clone(&commands);
        stage.neighbour("route", move |mut asked, answers| {
            if asked.method == "AttachMedia" {
                answers.one_of_many(&json!({ "attached": {} }));
                if let Ok(mut kept) = kept.lock() {
                    *kept = Some(answers.shared());
                }
                let _over = attached.send(());
            } else {
                answers.only(&json!({}));
                if let Ok(event) = serde_json::from_value(asked.parameters["event"].take()) {
                    let _over = told.send(event);
                }
            }
        });
        stage.neighbour("record", move |mut asked, answers| {
            answers.only(&json!({}));
            let _over = asked.descriptors.pop().map(|feed| fed.send(feed));
        });
        stage.start([]);
        attach.recv_timeout(PATIENCE)?;
        Ok(Self { stage, commands, events, feeds })
    }

    fn order(&self, command: &MediaCommand) -> Result<(), Failure> {
        let mut commands = self.commands.lock().map_err(|_| "route fell")?;
        commands.as_mut().ok_or("not attached")?.one_of_many(&json!(command));
        Ok(())
    }

    /// Opens a leg for a phone.
    fn phone(&self, number: u16) -> Result<Phone, Failure> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        let port = socket.local_addr()?.port();
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
        );
        let offer = Some(SessionDescription(offer));
        self.order(&MediaCommand::Open {
            leg: leg(number),
            offer,
            memo: Memo::default(),
            beside: None,
            over: None,
        })?;
        let MediaEvent::Opened { description, .. } = self.events.recv_timeout(PATIENCE)? else {
            return Err("a leg was not opened".into());
        };
        let line = description.0.lines().find_map(|line| line.strip_prefix("m=audio "));
        let port: u16 = line.and_then(|line| line.split(' ').next()).ok_or("no port")?.parse()?;
        socket.connect(SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok(Phone { socket })
    }

    /// Joins and taps the two legs of a call. Gives record's end of its feed.
    fn join(&self, call: u16) -> Result<OwnedFd, Failure> {
        let (one, other) = (leg(2 * call), leg(2 * call + 1));
        self.order(&MediaCommand::Bridge { leg: one, with: other })?;
        for (track, leg) in [(0, one), (1, other)] {
            let recording = RecordingId(Uid(u128::from(call).to_be_bytes()));
            self.order(&MediaCommand::Tap { leg, recording, track })?;
        }
        Ok(self.feeds.recv_timeout(PATIENCE)?)
    }
}

fn leg(number: u16) -> LegId {
    LegId(Uid(u128::from(number).to_be_bytes()))
}

/// Relays for ever between neighbouring ports, to where packets came from.
fn relay() -> Result<(), Failure> {
    let sockets = (0..CALLS * 2)
        .map(|number| UdpSocket::bind(("127.0.0.1", BARE + number)))
        .collect::<Result<Vec<_>, _>>()?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (at, socket) in (0u64..).zip(&sockets) {
        socket.set_nonblocking(true)?;
        epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, at))?;
    }
    println!("127.0.0.1");
    let mut far: Vec<Option<SocketAddr>> = vec![None; sockets.len()];
    let (mut ready, mut buffer) = ([EpollEvent::empty(); 256], [0; 2048]);
    loop {
        let count = epoll.wait(&mut ready, EpollTimeout::NONE)?;
        for event in &ready[..count] {
            let at = usize::try_from(event.data())?;
            let Ok((length, from)) = sockets[at].recv_from(&mut buffer) else { continue };
            far[at] = Some(from);
            if let Some(to) = far[at ^ 1] {
                sockets[at ^ 1].send_to(&buffer[..length], to)?;
            }
        }
    }
}
