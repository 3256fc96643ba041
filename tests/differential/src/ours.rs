//! Our readers.

use crate::facts::{Facts, Reading, text, uri};
use media_core::sdp::Description;
use sip_core::message::{Message, Name, parse};

/// Reads a datagram.
pub fn read(datagram: &[u8]) -> Reading {
    let message = parse(datagram).map_err(|malformed| format!("{:?}", malformed.fault))?;
    let mut facts = Facts::new();
    let (head, body) = match &message {
        Message::Request(request) => {
            facts.insert("method", text(request.method.as_bytes()));
            facts.insert("uri", uri(&request.uri.to_bytes()));
            (&request.head, &request.body)
        }
        Message::Response(response) => {
            facts.insert("status", response.status.0.to_string());
            (&response.head, &response.body)
        }
    };
    facts.insert("call-id", text(&head.call_id));
    facts.insert("cseq", format!("{} {}", head.cseq.number, text(head.cseq.method.as_bytes())));
    facts.insert("from-tag", head.from.tag().map_or(String::new(), text));
    facts.insert("to-tag", head.to.tag().map_or(String::new(), text));
    facts.insert("from", uri(&head.from.uri.to_bytes()));
    facts.insert("to", uri(&head.to.uri.to_bytes()));
    facts.insert("branch", head.vias[0].branch().map_or(String::new(), text));
    // Without the ways, which may stand in one line, and without the length, which is that of the body now.
    let rest = head.headers.iter().filter(|(name, _)| **name != Name::ContentLength).count();
    facts.insert("headers", (4 + rest).to_string());
    facts.insert("body", body.len().to_string());
    Ok(facts)
}

/// Reads a description: its streams.
pub fn streams(body: &[u8]) -> Reading {
    let description = Description::parse(body).map_err(|error| format!("{error:?}"))?;
    let stream = |stream: &media_core::sdp::Stream| {
        format!("{} {} {} {}", stream.kind, stream.port, stream.protocol, stream.formats.join(" "))
    };
    let streams: Vec<String> = description.streams.iter().map(stream).collect();
    let direction =
        |direction: Option<media_core::sdp::Direction>| format!("{:?}", direction.unwrap_or_default());
    let directions =
        description.streams.iter().map(|stream| direction(stream.direction.or(description.direction)));
    Ok(Facts::from([
        ("streams", streams.join(", ")),
        ("directions", directions.collect::<Vec<_>>().join(" ")),
    ]))
}
