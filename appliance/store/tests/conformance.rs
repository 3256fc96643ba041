//! The sled driver passes the suite of every driver.

use store::{
    Batch, BatchId, Change, Claim, Error, Expect, Feed, Holder, Index, Lease, LeaseName, Options, Order,
    Outcome, Position, Row, Schema, Store, Table, Within,
    conformance::{Number, PROMISES, Step, Ticket, Tickets},
};
use types::{PersonId, Utc};

static BY_OWNER: Index<Ticket, (PersonId,)> = Index::new("owner", |ticket| vec![(ticket.owner.clone(),)]);
static TICKETS: Table<Number, Ticket> = Table::new("tickets", &[&BY_OWNER]);
static TALLY: Table<(PersonId, Number), u32> = Table::new("tally", &[]);
const SCHEMA: Schema = Schema { name: "tickets", version: 1, upgrades: &[] };

struct Sled(Store);

impl Tickets for Sled {
    fn commit(&self, id: BatchId, steps: &[Step], under: Option<&Lease>) -> Result<Outcome, Error> {
        let mut batch = Batch::new(id);
        if let Some(lease) = under {
            batch = batch.under(lease);
        }
        for step in steps {
            batch = match step {
                Step::Write(number, ticket, expect) => batch.put(&TICKETS, number, ticket, *expect)?,
                Step::Close(number, expect) => batch.remove(&TICKETS, number, *expect)?,
            };
        }
        for step in steps {
            if let Step::Write(number, ticket, _) = step {
                batch = batch.put(&TALLY, &(ticket.owner.clone(), *number), &1, Expect::Anything)?;
            }
        }
        self.0.commit(batch)
    }

    fn ticket(&self, number: Number) -> Result<Option<Row<Ticket>>, Error> {
        self.0.row(&TICKETS, &number)
    }

    fn owned(&self, owner: &PersonId) -> Result<Vec<Number>, Error> {
        // Small pages, so that every list goes over their edges.
        let (mut numbers, mut cursor) = (Vec::new(), None);
        loop {
            let within = Within::prefix(&(owner.clone(),)).order(Order::Rising).limit(3).after(cursor);
            let page = self.0.find(&TICKETS, &BY_OWNER, &within)?;
            numbers.extend(page.rows.into_iter().map(|(number, _)| number));
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(numbers),
            }
        }
    }

    fn feed(&self, after: Position, limit: usize) -> Result<Feed, Error> {
        self.0.feed(after, limit)
    }

    fn number_of(&self, change: &Change) -> Option<Number> {
        TICKETS.key_of(change)
    }

    fn claim(&self, name: LeaseName, holder: Holder, now: Utc, until: Utc) -> Result<Claim, Error> {
        self.0.claim(name, holder, now, until)
    }

    fn renew(&self, lease: &Lease, until: Utc) -> Result<Claim, Error> {
        self.0.renew(lease, until)
    }

    fn release(&self, lease: &Lease) -> Result<(), Error> {
        self.0.release(lease)
    }
}

#[test]
fn keeps_every_promise() {
    let mut broken = Vec::new();
    for (promise, keep) in PROMISES {
        let directory = tempfile::tempdir().unwrap();
        let store = Sled(Store::open(&SCHEMA, Options::of(directory.path())).unwrap());
        broken.extend(keep(&store).err().map(|error| format!("{promise}: {error}")));
        store.0.verify(&TICKETS).unwrap();
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
