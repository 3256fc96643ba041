//! Writing a description, in the order of RFC 8866 §5.

use super::{Connection, Description, Stream};
use std::{
    fmt::{self, Display, Formatter},
    net::IpAddr,
};

impl Display for Description {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        let family = if origin.host.contains(':') { "IP6" } else { "IP4" };
        let (user, session, version, host) = (&origin.user, &origin.session, &origin.version, &origin.host);
        write!(f, "v=0\r\no={user} {session} {version} IN {family} {host}\r\ns={}\r\n", self.name)?;
        if let Some(connection) = &self.connection {
            write!(f, "{connection}\r\n")?;
        }
        f.write_str("t=0 0\r\n")?;
        if let Some(direction) = self.direction {
            write!(f, "a={}\r\n", direction.as_str())?;
        }
        self.streams.iter().try_for_each(|stream| stream.fmt(f))
    }
}

impl Display for Connection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address @ IpAddr::V4(_)) => write!(f, "c=IN IP4 {address}"),
            Self::Address(address @ IpAddr::V6(_)) => write!(f, "c=IN IP6 {address}"),
            Self::Name(name) => write!(f, "c=IN IP4 {name}"),
        }
    }
}

impl Display for Stream {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {} {}", self.kind, self.port, self.protocol)?;
        self.formats.iter().try_for_each(|format| write!(f, " {format}"))?;
        f.write_str("\r\n")?;
        if let Some(connection) = &self.connection {
            write!(f, "{connection}\r\n")?;
        }
        for map in &self.maps {
            write!(f, "a=rtpmap:{} {}/{}", map.payload_type, map.encoding, map.clock)?;
            if map.channels != 1 {
                write!(f, "/{}", map.channels)?;
            }
            f.write_str("\r\n")?;
        }
        for parameters in &self.parameters {
            write!(f, "a=fmtp:{} {}\r\n", parameters.payload_type, parameters.text)?;
        }
        if let Some(time) = self.packet_time {
            write!(f, "a=ptime:{}\r\n", time.as_millis())?;
        }
        if let Some(time) = self.longest_packet {
            write!(f, "a=maxptime:{}\r\n", time.as_millis())?;
        }
        match self.rtcp {
            Some((port, Some(address @ IpAddr::V4(_)))) => write!(f, "a=rtcp:{port} IN IP4 {address}\r\n")?,
            Some((port, Some(address @ IpAddr::V6(_)))) => write!(f, "a=rtcp:{port} IN IP6 {address}\r\n")?,
            Some((port, None)) => write!(f, "a=rtcp:{port}\r\n")?,
            None => {}
        }
        if self.rtcp_mux {
            f.write_str("a=rtcp-mux\r\n")?;
        }
        for crypto in &self.crypto {
            write!(f, "a=crypto:{}\r\n", crypto.reveal())?;
        }
        if let Some(direction) = self.direction {
            write!(f, "a={}\r\n", direction.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is read, written and read again is the same; and nothing panics on the way.
        #[test]
        fn settles_after_one_reading(lines in proptest::collection::vec(line(), 0..40)) {
            let body = format!("v=0\r\no=- 1 2 IN IP4 192.0.2.7\r\n{}", lines.concat());
            if let Ok(description) = Description::parse(body.as_bytes()) {
                let written = description.to_string();
                prop_assert_eq!(Description::parse(written.as_bytes()).unwrap(), description, "{}", written);
            }
        }

        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Description::parse(&body);
        }
    }

    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            "m=(audio|video) [0-9]{1,5} RTP/(S)?AVP( [0-9]{1,3}){0,5}\r\n",
            "a=rtpmap:[0-9]{1,3} [A-Za-z]{1,6}/[0-9]{1,6}(/[12])?\r\n",
            "a=fmtp:[0-9]{1,3} [a-z0-9=;-]{1,20}\r\n",
            "a=(ptime|maxptime|rtcp):[0-9]{1,4}\r\n",
            "a=(sendrecv|sendonly|recvonly|inactive|rtcp-mux|other)\r\n",
            "a=crypto:[ -~]{0,40}\r\n",
            "c=IN IP4 192\\.0\\.2\\.[0-9]\r\n",
            "c=IN IP6 2001:db8::[0-9a-f]\r\n",
            "s=[a-z ]{0,9}\r\n",
            "[a-z]=[ -~]{0,30}\r\n",
        ]
    }
}
