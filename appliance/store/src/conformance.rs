//! The suite that every driver passes, whatever it is built on.
//!
//! A driver shows itself by a small port of its own, [`Tickets`], which it implements natively: the one on
//! sled with tables of this crate, one on PostgreSQL with SQL of its own. The suite demands what the crate's
//! first page promises and names the promise that a driver broke.

use crate::{
    BatchId, Claim, Error, Expect, Feed, Generation, Holder, Lease, LeaseName, Outcome, Position, Row,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, thread};
use types::{Name, PersonId, Uid, Utc};

/// What the suite's imaginary help desk keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Who works on it: listed by this.
    pub owner: PersonId,
    /// What it says.
    pub text: String,
}

/// The number of a ticket: the suite's key.
pub type Number = u32;

/// One step of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write the ticket and, in a second table, a tally of its owner's name, both or neither.
    Write(Number, Ticket, Expect),
    /// Take the ticket away.
    Close(Number, Expect),
}

/// A driver as the suite sees it. All clones and threads see one database.
pub trait Tickets: Sync {
    /// Commits the steps as one batch, under the lease if there is one.
    ///
    /// # Errors
    /// Those of the driver.
    fn commit(&self, id: BatchId, steps: &[Step], under: Option<&Lease>) -> Result<Outcome, Error>;

    /// One ticket.
    ///
    /// # Errors
    /// Those of the driver.
    fn ticket(&self, number: Number) -> Result<Option<Row<Ticket>>, Error>;

    /// The numbers of an owner's tickets, rising, by the index.
    ///
    /// # Errors
    /// Those of the driver.
    fn owned(&self, owner: &PersonId) -> Result<Vec<Number>, Error>;

    /// The commits after a position.
    ///
    /// # Errors
    /// Those of the driver.
    fn feed(&self, after: Position, limit: usize) -> Result<Feed, Error>;

    /// Which ticket a change in the feed is about, if it is about one.
    fn number_of(&self, change: &crate::Change) -> Option<Number>;

    /// Claims a lease.
    ///
    /// # Errors
    /// Those of the driver.
    fn claim(&self, name: LeaseName, holder: Holder, now: Utc, until: Utc) -> Result<Claim, Error>;

    /// Renews a lease.
    ///
    /// # Errors
    /// Those of the driver.
    fn renew(&self, lease: &Lease, until: Utc) -> Result<Claim, Error>;

    /// Releases a lease.
    ///
    /// # Errors
    /// Those of the driver.
    fn release(&self, lease: &Lease) -> Result<(), Error>;
}

/// Tries one promise on a fresh database.
pub type Promise = fn(&dyn Tickets) -> Result<(), Broken>;

/// The promises, each with its name: run every one on a fresh database.
pub const PROMISES: &[(&str, Promise)] = &[
    ("a batch happens wholly or not at all", wholly_or_not),
    ("expected versions never come back", versions_rise),
    ("the index follows the row", index_follows),
    ("the first outcome is heard again", first_outcome),
    ("an id belongs to one batch", one_id_one_batch),
    ("concurrent counting loses nothing", counting),
    ("the same batch from many at once happens once", once_from_many),
    ("a lease has one holder at a time", one_holder),
    ("an earlier grant is fenced", fenced),
    ("many claim, one is granted", one_of_many),
    ("the feed tells every commit once, in order", feed_in_order),
    ("the feed goes on from any position", feed_resumes),
];

/// Which promise was broken, and how.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// The driver refused what it must do.
    #[error("refused: {0}")]
    Refused(#[from] Error),
    /// The driver did something else.
    #[error("line {line}: {what}")]
    Wrong {
        /// The line of this file.
        line: u32,
        /// What was demanded.
        what: String,
    },
}

macro_rules! demand {
    ($holds:expr) => {
        demand!($holds, "{}", stringify!($holds))
    };
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(Broken::Wrong { line: line!(), what: format!($($what)+) });
        }
    };
}

fn wholly_or_not(tickets: &dyn Tickets) -> Result<(), Broken> {
    let first = position(tickets.commit(id(1), &[write(1, "wang", "a", Expect::Absent)], None)?)?;
    let steps = [write(2, "li", "b", Expect::Absent), write(1, "li", "b", Expect::Absent)];
    let refused = tickets.commit(id(2), &steps, None)?;
    demand!(
        refused == Outcome::Conflict { operation: 1, found: Some(crate::Version(first.0)) },
        "{refused:?}"
    );
    demand!(tickets.ticket(2)?.is_none());
    demand!(tickets.owned(&person("li"))?.is_empty());
    demand!(tickets.ticket(1)?.is_some_and(|row| row.value.text == "a" && row.version.0 == first.0));
    let both =
        [write(2, "li", "b", Expect::Absent), write(1, "li", "b", Expect::At(crate::Version(first.0)))];
    position(tickets.commit(id(3), &both, None)?)?;
    demand!(tickets.owned(&person("li"))? == [1, 2]);
    Ok(())
}

fn versions_rise(tickets: &dyn Tickets) -> Result<(), Broken> {
    let mut last = 0;
    for round in 0..5 {
        let at =
            position(tickets.commit(id(2 * round), &[write(7, "wang", "same", Expect::Absent)], None)?)?;
        let Some(row) = tickets.ticket(7)? else { return Err(wrong(line!(), "the ticket is there")) };
        demand!(row.version.0 == at.0 && row.version.0 > last);
        last = row.version.0;
        let stale = Expect::At(crate::Version(last.saturating_sub(1)));
        let refused = tickets.commit(id(100 + round), &[Step::Close(7, stale)], None)?;
        demand!(refused == Outcome::Conflict { operation: 0, found: Some(row.version) }, "{refused:?}");
        position(tickets.commit(id(2 * round + 1), &[Step::Close(7, Expect::At(row.version))], None)?)?;
        demand!(tickets.ticket(7)?.is_none());
    }
    Ok(())
}

fn index_follows(tickets: &dyn Tickets) -> Result<(), Broken> {
    for number in 0..20 {
        tickets.commit(id(number.into()), &[write(number, "wang", "x", Expect::Absent)], None)?;
    }
    demand!(tickets.owned(&person("wang"))? == (0..20).collect::<Vec<_>>());
    let steps: Vec<_> = (0..10).map(|number| write(number, "wang2", "x", Expect::Anything)).collect();
    tickets.commit(id(100), &steps, None)?;
    let steps: Vec<_> = (15..20).map(|number| Step::Close(number, Expect::Anything)).collect();
    tickets.commit(id(101), &steps, None)?;
    demand!(tickets.owned(&person("wang2"))? == (0..10).collect::<Vec<_>>());
    demand!(tickets.owned(&person("wang"))? == (10..15).collect::<Vec<_>>());
    Ok(())
}

fn first_outcome(tickets: &dyn Tickets) -> Result<(), Broken> {
    let steps = [write(1, "wang", "a", Expect::Anything)];
    let first = tickets.commit(id(1), &steps, None)?;
    position(tickets.commit(id(2), &[write(1, "li", "b", Expect::Anything)], None)?)?;
    // The answer to id 1 was lost, so it is sent again: it must not overwrite what came since.
    demand!(tickets.commit(id(1), &steps, None)? == first);
    demand!(tickets.ticket(1)?.is_some_and(|row| row.value.text == "b"));
    let steps = [write(1, "wang", "c", Expect::Absent)];
    let refused = tickets.commit(id(3), &steps, None)?;
    demand!(matches!(refused, Outcome::Conflict { .. }));
    tickets.commit(id(4), &[Step::Close(1, Expect::Anything)], None)?;
    demand!(tickets.commit(id(3), &steps, None)? == refused, "a refusal is an outcome too");
    demand!(tickets.ticket(1)?.is_none());
    Ok(())
}

fn one_id_one_batch(tickets: &dyn Tickets) -> Result<(), Broken> {
    tickets.commit(id(1), &[write(1, "wang", "a", Expect::Anything)], None)?;
    let other = tickets.commit(id(1), &[write(1, "wang", "b", Expect::Anything)], None);
    demand!(matches!(other, Err(Error::IdReused(reused)) if reused == id(1)), "{other:?}");
    demand!(tickets.ticket(1)?.is_some_and(|row| row.value.text == "a"));
    Ok(())
}

fn counting(tickets: &dyn Tickets) -> Result<(), Broken> {
    tickets.commit(id(0), &[write(1, "wang", "0", Expect::Absent)], None)?;
    const WRITERS: u64 = 4;
    const EACH: u64 = 10;
    let count = |writer: u64| -> Result<(), Broken> {
        let mut tries = 0;
        for _ in 0..EACH {
            loop {
                tries += 1;
                let Some(row) = tickets.ticket(1)? else { return Err(wrong(line!(), "the ticket is there")) };
                let next = row.value.text.parse::<u64>().unwrap_or(0) + 1;
                let step = write(1, "wang", &next.to_string(), Expect::At(row.version));
                match tickets.commit(id(writer * 1_000_000 + tries), &[step], None) {
                    Ok(Outcome::Committed(_)) => break,
                    Ok(_) | Err(Error::Busy) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    };
    all(WRITERS, count)?;
    let counted = tickets.ticket(1)?.map(|row| row.value.text);
    demand!(counted == Some((WRITERS * EACH).to_string()), "{counted:?}");
    Ok(())
}

fn once_from_many(tickets: &dyn Tickets) -> Result<(), Broken> {
    let outcomes = all(8, |_| Ok(tickets.commit(id(1), &[write(1, "wang", "a", Expect::Absent)], None)?))?;
    position(outcomes[0])?;
    demand!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
    demand!(tickets.feed(Position(0), 10)?.commits.len() == 1);
    Ok(())
}

fn one_holder(tickets: &dyn Tickets) -> Result<(), Broken> {
    let (queue, node) = (lease_name("queue.loans"), holder);
    let a = granted(tickets.claim(queue.clone(), node("a"), Utc(0), Utc(10))?)?;
    demand!(tickets.claim(queue.clone(), node("b"), Utc(9), Utc(20))? == Claim::Held(a.clone()));
    let other = granted(tickets.claim(lease_name("queue.cards"), node("b"), Utc(9), Utc(20))?)?;
    demand!(other.generation == Generation(1));
    let renewed = granted(tickets.renew(&a, Utc(15))?)?;
    demand!(renewed.generation == a.generation && renewed.until == Utc(15));
    demand!(matches!(tickets.claim(queue.clone(), node("b"), Utc(10), Utc(20))?, Claim::Held(_)));
    let b = granted(tickets.claim(queue.clone(), node("b"), Utc(15), Utc(30))?)?;
    demand!(b.generation > a.generation);
    demand!(tickets.renew(&renewed, Utc(40))? == Claim::Held(b.clone()));
    tickets.release(&renewed)?;
    demand!(tickets.claim(queue.clone(), node("a"), Utc(16), Utc(40))? == Claim::Held(b.clone()));
    tickets.release(&b)?;
    let a = granted(tickets.claim(queue, node("a"), Utc(16), Utc(40))?)?;
    demand!(a.generation > b.generation);
    Ok(())
}

fn fenced(tickets: &dyn Tickets) -> Result<(), Broken> {
    let queue = lease_name("queue.loans");
    let a = granted(tickets.claim(queue.clone(), holder("a"), Utc(0), Utc(10))?)?;
    position(tickets.commit(id(1), &[write(1, "wang", "by a", Expect::Anything)], Some(&a))?)?;
    let b = granted(tickets.claim(queue.clone(), holder("b"), Utc(10), Utc(20))?)?;
    position(tickets.commit(id(2), &[write(1, "wang", "by b", Expect::Anything)], Some(&b))?)?;
    // A woke from a long pause and does not know yet.
    let late = tickets.commit(id(3), &[write(1, "wang", "late", Expect::Anything)], Some(&a))?;
    demand!(late == Outcome::Fenced { current: b.generation }, "{late:?}");
    demand!(tickets.ticket(1)?.is_some_and(|row| row.value.text == "by b"));
    // B starts anew under its own name: what it sent before is fenced as well.
    let anew = granted(tickets.claim(queue, holder("b"), Utc(11), Utc(30))?)?;
    demand!(anew.generation > b.generation);
    let before = tickets.commit(id(4), &[write(1, "wang", "before", Expect::Anything)], Some(&b))?;
    demand!(before == Outcome::Fenced { current: anew.generation }, "{before:?}");
    tickets.release(&anew)?;
    let after = tickets.commit(id(5), &[write(1, "wang", "after", Expect::Anything)], Some(&anew))?;
    demand!(matches!(after, Outcome::Fenced { .. }), "{after:?}");
    Ok(())
}

fn one_of_many(tickets: &dyn Tickets) -> Result<(), Broken> {
    let claims = all(8, |node| {
        Ok(tickets.claim(lease_name("duty"), holder(&format!("node{node}")), Utc(0), Utc(10))?)
    })?;
    let granted = claims.iter().filter(|claim| matches!(claim, Claim::Granted(_))).count();
    demand!(granted == 1, "{claims:?}");
    Ok(())
}

fn feed_in_order(tickets: &dyn Tickets) -> Result<(), Broken> {
    const WRITERS: u64 = 4;
    const EACH: u64 = 25;
    let committed = all(WRITERS, |writer| {
        (0..EACH)
            .map(|n| {
                let number = Number::try_from(writer * EACH + n).unwrap_or(Number::MAX);
                let batch = id(1 + u64::from(number));
                let at =
                    position(tickets.commit(batch, &[write(number, "wang", "x", Expect::Absent)], None)?)?;
                // Refused batches stand between and are not told.
                tickets.commit(
                    id(10_000 + u64::from(number)),
                    &[write(number, "li", "y", Expect::Absent)],
                    None,
                )?;
                Ok((at, (batch, number)))
            })
            .collect::<Result<Vec<_>, Broken>>()
    })?;
    let committed: BTreeMap<_, _> = committed.into_iter().flatten().collect();
    let feed = tickets.feed(Position(0), 1000)?;
    let told: Vec<_> = feed
        .commits
        .iter()
        .map(|commit| {
            (commit.position, (commit.id, commit.changes.iter().find_map(|at| tickets.number_of(at))))
        })
        .collect();
    let expected: Vec<_> = committed.iter().map(|(at, (id, number))| (*at, (*id, Some(*number)))).collect();
    demand!(told == expected, "told {told:?}, expected {expected:?}");
    Ok(())
}

fn feed_resumes(tickets: &dyn Tickets) -> Result<(), Broken> {
    demand!(tickets.feed(Position(0), 10)? == Feed { commits: Vec::new(), resume: Position(0) });
    for number in 0..23 {
        position(tickets.commit(
            id(number.into()),
            &[write(number, "wang", "x", Expect::Anything)],
            None,
        )?)?;
    }
    let whole = tickets.feed(Position(0), 100)?.commits;
    let (mut resumed, mut at) = (Vec::new(), Position(0));
    loop {
        let part = tickets.feed(at, 5)?;
        demand!(part.commits.len() <= 5);
        if part.commits.is_empty() {
            break;
        }
        resumed.extend(part.commits);
        at = part.resume;
    }
    demand!(resumed == whole && whole.len() == 23);
    tickets.commit(id(99), &[Step::Close(3, Expect::Anything)], None)?;
    let more = tickets.feed(at, 5)?.commits;
    demand!(more.len() == 1 && more[0].id == id(99));
    demand!(
        more[0].changes.iter().any(|change| {
            tickets.number_of(change) == Some(3) && change.changed == crate::Changed::Removed
        })
    );
    Ok(())
}

fn id(number: u64) -> BatchId {
    BatchId(Uid((u128::from(number) + (1 << 100)).to_be_bytes()))
}

fn write(number: Number, owner: &str, text: &str, expect: Expect) -> Step {
    Step::Write(number, Ticket { owner: person(owner), text: text.to_owned() }, expect)
}

fn person(name: &str) -> PersonId {
    PersonId(sure(name))
}

fn lease_name(name: &str) -> LeaseName {
    LeaseName(sure(name))
}

fn holder(name: &str) -> Holder {
    Holder(sure(name))
}

#[expect(clippy::expect_used, reason = "the suite's own names are names")]
fn sure(name: &str) -> Name {
    name.parse().expect("the suite's own names are names")
}

fn wrong(line: u32, what: &str) -> Broken {
    Broken::Wrong { line, what: what.to_owned() }
}

fn position(outcome: Outcome) -> Result<Position, Broken> {
    match outcome {
        Outcome::Committed(position) => Ok(position),
        other => Err(wrong(line!(), &format!("must commit: {other:?}"))),
    }
}

fn granted(claim: Claim) -> Result<Lease, Broken> {
    match claim {
        Claim::Granted(lease) => Ok(lease),
        other @ Claim::Held(_) => Err(wrong(line!(), &format!("must be granted: {other:?}"))),
    }
}

/// Runs `work` on so many threads at once, and gathers what each made.
fn all<T: Send>(threads: u64, work: impl Fn(u64) -> Result<T, Broken> + Sync) -> Result<Vec<T>, Broken> {
    thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        running
            .into_iter()
            .map(|thread| {
                thread.join().unwrap_or_else(|_| Err(wrong(line!(), "a thread of the suite panicked")))
            })
            .collect()
    })
}
