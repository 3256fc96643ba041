//! A line between the house and its peers that loses, delays, doubles and reorders: two network namespaces with a TAP
//! device each, and this process between them. It does what `tc netem` does, on kernels without that too, from a seed.
//! Only root can lay one.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, AsRawFd},
    process::{Command, id},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Where programs run: an address, and the namespace that has it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its address.
    pub address: String,
    /// The interface that has it.
    pub interface: String,
    /// Its namespace; nothing is that of the test.
    pub namespace: Option<String>,
}

impl Place {
    /// Loopback, where the test itself runs.
    pub fn here() -> Self {
        Self { address: "127.0.0.1".into(), interface: "lo".into(), namespace: None }
    }

    /// A command that will run there.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.namespace {
            None => Command::new(program),
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
        }
    }
}

/// What a line does to each datagram, in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Impairment {
    /// How long it takes at least.
    pub delay: Duration,
    /// How much longer it may take: more than the time between two packets lets them overtake each other.
    pub jitter: Duration,
    /// How many of a thousand are lost.
    pub lost: u64,
    /// How many of a thousand come twice.
    pub doubled: u64,
}

/// The line, while it lies.
pub struct Network {
    ends: [Place; 2],
    carriers: Vec<JoinHandle<()>>,
    over: Arc<AtomicBool>,
}

impl Network {
    /// Lays a line; nothing where that is not permitted.
    pub fn lay(impairment: Impairment) -> Option<Self> {
        // A test of another work tree has names of its own.
        let tag = id() % 100_000;
        let end = |name: &str, last: u8| Place {
            address: format!("10.213.77.{last}"),
            interface: format!("{name}{tag}"),
            namespace: Some(format!("yanmen-{name}-{tag}")),
        };
        let ends = [end("house", 1), end("peers", 2)];
        let mut line = Self { ends, carriers: Vec::new(), over: Arc::default() };
        let [house, peers] = [line.connect(0)?, line.connect(1)?];
        let ways = [(&house, &peers, 1), (&peers, &house, 2)];
        for (from, to, seed) in ways {
            let (from, to) = (from.try_clone().ok()?, to.try_clone().ok()?);
            let over = Arc::clone(&line.over);
            line.carriers.push(thread::spawn(move || carry(from, to, impairment, seed, &over)));
        }
        Some(line)
    }

    /// The house's end and the peers' end.
    pub fn ends(&self) -> [Place; 2] {
        self.ends.clone()
    }

    /// Makes one end, with its namespace; its frames come out of the file.
    fn connect(&self, end: usize) -> Option<File> {
        let place = &self.ends[end];
        let namespace = place.namespace.as_deref()?;
        if !ip(&["netns", "add", namespace]) {
            return None;
        }
        let tap = tap(&place.interface).ok()?;
        let within = |arguments: &[&str]| {
            place.command("ip").args(arguments).status().is_ok_and(|status| status.success())
        };
        let ready = ip(&["link", "set", &place.interface, "netns", namespace])
            && within(&["link", "set", "lo", "up"])
            && within(&["address", "add", &format!("{}/30", place.address), "dev", &place.interface])
            && within(&["link", "set", &place.interface, "up"]);
        ready.then_some(tap)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for carrier in self.carriers.drain(..) {
            // What went wrong there has failed the test already.
            carrier.join().ok();
        }
        for namespace in self.ends.iter().filter_map(|place| place.namespace.as_deref()) {
            ip(&["netns", "delete", namespace]);
        }
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}

/// `struct ifreq` of netdevice(7), as TUNSETIFF reads it.
#[repr(C)]
pub struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// IFF_TAP | IFF_NO_PI: Ethernet frames and nothing before them.
const ETHERNET: u16 = 0x1002;

mod request {
    #![allow(missing_docs, reason = "the macro writes a function without words")]
    nix::ioctl_write_ptr_bad!(set_interface, 0x4004_54ca, super::InterfaceRequest);
}

fn tap(name: &str) -> io::Result<File> {
    let file = File::options().read(true).write(true).open("/dev/net/tun")?;
    let mut request = InterfaceRequest { name: [0; 16], flags: ETHERNET, rest: [0; 22] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: the request lives through the call and has the kernel's layout (40 octets); the kernel keeps nothing of it.
    unsafe { request::set_interface(file.as_raw_fd(), &raw const request) }?;
    Ok(file)
}

/// Carries frames from one end to the other until the line is taken away.
fn carry(mut from: File, mut to: File, impairment: Impairment, mut state: u64, over: &AtomicBool) {
    let mut random = move || {
        // splitmix64: the same seed, the same losses.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let (mut under_way, mut order, mut buffer) = (BinaryHeap::new(), 0_u64, [0; 2048]);
    while !over.load(Ordering::Relaxed) {
        let now = Instant::now();
        while under_way
            .peek()
            .is_some_and(|Reverse((due, _, _)): &Reverse<(Instant, u64, Vec<u8>)>| *due <= now)
        {
            let Some(Reverse((_, _, frame))) = under_way.pop() else { break };
            // The interface may be down: lost, as on any line.
            let _lost = to.write(&frame);
        }
        let next = under_way.peek().map(|Reverse((due, _, _))| due.saturating_duration_since(now));
        let wait = next.unwrap_or(Duration::from_millis(50)).min(Duration::from_millis(50));
        let mut ready = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(wait + Duration::from_micros(500)).unwrap_or(PollTimeout::ZERO);
        if !matches!(poll(&mut ready, timeout), Ok(1..)) {
            continue;
        }
        let Ok(length) = from.read(&mut buffer) else { continue };
        let frame = &buffer[..length];
        // Only datagrams suffer; who has which address is asked and told in peace.
        let datagram = frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&17);
        let times = match datagram {
            false => 1,
            true if random() % 1000 < impairment.lost => 0,
            true => 1 + u64::from(random() % 1000 < impairment.doubled),
        };
        for _ in 0..times {
            let jitter = random() % (impairment.jitter.as_micros() as u64).max(1);
            order += 1;
            let due = Instant::now() + impairment.delay + Duration::from_micros(jitter);
            under_way.push(Reverse((due, order, frame.to_vec())));
        }
    }
}
