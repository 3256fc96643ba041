//! A disk that can lose its power, a key that signs, and entries to write.
#![allow(dead_code, clippy::unwrap_used, reason = "part of each test: each uses its share")]

use audit_log::log::SEGMENT;
use audit_log::{Body, ClockState, Disk, Draft, Kind, Log, Outcome, Reading, Settings, Signer, VerifierKey};
use gm::sm2::{DEFAULT_ID, SigningKey};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Files in memory. What is not synced may be lost, wholly or in pages.
#[derive(Default)]
pub struct Memory(Mutex<State>);

#[derive(Default, Clone)]
pub struct State {
    pub files: BTreeMap<String, Vec<u8>>,
    /// As the files were at their last sync.
    pub durable: BTreeMap<String, Vec<u8>>,
    /// The names synced, in order.
    pub syncs: Vec<String>,
    /// Bytes that may still be written.
    pub room: Option<usize>,
    pub sync_fails: bool,
}

impl Memory {
    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// The disk as it comes back after a loss of power: of each unsynced page, `survives` decides.
    pub fn after_power_cut(&self, mut survives: impl FnMut() -> bool) -> Self {
        const PAGE: usize = 64;
        let before = self.with(|state| state.clone());
        let mut files = BTreeMap::new();
        for (name, now) in &before.files {
            let durable = before.durable.get(name).cloned().unwrap_or_default();
            let length = if survives() { now.len() } else { durable.len() };
            let mut after = durable.clone();
            after.resize(length, 0);
            for start in (0..length).step_by(PAGE) {
                let end = (start + PAGE).min(length).min(now.len());
                if start < end && survives() {
                    after[start..end].copy_from_slice(&now[start..end]);
                }
            }
            if before.durable.contains_key(name) || survives() {
                files.insert(name.clone(), after);
            }
        }
        Self(Mutex::new(State { durable: files.clone(), files, ..State::default() }))
    }
}

impl Disk for Memory {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.with(|state| state.files.keys().cloned().collect()))
    }

    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(self.with(|state| state.files.get(name).map(|file| file.len() as u64)))
    }

    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.with(|state| {
            let file = state.files.get(name).ok_or(io::ErrorKind::NotFound)?;
            let rest = file.get(offset as usize..).unwrap_or_default();
            let read = rest.len().min(into.len());
            into[..read].copy_from_slice(&rest[..read]);
            Ok(read)
        })
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|state| {
            let fits = state.room.map_or(bytes.len(), |room| room.min(bytes.len()));
            let file = state.files.entry(name.to_owned()).or_default();
            let offset = offset as usize;
            file.resize(file.len().max(offset + fits), 0);
            file[offset..offset + fits].copy_from_slice(&bytes[..fits]);
            state.room = state.room.map(|room| room - fits);
            if fits == bytes.len() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
        })
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.with(|state| state.files.entry(name.to_owned()).or_default().resize(length as usize, 0));
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.with(|state| {
            state.syncs.push(name.to_owned());
            if state.sync_fails {
                return Err(io::Error::from_raw_os_error(5));
            }
            let file = state.files.get(name).cloned().unwrap_or_default();
            state.durable.insert(name.to_owned(), file);
            Ok(())
        })
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(|state| {
            if state.room.is_some_and(|room| room < bytes.len()) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.files.insert(name.to_owned(), bytes.to_vec());
            state.durable.insert(name.to_owned(), bytes.to_vec());
            Ok(())
        })
    }
}

pub struct TestKey(pub SigningKey);

impl TestKey {
    pub fn new() -> Self {
        Self(SigningKey::from_bytes(&[0x11; 32]).unwrap())
    }

    pub fn verifier(&self) -> VerifierKey {
        VerifierKey::new("yanmen.test/audit", self.0.verifying_key().clone()).unwrap()
    }
}

impl Signer for TestKey {
    type Error = gm::Error;
    fn sign(&self, text: &[u8]) -> Result<[u8; 64], gm::Error> {
        Ok(self.0.sign(DEFAULT_ID, text)?.0)
    }
}

pub fn settings(segment_bytes: u64) -> Settings {
    Settings { keys: vec![TestKey::new().verifier()], segment_bytes }
}

pub fn open(disk: &Arc<Memory>) -> Log<Memory> {
    Log::open(Arc::clone(disk), settings(SEGMENT)).unwrap().0
}

pub fn draft(number: u64) -> Draft {
    let body = Body {
        person: Some(format!("person-{number}")),
        daemon: Some("console".into()),
        object: Some(format!("recording:{number:032x}")),
        outcome: Some(Outcome::Done),
        ..Body::default()
    };
    Draft { kind: Kind(100), body }
}

/// A second after the other, all clocks in step.
pub fn reading(number: u64) -> Reading {
    Reading {
        boot: [7; 16],
        monotonic: Duration::from_secs(number),
        utc_nanos: 1_790_000_000_000_000_000 + number as i64 * 1_000_000_000,
        clock: ClockState::Synchronised,
    }
}

/// Appends and commits entries `from..to` in groups of `group`.
pub fn write<D: Disk>(log: &mut Log<D>, from: u64, to: u64, group: u64) {
    for number in from..to {
        log.stage(draft(number), reading(number)).unwrap();
        if (number + 1 - from).is_multiple_of(group) || number + 1 == to {
            log.commit().unwrap();
        }
    }
}

pub fn checkpoint<D: Disk>(log: &mut Log<D>) {
    let key = TestKey::new();
    let unsigned = log.unsigned().unwrap();
    let signed = unsigned.sign(&key.verifier(), &key).unwrap();
    log.publish(&signed).unwrap();
}
