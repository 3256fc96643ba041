//! Messages to bytes. Content-Length is always written (RFC 3261 §18.3 lets UDP go without; peers lose
//! bodies without it).

use super::{Head, Message, Name, Request, Response};

impl Message {
    /// The message as it stands on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }
}

impl Request {
    /// The request as it stands on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512 + self.body.len());
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        self.uri.write(&mut out);
        out.extend_from_slice(b" SIP/2.0\r\n");
        self.head.write(&mut out);
        body(&mut out, &self.body);
        out
    }
}

impl Response {
    /// The response as it stands on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512 + self.body.len());
        out.extend_from_slice(format!("SIP/2.0 {} ", self.status.0).as_bytes());
        out.extend_from_slice(&self.reason);
        out.extend_from_slice(b"\r\n");
        self.head.write(&mut out);
        body(&mut out, &self.body);
        out
    }
}

impl Head {
    fn write(&self, out: &mut Vec<u8>) {
        let dropped = usize::from(mutant::mutant("sip-drop-via") && self.vias.len() > 1);
        for via in &self.vias[dropped..] {
            field(out, &Name::Via, |out| via.write(out));
        }
        field(out, &Name::From, |out| self.from.write(out));
        field(out, &Name::To, |out| self.to.write(out));
        field(out, &Name::CallId, |out| out.extend_from_slice(&self.call_id));
        field(out, &Name::CSeq, |out| {
            out.extend_from_slice(format!("{} ", self.cseq.number).as_bytes());
            out.extend_from_slice(self.cseq.method.as_bytes());
        });
        for (name, value) in self.headers.iter() {
            field(out, name, |out| out.extend_from_slice(value));
        }
    }
}

fn field(out: &mut Vec<u8>, name: &Name, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    value(out);
    out.extend_from_slice(b"\r\n");
}

fn body(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
}
