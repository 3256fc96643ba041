//! INVITE with Replaces (RFC 3891): who calls wants the place of a leg that is alive, be it a second device of the
//! same phone, or a colleague who picks up what rings.
//!
//! | the dialog that it names                          | what comes of it                                  |
//! |---------------------------------------------------|---------------------------------------------------|
//! | none of ours                                      | 481                                               |
//! | one that is over                                  | 603                                               |
//! | one that came in and is not answered              | 481: only what we called ourselves is ours to give |
//! | one that is answered, where only ringing is wanted | 486                                              |
//! | one that is answered, or that we let ring         | route decides who may, and hangs up who may not   |
//!
//! A carrier may not: whoever it lets through vouches for no stranger's call.

use crate::{
    Core,
    message::{Headers, Name, Params},
};
use mutant::mutant;
use route_api::{Endpoint, Wanted};
use serde::{Deserialize, Serialize};
use types::LegId;

/// The place that a new leg wants.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Place {
    /// Whose.
    pub(super) leg: LegId,
    /// Until when.
    pub(super) wanted: Wanted,
}

/// A dialog as a peer names it (RFC 3891 §6.1), written for whom it is sent to: `to-tag` is ours.
pub(crate) struct Named {
    pub(crate) call_id: Vec<u8>,
    pub(crate) ours: Vec<u8>,
    pub(crate) theirs: Vec<u8>,
    wanted: Wanted,
}

/// What there is of a dialog that a peer names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// It is over.
    Over,
    /// A call that came in rings.
    Offered,
    /// A call of ours rings.
    Rings(LegId),
    /// It is answered.
    Answered(LegId),
}

impl Named {
    /// Reads a value; `None` where it is malformed.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let end = value.iter().position(|b| *b == b';')?;
        let params = Params::read(&value[end + 1..])?;
        let call_id = value[..end].trim_ascii();
        let wanted = if params.has("early-only") { Wanted::Ringing } else { Wanted::Always };
        let (ours, theirs) = (params.value("to-tag")?.to_vec(), params.value("from-tag")?.to_vec());
        (!call_id.is_empty()).then(|| Self { call_id: call_id.to_vec(), ours, theirs, wanted })
    }
}

impl Core {
    /// The place that a new INVITE of that endpoint wants, where it wants one; else the status that refuses it.
    pub(super) fn wanted_place(&self, headers: &Headers, over: &Endpoint) -> Result<Option<Place>, u16> {
        let mut values = headers.all(&Name::Replaces);
        let Some(value) = values.next() else { return Ok(None) };
        // §3: exactly one, and not beside a Join (RFC 3911), which says the contrary.
        let join = headers.first(&Name::Other(b"join".to_vec()));
        if values.next().is_some() || join.is_some() {
            return Err(400);
        }
        let named = Named::read(value).ok_or(400_u16)?;
        if matches!(over, Endpoint::Trunk(_)) && !mutant("sip-carrier-replaces") {
            return Err(403);
        }
        match self.legs.find(&named) {
            Found::Nothing | Found::Offered => Err(481),
            Found::Over => Err(603),
            Found::Answered(_) if named.wanted == Wanted::Ringing && !mutant("sip-early-only-ignored") => {
                Err(486)
            }
            Found::Answered(leg) | Found::Rings(leg) => Ok(Some(Place { leg, wanted: named.wanted })),
        }
    }

    /// The leg of ours whose answered dialog a Replaces names.
    pub(super) fn named(&self, value: &[u8]) -> Option<LegId> {
        match self.legs.find(&Named::read(value)?) {
            Found::Answered(leg) => Some(leg),
            Found::Nothing | Found::Over | Found::Offered | Found::Rings(_) => None,
        }
    }
}
