//! Tickets: audit's word to `key` that an entry is durable.

use crate::event::hex;
use audit_api::{EventKind, Ticket};
use std::time::Duration;
use types::Utc;
use zeroize::Zeroizing;

/// A ticket opens its object for this long; a caller who takes longer asks again and is on record again.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// The MAC key that audit and key share.
pub struct Tickets(Zeroizing<[u8; 32]>);

impl Tickets {
    /// With this key.
    pub const fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// The ticket for a durable entry.
    pub fn ticket(&self, sequence: u64, person: String, act: EventKind, object: String, now: Utc) -> Ticket {
        let expires = now.plus(LIFETIME);
        let mut ticket = Ticket { sequence, person, act, object, expires, mac: String::new() };
        ticket.mac = hex(&gm::sm3::hmac(&*self.0, &[&ticket.message()]));
        ticket
    }
}
