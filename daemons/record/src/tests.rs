//! The recorder and the desk over a real shelf, a real disk thread and real feeds, with a key daemon of one KEK
//! and an audit log that can be away.

use crate::{
    desk::Desk,
    disk::Disk,
    open,
    recorder::Recorder,
    shelf::{About, Shelf},
};
use audit_api::{Append, Event, EventKind, Outcome, Phase, Ticket, TicketWish};
use auth_api::{Assertion, Claims, Role, Roles, SIGNING_ID, SessionId, Verifier};
use envelope::{Body, Dek, Epoch, Kek, KekId, ObjectId, Opener, Segment};
use gm::sm2::SigningKey;
use key_api::{NewDataKey, NewDek, NewDeks, Unwrap, Unwrapped};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
use record_api::{
    Begin, Consent, Export, Finish, Join, List, PartyRole, RecordingState, Track, Verify,
    tap::{Batch, Frame},
};
use serde_json::{Value, json};
use service::{Client, Connection, RefusalKind, clock};
use std::{
    fs::{self, File},
    io::{Read, Seek},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{net::UnixListener, sync::watch};
use types::{CallId, LegId, Name, Page, PersonId, RecordingId, Uid};

mod keeping;
mod listing;
mod torn;

const RECORDING: RecordingId = RecordingId(Uid([1; 16]));
const CALLER: u8 = 0;
const AGENT: u8 = 1;

struct House {
    directory: TempDir,
    recorder: Arc<Recorder>,
    desk: Desk,
    signing: SigningKey,
    neighbours: Neighbours,
    settings: watch::Sender<settings::record::Record>,
}

impl House {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let neighbours = Neighbours::default();
        for name in ["audit", "key"] {
            neighbours.serve(UnixListener::bind(directory.path().join(name)).unwrap());
        }
        let settings = watch::Sender::new(least_free("1 MiB"));
        let signing = SigningKey::generate().unwrap();
        let (recorder, desk) = life(directory.path(), &settings, &signing, None);
        Self { directory, recorder, desk, signing, neighbours, settings }
    }

    /// The next life of the daemon, after a stop or a kill.
    fn restart(&mut self) {
        (self.recorder, self.desk) = life(self.directory.path(), &self.settings, &self.signing, None);
    }

    fn shelf(&self) -> Shelf {
        Shelf::at(self.directory.path()).unwrap()
    }

    fn about(&self) -> About {
        self.shelf().about(RECORDING).unwrap().unwrap()
    }

    async fn begin(&self) -> Result<(), RefusalKind> {
        let begin = Begin {
            recording: RECORDING,
            call: CallId(Uid([2; 16])),
            tracks: vec![track(CALLER, Consent::Employed {})],
            memo: "begun".to_owned(),
        };
        self.recorder.begin(begin).await.map_err(|refusal| refusal.kind)
    }

    /// A feed that is open.
    async fn feed(&self) -> OwnedFd {
        let (ours, theirs) = pair(SockType::SeqPacket);
        self.recorder.feed(RECORDING, Some(theirs)).await.unwrap();
        ours
    }

    async fn finish(&self) -> Result<record_api::Recording, RefusalKind> {
        self.recorder
            .finish(Finish { recording: RECORDING, queues: Vec::new() })
            .await
            .map_err(|refusal| refusal.kind)
    }

    /// Media payloads of every segment in order, opened with the keys on the shelf.
    fn heard(&self) -> Vec<(u8, u8)> {
        let mut heard = Vec::new();
        for segment in (0..self.about().segments).map(Segment) {
            let dek = self.neighbours.kek.unwrap(&self.shelf().key(RECORDING, segment).unwrap()).unwrap();
            let file = fs::read(self.shelf().sealed_path(RECORDING, segment)).unwrap();
            let (header, chunks) = file.split_first_chunk().unwrap();
            let mut opener = Opener::new(&dek, header).unwrap();
            opener.feed(chunks);
            while let Some(chunk) = opener.poll().unwrap() {
                for record in chunk.records() {
                    if let Body::Media(media) = record.body {
                        heard.push((record.track.0, media.payload[0]));
                    }
                }
            }
        }
        heard
    }

    fn keys(&self) -> Vec<Dek> {
        (0..self.about().segments)
            .map(|n| self.neighbours.kek.unwrap(&self.shelf().key(RECORDING, Segment(n)).unwrap()).unwrap())
            .collect()
    }

    fn assertion(&self, roles: &[Role]) -> Assertion {
        let issued = clock::utc();
        let claims = Claims {
            person: PersonId("zhao".parse::<Name>().unwrap()),
            roles: roles.iter().try_fold(Roles::none(), |roles, role| roles.with(*role)).unwrap(),
            session: SessionId(Uid([7; 16])),
            issued,
            expires: issued.plus(Duration::from_secs(60)),
        };
        let signature = self.signing.sign(SIGNING_ID, &Assertion::message(&claims)).unwrap();
        Assertion::new(&claims, &signature)
    }

    async fn export(&self, role: Role, reason: &str) -> (Result<u64, RefusalKind>, Vec<u8>) {
        let mut file = tempfile::tempfile().unwrap();
        let export = Export {
            assertion: self.assertion(&[role]),
            recording: RECORDING,
            reason: reason.to_owned(),
            case: None,
        };
        let target = file.try_clone().unwrap().into();
        let outcome = self.desk.export(export, Some(target)).await;
        (outcome.map(|exported| exported.size).map_err(|refusal| refusal.kind), read(&mut file))
    }

    async fn verify(&self) -> record_api::Verified {
        let assertion = self.assertion(&[Role::AuditAdministrator]);
        let verify = Verify { assertion, recording: RECORDING, reason: "audit 7".to_owned() };
        self.desk.verify(verify).await.unwrap()
    }
}

fn least_free(size: &str) -> settings::record::Record {
    serde_json::from_value(json!({ "minimum_free": size })).unwrap()
}

fn life(
    directory: &Path,
    settings: &watch::Sender<settings::record::Record>,
    signing: &SigningKey,
    disk: Option<Disk>,
) -> (Arc<Recorder>, Desk) {
    let shelf = Shelf::at(directory).unwrap();
    let disk = disk.unwrap_or_else(|| Disk::start(shelf.recordings()).unwrap());
    let at = |name| directory.join(name);
    let (key, audit) = (|| Client::at(at("key")), || Client::at(at("audit")));
    let herald = Arc::default();
    let recorder = Arc::new(Recorder::new(shelf.clone(), disk, key(), audit(), settings.subscribe(), herald));
    let verifier = Verifier::new(signing.verifying_key().clone());
    let desk = Desk::new(shelf, Arc::clone(&recorder), verifier, key(), audit());
    (recorder, desk)
}

/// Key and audit.
#[derive(Clone)]
struct Neighbours {
    kek: Arc<Kek>,
    entries: Arc<Mutex<Vec<Event>>>,
    audit_away: Arc<AtomicBool>,
    tickets_void: Arc<AtomicBool>,
}

impl Default for Neighbours {
    fn default() -> Self {
        Self {
            kek: Arc::new(Kek::new(KekId(Uid([3; 16])), Epoch(0), &[4; 32])),
            entries: Arc::default(),
            audit_away: Arc::default(),
            tickets_void: Arc::default(),
        }
    }
}

impl Neighbours {
    fn serve(&self, listener: UnixListener) {
        let neighbours = self.clone();
        tokio::spawn(async move {
            loop {
                let mut connection = Connection::new(listener.accept().await.unwrap().0);
                let neighbours = neighbours.clone();
                tokio::spawn(async move {
                    while let Ok(Some((bytes, _))) = connection.read().await {
                        let call: Value = serde_json::from_slice(&bytes).unwrap();
                        // Long enough for a repeated call to come in between.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        let (method, parameters) = (call["method"].as_str().unwrap(), &call["parameters"]);
                        let reply = neighbours.answer(method, parameters.clone());
                        connection.write(&reply, &[]).await.unwrap();
                    }
                });
            }
        });
    }

    fn answer(&self, method: &str, parameters: Value) -> Value {
        let refusal = |kind: &str| json!({ "error": kind, "parameters": { "code": "x", "message": "no" } });
        match method.rsplit('.').next().unwrap() {
            "NewDek" => {
                let asked: NewDek = serde_json::from_value(parameters).unwrap();
                let dek = Dek::generate().unwrap();
                let wrapped = self.kek.wrap(ObjectId(asked.objects[0]), &dek).unwrap();
                json!({ "parameters": NewDeks { keys: vec![NewDataKey::new(&dek, &wrapped)] } })
            }
            "Unwrap" => {
                let asked: Unwrap = serde_json::from_value(parameters).unwrap();
                if self.tickets_void.load(Ordering::Relaxed) {
                    return refusal("cn.yanmen.NotPermitted");
                }
                assert_eq!(asked.ticket.object, RECORDING.to_string());
                let dek = self.kek.unwrap(&asked.wrapped().unwrap()).unwrap();
                json!({ "parameters": Unwrapped::new(&dek) })
            }
            "Append" if self.audit_away.load(Ordering::Relaxed) => refusal("cn.yanmen.Unavailable"),
            "Append" => {
                let asked: Append = serde_json::from_value(parameters).unwrap();
                let mut entries = self.entries.lock().unwrap();
                let ticket = (asked.ticket != TicketWish::None).then(|| Ticket {
                    sequence: entries.len() as u64,
                    person: "zhao".to_owned(),
                    act: asked.event.kind,
                    object: asked.event.object.clone(),
                    expires: clock::utc().plus(Duration::from_secs(60)),
                    mac: "00".repeat(32),
                });
                entries.push(asked.event);
                json!({ "parameters": { "sequence": entries.len() - 1, "ticket": ticket } })
            }
            other => panic!("{other} is not asked by record"),
        }
    }

    fn of(&self, kind: EventKind) -> Vec<Event> {
        self.entries.lock().unwrap().iter().filter(|event| event.kind == kind).cloned().collect()
    }
}

fn track(track: u8, consent: Consent) -> Track {
    Track { track, leg: LegId(Uid([track; 16])), party: PartyRole::Customer, consent }
}

fn pair(kind: SockType) -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).unwrap()
}

/// Sends one frame whose payload is `octet`.
fn say(feed: &OwnedFd, track: u8, octet: u8) {
    let mut batch = Batch::default();
    assert!(batch.push(&Frame {
        track,
        payload_type: 8,
        sequence: 0,
        timestamp: 160 * u32::from(octet),
        media_time: clock::monotonic().0,
        payload: &[octet; 160],
    }));
    send(feed.as_raw_fd(), &batch.take(), MsgFlags::MSG_NOSIGNAL).unwrap();
}

fn read(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn what_is_fed_is_sealed_and_finishing_twice_answers_the_same() {
    let house = House::new();
    house.begin().await.unwrap();
    house.begin().await.unwrap();
    let feed = house.feed().await;
    for n in 0..5 {
        say(&feed, CALLER, n);
        say(&feed, AGENT, 100 + n);
    }
    let join =
        Join { recording: RECORDING, track: track(AGENT, Consent::Employed {}), memo: "joined".to_owned() };
    tokio::time::sleep(Duration::from_millis(50)).await;
    house.recorder.join(join).await.unwrap();
    say(&feed, AGENT, 200);
    drop(feed);

    let (first, second) = tokio::join!(house.finish(), house.finish());
    let first = first.unwrap();
    assert_eq!(first, second.unwrap());
    assert_eq!(house.finish().await.unwrap(), first);
    assert_eq!((first.state, first.packets, first.ended.is_some()), (RecordingState::Sealed, 6, true));
    // The agent was not announced while the first five came.
    let heard: Vec<_> = (0..5).map(|n| (CALLER, n)).chain([(AGENT, 200)]).collect();
    assert_eq!(house.heard(), heard);
    let entries = house.neighbours.of(EventKind::RecordingSealed);
    assert_eq!((entries.len(), &entries[0].facts["digest"]), (1, &first.digest));
    assert_eq!(house.neighbours.of(EventKind::RecordingBegun).len(), 1);
    assert_eq!(house.begin().await, Err(RefusalKind::Conflict), "it is over");
}

#[tokio::test]
async fn a_repeated_begin_waits_for_the_first_and_keeps_its_key() {
    let house = House::new();
    let (first, second) = tokio::join!(house.begin(), house.begin());
    assert_eq!((first, second), (Ok(()), Ok(())));
    let feed = house.feed().await;
    say(&feed, CALLER, 9);
    drop(feed);
    house.finish().await.unwrap();
    assert_eq!((house.about().segments, house.heard()), (1, vec![(CALLER, 9)]));
}

#[tokio::test]
async fn nothing_begins_without_audit_or_room() {
    let house = House::new();
    house.neighbours.audit_away.store(true, Ordering::Relaxed);
    assert_eq!(house.begin().await, Err(RefusalKind::Unavailable));
    assert!(house.shelf().about(RECORDING).unwrap().is_none());
    house.neighbours.audit_away.store(false, Ordering::Relaxed);
    house.settings.send_replace(least_free("1048576 GiB"));
    assert_eq!(house.begin().await, Err(RefusalKind::Unavailable));
    house.settings.send_replace(least_free("1 MiB"));
    house.begin().await.unwrap();
    assert_eq!(house.neighbours.of(EventKind::RecordingBegun).len(), 1);
}

#[tokio::test]
async fn a_feed_is_a_seqpacket_socket_of_a_recording_that_goes_on() {
    let house = House::new();
    let kind =
        async |descriptor| house.recorder.feed(RECORDING, descriptor).await.map_err(|error| error.kind);
    assert_eq!(kind(Some(pair(SockType::SeqPacket).1)).await, Err(RefusalKind::NotFound));
    house.begin().await.unwrap();
    assert_eq!(kind(None).await, Err(RefusalKind::Invalid));
    assert_eq!(kind(Some(pair(SockType::Stream).1)).await, Err(RefusalKind::Invalid));
    assert_eq!(kind(Some(tempfile::tempfile().unwrap().into())).await, Err(RefusalKind::Invalid));
    let mut held = Vec::new();
    for _ in 0..8 {
        let (ours, theirs) = pair(SockType::SeqPacket);
        held.push(ours);
        assert_eq!(kind(Some(theirs)).await, Ok(()));
    }
    assert_eq!(kind(Some(pair(SockType::SeqPacket).1)).await, Err(RefusalKind::Busy));
}

#[tokio::test]
async fn a_kill_under_a_live_feed_makes_a_second_segment_and_so_does_a_stop() {
    let mut house = House::new();
    house.begin().await.unwrap();
    let feed = house.feed().await;
    say(&feed, CALLER, 1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    house.recorder.stop().await;
    assert_eq!(house.about().recording.packets, 1, "what a stop counted stays counted");

    house.restart();
    house.begin().await.unwrap();
    let join =
        Join { recording: RECORDING, track: track(AGENT, Consent::Employed {}), memo: "joined".to_owned() };
    house.recorder.join(join).await.unwrap();
    // Media offers its feed again before the answer to the first offer has come.
    let (feed, _again) = tokio::join!(house.feed(), house.feed());
    assert_eq!(house.about().segments, 2);
    say(&feed, CALLER, 2);
    say(&feed, AGENT, 3);
    tokio::time::sleep(Duration::from_millis(50)).await;

    // A kill: nothing is flushed.
    house.restart();
    let feed = house.feed().await;
    say(&feed, CALLER, 4);
    drop(feed);
    let recording = house.finish().await.unwrap();
    assert_eq!((recording.state, recording.packets), (RecordingState::Truncated, 2));
    assert_eq!(house.heard(), [(CALLER, 1), (CALLER, 4)]);
    assert!(house.export(Role::Supervisor, "complaint").await.0.is_ok(), "what is there can be heard");
    assert_eq!(house.verify().await.first_bad_byte, None);
}

#[tokio::test]
async fn an_end_without_audit_is_no_end_and_loses_no_count() {
    let house = House::new();
    house.begin().await.unwrap();
    let feed = house.feed().await;
    say(&feed, CALLER, 1);
    drop(feed);
    house.neighbours.audit_away.store(true, Ordering::Relaxed);
    assert_eq!(house.finish().await, Err(RefusalKind::Unavailable));
    assert_eq!(house.about().recording.state, RecordingState::Recording);
    house.neighbours.audit_away.store(false, Ordering::Relaxed);
    let recording = house.finish().await.unwrap();
    assert_eq!((recording.state, recording.packets), (RecordingState::Sealed, 1));
}

#[tokio::test]
async fn a_stalled_disk_cuts_the_segment_and_the_next_feed_goes_on() {
    let mut house = House::new();
    let stalled = Arc::new((Mutex::new(false), Condvar::new()));
    let gate = Arc::clone(&stalled);
    let sync = move || {
        let (lock, turned) = &*gate;
        drop(turned.wait_while(lock.lock().unwrap(), |stalled| *stalled).unwrap());
        Ok(())
    };
    let disk = Disk::with(4, Duration::from_millis(1), sync).unwrap();
    (house.recorder, house.desk) = life(house.directory.path(), &house.settings, &house.signing, Some(disk));
    house.begin().await.unwrap();
    let feed = house.feed().await;
    *stalled.0.lock().unwrap() = true;
    let mut sent = 0_u16;
    let closed = loop {
        // A frame that fills a chunk alone, so that each is a piece for the disk.
        let mut batch = Batch::default();
        let media_time = clock::monotonic().0;
        let payload = &[0xd5; 15_000];
        let frame =
            Frame { track: CALLER, payload_type: 8, sequence: sent, timestamp: 0, media_time, payload };
        assert!(batch.push(&frame));
        sent += 1;
        if send(feed.as_raw_fd(), &batch.take(), MsgFlags::MSG_NOSIGNAL).is_err() {
            break true;
        }
        if sent > 500 {
            break false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    assert!(closed, "media has to see that this feed is over");
    *stalled.0.lock().unwrap() = false;
    stalled.1.notify_all();
    let feed = house.feed().await;
    say(&feed, CALLER, 7);
    drop(feed);
    let recording = house.finish().await.unwrap();
    assert_eq!((recording.state, house.about().segments), (RecordingState::Truncated, 2));
    assert_eq!(house.heard().last(), Some(&(CALLER, 7)));
    assert!(recording.packets > 4, "what the life that was cut off had counted stays counted: {recording:?}");
    assert_eq!(house.neighbours.of(EventKind::RecordingLossy).len(), 1);
}

/// Mutants roles-unchecked and export-unaudited.
#[tokio::test]
async fn nobody_hears_without_role_reason_entry_and_ticket() {
    let house = House::new();
    house.begin().await.unwrap();
    let feed = house.feed().await;
    say(&feed, CALLER, 0xd5);
    assert_eq!(house.export(Role::Supervisor, "why").await.0, Err(RefusalKind::Conflict), "it goes on");
    drop(feed);
    house.finish().await.unwrap();

    let refused = |kind| (Err(kind), Vec::new());
    for role in [Role::Agent, Role::AuditAdministrator, Role::SystemAdministrator] {
        assert_eq!(house.export(role, "why").await, refused(RefusalKind::NotPermitted));
    }
    assert_eq!(house.export(Role::Supervisor, " ").await, refused(RefusalKind::Invalid));
    let attempts = house.neighbours.of(EventKind::RecordingExported);
    assert_eq!(attempts.iter().map(|event| event.outcome).collect::<Vec<_>>(), [Outcome::Refused; 3]);
    assert!(attempts.iter().all(|event| event.object == RECORDING.to_string()));
    house.neighbours.audit_away.store(true, Ordering::Relaxed);
    assert_eq!(house.export(Role::Supervisor, "why").await, refused(RefusalKind::Unavailable));
    let assertion = house.assertion(&[Role::Supervisor]);
    let list = List { assertion, call: None, after: None, page: Page::default() };
    assert_eq!(house.desk.list(list).await.unwrap_err().kind, RefusalKind::Unavailable);
    house.neighbours.audit_away.store(false, Ordering::Relaxed);
    house.neighbours.tickets_void.store(true, Ordering::Relaxed);
    assert_eq!(house.export(Role::Supervisor, "why").await, refused(RefusalKind::NotPermitted));
    house.neighbours.tickets_void.store(false, Ordering::Relaxed);

    let (size, wav) = house.export(Role::Supervisor, "why").await;
    assert_eq!((size, &wav[..4]), (Ok(wav.len() as u64), b"RIFF".as_slice()));
    let left = |pair: &[u8]| i16::from_le_bytes([pair[0], pair[1]]);
    let spoken: Vec<_> = wav[44..].chunks_exact(4).map(left).skip_while(|sample| *sample == 0).collect();
    assert_eq!(spoken, vec![8; 160]);
    let outcomes: Vec<_> = house
        .neighbours
        .of(EventKind::RecordingExported)
        .iter()
        .map(|event| (event.phase, event.outcome))
        .collect();
    let begun = (Phase::Begun, Outcome::Pending);
    let ended = |outcome| (Phase::Ended, outcome);
    assert_eq!(outcomes[3..], [begun, ended(Outcome::Failed), begun, ended(Outcome::Done)]);
}

#[tokio::test]
async fn a_recording_whose_end_was_taken_away_is_damaged() {
    let house = House::new();
    house.begin().await.unwrap();
    let feed = house.feed().await;
    say(&feed, CALLER, 1);
    drop(feed);
    house.finish().await.unwrap();
    assert_eq!(house.verify().await.first_bad_byte, None);
    let path = house.shelf().sealed_path(RECORDING, Segment(0));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let whole = fs::read(&path).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() - 1] ^= 1;
    fs::write(&path, changed).unwrap();
    assert!(house.verify().await.first_bad_byte.is_some_and(|byte| byte < whole.len() as u64));
    fs::write(&path, &whole[..envelope::HEADER_LEN]).unwrap();
    assert_eq!(house.verify().await.first_bad_byte, Some(envelope::HEADER_LEN as u64));
    assert_eq!(house.export(Role::Supervisor, "why").await.0, Err(RefusalKind::Unavailable));
    let failed = house.neighbours.of(EventKind::RecordingVerified);
    assert_eq!(failed.iter().filter(|event| event.outcome == Outcome::Failed).count(), 2);

    let mut about = house.about();
    about.recording.state = RecordingState::Truncated;
    fs::write(&path, b"").unwrap();
    let keys = house.keys();
    let written = open::write_wav(&house.shelf(), &about, &keys, Vec::new()).unwrap();
    assert_eq!(written.size, 44, "a segment that ended before its header is an empty one");
}
