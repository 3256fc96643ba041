//! For how long recordings stay, and what is known of a disk that fails.

use super::*;
use crate::health::Watchman;
use envelope::{Header, KeyReference, NoncePrefix};
use record_api::{DiskHealth, Hold, Recording, Release, Show};
use record_core::Take;
use std::io;
use types::{QueueId, Utc};

const DAY: Duration = Duration::from_secs(24 * 3_600);

impl House {
    /// A recording that is over, of a call through these queues.
    async fn recorded(&self, queues: &[&str]) -> Recording {
        self.begin().await.unwrap();
        let feed = self.feed().await;
        say(&feed, CALLER, 1);
        drop(feed);
        let queues = queues.iter().map(|queue| QueueId(queue.parse().unwrap())).collect();
        self.recorder.finish(Finish { recording: RECORDING, queues }).await.unwrap()
    }

    async fn hold(&self, role: Role, reason: &str) -> Result<Recording, RefusalKind> {
        let (assertion, reason) = (self.assertion(&[role]), reason.to_owned());
        let hold = Hold { assertion, recording: RECORDING, reason, case: Some("C-17".to_owned()) };
        self.desk.hold(hold).await.map_err(|refusal| refusal.kind)
    }

    async fn release(&self, role: Role) -> Result<Recording, RefusalKind> {
        let (assertion, reason) = (self.assertion(&[role]), "settled".to_owned());
        let release = Release { assertion, recording: RECORDING, reason };
        self.desk.release(release).await.map_err(|refusal| refusal.kind)
    }

    /// How many recordings are deleted so long from now.
    async fn expire(&self, later: Duration) -> usize {
        self.recorder.expire(clock::utc().plus(later)).await
    }

    async fn show(&self) -> Recording {
        let assertion = self.assertion(&[Role::Supervisor]);
        self.desk.show(Show { assertion, recording: RECORDING }).await.unwrap()
    }

    /// What lies on the shelf of keys and of sound.
    fn left(&self) -> (usize, usize) {
        let count = |path: &Path| fs::read_dir(path).unwrap().count();
        let sound = self.shelf().recordings().join(RECORDING.to_string());
        // about.json stays.
        (count(&self.directory.path().join("keys")), count(&sound) - 1)
    }

    fn phases(&self, kind: EventKind) -> Vec<(Phase, Outcome)> {
        self.neighbours.of(kind).iter().map(|event| (event.phase, event.outcome)).collect()
    }
}

fn days_kept(recording: &Recording) -> u64 {
    recording.retained_until.unwrap().since(recording.ended.unwrap()).as_secs() / DAY.as_secs()
}

/// Mutant record-key-outlives.
#[tokio::test]
async fn a_recording_is_deleted_with_its_keys_when_its_retention_is_over_and_the_list_says_so() {
    let house = House::new();
    let sealed = house.recorded(&["service"]).await;
    assert_eq!((days_kept(&sealed), house.left()), (180, (1, 1)));
    assert_eq!((house.expire(179 * DAY).await, house.left()), (0, (1, 1)));
    assert_eq!((house.expire(181 * DAY).await, house.left()), (1, (0, 0)));
    assert_eq!(house.expire(181 * DAY).await, 0, "once is enough");

    let shown = house.show().await;
    assert_eq!((shown.state, shown.deleted.is_some()), (RecordingState::Deleted, true));
    assert_eq!(shown.digest, sealed.digest, "what it was stays known");
    let done = [(Phase::Begun, Outcome::Pending), (Phase::Ended, Outcome::Done)];
    assert_eq!(house.phases(EventKind::RecordingDeleted), done);
    let entry = &house.neighbours.of(EventKind::RecordingDeleted)[0];
    assert_eq!((&entry.facts["digest"], &entry.object), (&sealed.digest, &RECORDING.to_string()));
    let outcome = house.about().outcome().expect("the call record is to hear of it");
    assert_eq!((outcome.state, outcome.number), (RecordingState::Deleted, 2));
    assert_eq!(house.export(Role::Supervisor, "why").await.0, Err(RefusalKind::Conflict));
    assert_eq!(house.begin().await, Err(RefusalKind::Conflict), "its id is spent");
    assert_eq!(house.hold(Role::Supervisor, "too late").await, Err(RefusalKind::Conflict));
}

/// Mutant record-hold-ignored.
#[tokio::test]
async fn a_recording_on_hold_is_never_deleted() {
    let mut house = House::new();
    house.begin().await.unwrap();
    let held = house.hold(Role::Supervisor, "lawsuit").await.unwrap();
    assert_eq!(held.hold.as_ref().map(|hold| hold.reason.as_str()), Some("lawsuit"), "also while it goes on");
    let sealed = house.finish().await.unwrap();
    assert_eq!(sealed.hold, held.hold);
    assert_eq!(house.hold(Role::SecurityAdministrator, "again").await.unwrap().hold, held.hold);
    house.restart();
    assert_eq!((house.expire(36_500 * DAY).await, house.left()), (0, (1, 1)));
    assert_eq!(house.release(Role::SecurityAdministrator).await.unwrap().hold, None);
    assert_eq!((house.expire(181 * DAY).await, house.left()), (1, (0, 0)));
    let done = [(Phase::Begun, Outcome::Pending), (Phase::Ended, Outcome::Done)];
    assert_eq!(house.phases(EventKind::RecordingReleased), done);
    let entry = &house.neighbours.of(EventKind::RecordingHeld)[0];
    assert_eq!((entry.reason.as_deref(), entry.case.as_deref()), (Some("lawsuit"), Some("C-17")));
}

#[tokio::test]
async fn holding_and_releasing_have_their_roles_their_reason_and_their_entry() {
    let house = House::new();
    house.recorded(&[]).await;
    let refused = Err(RefusalKind::NotPermitted);
    for role in [Role::Agent, Role::AuditAdministrator, Role::SystemAdministrator] {
        assert_eq!(house.hold(role, "why").await, refused, "{role:?}");
        assert_eq!(house.release(role).await, refused, "{role:?}");
    }
    assert_eq!(house.release(Role::Supervisor).await, refused, "who holds does not release");
    assert_eq!(house.phases(EventKind::RecordingHeld), [(Phase::Once, Outcome::Refused); 3]);
    assert_eq!(house.phases(EventKind::RecordingReleased), [(Phase::Once, Outcome::Refused); 4]);
    assert_eq!(house.hold(Role::Supervisor, " ").await, Err(RefusalKind::Invalid));
    house.neighbours.audit_away.store(true, Ordering::Relaxed);
    assert_eq!(house.hold(Role::Supervisor, "why").await, Err(RefusalKind::Unavailable));
    assert_eq!(house.show().await.hold, None, "no entry, no hold");
}

#[tokio::test]
async fn the_longest_rule_counts_and_what_was_promised_is_not_shortened() {
    let house = House::new();
    let rules = |days: &str| -> settings::record::Record {
        let loans = json!({ "name": "loans", "retention": days });
        serde_json::from_value(json!({ "minimum_free": "1 MiB", "queues": [loans] })).unwrap()
    };
    house.settings.send_replace(rules("1825d"));
    assert_eq!(days_kept(&house.recorded(&["service", "loans"]).await), 1_825);
    house.settings.send_replace(rules("365d"));
    assert_eq!(days_kept(&house.show().await), 1_825);
    assert_eq!(house.expire(1_824 * DAY).await, 0);
    house.settings.send_replace(rules("3650d"));
    assert_eq!(days_kept(&house.show().await), 3_650);
    assert_eq!((house.expire(3_649 * DAY).await, house.expire(3_651 * DAY).await), (0, 1));
}

#[tokio::test]
async fn a_recording_that_nobody_finished_is_kept_for_the_longest_rule() {
    let house = House::new();
    let loans = json!({ "name": "loans", "retention": "1825d" });
    let rules = json!({ "minimum_free": "1 MiB", "queues": [loans] });
    house.settings.send_replace(serde_json::from_value(rules).unwrap());
    assert_eq!(days_kept(&house.recorded(&["service"]).await), 180);
    let mut about = house.about();
    (about.recording.queues, about.recording.retained_until) = (Vec::new(), None);
    assert!(!about.due(&house.settings.borrow(), clock::utc().plus(1_824 * DAY)));
}

/// Killed after each of its steps, a deletion is finished by the next life, and its end is entered.
#[tokio::test]
async fn a_deletion_survives_a_kill_at_any_step() {
    for killed_after in 0..6 {
        let mut house = House::new();
        house.recorded(&[]).await;
        let (shelf, mut about) = (house.shelf(), house.about());
        let entry = Event::of_daemon(EventKind::RecordingDeleted, "record", RECORDING.to_string());
        let begun = Event { phase: Phase::Begun, outcome: Outcome::Pending, ..entry.clone() };
        let (key, sound) = (
            house.directory.path().join("keys").join(format!("{RECORDING}-0.dek")),
            shelf.sealed_path(RECORDING, Segment(0)),
        );
        let enter = |event: Event| house.neighbours.entries.lock().unwrap().push(event);
        let steps: [&mut dyn FnMut(); 5] = [
            &mut || enter(begun.clone()),
            &mut || {
                (about.deletion, about.recording.state) = (Some(3), RecordingState::Deleted);
                shelf.write_about(&about).unwrap();
            },
            &mut || fs::remove_file(&key).unwrap(),
            &mut || fs::remove_file(&sound).unwrap(),
            &mut || enter(entry.clone()),
        ];
        steps.into_iter().take(killed_after).for_each(|step| step());
        house.restart();
        assert_eq!(house.expire(181 * DAY).await, 1, "killed after step {killed_after}");
        assert_eq!((house.left(), house.show().await.deleted.is_some()), ((0, 0), true), "{killed_after}");
        let entries = house.neighbours.of(EventKind::RecordingDeleted);
        assert_eq!(entries.last().unwrap().outcome, Outcome::Done);
        assert!(entries.iter().any(|event| event.phase == Phase::Begun) || killed_after > 1);
    }
}

/// The disk lost something, and audit was away when the recording was to be closed. Mutant record-torn-forgotten.
#[tokio::test]
async fn what_the_disk_lost_is_not_called_sealed_by_the_next_attempt() {
    let mut house = House::new();
    let disk = Disk::with(64, Duration::from_millis(1), || Err(io::Error::other("gone"))).unwrap();
    (house.recorder, house.desk) = life(house.directory.path(), &house.settings, &house.signing, Some(disk));
    house.begin().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    house.neighbours.audit_away.store(true, Ordering::Relaxed);
    assert_eq!(house.finish().await, Err(RefusalKind::Unavailable));
    house.neighbours.audit_away.store(false, Ordering::Relaxed);
    house.restart();
    // The kernel shows a file that ends well, though what it could not sync is not on the disk.
    let header = Header {
        object: ObjectId(RECORDING.0),
        key: KeyReference(RECORDING.0),
        segment: Segment(0),
        start: Utc(0),
        prefix: NoncePrefix([0; 7]),
    };
    let (take, head) = Take::new(&Dek::generate().unwrap(), header, types::Monotonic(0));
    let mut file = head.to_vec();
    take.finish(&mut file).unwrap();
    let path = house.shelf().sealed_path(RECORDING, Segment(0));
    fs::write(&path, file).unwrap();
    assert_eq!(open::tail(&path).unwrap(), open::Tail::Whole);
    assert_eq!(house.finish().await.unwrap().state, RecordingState::Truncated);
    assert_eq!(house.neighbours.of(EventKind::RecordingSealed), []);
    assert_eq!(house.neighbours.of(EventKind::RecordingTruncated).len(), 1);
}

#[tokio::test]
async fn losses_on_the_way_are_an_entry_and_stand_in_the_outcome() {
    let house = House::new();
    house.begin().await.unwrap();
    let feed = house.feed().await;
    say(&feed, CALLER, 1);
    say(&feed, AGENT, 2);
    send(feed.as_raw_fd(), &Batch::dropped(5, clock::monotonic().0), MsgFlags::MSG_NOSIGNAL).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let goes_on = house.show().await;
    assert_eq!((goes_on.packets, goes_on.lost, goes_on.masked), (1, 5, 1), "counted while it goes on");
    drop(feed);
    house.finish().await.unwrap();
    let entry = house.neighbours.of(EventKind::RecordingLossy).remove(0);
    assert_eq!(entry.facts["lost"], "5");
    let outcome = house.about().outcome().unwrap();
    assert_eq!((outcome.lost, outcome.masked, outcome.state), (5, 1, RecordingState::Sealed));
}

/// Mutant record-disk-unwatched.
#[tokio::test]
async fn a_full_and_a_stuck_disk_are_seen_and_so_is_their_end() {
    let house = House::new();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let disk = Disk::with(8, Duration::from_millis(1), move || {
        let _released = held.recv();
        Ok(())
    })
    .unwrap();
    let mut watchman = Watchman::new(house.shelf(), disk.clone(), house.settings.subscribe());
    assert_eq!(watchman.look().await.health, DiskHealth::Good);
    house.settings.send_replace(least_free("1048576 GiB"));
    let seen = watchman.look().await;
    assert_eq!((seen.health, seen.sentence().contains("FULL")), (DiskHealth::Full, true));
    house.settings.send_replace(least_free("1 MiB"));
    assert_eq!(watchman.look().await.health, DiskHealth::Good);
    disk.open(RECORDING, tempfile::tempfile().unwrap(), vec![1]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    assert_eq!(watchman.look().await.health, DiskHealth::Stalled);
    drop(release);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(watchman.look().await.health, DiskHealth::Good);
}

/// A disk that failed and is asked for nothing more: the watch finds out that it is well again.
#[tokio::test]
async fn a_disk_that_failed_is_tried_again_though_nobody_records() {
    let house = House::new();
    let disk = Disk::with(8, Duration::from_secs(60), || Ok(())).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    disk.open(RECORDING, full, vec![1]).await.unwrap();
    assert!(disk.close(RECORDING, vec![1]).await.is_err() && disk.failing());
    let mut watchman = Watchman::new(house.shelf(), disk, house.settings.subscribe());
    assert_eq!(watchman.look().await.health, DiskHealth::Good);
}

/// By the trend the disk is full in a week: that is an alarm with fourteen days of warning, and none with one.
#[tokio::test]
async fn a_disk_that_fills_is_an_alarm_before_it_is_full() {
    let house = House::new();
    let mut watchman = Watchman::new(
        house.shelf(),
        Disk::start(house.directory.path()).unwrap(),
        house.settings.subscribe(),
    );
    let free = watchman.look().await.free.unwrap();
    // Its first reading is kept beside it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut trend = record_core::Trend::default();
    let now = clock::utc();
    let ago = |hours: u64| Utc(now.0 - (hours * 3_600_000_000_000) as i64);
    for hours in (1..=48).rev() {
        // It lasts six days and a half, less what is to stay free; others on this machine write, and take away.
        trend.take(ago(hours), free + hours * (free / (6 * 24 + 12)));
    }
    house.shelf().keep_trend(&trend).unwrap();
    let mut watchman = Watchman::new(
        house.shelf(),
        Disk::start(house.directory.path()).unwrap(),
        house.settings.subscribe(),
    );
    let seen = watchman.look().await;
    let days = seen.full_in.map(|left| left.as_secs() / 86_400);
    assert!(seen.health == DiskHealth::Filling && matches!(days, Some(5 | 6)), "{seen:?}");
    let rule = json!({ "minimum_free": "1 MiB", "warn_before": "1d" });
    house.settings.send_replace(serde_json::from_value(rule).unwrap());
    assert_eq!(watchman.look().await.health, DiskHealth::Good);
}
