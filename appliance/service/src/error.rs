//! What can go wrong between two daemons, and the small set of refusals that cross the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kinds of refusal that a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RefusalKind {
    /// The caller or the person has not the right.
    NotPermitted,
    /// The thing asked for is not there.
    NotFound,
    /// The state does not admit the act.
    Conflict,
    /// Too much is waiting: later.
    Busy,
    /// Something needed is down: later.
    Unavailable,
    /// The request itself is wrong.
    Invalid,
}

impl RefusalKind {
    const ALL: [(Self, &'static str); 6] = [
        (Self::NotPermitted, "cn.yanmen.NotPermitted"),
        (Self::NotFound, "cn.yanmen.NotFound"),
        (Self::Conflict, "cn.yanmen.Conflict"),
        (Self::Busy, "cn.yanmen.Busy"),
        (Self::Unavailable, "cn.yanmen.Unavailable"),
        (Self::Invalid, "cn.yanmen.Invalid"),
    ];

    /// The Varlink error of this kind.
    pub(crate) fn wire_name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("cn.yanmen.Unavailable", |(_, name)| name)
    }

    /// The kind of a Varlink error; an unknown one counts as Invalid, as do Varlink's own complaints.
    pub(crate) fn of_wire_name(name: &str) -> Self {
        Self::ALL.iter().find(|(_, wire)| *wire == name).map_or(Self::Invalid, |(kind, _)| *kind)
    }
}

/// A refusal: its kind, a stable code for words and programs, and one sentence that names what was
/// attempted and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What the caller can do about it.
    pub kind: RefusalKind,
    /// A stable code such as `auth.locked`, the key of its words in zh-CN and en.
    pub code: String,
    /// One English sentence.
    pub message: String,
}

impl Refusal {
    /// A refusal of this kind with a code and a sentence.
    pub fn new(kind: RefusalKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into() }
    }

    /// For a message over [`MAX_MESSAGE`](crate::MAX_MESSAGE).
    pub(crate) fn too_long(what: String) -> Self {
        let most = crate::MAX_MESSAGE >> 20;
        Self::invalid("house.too-long", format!("{what} is longer than {most} MiB: ask for less at a time"))
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $kind:ident;)*) => {
        impl Refusal {$(
            $(#[$doc])*
            pub fn $name(code: impl Into<String>, message: impl Into<String>) -> Self {
                Self::new(RefusalKind::$kind, code, message)
            }
        )*}
    };
}

kinds! {
    /// The caller or the person has not the right.
    not_permitted NotPermitted;
    /// The thing asked for is not there.
    not_found NotFound;
    /// The state does not admit the act.
    conflict Conflict;
    /// Too much is waiting.
    busy Busy;
    /// Something needed is down.
    unavailable Unavailable;
    /// The request itself is wrong.
    invalid Invalid;
}

/// Why a call did not bring its reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The daemon answered, and refused; or what it is asked is longer than one message, and was not sent.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No connection: the daemon is not there, or the socket is not ours.
    #[error("cannot reach {daemon} at {path}: {source}")]
    Unreachable {
        /// The daemon called.
        daemon: &'static str,
        /// Its socket for this caller.
        path: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The connection broke before the reply: the outcome is unknown.
    #[error("{daemon} went away before it answered {method}: {source}")]
    Broken {
        /// The daemon called.
        daemon: &'static str,
        /// The method called.
        method: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// No reply in time: the outcome is unknown.
    #[error("{daemon} did not answer {method} within {seconds} s")]
    TimedOut {
        /// The daemon called.
        daemon: &'static str,
        /// The method called.
        method: &'static str,
        /// The bound that was waited for.
        seconds: u64,
    },
    /// The reply is not of the agreed shape.
    #[error("{daemon} answered {method} with something else than agreed: {reason}")]
    Malformed {
        /// The daemon called.
        daemon: &'static str,
        /// The method called.
        method: &'static str,
        /// What did not fit.
        reason: String,
    },
}

impl Error {
    /// The error as a refusal, for passing it on to one's own caller: what is not a refusal becomes
    /// Unavailable.
    pub fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            other => Refusal::unavailable("house.unavailable", other.to_string()),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        error.into_refusal()
    }
}
