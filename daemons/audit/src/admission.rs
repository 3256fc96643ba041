//! Which events of which caller come into the log, and on whose word.
//!
//! The caller is known by its socket. A daemon speaks for itself only, and of its own duties only; a person's act
//! needs the person's own assertion, which is verified here. So an edge that is taken over can write that it acted
//! itself, and nothing in another's name: not even the export of a recording by a person whose assertion it holds.

use audit_api::{Actor, Append, Event, EventKind, Phase, TicketWish};
use audit_log::{Disk, Kind, Reader};
use auth_api::Verifier;
use mutant::mutant;
use service::Refusal;

/// What only the log itself and this daemon may say.
const RESERVED: [EventKind; 4] =
    [EventKind::ClockStepped, EventKind::AuditListed, EventKind::AuditVerified, EventKind::AuditDamaged];
/// What every daemon says of itself: its life, and the calls that it refused.
const OF_ALL: &str = "service";
/// The one daemon that opens sealed recordings, and so the one that gets tickets.
const OPENER: &str = "record";

/// Admits the event that `reporter` brings, or says why not.
pub fn admit<D: Disk>(
    append: &Append,
    reporter: &str,
    verifier: &Verifier,
    log: &Reader<D>,
) -> Result<(), Refusal> {
    let event = &append.event;
    if RESERVED.contains(&event.kind) {
        return Err(Refusal::not_permitted(
            "audit.reserved-kind",
            format!("entries of the kind {} are the log's own", event.kind.text()),
        ));
    }
    let subject = event.kind.subject();
    if subject != OF_ALL && subject != reporter && !mutant("audit-kinds-unchecked") {
        return Err(Refusal::not_permitted(
            "audit.not-its-kind",
            format!("{reporter} cannot report {}: that is {subject}'s to say", event.kind.text()),
        ));
    }
    let proved = match &event.actor {
        Actor::Person(person) => {
            proved(append, person, verifier)? || {
                ends_what_began(event, person, reporter, log)?;
                false
            }
        }
        Actor::Daemon(daemon) if daemon == reporter => false,
        Actor::Daemon(daemon) => {
            return Err(Refusal::not_permitted(
                "audit.not-itself",
                format!("{reporter} cannot report an act of {daemon}"),
            ));
        }
        Actor::Claimed(_name) => false,
    };
    match append.ticket {
        TicketWish::None => Ok(()),
        TicketWish::Wanted if reporter != OPENER => Err(Refusal::not_permitted(
            "audit.no-ticket",
            format!("{reporter} opens nothing and gets no ticket"),
        )),
        TicketWish::Wanted if !proved => {
            Err(Refusal::invalid("audit.no-ticket", "a ticket is for a person who proved who they are"))
        }
        TicketWish::Wanted => Ok(()),
    }
}

/// Whether the assertion proves that `person` acts; refused where it proves something else.
fn proved(append: &Append, person: &str, verifier: &Verifier) -> Result<bool, Refusal> {
    let Some(assertion) = &append.assertion else { return Ok(mutant("audit-person-unproved")) };
    let claims = match verifier.person(assertion) {
        Ok(claims) => claims,
        // An act that began with a valid assertion may end after it: the beginning is looked up.
        Err(_refusal) if append.event.phase == Phase::Ended => return Ok(false),
        Err(refusal) => return Err(refusal),
    };
    if claims.person.0.as_str() == person || mutant("audit-person-unproved") {
        Ok(true)
    } else {
        Err(Refusal::not_permitted(
            "audit.not-the-person",
            "the assertion is another person's than the event",
        ))
    }
}

/// The end of an act needs no second proof where its beginning is in the log, by the same person and from the
/// same reporter.
fn ends_what_began<D: Disk>(
    event: &Event,
    person: &str,
    reporter: &str,
    log: &Reader<D>,
) -> Result<(), Refusal> {
    let unproved =
        || Refusal::not_permitted("audit.no-assertion", "a person's act needs the person's assertion");
    if event.phase != Phase::Ended {
        return Err(unproved());
    }
    let sequence = event.facts.get("begun").and_then(|begun| begun.parse().ok()).ok_or_else(unproved)?;
    let begun = log.entry(sequence).map_err(|_not_in_the_log| unproved())?;
    let body = &begun.body;
    let same = begun.kind == Kind(event.kind.code())
        && body.phase == audit_log::Phase::Begun
        && body.person.as_deref() == Some(person)
        && body.daemon.as_deref() == Some(reporter)
        && body.object.as_deref().unwrap_or_default() == event.object;
    if same { Ok(()) } else { Err(unproved()) }
}
