//! rsipstack: the stack beneath rustpbx.

use crate::facts::{Facts, Reading, uri};
use rsipstack::sip::{HasHeaders, Header, HeadersExt, SipMessage, ToTypedHeader};

/// Reads a datagram. The stack reads what every message must have only when it is asked: so it is asked.
pub fn read(datagram: &[u8]) -> Reading {
    let message = SipMessage::try_from(datagram).map_err(|error| error.to_string())?;
    let refused = |error: rsipstack::sip::Error| error.to_string();
    let mut facts = Facts::new();
    let body = match &message {
        SipMessage::Request(request) => {
            facts.insert("method", request.method.to_string());
            facts.insert("uri", uri(request.uri.to_string().as_bytes()));
            &request.body
        }
        SipMessage::Response(response) => {
            facts.insert("status", response.status_code.code().to_string());
            &response.body
        }
    };
    let cseq = message.cseq_header().map_err(refused)?;
    let (number, method) = (cseq.seq().map_err(refused)?, cseq.method().map_err(refused)?);
    facts.insert("cseq", format!("{number} {method}"));
    facts.insert("call-id", message.call_id_header().map_err(refused)?.value().to_owned());
    let (from, to) = (message.from_header().map_err(refused)?, message.to_header().map_err(refused)?);
    facts
        .insert("from-tag", from.tag().map_err(refused)?.map_or(String::new(), |tag| tag.value().to_owned()));
    facts.insert("to-tag", to.tag().map_err(refused)?.map_or(String::new(), |tag| tag.value().to_owned()));
    facts.insert("from", uri(from.uri().map_err(refused)?.to_string().as_bytes()));
    facts.insert("to", uri(to.uri().map_err(refused)?.to_string().as_bytes()));
    let via = message.top_via_header().map_err(refused)?.typed().map_err(refused)?;
    facts.insert("branch", via.branch().map_or(String::new(), |branch| branch.value().to_owned()));
    let counted = |header: &&Header| !matches!(header, Header::Via(_) | Header::ContentLength(_));
    facts.insert("headers", message.headers().iter().filter(counted).count().to_string());
    facts.insert("body", body.len().to_string());
    Ok(facts)
}
