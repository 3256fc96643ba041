//! Our readers of SIP and SDP beside those of two other stacks, over the 49 messages of RFC 4475, the corpus of the fuzz
//! targets and mutants from a seed. Each kind of disagreement has a row in `docs/differential.md`, which says who is
//! right and by which clause; one without a row is told, with its first message, and fails the run.
//!
//! `differential [--mutants N] [--seed N] [--show KIND]`

mod compare;
mod corpus;
mod ezk;
mod facts;
mod ours;
mod rsipstack;

use compare::Disagreements;
use corpus::{Chance, files};
use facts::Peer;
use std::{collections::BTreeSet, env, fs, io, path::Path, process::ExitCode};

const SIP: [Peer; 2] =
    [Peer { name: "rsipstack", read: rsipstack::read }, Peer { name: "ezk", read: ezk::read }];
const SDP: [Peer; 1] = [Peer { name: "ezk", read: ezk::streams }];

fn main() -> io::Result<ExitCode> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let given: Vec<String> = env::args().collect();
    let number = |name: &str, default: u64| -> u64 {
        let at = given.iter().position(|word| word == name);
        at.and_then(|at| given.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let (mutants, seed) = (number("--mutants", 40_000), number("--seed", 4_475));
    // A peer that panics is noted; its own words about it are nobody's.
    std::panic::set_hook(Box::new(|_| {}));

    let mut met = Disagreements::default();
    let mut sip = files(&repository.join("tests/golden/sip-torture"))?;
    sip.extend(files(&repository.join("tests/fuzz/corpus/sip_message"))?);
    sip.extend(files(&repository.join("tests/fuzz/corpus/sip_stream"))?);
    let mut sdp = files(&repository.join("tests/fuzz/corpus/sdp"))?;
    let bodies = sip.iter().filter_map(|(name, bytes)| {
        let at = bytes.windows(7).position(|window| window == b"\r\n\r\nv=0")?;
        Some((name.clone(), bytes[at + 4..].to_vec()))
    });
    sdp.extend(bodies.collect::<Vec<_>>());
    let mut chance = Chance(seed);
    let mut read = 0;
    for (subject, seeds, peers) in [("sip", &sip, &SIP[..]), ("sdp", &sdp, &SDP[..])] {
        let mut all: Vec<Vec<u8>> = seeds.iter().map(|(_, bytes)| bytes.clone()).collect();
        all.extend((0..mutants).map(|_| chance.mutant(seeds)));
        read += all.len();
        for bytes in all {
            let ours = if subject == "sip" { ours::read(&bytes) } else { ours::streams(&bytes) };
            peers.iter().for_each(|peer| met.compare(subject, peer, &ours, &bytes));
        }
    }

    let table = fs::read_to_string(repository.join("docs/differential.md"))?;
    let explained: BTreeSet<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut unexplained = 0;
    for (kind, (times, first, detail)) in &met.0 {
        let known = explained.contains(kind.as_str());
        unexplained += usize::from(!known);
        println!("{times:>7}  {}{kind}", if known { "" } else { "UNEXPLAINED " });
        if !known || given.iter().any(|word| word == kind) {
            println!("         {detail}\n{}\n", String::from_utf8_lossy(first));
        }
    }
    println!(
        "{read} messages from seed {seed}: {} kinds of disagreement, {unexplained} unexplained",
        met.0.len()
    );
    Ok(if unexplained == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
