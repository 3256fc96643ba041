//! What key offers: data keys, signatures, and never a master key.
//!
//! Bytes are hexadecimal on the wire; each message has a constructor from bytes and an accessor back to them, so
//! that no caller does that by hand. The public keys also lie as `PURPOSE.pem` in the house's public directory
//! ([`SigningPurpose::file_name`]), so that every daemon verifies by itself.

mod bytes;

pub use bytes::Malformed;

use audit_acts::{Act, Acts, Confirmed, Recorded, Unrecorded};
use audit_event::Ticket;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::Uid;

service::interface! {
    /// Handles of keys, and nothing else.
    pub interface Key = "key" {
        /// Makes data keys, each in the clear for the one who seals and wrapped for keeping.
        call NewDek -> NewDeks;
        /// Opens a wrapped data key, with audit's ticket.
        call Unwrap -> Unwrapped;
        /// Signs with one of the house's SM2 keys. Which caller may use which, the daemon decides.
        call Sign -> Signed;
        /// The MAC key of tickets, for audit alone.
        call TicketKey -> SharedKey;
        /// The key of second factors, for auth alone.
        call AccountsKey -> SharedKey;
        /// The public halves.
        call PublicKeys -> PublicKeyList;
        /// key's own acts, for audit to make durable; each is confirmed by `Recorded`.
        stream Acts -> Act;
        /// An act of the stream is durable.
        call Recorded -> Confirmed;
        /// The log does not take an act of the stream now.
        call Unrecorded -> Confirmed;
    }
}

/// Makes data keys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NewDek {
    /// The objects to be sealed, one key each; at most 64.
    pub objects: Vec<Uid>,
}

/// The data keys asked for, in order.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct NewDeks {
    /// One each.
    pub keys: Vec<NewDataKey>,
}

/// One data key. No `Debug`: it would show the key.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct NewDataKey {
    /// In the clear, 32 hexadecimal digits; the receiver zeroizes it.
    pub key: String,
    /// Wrapped, hexadecimal, in the encoding of docs/formats/wrapped-dek.md.
    pub wrapped: String,
}

/// Opens a wrapped data key.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Unwrap {
    /// Wrapped, hexadecimal, in the encoding of docs/formats/wrapped-dek.md.
    pub wrapped: String,
    /// The object to which it must belong.
    pub object: Uid,
    /// Audit's word that the act is durable; its object is this object.
    pub ticket: Ticket,
}

/// The data key. No `Debug`: it would show the key.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Unwrapped {
    /// In the clear, 32 hexadecimal digits; the receiver zeroizes it.
    pub key: String,
}

/// What a signing key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SigningPurpose {
    /// Checkpoints: audit alone.
    AuditLog,
    /// Assertions: auth alone.
    Assertion,
}

/// Signs (GB/T 32918.2, SM2 with SM3).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Sign {
    /// With which key.
    pub purpose: SigningPurpose,
    /// The message, hexadecimal; the user id is the purpose's own.
    pub message: String,
}

/// The signature.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Signed {
    /// r ‖ s, 128 hexadecimal digits.
    pub signature: String,
}

/// Asks for the MAC key of tickets.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TicketKey {}

/// Asks for the key under which second factors lie in auth's store.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AccountsKey {}

/// A shared key. No `Debug`: it would show the key.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct SharedKey {
    /// 64 hexadecimal digits; the receiver zeroizes it.
    pub key: String,
}

/// Asks for the public halves.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PublicKeys {}

/// The public halves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PublicKeyList {
    /// One a purpose.
    pub keys: Vec<PublicKey>,
    /// What the token says of itself, e.g. that it is no certified module.
    pub token: String,
}

/// One public half.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PublicKey {
    /// What it verifies.
    pub purpose: SigningPurpose,
    /// SubjectPublicKeyInfo in PEM.
    pub pem: String,
}
