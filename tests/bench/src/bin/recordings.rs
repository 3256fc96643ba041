//! The list of 100,000 recordings: pages of it, and a start of `record` with them, beside reading what is known of each
//! (as a list without a catalogue would).

use auth_api::Role;
use bench::{Failure, Figures, Processes, Target, program, quantile};
use record_api::{List, Record, Recording, RecordingList, RecordingState};
use serde_json::{Value, json};
use service::Client;
use stage::Stage;
use std::{
    fs,
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::Path,
    time::{Duration, Instant},
};
use types::{CallId, Page, RecordingId, Uid, Utc};

const RECORDINGS: u32 = 100_000;
const SECOND: i64 = 1_000_000_000;
/// The first began here; one a second.
const FIRST: i64 = 1_790_000_000 * SECOND;
const PAGES: u32 = 200;

fn main() -> Result<(), Failure> {
    let mut stage = Stage::new("record", program("record")?);
    stage.settings("[record]\nminimum_free = \"16MiB\"\n");
    stage.neighbour("audit", |_, answers| answers.only(&json!({ "sequence": 1 })));
    let folder = stage.directory().join("recordings");
    for number in 0..RECORDINGS {
        put(&folder, number)?;
    }
    let (began, mut bytes) = (Instant::now(), 0);
    for entry in fs::read_dir(&folder)? {
        let known: Value = serde_json::from_slice(&fs::read(entry?.path().join("about.json"))?)?;
        bytes += usize::from(known["segments"] == 1);
    }
    let reading = began.elapsed().as_secs_f64();
    assert_eq!(bytes, RECORDINGS as usize, "each is read");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut figures = Figures::of("recordings");
    let start = |stage: &mut Stage| -> Result<f64, Failure> {
        let path = stage.socket("record", "ctl");
        // The socket of an earlier life may still lie there.
        let _absent = fs::remove_file(&path);
        let listener = OwnedFd::from(UnixListener::bind(path)?);
        let began = Instant::now();
        stage.start([("peer.ctl".to_owned(), listener)]);
        let found = runtime.block_on(list(stage, Page::of(1), None))?;
        assert_eq!(found.recordings.len(), 1);
        Ok(began.elapsed().as_secs_f64())
    };
    let first = start(&mut stage)?;
    stage.kill();
    let again = start(&mut stage)?;
    let read = ("reading all", reading);
    figures.beside("first list after a start without its catalogue", "s", first, read);
    figures.beside("first list after a kill -9", "s", again, read);
    figures.target(Target::AtMost(3.0));

    let times = |page: &dyn Fn(u32) -> (Page, Option<CallId>)| -> Result<f64, Failure> {
        let mut times = Vec::new();
        for number in 0..PAGES {
            let ((page, call), began) = (page(number), Instant::now());
            let found = runtime.block_on(list(&stage, page, call))?;
            assert!(!found.recordings.is_empty(), "{page:?}");
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        Ok(quantile(&times, 0.5))
    };
    let read = ("reading all", reading * 1e3);
    figures.beside("the newest 50", "ms", times(&|_| (Page::of(50), None))?, read);
    figures.target(Target::AtMost(20.0));
    let within = |number: u32| {
        let from = FIRST + i64::from(number) * 400 * SECOND;
        let (from, until) = (Some(Utc(from)), Some(Utc(from + 1_000 * SECOND)));
        (Page { from, until, limit: Some(50) }, None)
    };
    figures.beside("50 within a span of time", "ms", times(&within)?, read);
    figures.target(Target::AtMost(20.0));
    let of_a_call = |number: u32| (Page::of(50), Some(call(number * 499)));
    figures.beside("those of one call", "ms", times(&of_a_call)?, read);
    figures.target(Target::AtMost(20.0));
    figures.alone("memory of record", "MB", Processes::of(vec![stage.pid()]).memory()? as f64 / 1e6);
    figures.end(
        "a page reads the files that it shows and no other; a call is looked for among all rows, in memory",
    )
}

async fn list(stage: &Stage, page: Page, call: Option<CallId>) -> Result<RecordingList, Failure> {
    let client: Client<Record> = stage.client("ctl");
    let assertion = stage.assertion("zhao", Role::Supervisor);
    let list = List { assertion, call, after: None, page };
    Ok(client.call_with(list, Vec::new(), Duration::from_secs(60)).await?.0)
}

fn call(number: u32) -> CallId {
    CallId(Uid((u128::from(number) << 32 | 7).to_be_bytes()))
}

/// What is known of a recording that is over, as the daemon leaves it.
fn put(folder: &Path, number: u32) -> Result<(), Failure> {
    let began = FIRST + i64::from(number) * SECOND;
    let recording = Recording {
        recording: RecordingId(Uid((u128::from(number) << 64 | 9).to_be_bytes())),
        call: call(number),
        began: Utc(began),
        ended: Some(Utc(began + 90 * SECOND)),
        state: RecordingState::Sealed,
        tracks: Vec::new(),
        size: 1_500_000,
        digest: "5".repeat(64),
        packets: 9_000,
        lost: 0,
        masked: 0,
        queues: Vec::new(),
        retained_until: Some(Utc(i64::MAX - 1)),
        hold: None,
        deleted: None,
    };
    let folder = folder.join(recording.recording.to_string());
    fs::create_dir_all(&folder)?;
    let about = json!({ "recording": recording, "segments": 1, "outcomes": 1, "noted": 1 });
    Ok(fs::write(folder.join("about.json"), serde_json::to_vec_pretty(&about)?)?)
}
