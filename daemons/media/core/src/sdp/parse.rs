//! Reading a description: bytes in, bounded, lenient where peers are known to differ and nothing is lost.

use super::{
    Connection, CryptoLine, Description, Direction, MAX_CRYPTO, MAX_FORMATS, MAX_LENGTH, MAX_LINES,
    MAX_STREAMS, Map, Origin, Parameters, Stream,
};
use crate::{Error, rtp::PayloadType};
use std::{net::IpAddr, time::Duration};

impl Description {
    /// Reads a body of `application/sdp`. Lines may end with CRLF or LF; unknown lines and attributes are
    /// passed over; bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`Error::Sdp`] with the line where it is no description, or beyond the bounds of this module.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let wrong = |line, reason| Error::Sdp { line, reason };
        if body.len() > MAX_LENGTH {
            return Err(wrong(0, "longer than 16 KiB"));
        }
        let mut reader = Reader::default();
        for (at, line) in body.split(|byte| *byte == b'\n').enumerate() {
            if at >= MAX_LINES {
                return Err(wrong(at + 1, "more than 512 lines"));
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let text = String::from_utf8_lossy(line);
            reader.line(&text).map_err(|reason| wrong(at + 1, reason))?;
        }
        reader.finish().map_err(|reason| wrong(0, reason))
    }
}

#[derive(Default)]
struct Reader {
    version: bool,
    origin: Option<Origin>,
    name: Option<String>,
    connection: Option<Connection>,
    direction: Option<Direction>,
    streams: Vec<Stream>,
}

type Read<T> = Result<T, &'static str>;

impl Reader {
    fn line(&mut self, line: &str) -> Read<()> {
        let (kind, value) = line.split_once('=').ok_or("no '='")?;
        if !self.version {
            // RFC 8866 §5.1: first of all lines.
            self.version = (kind, value.trim()) == ("v", "0");
            return if self.version { Ok(()) } else { Err("a description begins with v=0") };
        }
        match kind {
            "o" => self.origin = Some(origin(value)?),
            "s" => self.name = Some(value.to_owned()),
            "c" => {
                let connection = Some(connection(value)?);
                match self.streams.last_mut() {
                    Some(stream) => stream.connection = connection,
                    None => self.connection = connection,
                }
            }
            "m" if self.streams.len() == MAX_STREAMS => return Err("more than 16 streams"),
            "m" => self.streams.push(stream(value)?),
            "a" => return self.attribute(value),
            _ => {}
        }
        Ok(())
    }

    fn attribute(&mut self, attribute: &str) -> Read<()> {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        let direction = match name.trim() {
            "sendrecv" => Some(Direction::SendRecv),
            "sendonly" => Some(Direction::SendOnly),
            "recvonly" => Some(Direction::RecvOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        };
        let Some(stream) = self.streams.last_mut() else {
            self.direction = direction.or(self.direction);
            return Ok(());
        };
        stream.direction = direction.or(stream.direction);
        match name {
            "rtpmap" if stream.maps.len() == MAX_FORMATS => return Err("more than 64 rtpmap"),
            // A map that cannot be read leaves its payload type unknown, and the others good.
            "rtpmap" => stream.maps.extend(map(value)),
            "fmtp" if stream.parameters.len() == MAX_FORMATS => return Err("more than 64 fmtp"),
            "fmtp" => stream.parameters.extend(parameters(value)),
            "ptime" => stream.packet_time = milliseconds(value),
            "maxptime" => stream.longest_packet = milliseconds(value),
            "rtcp" => stream.rtcp = rtcp(value),
            "rtcp-mux" => stream.rtcp_mux = true,
            "crypto" if stream.crypto.len() == MAX_CRYPTO => return Err("more than 16 crypto"),
            "crypto" => stream.crypto.push(CryptoLine::new(value.trim())),
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Read<Description> {
        if !self.version {
            return Err("empty");
        }
        Ok(Description {
            origin: self.origin.ok_or("no o=")?,
            name: self.name.unwrap_or_else(|| "-".to_owned()),
            connection: self.connection,
            direction: self.direction,
            streams: self.streams,
        })
    }
}

fn origin(value: &str) -> Read<Origin> {
    let mut words = value.split_whitespace().map(str::to_owned);
    let mut word = || words.next().ok_or("o= has six fields");
    let (user, session, version, _, _, host) = (word()?, word()?, word()?, word()?, word()?, word()?);
    Ok(Origin { user, session, version, host })
}

fn connection(value: &str) -> Read<Connection> {
    let mut words = value.split_whitespace();
    let (Some("IN"), Some(kind @ ("IP4" | "IP6")), Some(host)) = (words.next(), words.next(), words.next())
    else {
        return Err("c= is not of the Internet");
    };
    // Multicast carries a TTL or a count behind a slash.
    let host = host.split('/').next().unwrap_or(host);
    if host.is_empty() {
        return Err("c= has no address");
    }
    match host.parse::<IpAddr>() {
        Ok(address) if address.is_ipv4() == (kind == "IP4") => Ok(Connection::Address(address)),
        Ok(_) => Err("c= names one family and has an address of the other"),
        Err(_) => Ok(Connection::Name(host.to_owned())),
    }
}

fn stream(value: &str) -> Read<Stream> {
    let mut words = value.split_whitespace();
    let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
        return Err("m= has a kind, a port, a protocol and formats");
    };
    // A count of ports behind a slash is for layered video.
    let port = port.split('/').next().unwrap_or(port);
    let formats: Vec<String> = words.take(MAX_FORMATS + 1).map(str::to_owned).collect();
    if formats.len() > MAX_FORMATS {
        return Err("more than 64 formats");
    }
    Ok(Stream {
        kind: kind.to_owned(),
        port: port.parse().map_err(|_| "m= has a port of 0 to 65535")?,
        protocol: protocol.to_owned(),
        formats,
        connection: None,
        maps: Vec::new(),
        parameters: Vec::new(),
        packet_time: None,
        longest_packet: None,
        direction: None,
        rtcp: None,
        rtcp_mux: false,
        crypto: Vec::new(),
    })
}

/// A payload type of RFC 3551: 0 to 127.
pub(super) fn payload_type(text: &str) -> Option<PayloadType> {
    text.parse().ok().filter(|number| *number < 128).map(PayloadType)
}

fn map(value: &str) -> Option<Map> {
    let (number, encoding) = value.trim().split_once(char::is_whitespace)?;
    let mut parts = encoding.trim().split('/');
    Some(Map {
        payload_type: payload_type(number)?,
        encoding: parts.next().filter(|name| !name.is_empty())?.to_owned(),
        clock: parts.next()?.parse().ok()?,
        channels: parts.next().map_or(Some(1), |channels| channels.parse().ok())?,
    })
}

fn parameters(value: &str) -> Option<Parameters> {
    let (number, text) = value.trim().split_once(char::is_whitespace)?;
    Some(Parameters { payload_type: payload_type(number)?, text: text.trim().to_owned() })
}

/// Some write `ptime:20.0`; whole milliseconds are what counts.
fn milliseconds(value: &str) -> Option<Duration> {
    let whole = value.trim().split('.').next()?;
    whole.parse().ok().filter(|ms| (1..=1000).contains(ms)).map(Duration::from_millis)
}

fn rtcp(value: &str) -> Option<(u16, Option<IpAddr>)> {
    let mut words = value.split_whitespace();
    let port = words.next()?.parse().ok()?;
    Some((port, words.nth(2).and_then(|address| address.parse().ok())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: &str = "v=0\r\no=alice 2890844526 2890844526 IN IP4 host.example\r\ns= \r\n\
        c=IN IP4 192.0.2.1\r\nt=0 0\r\na=tool:x\r\nm=audio 49170 RTP/AVP 0 8 97 101\r\n\
        a=rtpmap:0 PCMU/8000\r\na=rtpmap:97 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=rtpmap:nonsense\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=rtcp:49999 IN IP4 192.0.2.9\r\n\
        m=video 0 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\na=inactive\r\n";

    #[test]
    fn reads_an_offer() {
        let description = Description::parse(PHONE.as_bytes()).unwrap();
        assert_eq!(description.origin.host, "host.example");
        assert_eq!(description.connection, Some(Connection::Address([192, 0, 2, 1].into())));
        let [audio, video] = &description.streams[..] else { panic!("two streams") };
        assert_eq!((audio.kind.as_str(), audio.port, audio.formats.len()), ("audio", 49170, 4));
        assert_eq!(audio.encoding(PayloadType(8)), Some(("PCMA", 8000)));
        assert_eq!(audio.encoding(PayloadType(101)), Some(("telephone-event", 8000)));
        assert_eq!(audio.encoding(PayloadType(97)), None, "two channels");
        assert_eq!(audio.packet_time, Some(Duration::from_millis(20)));
        assert_eq!(audio.rtcp, Some((49999, Some([192, 0, 2, 9].into()))));
        assert_eq!((video.port, video.direction), (0, Some(Direction::Inactive)));
        assert_eq!(video.connection, Some(Connection::Address("2001:db8::1".parse().unwrap())));
        let with_lf = PHONE.replace("\r\n", "\n");
        assert_eq!(Description::parse(with_lf.as_bytes()).unwrap(), description);
    }

    #[test]
    fn says_where_and_why_not() {
        let why = |body: &str| Description::parse(body.as_bytes()).unwrap_err().to_string();
        assert!(why("").ends_with("line 0: empty"));
        assert!(why("s=-\r\n").ends_with("line 1: a description begins with v=0"));
        assert!(why("v=0\r\ns=-\r\n").ends_with("line 0: no o="));
        assert!(why("v=0\r\no=- 1 1 IN IP4\r\n").ends_with("line 2: o= has six fields"));
        assert!(why("v=0\r\nm=audio 70000 RTP/AVP 0\r\n").ends_with("port of 0 to 65535"));
        assert!(why("v=0\r\nc=IN IP6 192.0.2.1\r\n").ends_with("address of the other"));
        assert!(why(&format!("v=0\r\n{}", "a=x\r\n".repeat(600))).ends_with("more than 512 lines"));
        assert!(why(&format!("v=0\r\ns={}", "x".repeat(MAX_LENGTH))).ends_with("longer than 16 KiB"));
        assert!(why(&format!("v=0\r\n{}", "m=audio 1 RTP/AVP 0\r\n".repeat(17))).contains("16 streams"));
        assert!(why(&format!("v=0\r\nm=audio 1 RTP/AVP{}", " 0".repeat(65))).contains("64 formats"));
    }
}
