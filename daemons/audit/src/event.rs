//! Events of the wire and bodies of the log: the same facts in two forms.

use audit_api::{Actor, Entry, Event, EventKind, Outcome, Phase};
use audit_log::hash::Digest;
use audit_log::personal::Personal;
use audit_log::{Body, Draft, Kind};
use service::Refusal;
use types::{Pii, Utc};

/// The draft of an event that `reporter` brought, and the personal values that stay beside the log. Each gets
/// a salt from the kernel.
pub fn draft(event: Event, reporter: &str) -> Result<(Draft, Vec<Personal>), Refusal> {
    let mut body = Body { daemon: Some(reporter.to_owned()), ..Body::default() };
    match event.actor {
        Actor::Person(person) => body.person = Some(person),
        Actor::Claimed(name) => body.claimed = Some(name),
        // Admission has seen that a daemon speaks for itself.
        Actor::Daemon(_reporter) => {}
    }
    body.from = Some(event.origin).filter(|origin| !origin.is_empty());
    body.object = Some(event.object).filter(|object| !object.is_empty());
    body.phase = match event.phase {
        Phase::Once => audit_log::Phase::Once,
        Phase::Begun => audit_log::Phase::Begun,
        Phase::Ended => audit_log::Phase::Ended,
    };
    body.outcome = match event.outcome {
        Outcome::Pending => None,
        Outcome::Done => Some(audit_log::Outcome::Done),
        Outcome::Refused => Some(audit_log::Outcome::Refused),
        Outcome::Failed => Some(audit_log::Outcome::Failed),
    };
    (body.reason, body.case, body.facts) = (event.reason, event.case, event.facts);
    let mut values = Vec::new();
    for (name, value) in event.personal {
        let mut salt = [0; 16];
        gm::random(&mut salt).map_err(|error| Refusal::unavailable("audit.random", error.to_string()))?;
        let value = Personal::new(salt, value.into_revealed())
            .ok_or_else(|| Refusal::invalid("audit.too-long", "a personal value has at most 65,535 bytes"))?;
        body.personal.insert(name, value.digest());
        values.push(value);
    }
    Ok((Draft { kind: Kind(event.kind.code()), body }, values))
}

/// An entry for those who read the log, personal values as digests; `None` for a kind that this version
/// does not know.
pub fn entry(entry: audit_log::Entry, leaf: &Digest) -> Option<Entry> {
    let body = entry.body;
    let event = Event {
        kind: EventKind::of_code(entry.kind.0)?,
        phase: match body.phase {
            audit_log::Phase::Once => Phase::Once,
            audit_log::Phase::Begun => Phase::Begun,
            audit_log::Phase::Ended => Phase::Ended,
        },
        actor: match (body.person, body.claimed) {
            (Some(person), _) => Actor::Person(person),
            (None, Some(name)) => Actor::Claimed(name),
            // The log's own entries have no reporter.
            (None, None) => Actor::Daemon(body.daemon.unwrap_or_else(|| "audit".to_owned())),
        },
        origin: body.from.unwrap_or_default(),
        object: body.object.unwrap_or_default(),
        outcome: match body.outcome {
            None if entry.kind == Kind::CLOCK_STEPPED => Outcome::Done,
            None => Outcome::Pending,
            Some(audit_log::Outcome::Done) => Outcome::Done,
            Some(audit_log::Outcome::Refused) => Outcome::Refused,
            Some(audit_log::Outcome::Failed) => Outcome::Failed,
        },
        reason: body.reason,
        case: body.case,
        facts: body.facts,
        personal: body.personal.into_iter().map(|(name, digest)| (name, Pii::new(hex(&digest)))).collect(),
    };
    Some(Entry { sequence: entry.sequence, at: Utc(entry.moment.utc_nanos), event, leaf: hex(leaf) })
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_log::{ClockState, Moment};
    use std::time::Duration;

    #[test]
    fn an_event_comes_back_as_it_went_in_without_personal_values() {
        let mut event =
            Event::of_daemon(EventKind::RecordingExported, "record", "an-object").with("format", "wav");
        event.actor = Actor::Person("li.na".into());
        (event.origin, event.reason, event.case) =
            ("192.0.2.7".into(), Some("why".into()), Some("C-1".into()));
        (event.phase, event.outcome) = (Phase::Begun, Outcome::Pending);
        event.personal.insert("caller".into(), Pii::new("13800138000".into()));
        let (draft, values) = draft(event.clone(), "record").unwrap();
        assert_eq!(values[0].reveal(), "13800138000");
        let moment = Moment {
            boot: [1; 16],
            boot_counter: 1,
            monotonic: Duration::ZERO,
            utc_nanos: 5,
            clock: ClockState::Unknown,
        };
        let written = audit_log::Entry { kind: draft.kind, sequence: 3, moment, body: draft.body };
        let encoded = written.encode().unwrap();
        assert!(!encoded.windows(11).any(|window| window == b"13800138000"));
        let read = entry(written, &[0xab; 32]).unwrap();
        assert_eq!((read.sequence, read.at, read.leaf), (3, Utc(5), "ab".repeat(32)));
        let caller = read.event.personal["caller"].reveal().clone();
        assert_eq!(caller, hex(&values[0].digest()));
        event.personal.insert("caller".into(), Pii::new(caller));
        assert_eq!(read.event, event);
    }

    #[test]
    fn every_kind_has_words() {
        for lang in [words::Lang::ZhCn, words::Lang::En] {
            for kind in EventKind::ALL {
                let code = format!("audit.{}", kind.text());
                assert_ne!(words::text(lang, &code, &[]), code);
            }
        }
    }

    #[test]
    fn the_clock_s_kind_is_the_same_in_both_vocabularies() {
        assert_eq!(Kind::CLOCK_STEPPED, Kind(EventKind::ClockStepped.code()));
    }
}
