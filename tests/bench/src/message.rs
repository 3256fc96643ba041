//! SIP as far as a peer on loopback must know it: nothing is folded, compact or malformed there. Nothing of our
//! own stack, so that it cannot agree with itself.

/// A message.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a>(pub &'a str);

impl<'a> Message<'a> {
    /// The status of a reply.
    pub fn status(self) -> Option<u16> {
        self.0.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// Whether it is a request of this method.
    pub fn asks(self, method: &str) -> bool {
        self.0.strip_prefix(method).is_some_and(|rest| rest.starts_with(' '))
    }

    /// The values of a header, in order.
    pub fn all(self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        head.split("\r\n").filter_map(move |line| {
            let (header, value) = line.split_once(':')?;
            header.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The first value of a header, or nothing.
    pub fn one(self, name: &'a str) -> &'a str {
        self.all(name).next().unwrap_or_default()
    }

    /// The port of the audio that its session description offers or answers.
    pub fn audio(self) -> Option<u16> {
        let description = self.0.split_once("\r\n\r\n")?.1;
        let line = description.lines().find_map(|line| line.strip_prefix("m=audio "))?;
        line.split(' ').next()?.parse().ok()
    }

    /// A reply to it.
    pub fn reply(self, status: &str, tag: &str, rest: &str) -> String {
        let mut reply = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route", "From", "Call-ID", "CSeq"] {
            for value in self.all(name) {
                reply += &format!("{name}: {value}\r\n");
            }
        }
        let to = self.one("To");
        let tagged = to.contains(";tag=");
        reply += &format!("To: {to}{}\r\n", if tagged { String::new() } else { format!(";tag={tag}") });
        reply + rest
    }
}

/// What stands between angle brackets.
pub(crate) fn uri(value: &str) -> &str {
    let inner = value.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or(value, |(uri, _)| uri)
}

/// The end of a message with a session description of G.711 A-law.
pub(crate) fn described(port: u16) -> String {
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"
    );
    format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
