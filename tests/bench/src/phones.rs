//! Many phones on one socket: they register, and answer every call at once.

use crate::{
    Failure,
    message::{Message, described},
};
use md5::{Digest, Md5};
use std::{
    net::{SocketAddr, UdpSocket},
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// How phones and callers sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// They only signal: what they should hear falls on one socket that nobody reads.
    None,
    /// Each call has a socket of its own, connected to where its sound goes.
    EachCall,
}

/// The phones.
pub struct Phones {
    socket: UdpSocket,
    sound: Sound,
    sink: Arc<UdpSocket>,
    ends: Arc<Mutex<Vec<UdpSocket>>>,
    over: Arc<AtomicBool>,
}

impl Phones {
    /// Phones that do not answer yet.
    ///
    /// # Errors
    /// No socket.
    pub fn new(sound: Sound) -> Result<Self, Failure> {
        let sink = Arc::new(UdpSocket::bind("127.0.0.1:0")?);
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self { socket, sound, sink, ends: Arc::default(), over: Arc::default() })
    }

    /// Where they are.
    ///
    /// # Errors
    /// The kernel's.
    pub fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.socket.local_addr()?)
    }

    /// Registers these extensions, one after the other, all with one password.
    ///
    /// # Errors
    /// One is refused.
    pub fn register(&self, house: SocketAddr, extensions: Range<u16>, password: &str) -> Result<(), Failure> {
        for extension in extensions {
            let challenged = self.ask(house, extension, 1, "")?;
            let challenge = Message(&challenged).one("WWW-Authenticate").to_owned();
            let authorization = authorization(&challenge, extension, house, password);
            let reply = self.ask(house, extension, 2, &authorization)?;
            if Message(&reply).status() != Some(200) {
                return Err(format!("the phone {extension} is not registered: {reply}").into());
            }
        }
        Ok(())
    }

    /// Answers from now on, on a thread of its own.
    ///
    /// # Errors
    /// No thread.
    pub fn answer(&self) -> Result<(), Failure> {
        let (socket, address) = (self.socket.try_clone()?, self.address()?);
        let (sound, sink, ends) = (self.sound, self.sink.local_addr()?.port(), Arc::clone(&self.ends));
        let over = Arc::clone(&self.over);
        thread::Builder::new().name("phones".to_owned()).spawn(move || {
            let mut buffer = [0; 8192];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let text = String::from_utf8_lossy(&buffer[..length]);
                let message = Message(&text);
                let say = |status: &str, rest: &str| {
                    let reply = message.reply(status, "phone", rest);
                    // Whoever asked asks again where it does not come.
                    let _lost = socket.send_to(reply.as_bytes(), from);
                };
                let nothing = "Content-Length: 0\r\n\r\n";
                if message.asks("INVITE") {
                    let contact = format!("Contact: <sip:phone@{address}>\r\n");
                    let port = match sound {
                        Sound::None => sink,
                        Sound::EachCall => match end(message.audio()) {
                            Ok((end, port)) => {
                                ends.lock().unwrap_or_else(PoisonError::into_inner).push(end);
                                port
                            }
                            Err(_) => sink,
                        },
                    };
                    say("180 Ringing", &format!("{contact}{nothing}"));
                    say("200 OK", &format!("{contact}{}", described(port)));
                } else if !message.asks("ACK") && message.status().is_none() {
                    say("200 OK", nothing);
                }
            }
        })?;
        Ok(())
    }

    /// The sockets of the calls that were answered since the last time.
    pub fn ends(&self) -> Vec<UdpSocket> {
        std::mem::take(&mut *self.ends.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ask(&self, house: SocketAddr, extension: u16, number: u32, header: &str) -> Result<String, Failure> {
        let address = self.address()?;
        let request = format!(
            "REGISTER sip:{house} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{extension}r{number}\r\n\
             From: <sip:{extension}@{house}>;tag=p{extension}\r\nTo: <sip:{extension}@{house}>\r\n\
             Call-ID: register-{extension}\r\nCSeq: {number} REGISTER\r\nMax-Forwards: 70\r\n\
             Contact: <sip:{extension}@{address}>\r\nExpires: 3600\r\n{header}Content-Length: 0\r\n\r\n"
        );
        self.socket.send_to(request.as_bytes(), house)?;
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// One end of a call's sound, connected to the other.
pub(crate) fn end(to: Option<u16>) -> Result<(UdpSocket, u16), Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    if let Some(to) = to {
        socket.connect(("127.0.0.1", to))?;
    }
    let port = socket.local_addr()?.port();
    Ok((socket, port))
}

/// RFC 7616 with MD5 and qop "auth".
fn authorization(challenge: &str, extension: u16, house: SocketAddr, password: &str) -> String {
    let field = |name: &str| {
        let rest = challenge.split_once(&format!("{name}=\""));
        rest.and_then(|(_, rest)| rest.split_once('"')).map_or("", |(value, _)| value)
    };
    let (realm, nonce, address) = (field("realm"), field("nonce"), format!("sip:{house}"));
    let digest =
        |text: String| Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let secret = digest(format!("{extension}:{realm}:{password}"));
    let request = digest(format!("REGISTER:{address}"));
    let response = digest(format!("{secret}:{nonce}:00000001:c:auth:{request}"));
    let opaque = field("opaque");
    let opaque = if opaque.is_empty() { String::new() } else { format!(", opaque=\"{opaque}\"") };
    format!(
        "Authorization: Digest username=\"{extension}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{address}\", \
         response=\"{response}\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\"{opaque}\r\n"
    )
}
