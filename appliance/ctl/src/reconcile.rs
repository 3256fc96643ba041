//! `ym reconcile`: calls, recordings and the audit log are held against each other. The exit status is 0 where they
//! agree, else 1.

mod verdict;

use crate::{
    failure::Failure,
    output::{self, Form},
    session::Session,
};
use audit_api::{Audit, Entry, EventKind};
use record_api::{Record, Recording};
use report_api::{Ledger, LedgerRow, Report};
use service::clock;
use std::time::Duration;
use types::Page;
use verdict::{Books, Disagreement, KINDS, Verdict, compare};

/// Rows of a page: as many as a list gives at once.
const ROWS: u32 = 1000;
/// How long a page may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Disagreements that are told to a person; `--json` has all.
const TOLD: usize = 50;

/// Compares everything there is (audit administrator) that is not as `young`.
///
/// # Errors
/// A refusal, or something does not agree.
pub async fn reconcile(session: &Session<'_>, form: Form, young: Duration) -> Result<(), Failure> {
    // In this order: each has come into being after what is read before it, and its entries before itself.
    let calls = calls(session).await?;
    let recordings = recordings(session).await?;
    let mut entries = Vec::new();
    for kind in KINDS {
        entries.extend(self::entries(session, kind).await?);
    }
    let verdict = compare(&Books { calls, recordings, entries }, clock::utc(), young);
    output::show(form, &verdict, human);
    match verdict.disagreements.len() {
        0 => Ok(()),
        many => Err(Failure::said("ym.reconcile-no", &[("many", &many.to_string())])),
    }
}

async fn calls(session: &Session<'_>) -> Result<Vec<LedgerRow>, Failure> {
    let report = session.client::<Report>();
    every(async |after| {
        let ledger = Ledger { assertion: session.assertion().await?, page: Page::of(ROWS), after };
        let (page, _) = report.call_with(ledger, Vec::new(), PATIENCE).await?;
        let next = page.calls.last().filter(|_| page.more).map(|row| row.call);
        Ok((page.calls, next))
    })
    .await
}

async fn recordings(session: &Session<'_>) -> Result<Vec<Recording>, Failure> {
    let record = session.client::<Record>();
    every(async |after| {
        let assertion = session.assertion().await?;
        let list = record_api::List { assertion, call: None, after, page: Page::of(ROWS) };
        let (page, _) = record.call_with(list, Vec::new(), PATIENCE).await?;
        let next = page.recordings.last().filter(|_| page.more).map(|recording| recording.recording);
        Ok((page.recordings, next))
    })
    .await
}

async fn entries(session: &Session<'_>, kind: EventKind) -> Result<Vec<Entry>, Failure> {
    let audit = session.client::<Audit>();
    every(async |before| {
        let list = audit_api::List {
            assertion: session.assertion().await?,
            page: Page::of(ROWS),
            kind: Some(kind),
            person: None,
            object: None,
            before,
        };
        let (page, _) = audit.call_with(list, Vec::new(), PATIENCE).await?;
        Ok((page.entries, page.next))
    })
    .await
}

/// The rows of all pages. A page comes with where to go on, unless it is the last.
async fn every<Row, Place>(
    mut page: impl AsyncFnMut(Option<Place>) -> Result<(Vec<Row>, Option<Place>), Failure>,
) -> Result<Vec<Row>, Failure> {
    let (mut all, mut place) = (Vec::new(), None);
    loop {
        let (rows, next) = page(place).await?;
        all.extend(rows);
        place = next;
        if place.is_none() {
            return Ok(all);
        }
    }
}

fn human(verdict: &Verdict) {
    let number = |number: usize| number.to_string();
    let reasons: Vec<String> =
        verdict.unrecorded.iter().map(|(reason, many)| format!("{reason} {many}")).collect();
    let say = |code: &str, arguments: &[(&str, &str)]| output::say(&output::text(code, arguments));
    say(
        "ym.reconcile-calls",
        &[
            ("calls", &number(verdict.calls)),
            ("recorded", &number(verdict.recorded)),
            ("unrecorded", &number(verdict.unrecorded.values().sum())),
            ("reasons", &if reasons.is_empty() { "–".to_owned() } else { reasons.join(", ") }),
        ],
    );
    say(
        "ym.reconcile-recordings",
        &[
            ("recordings", &number(verdict.recordings)),
            ("truncated", &number(verdict.truncated)),
            ("lossy", &number(verdict.lossy)),
            ("deleted", &number(verdict.deleted)),
            ("held", &number(verdict.held)),
        ],
    );
    say(
        "ym.reconcile-entries",
        &[("entries", &number(verdict.entries)), ("going", &number(verdict.going_on))],
    );
    verdict.disagreements.iter().take(TOLD).for_each(|wrong| output::say(&sentence(wrong)));
    if let Some(more) = verdict.disagreements.len().checked_sub(TOLD).filter(|more| *more > 0) {
        say("ym.reconcile-more", &[("more", &number(more))]);
    }
    if verdict.disagreements.is_empty() {
        say("ym.reconcile-yes", &[]);
    }
}

fn sentence(wrong: &Disagreement) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    output::text(
        &format!("ym.reconcile-{}", wrong.code),
        &[
            ("call", &or_dash(wrong.call.map(|call| call.to_string()))),
            ("recording", &or_dash(wrong.recording.map(|recording| recording.to_string()))),
            ("entry", &or_dash(wrong.entry.map(|entry| entry.to_string()))),
        ],
    )
}
