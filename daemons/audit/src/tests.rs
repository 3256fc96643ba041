//! The desk over a real log on a real disk, with a key that signs and assertions of all sorts.

use crate::desk::Desk;
use crate::scribe::Scribe;
use crate::start;
use crate::tickets::{LIFETIME, Tickets};
use audit_api::*;
use audit_log::hash::Sm3;
use audit_log::proof::verify_inclusion;
use audit_log::{Folder, VerifierKey};
use audit_verify::{Extent, Verdict};
use auth_api::{Assertion, Claims, Role, Roles, SIGNING_ID, SessionId, Verifier};
use gm::sm2::{DEFAULT_ID, SigningKey};
use serde_json::{Value, json};
use service::{Client, Connection, RefusalKind, clock};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UnixListener;
use types::{Page, PersonId, Pii, Uid};
use zeroize::Zeroizing;

const TICKET_KEY: [u8; 32] = [5; 32];
const OBJECT: &str = "00112233445566778899aabbccddeeff";
const SEGMENT: &str = "log/00000000000000000000.segment";

struct House {
    directory: TempDir,
    desk: Option<Arc<Desk>>,
    keys: Vec<VerifierKey>,
}

impl House {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        sign(&directory.path().join("key"));
        let mut house = Self { directory, desk: None, keys: Vec::new() };
        house.start();
        house
    }

    fn start(&mut self) {
        let path = self.directory.path();
        self.keys = start::keys(&path.join("verifier-keys"), log_key().verifying_key().clone()).unwrap();
        let (scribe, _ended) = Scribe::open(&path.join("log"), self.keys.clone()).unwrap();
        let verifier = Verifier::new(house_key().verifying_key().clone());
        let key = Client::at(path.join("key"));
        self.desk =
            Some(Arc::new(Desk::new(scribe, verifier, Tickets::new(Zeroizing::new(TICKET_KEY)), key)));
    }

    /// The writer's thread ends with its desk, and then the folder is free again.
    async fn restart(&mut self) {
        self.desk = None;
        while Folder::open(&self.directory.path().join("log")).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.start();
    }

    fn desk(&self) -> &Arc<Desk> {
        self.desk.as_ref().unwrap()
    }

    async fn append(&self, event: Event, by: Option<Assertion>, reporter: &str) -> Result<u64, RefusalKind> {
        let append = Append { event, assertion: by, ticket: TicketWish::None };
        self.desk()
            .append(append, reporter)
            .await
            .map(|appended| appended.sequence)
            .map_err(|refusal| refusal.kind)
    }

    async fn listed(&self, list: List) -> Vec<Entry> {
        self.desk().list(list).await.unwrap().entries
    }

    fn judged(&self) -> Verdict {
        let folder = Folder::read_only(&self.directory.path().join("log")).unwrap();
        audit_verify::verify(&folder, &self.keys[..1], Extent::Whole).verdict
    }
}

fn house_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32]).unwrap()
}

fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[8; 32]).unwrap()
}

/// The key daemon, as far as audit asks it.
fn sign(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = Connection::new(stream);
            tokio::spawn(async move {
                while let Ok(Some((call, _))) = connection.read().await {
                    let call: Value = serde_json::from_slice(&call).unwrap();
                    let sign: key_api::Sign = serde_json::from_value(call["parameters"].clone()).unwrap();
                    let signature = log_key().sign(DEFAULT_ID, &sign.bytes().unwrap()).unwrap();
                    let reply = json!({ "parameters": key_api::Signed::new(&signature) });
                    connection.write(&reply, &[]).await.unwrap();
                }
            });
        }
    });
}

fn assertion(person: &str, role: Role) -> Assertion {
    let issued = clock::utc();
    let claims = Claims {
        person: PersonId(person.parse().unwrap()),
        roles: Roles::only(role),
        session: SessionId(Uid([7; 16])),
        issued,
        expires: issued.plus(Duration::from_secs(60)),
    };
    let signature = house_key().sign(SIGNING_ID, &Assertion::message(&claims)).unwrap();
    Assertion::new(&claims, &signature)
}

fn auditor() -> Assertion {
    assertion("sun", Role::AuditAdministrator)
}

fn all() -> List {
    let (page, kind, person, object, before) = Default::default();
    List { assertion: auditor(), page, kind, person, object, before }
}

fn own(kind: EventKind, object: &str) -> Event {
    Event::of_daemon(kind, "record", object)
}

fn export(person: &str) -> Event {
    let mut event = own(EventKind::RecordingExported, OBJECT);
    (event.actor, event.phase, event.outcome) =
        (Actor::Person(person.into()), Phase::Begun, Outcome::Pending);
    event
}

#[tokio::test]
async fn entries_of_many_callers_are_durable_each_in_its_own_place() {
    let mut house = House::new();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..300 {
        let desk = Arc::clone(house.desk());
        tasks.spawn(async move {
            let event = own(EventKind::RecordingSealed, &format!("{number}"));
            desk.append(Append { event, assertion: None, ticket: TicketWish::None }, "record")
                .await
                .unwrap()
                .sequence
        });
    }
    let sequences: BTreeSet<u64> = tasks.join_all().await.into_iter().collect();
    assert_eq!(sequences, (0..300).collect());
    house.restart().await;
    let mut objects = BTreeSet::new();
    let mut list = List { page: Page::of(90), ..all() };
    loop {
        let page = house.desk().list(list.clone()).await.unwrap();
        objects.extend(page.entries.into_iter().map(|entry| entry.event.object));
        let Some(next) = page.next else { break };
        list.before = Some(next);
    }
    assert!((0..300).all(|number: i32| objects.contains(&number.to_string())));
}

#[tokio::test]
async fn nobody_speaks_for_another() {
    let house = House::new();
    let person =
        |name: &str| Event { actor: Actor::Person(name.into()), ..own(EventKind::RecordingExported, OBJECT) };
    let li = || Some(assertion("li", Role::Supervisor));
    assert_eq!(house.append(person("li"), li(), "record").await, Ok(0));
    assert_eq!(house.append(person("li"), None, "record").await, Err(RefusalKind::NotPermitted));
    assert_eq!(house.append(person("wang"), li(), "record").await, Err(RefusalKind::NotPermitted));
    let forged = Some(Assertion::from("AAAA".to_owned()));
    assert_eq!(house.append(person("li"), forged, "record").await, Err(RefusalKind::NotPermitted));
    let of_record = own(EventKind::RecordingSealed, OBJECT);
    assert_eq!(house.append(of_record, None, "sip").await, Err(RefusalKind::NotPermitted));
    for kind in
        [EventKind::ClockStepped, EventKind::AuditListed, EventKind::AuditVerified, EventKind::AuditDamaged]
    {
        assert_eq!(house.append(own(kind, ""), None, "record").await, Err(RefusalKind::NotPermitted));
    }
    let claimed = Event { actor: Actor::Claimed("li".into()), ..own(EventKind::LogIn, "li") };
    assert_eq!(house.append(claimed, None, "auth").await, Ok(1));
}

/// Mutant audit-kinds-unchecked.
#[tokio::test]
async fn each_daemon_reports_what_belongs_to_its_own_duty() {
    let house = House::new();
    for kind in EventKind::ALL.iter().filter(|kind| kind.code() < EventKind::AuditListed.code()) {
        for reporter in ["console", "sip", "media", "route", "auth", "report", "record"] {
            let own = Event::of_daemon(*kind, reporter, OBJECT);
            let of_person = Event { actor: Actor::Person("li".into()), ..own.clone() };
            let may = *kind != EventKind::ClockStepped
                && (kind.text().starts_with("service.") || kind.text().starts_with(&format!("{reporter}.")));
            for (event, by) in [(own, None), (of_person, Some(assertion("li", Role::Supervisor)))] {
                let outcome = house.append(event, by, reporter).await.map(drop);
                let told = format!("{reporter} reports {}: {outcome:?}", kind.text());
                assert_eq!(outcome, if may { Ok(()) } else { Err(RefusalKind::NotPermitted) }, "{told}");
            }
        }
    }
}

#[tokio::test]
async fn the_end_of_an_act_needs_its_beginning_or_the_person() {
    let house = House::new();
    let li = || Some(assertion("li", Role::Supervisor));
    let begun = house.append(export("li"), li(), "record").await.unwrap();
    let ended =
        |of: u64| Event { phase: Phase::Ended, outcome: Outcome::Done, ..export("li") }.with("begun", of);
    assert_eq!(house.append(ended(begun), None, "record").await, Ok(1));
    let expired = Some(Assertion::from("AAAA".to_owned()));
    assert_eq!(house.append(ended(begun), expired, "record").await, Ok(2));
    let refused = Err(RefusalKind::NotPermitted);
    assert_eq!(house.append(ended(begun), None, "console").await, refused);
    assert_eq!(house.append(ended(1), None, "record").await, refused, "an end ends nothing");
    assert_eq!(house.append(ended(99), None, "record").await, refused);
    let other = Event { object: "other".into(), ..ended(begun) };
    assert_eq!(house.append(other, None, "record").await, refused);
    let other = Event { actor: Actor::Person("wang".into()), ..ended(begun) };
    assert_eq!(house.append(other, None, "record").await, refused);
}

#[tokio::test]
async fn a_ticket_is_for_record_and_a_proved_person() {
    let house = House::new();
    let wish =
        |event: Event, by: Option<Assertion>| Append { event, assertion: by, ticket: TicketWish::Wanted };
    let li = || Some(assertion("li", Role::Supervisor));
    let before = clock::utc();
    let appended = house.desk().append(wish(export("li"), li()), "record").await.unwrap();
    let ticket = appended.ticket.unwrap();
    assert_eq!((ticket.sequence, ticket.person.as_str(), ticket.object.as_str()), (0, "li", OBJECT));
    assert_eq!(ticket.act, EventKind::RecordingExported);
    assert!(ticket.expires >= before.plus(LIFETIME) && ticket.expires <= clock::utc().plus(LIFETIME));
    let mac: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&ticket.mac[2 * at..2 * at + 2], 16).unwrap()).collect();
    gm::sm3::verify_hmac(&TICKET_KEY, &[&ticket.message()], &mac).unwrap();

    let of_all = Event { kind: EventKind::CallRefused, ..export("li") };
    let refused = house.desk().append(wish(of_all, li()), "console").await.unwrap_err();
    assert_eq!(refused.code, "audit.no-ticket");
    let by_itself = wish(own(EventKind::RecordingExported, OBJECT), None);
    assert_eq!(house.desk().append(by_itself, "record").await.unwrap_err().code, "audit.no-ticket");
    let ended = Event { phase: Phase::Ended, ..export("li") }.with("begun", 0);
    assert_eq!(house.desk().append(wish(ended, None), "record").await.unwrap_err().code, "audit.no-ticket");
}

#[tokio::test]
async fn only_the_auditor_reads_and_every_reading_is_on_record() {
    let house = House::new();
    let mut event = own(EventKind::RecordingSealed, OBJECT);
    event.personal.insert("caller".into(), Pii::new("13800138000".into()));
    house.append(event, None, "record").await.unwrap();
    house.append(own(EventKind::RecordingBegun, "other"), None, "record").await.unwrap();
    let supervisor = List { assertion: assertion("li", Role::Supervisor), ..all() };
    assert_eq!(house.desk().list(supervisor).await.unwrap_err().kind, RefusalKind::NotPermitted);

    let found = house.listed(List { object: Some(OBJECT.into()), ..all() }).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].event.personal["caller"].reveal().len(), 64, "a digest, not the number");
    let found = house.listed(List { kind: Some(EventKind::AuditListed), ..all() }).await;
    let seen: Vec<_> = found.iter().map(|entry| (entry.event.actor.clone(), entry.event.outcome)).collect();
    let person = |name: &str| Actor::Person(name.into());
    assert_eq!(seen, [(person("sun"), Outcome::Done), (person("li"), Outcome::Refused)]);
    let found = house
        .listed(List {
            person: Some("li".into()),
            page: Page { until: Some(clock::utc()), ..Page::default() },
            ..all()
        })
        .await;
    assert_eq!(found.len(), 1);
    assert!(
        house
            .listed(List { page: Page { from: Some(clock::utc()), ..Page::default() }, ..all() })
            .await
            .is_empty()
    );
    let segment = std::fs::read(house.directory.path().join(SEGMENT)).unwrap();
    assert!(!segment.windows(11).any(|window| window == b"13800138000"));
}

#[tokio::test]
async fn a_page_fits_one_message_however_long_the_entries_are() {
    let house = House::new();
    for _entry in 0..6 {
        let mut event = own(EventKind::RecordingSealed, OBJECT);
        event.reason = Some("\u{1}".repeat(60_000));
        house.append(event, None, "record").await.unwrap();
    }
    let too_long = Event { reason: Some("x".repeat(65_536)), ..own(EventKind::RecordingSealed, OBJECT) };
    assert_eq!(house.append(too_long, None, "record").await, Err(RefusalKind::Invalid));
    let (mut seen, mut list) = (0, List { kind: Some(EventKind::RecordingSealed), ..all() });
    loop {
        let page = house.desk().list(list.clone()).await.unwrap();
        assert!(serde_json::to_vec(&page).unwrap().len() < service::MAX_MESSAGE);
        assert!(!page.entries.is_empty());
        seen += page.entries.len();
        let Some(next) = page.next else { break };
        list.before = Some(next);
    }
    assert_eq!(seen, 6);
}

#[tokio::test]
async fn checkpoints_and_proofs_hold_for_whoever_has_the_public_key() {
    let mut house = House::new();
    assert_eq!(house.desk().signed_checkpoint().await.unwrap_err().kind, RefusalKind::NotFound);
    for number in 0..5 {
        house.append(own(EventKind::RecordingSealed, &number.to_string()), None, "record").await.unwrap();
    }
    assert_eq!(house.judged(), Verdict::Undetermined);
    let proof = house.desk().proof(Proof { sequence: 3 }).await.unwrap();
    assert_eq!(house.judged(), Verdict::Passed);
    let (note, _none) = audit_log::Checkpoint::parse(&proof.checkpoint.note).unwrap();
    let head = note.verify(&house.keys).unwrap();
    let digest = |text: &str| -> [u8; 32] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    };
    let path: Vec<_> = proof.path.iter().map(|hash| digest(hash)).collect();
    assert!(verify_inclusion::<Sm3>(digest(&proof.leaf), 3, head.size, &path, &head.root));
    assert_eq!(house.desk().proof(Proof { sequence: 5 }).await.unwrap_err().kind, RefusalKind::NotFound);
    house.restart().await;
    assert_eq!(house.desk().signed_checkpoint().await.unwrap().note, proof.checkpoint.note);
    house.append(own(EventKind::RecordingSealed, "5"), None, "record").await.unwrap();
    assert_eq!(house.desk().signed_checkpoint().await.unwrap().size, 6);
}

#[tokio::test]
async fn damage_is_found_told_and_put_on_record() {
    let house = House::new();
    for number in 0..5 {
        house.append(own(EventKind::RecordingSealed, &number.to_string()), None, "record").await.unwrap();
    }
    // The act itself is the sixth entry, and a checkpoint comes over all of them first.
    let verified = house.desk().verify(Verify { assertion: auditor() }).await.unwrap();
    assert_eq!((verified.entries, verified.checkpoints, verified.damage), (6, 1, None));

    let path = house.directory.path().join(SEGMENT);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[80] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let verified = house.desk().verify(Verify { assertion: auditor() }).await.unwrap();
    let damage = verified.damage.unwrap();
    assert!(damage.contains("00000000000000000000.segment at byte 16"), "{damage}");
    let refused = house.desk().list(all()).await.unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Unavailable, "a damaged entry is not shown as a sound one");
    let found = house
        .listed(List { kind: Some(EventKind::AuditDamaged), before: None, page: Page::of(1), ..all() })
        .await;
    assert_eq!(found[0].event.facts["damage"], damage);
    assert_eq!(house.judged(), Verdict::Failed);
}

#[test]
fn the_log_keeps_its_name_and_its_earlier_keys() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("verifier-keys");
    let first = start::keys(&path, log_key().verifying_key().clone()).unwrap();
    assert_eq!(start::keys(&path, log_key().verifying_key().clone()).unwrap(), first);
    let both = start::keys(&path, house_key().verifying_key().clone()).unwrap();
    assert_eq!((both.len(), &both[1], both[0].name()), (2, &first[0], first[0].name()));
    assert_eq!(start::keys(&path, house_key().verifying_key().clone()).unwrap(), both);
}
