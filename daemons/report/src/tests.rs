//! The desk over real records on a real disk, with real assertions and an audit log that can be away.

use crate::{
    desk::Desk,
    evidence::{self, Round},
    records::{CallRecords, Error},
};
use audit_api::{Actor, Append, Audit, Event, EventKind};
use auth_api::{Assertion, Claims, Role, Roles, SIGNING_ID, SessionId, Verifier};
use gm::sm2::SigningKey;
use record_api::{Outcome, RecordingState};
use report_api::{
    Amend, CallRecord, Decision, Disposition, Ledger, LegRecord, List, NotRecorded, Queued, Recorded, Save,
    Show, SignallingRecord,
};
use route_api::{Cause, EndedBy, Endpoint, Party};
use serde_json::{Value, json};
use service::{Client, Connection, RefusalKind};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use types::{AgentId, CallId, LegId, Name, Page, PersonId, Pii, QueueId, RecordingId, Uid, Utc};

const NUMBER: &str = "13800138000";

struct House {
    directory: TempDir,
    desk: Desk,
    records: CallRecords,
    key: SigningKey,
    log: Log,
}

impl House {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::default();
        log.serve(UnixListener::bind(directory.path().join("audit")).unwrap());
        let key = SigningKey::generate().unwrap();
        let records = CallRecords::open(directory.path()).unwrap();
        let verifier = Verifier::new(key.verifying_key().clone());
        let desk = Desk::new(records.clone(), verifier, Client::at(directory.path().join("audit")));
        Self { directory, desk, records, key, log }
    }

    fn audit(&self) -> Client<Audit> {
        Client::at(self.directory.path().join("audit"))
    }

    fn assertion(&self, person: &str, roles: &[Role]) -> Assertion {
        let issued = service::clock::utc();
        let claims = Claims {
            person: PersonId(name(person)),
            roles: roles.iter().try_fold(Roles::none(), |roles, role| roles.with(*role)).unwrap(),
            session: SessionId(Uid([7; 16])),
            issued,
            expires: issued.plus(Duration::from_secs(60)),
        };
        let signature = self.key.sign(SIGNING_ID, &Assertion::message(&claims)).unwrap();
        Assertion::new(&claims, &signature)
    }

    fn supervisor(&self) -> Assertion {
        self.assertion("zhao", &[Role::Supervisor])
    }

    async fn keep(&self, record: &CallRecord) -> String {
        self.desk.save(Save { record: record.clone() }).await.unwrap().digest
    }

    async fn listed(&self, list: List) -> Vec<u8> {
        ids(&self.desk.list(list).await.unwrap().calls)
    }
}

/// An audit log in memory.
#[derive(Clone, Default)]
struct Log {
    entries: Arc<Mutex<Vec<Event>>>,
    away: Arc<AtomicBool>,
}

impl Log {
    fn serve(&self, listener: UnixListener) {
        let log = self.clone();
        tokio::spawn(async move {
            loop {
                let mut connection = Connection::new(listener.accept().await.unwrap().0);
                let log = log.clone();
                tokio::spawn(async move {
                    while let Ok(Some((bytes, _))) = connection.read().await {
                        let call: Value = serde_json::from_slice(&bytes).unwrap();
                        let append: Append = serde_json::from_value(call["parameters"].clone()).unwrap();
                        connection.write(&log.answer(append), &[]).await.unwrap();
                    }
                });
            }
        });
    }

    fn answer(&self, append: Append) -> Value {
        if self.away.load(Ordering::Relaxed) {
            return json!({ "error": "cn.yanmen.Unavailable", "parameters": { "code": "audit.away", "message": "away" } });
        }
        assert_eq!(append.assertion.is_some(), matches!(append.event.actor, Actor::Person(_)));
        let mut entries = self.entries.lock().unwrap();
        entries.push(append.event);
        json!({ "parameters": { "sequence": entries.len() - 1 } })
    }

    fn of(&self, kind: EventKind) -> Vec<Event> {
        self.entries.lock().unwrap().iter().filter(|event| event.kind == kind).cloned().collect()
    }

    async fn until(&self, kind: EventKind, count: usize) -> Vec<Event> {
        for _ in 0..500 {
            if self.of(kind).len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.of(kind)
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn call(number: u8) -> CallId {
    CallId(Uid([number; 16]))
}

fn ids(calls: &[CallRecord]) -> Vec<u8> {
    calls.iter().map(|record| record.call.0.0[0]).collect()
}

/// A call at `offered` that `agent` took out of `queue`.
fn record(number: u8, offered: i64, agent: &str, queue: &str) -> CallRecord {
    let leg = |agent: Option<AgentId>| LegRecord {
        leg: LegId(Uid([number ^ 0x55; 16])),
        over: Endpoint::Phone(types::Extension(name("8001"))),
        agent,
        began: Utc(offered),
        answered: Some(Utc(offered + 5)),
        ended: Utc(offered + 60),
        cause: Cause::NormalClearing,
        by: EndedBy::Peer,
        reference: "a@b".to_owned(),
        quality: None,
        ladder: Some(SignallingRecord { began: Utc(offered), steps: vec![], left_out: 0, paths: vec![] }),
    };
    let queue = QueueId(name(queue));
    CallRecord {
        call: call(number),
        offered: Utc(offered),
        ended: Utc(offered + 60),
        from: Party { number: Pii::new(NUMBER.to_owned()), display: Some(Pii::new("张三丰".to_owned())) },
        dialled: "95588".to_owned(),
        flow: "main 1".to_owned(),
        queued: vec![Queued { queue, entered: Utc(offered), left: Utc(offered + 5), offers: vec![] }],
        legs: vec![leg(None), leg(Some(AgentId(name(agent))))],
        disposition: Disposition::Answered,
        recording: Recorded::No { reason: NotRecorded::ByRule },
        decisions: vec![],
        outcome: None,
    }
}

fn list(assertion: Assertion) -> List {
    List {
        assertion,
        page: Page::default(),
        number: None,
        agent: None,
        queue: None,
        after: None,
        reason: None,
    }
}

#[tokio::test]
async fn a_call_is_kept_once_and_its_digest_reaches_the_audit_log() {
    let house = House::new();
    let first = record(1, 100, "li", "loans");
    let digest = house.keep(&first).await;
    assert_eq!(house.keep(&first).await, digest);
    let mut other = first.clone();
    other.dialled = "95599".to_owned();
    assert_eq!(house.keep(&other).await, digest, "the first record stays");
    assert_eq!(house.records.call(call(1)).await.unwrap(), first);
    let listed = house.desk.list(list(house.supervisor())).await.unwrap();
    assert!(first.legs[0].ladder.is_some() && listed.calls[0].legs[0].ladder.is_none(), "not in lists");

    house.log.away.store(true, Ordering::Relaxed);
    let carrying = tokio::spawn(evidence::carry(house.records.clone(), house.audit()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(house.log.of(EventKind::CallRecorded).is_empty());
    house.log.away.store(false, Ordering::Relaxed);
    house.keep(&record(2, 200, "li", "loans")).await;
    let entries = house.log.until(EventKind::CallRecorded, 2).await;
    assert_eq!(entries.len(), 2, "one entry a record, however often it was sent");
    assert_eq!((&entries[0].object, &entries[0].facts["digest"]), (&call(1).to_string(), &digest));
    assert!(!serde_json::to_string(&entries).unwrap().contains(NUMBER));
    carrying.abort();
}

#[tokio::test]
async fn lists_are_masked_the_newest_first_and_page() {
    let house = House::new();
    for number in 0..25 {
        let agent = if number % 5 == 0 { "li" } else { "wang" };
        let queue = if number % 2 == 0 { "loans" } else { "cards" };
        // Two calls share each moment.
        house.keep(&record(number, i64::from(number / 2), agent, queue)).await;
    }
    let ask = || list(house.supervisor());
    let all = house.desk.list(ask()).await.unwrap();
    assert_eq!(ids(&all.calls), (0..25).rev().collect::<Vec<_>>());
    let told = serde_json::to_string(&all).unwrap();
    assert!(!told.contains(NUMBER) && told.contains("138******00") && !told.contains("张三丰"));

    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = house.desk.list(List { page: Page::of(7), after, ..ask() }).await.unwrap();
        after = page.calls.last().map(|record| record.call);
        paged.extend(ids(&page.calls));
        if !page.more {
            break;
        }
    }
    assert_eq!(paged, (0..25).rev().collect::<Vec<_>>());

    let li = || Some(AgentId(name("li")));
    assert_eq!(house.listed(List { agent: li(), ..ask() }).await, [20, 15, 10, 5, 0]);
    assert_eq!(
        house.listed(List { agent: li(), page: Page::of(2), after: Some(call(15)), ..ask() }).await,
        [10, 5]
    );
    assert_eq!(
        house.listed(List { agent: li(), queue: Some(QueueId(name("cards"))), ..ask() }).await,
        [15, 5]
    );
    assert_eq!(
        house
            .listed(List { page: Page { from: Some(Utc(10)), until: Some(Utc(12)), limit: None }, ..ask() })
            .await,
        [23, 22, 21, 20]
    );
    let own = list(house.assertion("li", &[Role::Agent]));
    assert_eq!(house.listed(own).await, [20, 15, 10, 5, 0]);
    let officer = list(house.assertion("sun", &[Role::AuditAdministrator]));
    assert_eq!(house.desk.list(officer).await.unwrap().calls.len(), 25);
    assert!(house.log.entries.lock().unwrap().is_empty(), "masked lists are no entry");
}

#[tokio::test]
async fn a_number_is_shown_for_a_reason_that_stands_in_the_log_first() {
    let house = House::new();
    house.keep(&record(1, 100, "li", "loans")).await;
    let reason = || Some("complaint 4711".to_owned());
    let ask = || Show { assertion: house.supervisor(), call: call(1), reason: None };
    let masked = house.desk.show(ask()).await.unwrap();
    assert_eq!(masked.from.number.reveal(), "138******00");

    house.log.away.store(true, Ordering::Relaxed);
    let refused = house.desk.show(Show { reason: reason(), ..ask() }).await.unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Unavailable, "no entry, no number");
    let number = Some(Pii::new(NUMBER.to_owned()));
    let search = || List { number: number.clone(), ..list(house.supervisor()) };
    let refused = house.desk.list(List { reason: reason(), ..search() }).await.unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Unavailable);

    house.log.away.store(false, Ordering::Relaxed);
    let shown = house.desk.show(Show { reason: reason(), ..ask() }).await.unwrap();
    assert_eq!(shown.from.number.reveal(), NUMBER);
    let found = house.desk.list(List { reason: reason(), ..search() }).await.unwrap();
    assert_eq!(found.calls[0].from.number.reveal(), NUMBER);
    let entries = house.log.of(EventKind::PersonalDataShown);
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].actor, Actor::Person("zhao".to_owned()));
    assert_eq!((entries[0].object.clone(), entries[0].reason.clone()), (call(1).to_string(), reason()));
    assert_eq!((entries[1].personal.get("number"), &*entries[1].facts["calls"]), (number.as_ref(), "1"));
}

#[tokio::test]
async fn who_may_not_is_refused() {
    let house = House::new();
    house.keep(&record(1, 100, "li", "loans")).await;
    let kind = async |list: List| house.desk.list(list).await.unwrap_err().kind;
    let agent = || house.assertion("wang", &[Role::Agent]);
    assert_eq!(
        kind(List { agent: Some(AgentId(name("li"))), ..list(agent()) }).await,
        RefusalKind::NotPermitted
    );
    assert_eq!(kind(List { reason: Some("why".into()), ..list(agent()) }).await, RefusalKind::NotPermitted);
    assert_eq!(kind(list(house.assertion("qian", &[]))).await, RefusalKind::NotPermitted);
    assert_eq!(kind(list("bm9uc2Vuc2U".parse().unwrap())).await, RefusalKind::NotPermitted);
    let number = Some(Pii::new(NUMBER.to_owned()));
    assert_eq!(kind(List { number, ..list(house.supervisor()) }).await, RefusalKind::Invalid);
    assert_eq!(
        kind(List { reason: Some("  ".into()), ..list(house.supervisor()) }).await,
        RefusalKind::Invalid
    );
    assert_eq!(kind(List { after: Some(call(9)), ..list(house.supervisor()) }).await, RefusalKind::NotFound);
    let show = async |assertion, number| {
        house
            .desk
            .show(Show { assertion, call: call(number), reason: None })
            .await
            .map_err(|refusal| refusal.kind)
    };
    assert_eq!(show(agent(), 1).await, Err(RefusalKind::NotFound), "another's call is as good as none");
    assert_eq!(show(house.supervisor(), 2).await, Err(RefusalKind::NotFound));
    assert!(show(house.assertion("li", &[Role::Agent]), 1).await.is_ok());
    assert!(house.log.entries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_long_record_is_kept_whole_and_an_answer_fits_a_message() {
    let house = House::new();
    let why = "候选：\"li\" 12，\"wang\" 9 \\ ".repeat(40);
    for number in 1..=30 {
        let mut long = record(number, i64::from(number), "li", "loans");
        let decision = |at| Decision { at: Utc(at), what: "queue.offered".to_owned(), why: why.clone() };
        long.decisions = (0..30).map(decision).collect();
        house.keep(&long).await;
        assert_eq!(house.records.call(call(number)).await.unwrap(), long);
    }
    let page = house.desk.list(list(house.supervisor())).await.unwrap();
    assert!(page.more && !page.calls.is_empty());
    assert!(serde_json::to_vec(&page).unwrap().len() < service::MAX_MESSAGE);
    let mut endless = record(99, 1, "li", "loans");
    endless.flow = "x".repeat(900_000);
    let refused = house.desk.save(Save { record: endless }).await.unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Invalid);
    assert!(matches!(house.records.call(call(99)).await, Err(Error::NoSuchCall(_))));
}

#[tokio::test]
async fn what_became_of_a_recording_stands_in_the_call_record_and_not_under_its_digest() {
    let house = House::new();
    let outcome = |number, state| Outcome {
        recording: RecordingId(Uid([5; 16])),
        call: call(1),
        number,
        at: Utc(70),
        state,
        digest: "d".to_owned(),
        lost: 3,
        masked: 0,
        memo: String::new(),
    };
    let amend = async |outcome| house.desk.amend(Amend { outcome }).await.unwrap();
    // It may come before the record does.
    amend(outcome(1, RecordingState::Truncated)).await;
    let mut kept = record(1, 10, "zhang", "service");
    let digest = house.keep(&kept).await;
    kept.outcome = Some(outcome(9, RecordingState::Sealed));
    assert_eq!(house.keep(&kept).await, digest, "the same record");
    let shown = async || {
        let show = Show { assertion: house.supervisor(), call: call(1), reason: None };
        house.desk.show(show).await.unwrap().outcome.unwrap()
    };
    assert_eq!(shown().await, outcome(1, RecordingState::Truncated));
    amend(outcome(2, RecordingState::Deleted)).await;
    amend(outcome(1, RecordingState::Truncated)).await;
    assert_eq!(shown().await, outcome(2, RecordingState::Deleted), "a late word changes nothing");
    house.keep(&record(2, 20, "li", "service")).await;

    let ledger = async |assertion, after, limit| {
        house.desk.ledger(Ledger { assertion, page: Page::of(limit), after }).await
    };
    let first = ledger(house.supervisor(), None, 1).await.unwrap();
    assert_eq!((first.calls[0].call, first.more), (call(2), true));
    let second = ledger(house.supervisor(), Some(call(2)), 1).await.unwrap();
    let row = &second.calls[0];
    assert_eq!((row.call, &row.digest, row.outcome.as_ref().unwrap().number), (call(1), &digest, 2));
    assert!(!second.more);
    let agent = house.assertion("zhang", &[Role::Agent]);
    assert_eq!(ledger(agent, None, 1).await.unwrap_err().kind, RefusalKind::NotPermitted);
}

/// What a crowd of calls costs: a sync each would be what limits a house.
#[tokio::test]
async fn calls_that_end_together_are_kept_and_proved_together() {
    let house = House::new();
    let before = house.records.syncs();
    let mut saves = tokio::task::JoinSet::new();
    for number in 1..=40 {
        let records = house.records.clone();
        saves.spawn(async move { records.keep(&record(number, number.into(), "li", "loans")).await });
    }
    let kept = saves.join_all().await;
    assert!(kept.iter().all(Result::is_ok), "{kept:?}");
    let syncs = house.records.syncs() - before;
    assert!(syncs <= 10, "{syncs} syncs for 40 records that came together");
    let before = house.records.syncs();
    assert!(matches!(evidence::round(&house.records, &house.audit()).await, Ok(Round::Carried)));
    assert_eq!(house.log.of(EventKind::CallRecorded).len(), 40);
    assert_eq!(house.records.syncs() - before, 1, "to note that 40 records are proved");
    assert!(matches!(evidence::round(&house.records, &house.audit()).await, Ok(Round::Nothing)));
}
