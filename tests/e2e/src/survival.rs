//! What is promised for the death of each daemon: the table of `docs/survival.md`, read as it stands there.

use crate::repository;
use std::{
    collections::BTreeMap,
    fmt, fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// What a call is at when a daemon dies; the columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Two parties talk.
    Talking,
    /// The caller hears music while a phone rings.
    Ringing,
    /// The caller hears music in a queue.
    Waiting,
    /// Two parties talk, and what they say is sealed: of the recording, not of what they hear.
    Recording,
}

/// One cell of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The longest time in which a party hears nothing; in all that is missing of a recording.
    pub gap: Duration,
    /// What becomes of the call.
    pub fate: String,
}

/// Every state, in the order of the columns.
pub const STATES: [State; 4] = [State::Talking, State::Ringing, State::Waiting, State::Recording];

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Talking => "talking",
            Self::Ringing => "ringing",
            Self::Waiting => "waiting",
            Self::Recording => "recording",
        })
    }
}

/// The table of `docs/survival.md`.
///
/// # Panics
/// It is no table of daemons and states.
pub fn promised() -> BTreeMap<(String, State), Cell> {
    let page = fs::read_to_string(repository().join("docs/survival.md")).unwrap();
    let mut rows = page.lines().filter_map(cells);
    let heading = rows.next().expect("a table");
    assert_eq!(heading[1..], STATES.map(|state| state.to_string()), "the columns are the states");
    let mut table = BTreeMap::new();
    for row in rows.filter(|row| !row[0].starts_with("---")) {
        let daemon = row[0].trim_matches('`').to_owned();
        for (state, text) in STATES.into_iter().zip(&row[1..]) {
            let (gap, fate) = text.split_once(" ms; ").unwrap_or_else(|| panic!("no cell: {text:?}"));
            let gap = gap.strip_prefix("≤ ").and_then(|gap| gap.parse().ok());
            let gap = Duration::from_millis(gap.unwrap_or_else(|| panic!("no bound: {text:?}")));
            table.insert((daemon.clone(), state), Cell { gap, fate: fate.to_owned() });
        }
    }
    table
}

fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    let cells: Vec<String> = inner.split('|').map(|cell| cell.trim().to_owned()).collect();
    (cells.len() == 1 + STATES.len()).then_some(cells)
}

/// How late this machine wakes a process that sleeps for 20 ms: the reference beside which a gap stands, for a
/// busy machine starves the peers too.
pub struct Pulse {
    beats: Arc<Mutex<Vec<(u64, Duration)>>>,
    over: Arc<AtomicBool>,
}

impl Pulse {
    /// Begins.
    pub fn begin() -> Self {
        let pulse = Self { beats: Arc::default(), over: Arc::default() };
        let (beats, over) = (pulse.beats.clone(), pulse.over.clone());
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                thread::sleep(Duration::from_millis(20));
                let late = began.elapsed().saturating_sub(Duration::from_millis(20));
                beats.lock().unwrap().push((now_us(), late));
            }
        });
        pulse
    }

    /// The latest waking between two moments, in microseconds since 1970.
    pub fn latest(&self, from: u64, until: u64) -> Duration {
        let beats = self.beats.lock().unwrap();
        beats
            .iter()
            .filter(|(at, _)| (from..until).contains(at))
            .map(|(_, late)| *late)
            .max()
            .unwrap_or_default()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Now, in microseconds since 1970, as a capture counts.
pub fn now_us() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}
