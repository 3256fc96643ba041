//! Who calls, as far as it can be believed and shown.
//!
//! | over      | number                                              | withheld                            |
//! |-----------|-----------------------------------------------------|-------------------------------------|
//! | a carrier | P-Asserted-Identity, which carriers vouch for (RFC 3325), else From | Privacy `id`, `user` (RFC 3323), an anonymous From |
//! | a phone   | its own, which its password has proved              | never: it is of this house          |

use crate::message::{Headers, Name, NameAddr, Request, decode};
use mutant::mutant;
use route_api::Endpoint;

/// Number, empty where it is withheld, and display name.
pub(super) fn caller(over: &Endpoint, request: &Request) -> (String, Option<String>) {
    let (headers, from) = (&request.head.headers, &request.head.from);
    match over {
        Endpoint::Phone(extension) => (extension.to_string(), from.display()),
        Endpoint::Trunk(_) if is_withheld(headers) => (String::new(), None),
        Endpoint::Trunk(_) => match asserted(headers) {
            Some(asserted) => (number(&asserted), asserted.display().or_else(|| from.display())),
            None if number(from).eq_ignore_ascii_case("anonymous") => (String::new(), None),
            None => (number(from), from.display()),
        },
    }
}

/// The first identity with a number: a carrier may give one as `sip:` and one as `tel:` (§9.1).
fn asserted(headers: &Headers) -> Option<NameAddr> {
    let identities = headers.addresses(&Name::AssertedIdentity).ok()?;
    identities.into_iter().find(|identity| !number(identity).is_empty())
}

fn is_withheld(headers: &Headers) -> bool {
    let values = headers.all(&Name::Privacy).flat_map(|value| value.split(|b| b";,".contains(b)));
    let mut values = values.map(|value| value.trim_ascii().to_ascii_lowercase());
    values.any(|value| value == b"id" || value == b"user") && !mutant("sip-privacy-ignored")
}

fn number(address: &NameAddr) -> String {
    address.uri.number().map(|number| decode(&number)).unwrap_or_default()
}
