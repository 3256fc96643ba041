//! Request methods.

use super::grammar;
use serde::{Deserialize, Serialize};

/// A request method (RFC 3261 §7.1). Methods compare with case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Method {
    /// RFC 3261 §13.
    Invite,
    /// RFC 3261 §13.2.2.4.
    Ack,
    /// RFC 3261 §15.
    Bye,
    /// RFC 3261 §9.
    Cancel,
    /// RFC 3261 §10.
    Register,
    /// RFC 3261 §11.
    Options,
    /// RFC 6086.
    Info,
    /// RFC 3311.
    Update,
    /// RFC 3262.
    Prack,
    /// RFC 3515.
    Refer,
    /// RFC 6665.
    Subscribe,
    /// RFC 6665.
    Notify,
    /// RFC 3428.
    Message,
    /// RFC 3903.
    Publish,
    /// A method that this core has no name for.
    Other(Vec<u8>),
}

const NAMED: [(Method, &str); 14] = [
    (Method::Invite, "INVITE"),
    (Method::Ack, "ACK"),
    (Method::Bye, "BYE"),
    (Method::Cancel, "CANCEL"),
    (Method::Register, "REGISTER"),
    (Method::Options, "OPTIONS"),
    (Method::Info, "INFO"),
    (Method::Update, "UPDATE"),
    (Method::Prack, "PRACK"),
    (Method::Refer, "REFER"),
    (Method::Subscribe, "SUBSCRIBE"),
    (Method::Notify, "NOTIFY"),
    (Method::Message, "MESSAGE"),
    (Method::Publish, "PUBLISH"),
];

impl Method {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let named = NAMED.iter().find(|(_, name)| name.as_bytes() == bytes);
        match named {
            Some((method, _)) => Some(method.clone()),
            None => grammar::all_token(bytes).then(|| Self::Other(bytes.to_vec())),
        }
    }

    /// The method as it stands on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Other(bytes) => bytes,
            named => {
                NAMED.iter().find(|(method, _)| method == named).map_or(b"", |(_, name)| name.as_bytes())
            }
        }
    }
}
