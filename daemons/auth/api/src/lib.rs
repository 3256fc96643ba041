//! What auth offers to its callers: the words of identity, and the assertion that every daemon verifies by
//! itself.
//!
//! ```text
//!   person ── password ──> auth ── Claims ──> key (SM2) ──> Assertion ──> edge ──> any daemon
//!                                                                                    Verifier -> Claims
//! ```
//!
//! Never asks auth whether an assertion holds: it is short-lived, and its signature says it. Never holds an
//! account, a password or a private key. A daemon comes to its verifier by [`Verifier::of_house`].

#[cfg(feature = "assertion")]
mod assertion;
mod claims;
mod entry;
#[cfg(feature = "wire")]
mod methods;
#[cfg(feature = "wire")]
mod public_key;
mod role;

#[cfg(feature = "assertion")]
pub use assertion::{Assertion, AssertionError, SIGNING_ID, Verifier};
pub use claims::{Claims, LIFETIME, SessionId};
pub use entry::{Code, CodeTooLong, Origin, Password, Presence, TooLong};
#[cfg(feature = "wire")]
pub use methods::*;
#[cfg(feature = "wire")]
pub use public_key::PUBLIC_KEY;
pub use role::{Incompatible, Role, Roles};
