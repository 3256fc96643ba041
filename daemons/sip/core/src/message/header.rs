//! Header fields that are kept as they came, and typed readers for those that this core understands.

use super::{Fault, NameAddr, grammar};
use serde::{Deserialize, Serialize};

macro_rules! names {
    ($($(#[$doc:meta])* $variant:ident = $full:literal $(/ $compact:literal)?;)*) => {
        /// The name of a header field. Names compare without case; compact forms equal their long ones.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Name {
            $(#[doc = concat!("`", $full, "`.")] $(#[$doc])* $variant,)*
            /// A name that this core has no word for, as written.
            Other(Vec<u8>),
        }

        impl Name {
            pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
                $(if bytes.eq_ignore_ascii_case($full.as_bytes()) $(|| bytes.eq_ignore_ascii_case($compact.as_bytes()))? {
                    return Some(Self::$variant);
                })*
                grammar::all_token(bytes).then(|| Self::Other(bytes.to_ascii_lowercase()))
            }

            /// The name as we write it.
            pub fn as_bytes(&self) -> &[u8] {
                match self {
                    $(Self::$variant => $full.as_bytes(),)*
                    Self::Other(bytes) => bytes,
                }
            }
        }
    };
}

names! {
    Via = "Via" / "v";
    From = "From" / "f";
    To = "To" / "t";
    CallId = "Call-ID" / "i";
    CSeq = "CSeq";
    Contact = "Contact" / "m";
    MaxForwards = "Max-Forwards";
    Route = "Route";
    RecordRoute = "Record-Route";
    ContentLength = "Content-Length" / "l";
    ContentType = "Content-Type" / "c";
    ContentEncoding = "Content-Encoding" / "e";
    Allow = "Allow";
    Supported = "Supported" / "k";
    Unsupported = "Unsupported";
    Require = "Require";
    Accept = "Accept";
    Expires = "Expires";
    MinExpires = "Min-Expires";
    Authorization = "Authorization";
    ProxyAuthorization = "Proxy-Authorization";
    WwwAuthenticate = "WWW-Authenticate";
    ProxyAuthenticate = "Proxy-Authenticate";
    Reason = "Reason";
    RetryAfter = "Retry-After";
    Warning = "Warning";
    ReferTo = "Refer-To" / "r";
    ReferSub = "Refer-Sub";
    Event = "Event" / "o";
    SubscriptionState = "Subscription-State";
    Replaces = "Replaces";
    SessionExpires = "Session-Expires" / "x";
    MinSe = "Min-SE";
    RSeq = "RSeq";
    RAck = "RAck";
    AssertedIdentity = "P-Asserted-Identity";
    Privacy = "Privacy";
    Date = "Date";
    Subject = "Subject" / "s";
    UserAgent = "User-Agent";
    Server = "Server";
    ServiceRoute = "Service-Route";
    AuthenticationInfo = "Authentication-Info";
}

/// Header fields in the order they came, values as bytes with folding undone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headers(Vec<(Name, Vec<u8>)>);

impl Headers {
    /// The first value of that name.
    pub fn first(&self, name: &Name) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// Every value of that name, in order.
    pub fn all<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// Every field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &[u8])> {
        self.0.iter().map(|(name, value)| (name, value.as_slice()))
    }

    /// Adds a field at the end. A value never carries CR, LF or NUL: such bytes become spaces.
    pub fn push(&mut self, name: Name, value: impl Into<Vec<u8>>) {
        let mut value = value.into();
        value.iter_mut().filter(|b| b"\r\n\0".contains(b)).for_each(|b| *b = b' ');
        self.0.push((name, value));
    }

    /// The same with one field more.
    #[must_use]
    pub fn with(mut self, name: Name, value: impl Into<Vec<u8>>) -> Self {
        self.push(name, value);
        self
    }

    /// Takes every field of that name away.
    pub fn remove(&mut self, name: &Name) {
        self.0.retain(|(known, _)| known != name);
    }

    /// Adds a field as the parser found it.
    pub(super) fn keep(&mut self, name: Name, value: Vec<u8>) {
        self.0.push((name, value));
    }

    /// Takes every field of that name away and gives the values back.
    pub(super) fn take(&mut self, name: &Name) -> Vec<Vec<u8>> {
        let (taken, kept) = std::mem::take(&mut self.0).into_iter().partition(|(known, _)| known == name);
        self.0 = kept;
        let taken: Vec<(Name, Vec<u8>)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// The tokens of a comma-separated field (`Require`, `Supported`, `Allow`), in lower case.
    pub fn tokens(&self, name: &Name) -> Vec<Vec<u8>> {
        let values = self.all(name).flat_map(|value| value.split(|b| *b == b','));
        values
            .map(|token| token.trim_ascii().to_ascii_lowercase())
            .filter(|token| !token.is_empty())
            .collect()
    }

    /// The addresses of a field that may come as a list and more than once (`Route`, `Record-Route`,
    /// `Contact` without `*`).
    ///
    /// # Errors
    /// [`Fault`] of the first address that is malformed.
    pub fn addresses(&self, name: &Name) -> Result<Vec<NameAddr>, Fault> {
        let lists = self.all(name).map(NameAddr::parse_list).collect::<Result<Vec<_>, _>>()?;
        Ok(lists.into_iter().flatten().collect())
    }

    /// The contacts (RFC 3261 §20.10).
    ///
    /// # Errors
    /// [`Fault::Address`] for a malformed address and for `*` beside others.
    pub fn contacts(&self) -> Result<Contacts, Fault> {
        let mut values = self.all(&Name::Contact);
        match (values.next(), values.next()) {
            (Some(b"*"), None) => Ok(Contacts::Star),
            _ => self.addresses(&Name::Contact).map(Contacts::Listed),
        }
    }

    /// `Expires` in seconds.
    pub fn expires(&self) -> Option<u32> {
        seconds(self.first(&Name::Expires)?)
    }

    /// `Content-Type` without parameters, in lower case.
    pub fn content_type(&self) -> Option<Vec<u8>> {
        let value = self.first(&Name::ContentType)?;
        let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
        Some(value[..end].trim_ascii().to_ascii_lowercase())
    }
}

/// What the Contact fields of a request say.
#[derive(Clone, PartialEq, Eq)]
pub enum Contacts {
    /// `*`: all bindings (only to end them, RFC 3261 §10.2.2).
    Star,
    /// Addresses, perhaps none.
    Listed(Vec<NameAddr>),
}

/// Seconds as RFC 3261 §20.19 writes them, 0 to 2³²−1.
pub(crate) fn seconds(value: &[u8]) -> Option<u32> {
    grammar::number(value, u64::from(u32::MAX)).and_then(|n| u32::try_from(n).ok())
}
