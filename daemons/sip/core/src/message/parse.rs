//! Datagrams to messages (RFC 3261 §7, §18.3), and the answer to a request that is none.

use super::{
    CSeq, Contacts, Head, Headers, Message, Method, Name, NameAddr, Request, Response, Status, Uri, Via,
};
use super::{grammar, header};

/// Largest message taken, in bytes: what a UDP datagram can hold.
pub const MAX_MESSAGE: usize = 65_535;
/// Longest line taken on a stream before its end has come, in bytes.
pub(crate) const MAX_LINE: usize = 8_192;
/// Most header fields of one message.
const MAX_FIELDS: usize = 128;
/// Longest header value, in bytes.
const MAX_VALUE: usize = 8_192;
/// Most hops in Via: more than Max-Forwards lets through is a loop.
const MAX_VIAS: usize = 70;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing but line ends: a keep-alive (RFC 5626 §3.5.1).
    #[error("reading a message: only line ends")]
    Empty,
    /// A bound of this core is passed: message, header count, value, URI.
    #[error("reading a message: larger than the bound")]
    TooLarge,
    /// Neither a request line nor a status line.
    #[error("reading the start line: malformed")]
    StartLine,
    /// A status code outside 100 to 699.
    #[error("reading the status line: no status code")]
    Status,
    /// Another version than SIP/2.0.
    #[error("reading the start line: not SIP/2.0")]
    Version,
    /// The headers do not end in an empty line, or a line is no header.
    #[error("reading a header line: malformed")]
    Line,
    /// A header field that must be there is not.
    #[error("reading the headers: a mandatory one is missing")]
    Missing,
    /// A header field that may be there once is there more often.
    #[error("reading the headers: one stands more than once")]
    Repeated,
    /// A quoted string or an angle bracket is not closed.
    #[error("reading a header: quote or bracket not closed")]
    Unclosed,
    /// A parameter list is malformed.
    #[error("reading a header: malformed parameter")]
    Parameter,
    /// An address is malformed.
    #[error("reading a header: malformed address")]
    Address,
    /// A URI is malformed.
    #[error("reading a URI: malformed")]
    Uri,
    /// A Via is malformed.
    #[error("reading Via: malformed")]
    Via,
    /// Call-ID is not one word.
    #[error("reading Call-ID: not one word")]
    CallId,
    /// CSeq is malformed or names another method than the request line.
    #[error("reading CSeq: malformed or of another method")]
    CSeq,
    /// Max-Forwards, Expires or Content-Length is no number in its range.
    #[error("reading a header: number out of range")]
    Number,
    /// Fewer bytes came than Content-Length says.
    #[error("reading the body: shorter than Content-Length")]
    Body,
    /// Date is not in GMT.
    #[error("reading Date: not in GMT")]
    Date,
}

/// A datagram that is no message.
#[derive(Debug)]
pub struct Malformed {
    /// What is wrong.
    pub fault: Fault,
    /// 400 or 505, where the datagram is enough of a request to be answered.
    pub answer: Option<Box<Response>>,
}

/// Reads a datagram. Bytes after Content-Length are discarded (RFC 3261 §18.3); without Content-Length the
/// body reaches to the end of the datagram.
///
/// # Errors
/// [`Malformed`], with the answer to send where there is one.
pub fn parse(datagram: &[u8]) -> Result<Message, Malformed> {
    let silent = |fault| Malformed { fault, answer: None };
    if datagram.len() > MAX_MESSAGE {
        return Err(silent(Fault::TooLarge));
    }
    let start = datagram.iter().position(|b| !b"\r\n".contains(b)).ok_or(silent(Fault::Empty))?;
    let (line, rest) = cut_line(&datagram[start..]).ok_or(silent(Fault::Line))?;
    if is_broken(line) {
        return Err(silent(Fault::StartLine));
    }
    let is_request = !line.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/"));
    let (headers, body) = fields(rest).map_err(silent)?;
    let message = match is_request {
        true => request(line, headers, body).map(Message::Request),
        false => response(line, headers, body).map(Message::Response),
    };
    message.map_err(|fault| match fields(rest) {
        Ok((headers, _)) if is_request => Malformed { fault, answer: refusal(headers, fault) },
        _ => silent(fault),
    })
}

fn request(line: &[u8], headers: Headers, body: &[u8]) -> Result<Request, Fault> {
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(uri), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::StartLine);
    };
    let method = Method::parse(method).ok_or(Fault::StartLine)?;
    check_version(version)?;
    let uri = Uri::parse(uri)?;
    // RFC 3261 §19.1.1: headers have no place in a Request-URI.
    if matches!(&uri, Uri::Sip(sip) if sip.headers.is_some()) {
        return Err(Fault::Uri);
    }
    let (head, body) = head(headers, body)?;
    if head.cseq.method != method {
        return Err(Fault::CSeq);
    }
    Ok(Request { method, uri, head, body })
}

fn response(line: &[u8], headers: Headers, body: &[u8]) -> Result<Response, Fault> {
    let mut parts = line.splitn(3, |b| *b == b' ');
    let (version, code) = (parts.next().ok_or(Fault::StartLine)?, parts.next().ok_or(Fault::StartLine)?);
    check_version(version)?;
    let code = if code.len() == 3 { grammar::number(code, 699) } else { None };
    let status = code.and_then(|c| u16::try_from(c).ok()).filter(|c| *c >= 100).ok_or(Fault::Status)?;
    let reason = parts.next().unwrap_or_default().to_vec();
    let (head, body) = head(headers, body)?;
    Ok(Response { status: Status(status), reason, head, body })
}

fn check_version(version: &[u8]) -> Result<(), Fault> {
    if version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(());
    }
    let digits = version.get(..4).filter(|head| head.eq_ignore_ascii_case(b"SIP/")).map(|_| &version[4..]);
    let other = digits.is_some_and(|d| !d.is_empty() && d.iter().all(|b| b.is_ascii_digit() || *b == b'.'));
    Err(if other { Fault::Version } else { Fault::StartLine })
}

/// The typed head, with every field checked that this core will look at, and the body at its length.
fn head(mut headers: Headers, body: &[u8]) -> Result<(Head, Vec<u8>), Fault> {
    let lists = headers.take(&Name::Via);
    let vias = lists.iter().map(|v| Via::parse_list(v)).collect::<Result<Vec<_>, _>>()?.concat();
    if vias.len() > MAX_VIAS {
        return Err(Fault::TooLarge);
    }
    let from = NameAddr::parse(&once(&mut headers, &Name::From)?)?;
    let to = NameAddr::parse(&once(&mut headers, &Name::To)?)?;
    let call_id = call_id(once(&mut headers, &Name::CallId)?)?;
    let cseq = cseq(&once(&mut headers, &Name::CSeq)?)?;
    if vias.is_empty() {
        return Err(Fault::Missing);
    }
    let length = at_most_once(&mut headers, &Name::ContentLength)?;
    let body = match length {
        Some(digits) => {
            let length = grammar::number(&digits, MAX_MESSAGE as u64).ok_or(Fault::Number)?;
            body.get(..usize::try_from(length).map_err(|_| Fault::Number)?).ok_or(Fault::Body)?
        }
        None => body,
    };
    check_rest(&headers)?;
    Ok((Head { vias, from, to, call_id, cseq, headers }, body.to_vec()))
}

fn check_rest(headers: &Headers) -> Result<(), Fault> {
    for name in [Name::MaxForwards, Name::Expires, Name::Date, Name::ContentType] {
        if headers.all(&name).count() > 1 {
            return Err(Fault::Repeated);
        }
    }
    if headers.first(&Name::MaxForwards).is_some_and(|hops| grammar::number(hops, 255).is_none()) {
        return Err(Fault::Number);
    }
    if headers.first(&Name::Expires).is_some_and(|value| header::seconds(value).is_none()) {
        return Err(Fault::Number);
    }
    if headers.first(&Name::Date).is_some_and(|date| !date.ends_with(b" GMT")) {
        return Err(Fault::Date);
    }
    headers.addresses(&Name::Route)?;
    headers.addresses(&Name::RecordRoute)?;
    if let Contacts::Listed(contacts) = headers.contacts()? {
        let expires = contacts.iter().filter_map(|contact| contact.params.value("expires"));
        if expires.map(header::seconds).any(|value| value.is_none()) {
            return Err(Fault::Number);
        }
    }
    Ok(())
}

fn cseq(value: &[u8]) -> Result<CSeq, Fault> {
    let gap = value.iter().position(u8::is_ascii_whitespace).ok_or(Fault::CSeq)?;
    let number = grammar::number(&value[..gap], (1 << 31) - 1).and_then(|n| u32::try_from(n).ok());
    let method = Method::parse(value[gap..].trim_ascii()).ok_or(Fault::CSeq)?;
    Ok(CSeq { number: number.ok_or(Fault::CSeq)?, method })
}

/// A Call-ID is one word (§25.1): it stands in answers as it came.
fn call_id(value: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let sound = !value.is_empty() && value.iter().all(|b| *b > b' ' && *b != 0x7f);
    if sound { Ok(value) } else { Err(Fault::CallId) }
}

fn once(headers: &mut Headers, name: &Name) -> Result<Vec<u8>, Fault> {
    at_most_once(headers, name)?.ok_or(Fault::Missing)
}

fn at_most_once(headers: &mut Headers, name: &Name) -> Result<Option<Vec<u8>>, Fault> {
    let mut values = headers.take(name);
    match values.len() {
        0 | 1 => Ok(values.pop()),
        _ => Err(Fault::Repeated),
    }
}

/// The header fields up to the empty line with folding undone (RFC 3261 §7.3.1), and what follows it.
fn fields(mut rest: &[u8]) -> Result<(Headers, &[u8]), Fault> {
    let mut headers = Headers::default();
    let mut open: Option<(Name, Vec<u8>)> = None;
    let mut count = 0;
    loop {
        let (line, next) = cut_line(rest).ok_or(Fault::Line)?;
        rest = next;
        match (line, &mut open) {
            ([b' ' | b'\t', ..], Some((_, value))) => {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
            ([], _) => {
                headers.extend_checked(open.take())?;
                return Ok((headers, rest));
            }
            _ => {
                headers.extend_checked(open.take())?;
                count += 1;
                let colon = line.iter().position(|b| *b == b':').ok_or(Fault::Line)?;
                let name = Name::parse(line[..colon].trim_ascii_end()).ok_or(Fault::Line)?;
                open = Some((name, line[colon + 1..].trim_ascii().to_vec()));
            }
        }
        let size = open.as_ref().map_or(0, |(_, value)| value.len());
        if count > MAX_FIELDS || size > MAX_VALUE {
            return Err(Fault::TooLarge);
        }
    }
}

impl Headers {
    fn extend_checked(&mut self, field: Option<(Name, Vec<u8>)>) -> Result<(), Fault> {
        if let Some((name, value)) = field {
            // A bare CR or LF (§7: a line ends in both) would end a line for a peer that is less strict, and what we send
            // back of it would hold fields that nobody has read.
            if is_broken(&value) && !mutant::mutant("sip-bare-line-feed") {
                return Err(Fault::Line);
            }
            self.keep(name, value.trim_ascii().to_vec());
        }
        Ok(())
    }
}

fn is_broken(line: &[u8]) -> bool {
    line.iter().any(|b| b"\r\n".contains(b))
}

/// The bytes before the next CRLF and those after it.
fn cut_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&bytes[..at], &bytes[at + 2..]))
}

/// The answer to a malformed request, if it has a way back. ACK is never answered.
fn refusal(mut headers: Headers, fault: Fault) -> Option<Box<Response>> {
    let mut first = |name| headers.take(&name).into_iter().next();
    let mut via = first(Name::Via)?;
    if fault == Fault::Version {
        // A later version names itself in Via too; the answer goes back in ours.
        let mut parts = via.splitn(3, |b| *b == b'/');
        via = [b"SIP/2.0/", parts.nth(2)?].concat();
    }
    let vias = Via::parse_list(&via).ok()?;
    let from = NameAddr::parse(&first(Name::From)?).ok()?;
    let to = NameAddr::parse(&first(Name::To)?).ok()?;
    let (call_id, cseq) = (call_id(first(Name::CallId)?).ok()?, cseq(&first(Name::CSeq)?).ok()?);
    if cseq.method == Method::Ack {
        return None;
    }
    let status = match fault {
        Fault::Version => Status(505),
        Fault::TooLarge => Status(513),
        _ => Status(400),
    };
    let head = Head { vias, from, to, call_id, cseq, headers: Headers::default() };
    Some(Box::new(Response { status, reason: status.phrase().as_bytes().to_vec(), head, body: Vec::new() }))
}
