//! What is this driver's own: failure, bounds, opening, the ends of the log.

use super::*;
use crate::{BatchId, Expect, Index, Order, Position, Table, Within};
use std::{
    fs::File,
    path::Path,
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};
use types::Uid;

static BY_SIZE: Index<String, u32> = Index::new("size", |text| vec![text.len() as u32]);
static NOTES: Table<u32, String> = Table::new("notes", &[&BY_SIZE]);
const FIRST: Schema = Schema { name: "notes", version: 1, upgrades: &[] };

fn id(number: u64) -> BatchId {
    BatchId(Uid((u128::from(number) + 1).to_be_bytes()))
}

fn note(number: u32, text: &str) -> Batch {
    Batch::new(id(number.into())).put(&NOTES, &number, &text.to_owned(), Expect::Anything).unwrap()
}

fn open(directory: &Path) -> Store {
    Store::open(&FIRST, Options::of(directory)).unwrap()
}

/// A store whose fdatasync fails as that of `/dev/null` does, and how often it was tried.
fn failing(directory: &Path) -> (Store, Arc<Mutex<Vec<String>>>) {
    drop(open(directory));
    let failures = Arc::new(Mutex::new(Vec::new()));
    let told = failures.clone();
    let mut options = Options::of(directory);
    options.on_failure = Box::new(move |error| told.lock().unwrap().push(error.to_string()));
    let tree = sled::Config::new().path(directory.join("sled")).flush_every_ms(None).open().unwrap();
    let store = Store::start(&FIRST, options, tree, File::open("/dev/null").unwrap()).unwrap();
    (store, failures)
}

#[test]
fn a_failed_fdatasync_is_told_once_and_never_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let (store, failures) = failing(directory.path());
    for number in 0..3 {
        let outcome = store.commit(note(number, "x"));
        assert!(matches!(&outcome, Err(Error::Failed(_))), "{outcome:?}");
    }
    assert!(matches!(store.row(&NOTES, &0), Err(Error::Failed(_))), "a read would show what is not durable");
    assert!(matches!(store.feed(Position(0), 1), Err(Error::Failed(_))));
    assert!(matches!(store.beyond(Position(0), Duration::from_secs(60)), Err(Error::Failed(_))));
    let failures = failures.lock().unwrap();
    assert_eq!(failures.len(), 1);
    assert!(failures[0].contains("fdatasync"), "{failures:?}");
}

#[test]
fn a_full_queue_is_busy_and_what_was_accepted_is_committed() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { queue: 4, ..Options::of(directory.path()) };
    let store = Store::open(&FIRST, options).unwrap();
    let (mut accepted, mut busy) = (Vec::new(), 0);
    for number in 0..5_000 {
        match store.submit(note(number, "x")) {
            Ok(pending) => accepted.push((number, pending)),
            Err(Error::Busy) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(busy > 0, "5000 batches went through a queue of four faster than they were made");
    let count = accepted.len() as u64;
    for (number, pending) in accepted {
        assert!(matches!(pending.wait(), Ok(Outcome::Committed(_))));
        assert!(store.row(&NOTES, &number).unwrap().is_some());
    }
    assert_eq!(store.verify(&NOTES).unwrap(), count);
}

#[test]
fn a_batch_is_awaited_without_a_runtime() {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut pending = pin!(store.submit(note(1, "x")).unwrap());
    let outcome = loop {
        match pending.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => break outcome.unwrap(),
            Poll::Pending => thread::park(),
        }
    };
    assert_eq!(outcome, Outcome::Committed(Position(1)));
}

#[test]
fn outcomes_leases_and_feed_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let (name, node) = (LeaseName("duty".parse().unwrap()), Holder("a".parse().unwrap()));
    let first = open(directory.path());
    let outcome = first.commit(note(1, "x")).unwrap();
    let Claim::Granted(lease) = first.claim(name.clone(), node.clone(), Utc(0), Utc(10)).unwrap() else {
        panic!()
    };
    let feed = first.feed(Position(0), 10).unwrap();
    drop(first);
    let second = open(directory.path());
    assert_eq!(second.commit(note(1, "x")).unwrap(), outcome);
    assert_eq!(second.feed(Position(0), 10).unwrap(), feed);
    let other = Holder("b".parse().unwrap());
    assert_eq!(second.claim(name, other, Utc(5), Utc(20)).unwrap(), Claim::Held(lease));
    assert_eq!(second.commit(note(2, "y")).unwrap(), Outcome::Committed(Position(2)));
}

/// Groups are counted, for each is an fdatasync. Mutant store-never-gathers.
#[test]
fn requests_wait_for_one_another_where_the_store_was_opened_so() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let options = Options { gather: Duration::from_secs(3600), ..Options::of(directory.path()) };
    let store = Store::open(&FIRST, options).unwrap();
    let before = store.groups();
    let submit = |number| store.submit(note(number, "x")).unwrap();
    let whole: Vec<_> = (0..100).map(submit).collect();
    for (pending, position) in whole.into_iter().zip(1..) {
        assert_eq!(pending.wait().unwrap(), Outcome::Committed(Position(position)));
    }
    assert_eq!(store.groups() - before, 1, "as many as make a whole group");
    let few: Vec<_> = (100..103).map(submit).collect();
    let (name, holder) = (LeaseName("duty".parse().unwrap()), Holder("a".parse().unwrap()));
    store.claim(name, holder, Utc(0), Utc(10)).unwrap();
    assert!(few.into_iter().all(|pending| pending.wait().is_ok()));
    assert_eq!(store.groups() - before, 2, "whoever needs a lease takes them along");
    let last = submit(103);
    drop(store);
    assert_eq!(last.wait().unwrap(), Outcome::Committed(Position(104)), "the end waits for nobody");
}

#[test]
fn what_falls_off_the_log_is_forgotten_in_feed_and_ids() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options { retain: 10, ..Options::of(directory.path()) };
    let mut store = Store::open(&FIRST, options()).unwrap();
    for reopened in [false, true] {
        for number in 0..30 {
            store.commit(note(number + if reopened { 30 } else { 0 }, "x")).unwrap();
        }
        let kept = Position(if reopened { 50 } else { 20 });
        let trimmed = store.feed(Position(kept.0 - 1), 100);
        assert!(matches!(trimmed, Err(Error::Trimmed { kept: at }) if at == kept), "{trimmed:?}");
        assert_eq!(store.feed(kept, 100).unwrap().commits.len(), 10);
        drop(store);
        store = Store::open(&FIRST, options()).unwrap();
    }
    // Id 5 is forgotten, id 55 is not.
    assert_eq!(store.commit(note(55, "x")).unwrap(), Outcome::Committed(Position(56)));
    assert_eq!(store.commit(note(5, "x")).unwrap(), Outcome::Committed(Position(61)));
}

#[test]
fn large_values_and_double_rows_are_refused_before_the_queue() {
    let large = Batch::new(id(1)).put(&NOTES, &1, &"x".repeat(4096), Expect::Anything);
    assert!(matches!(large.err(), Some(Error::Value { table: "notes", .. })));
    let twice = note(1, "x").remove(&NOTES, &1, Expect::Anything);
    assert!(matches!(twice.err(), Some(Error::Batch(_))));
}

#[test]
fn another_process_and_another_schema_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let second = Store::open(&FIRST, Options::of(directory.path()));
    assert!(matches!(second.err(), Some(Error::Open { .. })));
    drop(store);
    let other = Schema { name: "tickets", ..FIRST };
    assert!(matches!(Store::open(&other, Options::of(directory.path())).err(), Some(Error::Foreign { .. })));
    let newer = Schema { version: 2, ..FIRST };
    let missing = Store::open(&newer, Options::of(directory.path())).err();
    assert!(matches!(missing, Some(Error::NoUpgrade { to: 2, .. })), "{missing:?}");
}

#[test]
fn an_upgrade_runs_once_and_again_only_when_it_was_cut_off() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    fn louder(store: &Store) -> Result<(), Error> {
        let mut within = Within::all().limit(2);
        loop {
            let page = store.scan(&NOTES, &within)?;
            let mut batch = Batch::unnamed();
            for (number, row) in page.rows {
                batch = batch.put(&NOTES, &number, &row.value.to_uppercase(), Expect::At(row.version))?;
            }
            store.commit(batch)?;
            if RUNS.fetch_add(1, Ordering::Relaxed) == 0 {
                return Err(Error::Batch("cut off"));
            }
            match page.next {
                Some(next) => within = within.after(Some(next)),
                None => return Ok(()),
            }
        }
    }
    const SECOND: Schema = Schema { name: "notes", version: 2, upgrades: &[Upgrade { to: 2, step: louder }] };
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for number in 0..5 {
        store.commit(note(number, "quiet")).unwrap();
    }
    drop(store);
    assert!(Store::open(&SECOND, Options::of(directory.path())).is_err());
    drop(open(directory.path()));
    for runs in [4, 4] {
        let store = Store::open(&SECOND, Options::of(directory.path())).unwrap();
        let page = store.scan(&NOTES, &Within::all()).unwrap();
        assert!(page.rows.len() == 5 && page.rows.iter().all(|(_, row)| row.value == "QUIET"));
        assert_eq!(RUNS.load(Ordering::Relaxed), runs);
    }
    let older = Store::open(&FIRST, Options::of(directory.path()));
    assert!(matches!(older.err(), Some(Error::Foreign { .. })));
}

#[test]
fn scans_page_both_ways_within_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for number in 0..50 {
        store.commit(note(number, &"x".repeat(number as usize / 10))).unwrap();
    }
    for (order, expected) in
        [(Order::Rising, (15..35).collect::<Vec<_>>()), (Order::Falling, (15..35).rev().collect())]
    {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let within = Within::between(&15_u32, &35).order(order).limit(7).after(cursor);
            let page = store.scan(&NOTES, &within).unwrap();
            seen.extend(page.rows.into_iter().map(|(number, _)| number));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected);
    }
    let threes = store.find(&NOTES, &BY_SIZE, &Within::prefix(&3_u32).order(Order::Falling)).unwrap();
    assert_eq!(
        threes.rows.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        (30..40).rev().collect::<Vec<_>>()
    );
    assert!(store.scan(&NOTES, &Within::between(&9_u32, &3)).unwrap().rows.is_empty());
}

#[test]
fn whoever_waits_for_the_feed_is_woken() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert_eq!(store.beyond(Position(0), Duration::ZERO).unwrap(), Position(0));
    let (told, heard) = mpsc::channel();
    let waiting = store.clone();
    thread::spawn(move || told.send(waiting.beyond(Position(0), Duration::from_secs(60)).unwrap()));
    store.commit(note(1, "x")).unwrap();
    assert_eq!(heard.recv_timeout(Duration::from_secs(30)).unwrap(), Position(1));
}

/// Where syncing costs nothing, the threads of sled that made the database outlive its handle for longest.
#[test]
fn a_first_start_does_not_meet_its_own_lock() {
    for _ in 0..300 {
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        drop(open(directory.path()));
    }
}
