//! ezk: the types of its stack.

use crate::facts::{Facts, Reading, uri};
use bytes::Bytes;
use bytesstr::BytesStr;
use ezk_sip_types::{
    Headers, Name,
    header::typed::{CSeq, CallID, FromTo, Via},
    msg::{Line, MessageLine, PullParser},
    parse::Parse,
    print::AppendCtx,
};

/// Reads a datagram, as the transports of its stack do.
pub fn read(datagram: &[u8]) -> Reading {
    let bytes = Bytes::copy_from_slice(datagram);
    let mut lines = PullParser::new(&bytes, 0);
    let mut first = None;
    let mut headers = Headers::new();
    let mut count = 0;
    for line in &mut lines {
        let line = line.map_err(|_| "incomplete".to_owned())?;
        let line = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
        if first.is_none() {
            let (_, start) = MessageLine::parse(&bytes)(line).map_err(|_| "start line".to_owned())?;
            first = Some(start);
        } else {
            let (_, line) = Line::parse(&bytes, line).map_err(|_| "header line".to_owned())?;
            count += usize::from(line.name != Name::VIA && line.name != Name::CONTENT_LENGTH);
            headers.insert(line.name, line.value);
        }
    }
    let mut facts = Facts::new();
    match first.ok_or("empty")? {
        MessageLine::Request(request) => {
            facts.insert("method", request.method.to_string());
            facts.insert("uri", uri(request.uri.default_print_ctx().to_string().as_bytes()));
        }
        MessageLine::Response(response) => {
            facts.insert("status", response.code.into_u16().to_string());
        }
    }
    let refused = |error: ezk_sip_types::header::HeaderError| format!("header {error}");
    let cseq: CSeq = headers.get_named().map_err(refused)?;
    facts.insert("cseq", format!("{} {}", cseq.cseq, cseq.method));
    let call_id: CallID = headers.get_named().map_err(refused)?;
    facts.insert("call-id", call_id.0.to_string());
    let tag = |tag: &Option<BytesStr>| tag.as_ref().map_or(String::new(), ToString::to_string);
    let from: FromTo = headers.get(Name::FROM).map_err(refused)?;
    let to: FromTo = headers.get(Name::TO).map_err(refused)?;
    facts.insert("from-tag", tag(&from.tag));
    facts.insert("to-tag", tag(&to.tag));
    facts.insert("from", uri(from.uri.uri.default_print_ctx().to_string().as_bytes()));
    facts.insert("to", uri(to.uri.uri.default_print_ctx().to_string().as_bytes()));
    let vias: Vec<Via> = headers.get(Name::VIA).map_err(refused)?;
    let branch = vias.first().and_then(|via| via.params.get_val("branch").map(ToString::to_string));
    facts.insert("branch", branch.unwrap_or_default());
    facts.insert("headers", count.to_string());
    Ok(facts)
}

/// Reads a description: its streams.
pub fn streams(body: &[u8]) -> Reading {
    let text = std::str::from_utf8(body).map_err(|_| "not UTF-8".to_owned())?;
    let description =
        ezk_sdp_types::SessionDescription::parse(&BytesStr::from(text)).map_err(|error| error.to_string())?;
    let streams = description.media_descriptions.iter().map(|stream| {
        let media = &stream.media;
        let formats: Vec<String> = media.fmts.iter().map(ToString::to_string).collect();
        format!("{} {} {} {}", media.media_type, media.port, media.proto, formats.join(" "))
    });
    let directions = description.media_descriptions.iter().map(|stream| format!("{:?}", stream.direction));
    Ok(Facts::from([
        ("streams", streams.collect::<Vec<_>>().join(", ")),
        ("directions", directions.collect::<Vec<_>>().join(" ")),
    ]))
}
