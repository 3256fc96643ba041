//! What a call costs from its first message to its last: the whole house, its agents answering, beside kamailio
//! from Debian, alone and with rtpengine. Each call is held for a second. This program is carrier and phones.
//!
//! A: straight into the queue, unrecorded; counted are sip, route and media. B: the announcement, the queue, a
//! recording that is sealed, its keys, the entries of the log, the call record; counted is every process.
#![allow(clippy::print_stdout, reason = "what is not installed is said")]

use bench::{
    Caller, Failure, Figures, Hold, Phones, Processes, Sound, Target,
    house::{House, Kind, NUMBER, PASSWORD},
    program, quantile,
    rivals::{self, Kamailio, Recording, Rtpengine},
};
use std::{collections::BTreeMap, net::SocketAddr, thread, time::Duration};

/// Agents: more than the calls that are alive at the highest rate.
const AGENTS: u16 = 320;
const FIRST: u16 = 4000;
const CALLS: u32 = 2000;
const RATE: u32 = 200;
/// The full house, which writes to a disk, is asked for less.
const FULL_RATE: u32 = 50;
const HOLD: Hold = Hold::For(Duration::from_secs(1));
/// Over so many calls memory is to stay as it is.
const LONG: u32 = 6000;
const LIVE: u32 = 200;
/// Calls before memory is looked at: what has a bound is to be at it.
const WARM_MEMORY: u32 = 2400;

/// What was seen of one kind of call.
struct Seen {
    /// CPU, in milliseconds a call.
    cpu: f64,
    p50: f64,
    p99: f64,
}

/// Measures one part.
type Part = fn(&mut Figures) -> Result<(), Failure>;

fn main() -> Result<(), Failure> {
    let mut figures = Figures::of("calls");
    // All parts, or the one that is named.
    let parts: [(&str, Part); 3] = [("A", direct), ("B", full), ("memory", memory)];
    let named = std::env::args().nth(1);
    for (name, part) in parts {
        if named.as_deref().is_none_or(|named| named == name) {
            part(&mut figures)?;
        }
    }
    figures.end("the limit is a proxy that keeps no more of a call than its transactions: kamailio alone")
}

fn direct(figures: &mut Figures) -> Result<(), Failure> {
    let rivals = match rivals::installed() {
        true => {
            let phones = Phones::new(Sound::None)?;
            phones.answer()?;
            let alone = Kamailio::start(phones.address()?, None)?;
            let seen = measure(&mut Caller::new(Sound::None)?, alone.address, RATE, || alone.processes())?;
            drop(alone);
            let relay = Rtpengine::start(Recording::No)?;
            let both = Kamailio::start(phones.address()?, Some(&relay))?;
            let mut caller = Caller::new(Sound::None)?;
            let kamailio = measure(&mut caller, both.address, RATE, || both.processes())?;
            let rtpengine = measure(&mut caller, both.address, RATE, || Ok(relay.processes()))?;
            Some((seen, Seen { cpu: kamailio.cpu + rtpengine.cpu, ..kamailio }))
        }
        false => {
            println!("calls: kamailio and rtpengine are not installed (make bench does): ours stand alone");
            None
        }
    };

    let direct = {
        let mut caller = Caller::new(Sound::None)?;
        let (house, _phones) = staffed(Kind::Direct, caller.address()?)?;
        measure(&mut caller, house.address, RATE, || house.daemons(&["sip", "route", "media"]))?
    };
    let entry = |figures: &mut Figures, figure: &str, unit: &str, of: fn(&Seen) -> f64, target: f64| {
        for (name, seen) in
            rivals.iter().flat_map(|(alone, both)| [("kamailio", alone), ("kamailio + rtpengine", both)])
        {
            figures.beside(&format!("{figure} | {name}"), unit, of(&direct), (name, of(seen)));
            figures.target(Target::AtMost(target));
        }
        if rivals.is_none() {
            figures.alone(figure, unit, of(&direct));
            figures.target(Target::AtMost(target));
        }
    };
    entry(figures, "A: sip + route + media, a call", "CPU ms", |seen| seen.cpu, 0.6);
    entry(figures, "A: INVITE to 200 OK, p50, 200 calls/s", "ms", |seen| seen.p50, 1.5);
    entry(figures, "A: INVITE to 200 OK, p99, 200 calls/s", "ms", |seen| seen.p99, 10.0);

    Ok(())
}

fn full(figures: &mut Figures) -> Result<(), Failure> {
    let mut caller = Caller::new(Sound::None)?;
    let (house, _phones) = staffed(Kind::Full, caller.address()?)?;
    let before = house.names_used()?;
    let full = measure(&mut caller, house.address, FULL_RATE, || house.all())?;
    figures.alone("B: the full house, a call", "CPU ms", full.cpu);
    figures.target(Target::AtMost(2.0));
    for (name, used) in house.names_used()? {
        let used = used.saturating_sub(before.get(&name).copied().unwrap_or_default());
        // The warm-up is among them.
        let calls = f64::from(CALLS + WARM);
        figures.alone(&format!("B: of it {name}"), "CPU ms", used.as_secs_f64() * 1e3 / calls);
    }
    figures.alone("B: INVITE to 200 OK, p50, 50 calls/s", "ms", full.p50);
    figures.alone("B: INVITE to 200 OK, p99, 50 calls/s", "ms", full.p99);
    Ok(())
}

/// What stays of calls that are over, and what a call holds while it lives.
fn memory(figures: &mut Figures) -> Result<(), Failure> {
    let mut caller = Caller::new(Sound::None)?;
    let (house, _phones) = staffed(Kind::Full, caller.address()?)?;
    let rate = FULL_RATE * 2;
    call(&mut caller, house.address, WARM_MEMORY, rate)?;
    settle();
    let warm = house.names_memory()?;
    call(&mut caller, house.address, LONG, rate)?;
    settle();
    let after = house.names_memory()?;
    let standing = caller.call(house.address, NUMBER, (LIVE, FULL_RATE), Hold::UntilTold)?;
    settle();
    let live = house.names_memory()?;
    caller.end()?;
    if standing.failed > 0 {
        return Err(format!("{} of {LIVE} calls were not answered", standing.failed).into());
    }
    let of = |all: &BTreeMap<String, u64>, name: &str| all.get(name).copied().unwrap_or_default() as f64;
    let grown = |name: &str| (of(&after, name) - of(&warm, name)) / 1e6;
    let held = |name: &str| (of(&live, name) - of(&after, name)) / 1e3 / f64::from(LIVE);
    figures.alone(
        "memory, growth over 6,000 recorded calls",
        "MB",
        warm.keys().map(|name| grown(name)).sum(),
    );
    figures.target(Target::AtMost(5.0));
    for name in warm.keys() {
        figures.alone(&format!("memory, of the growth {name}"), "MB", grown(name));
    }
    figures.alone("memory, a live recorded call", "KB", warm.keys().map(|name| held(name)).sum());
    figures.target(Target::AtMost(60.0));
    for name in warm.keys() {
        figures.alone(&format!("memory, of a live call {name}"), "KB", held(name));
    }
    figures.alone("memory, the house after that", "MB", after.values().sum::<u64>() as f64 / 1e6);
    Ok(())
}

/// A house of this kind whose agents are at work.
fn staffed(kind: Kind, carrier: SocketAddr) -> Result<(House, Phones), Failure> {
    let (phones, extensions) = (Phones::new(Sound::None)?, FIRST..FIRST + AGENTS);
    let house = House::start(&program("ym")?, kind, extensions.clone(), carrier)?;
    phones.register(house.address, extensions.clone(), PASSWORD)?;
    phones.answer()?;
    house.staff(extensions)?;
    Ok((house, phones))
}

const WARM: u32 = 400;

/// Long enough for what lingers by the standard (32 s, RFC 3261 Timer H and J) to be gone.
fn settle() {
    thread::sleep(Duration::from_secs(35));
}

fn measure(
    caller: &mut Caller,
    to: SocketAddr,
    rate: u32,
    processes: impl Fn() -> Result<Processes, Failure>,
) -> Result<Seen, Failure> {
    call(caller, to, WARM, rate)?;
    let before = processes()?.used()?;
    let set_up = call(caller, to, CALLS, rate)?;
    // What is done after the end of a call belongs to it.
    thread::sleep(Duration::from_secs(2));
    let cpu = (processes()?.used()? - before).as_secs_f64() * 1e3 / f64::from(CALLS);
    Ok(Seen { cpu, p50: quantile(&set_up, 0.5), p99: quantile(&set_up, 0.99) })
}

fn call(caller: &mut Caller, to: SocketAddr, calls: u32, rate: u32) -> Result<Vec<f64>, Failure> {
    let came = caller.call(to, NUMBER, (calls, rate), HOLD)?;
    match came.failed {
        0 => Ok(came.set_up),
        failed => Err(format!("{failed} of {calls} calls failed").into()),
    }
}
