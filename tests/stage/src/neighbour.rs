//! A neighbour that a test plays: Varlink's wire, NUL-terminated JSON with descriptors beside it.

use nix::{
    cmsg_space,
    sys::socket::{ControlMessageOwned, MsgFlags, recvmsg},
};
use serde_json::{Value, json};
use std::{
    io::{IoSliceMut, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::Arc,
    thread,
};

/// One call of the daemon.
#[derive(Debug)]
pub struct Asked {
    /// The method, without its interface.
    pub method: String,
    /// Its parameters.
    pub parameters: Value,
    /// What came beside it.
    pub descriptors: Vec<OwnedFd>,
}

/// Where the answers to a call go. It may be kept, for a stream that goes on.
pub struct Answers(UnixStream);

impl Answers {
    /// The one reply of a call.
    pub fn only(&mut self, parameters: &Value) {
        self.send(&json!({ "parameters": parameters }));
    }

    /// One of the replies of a stream.
    pub fn one_of_many(&mut self, parameters: &Value) {
        self.send(&json!({ "parameters": parameters, "continues": true }));
    }

    /// A refusal, such as `Unavailable`.
    pub fn refuse(&mut self, kind: &str) {
        let parameters = json!({ "code": "stage.refused", "message": "refused on the stage" });
        self.send(&json!({ "error": format!("cn.yanmen.{kind}"), "parameters": parameters }));
    }

    /// The same place, for another thread.
    #[must_use]
    pub fn shared(&self) -> Self {
        Self(self.0.try_clone().unwrap())
    }

    fn send(&mut self, reply: &Value) {
        let mut bytes = reply.to_string().into_bytes();
        bytes.push(0);
        // The daemon may have been killed meanwhile.
        let _gone = self.0.write_all(&bytes);
    }
}

/// Listens at `path` from now on.
pub fn play(path: &Path, answer: impl Fn(Asked, &mut Answers) + Send + Sync + 'static) {
    let (listener, answer) = (UnixListener::bind(path).unwrap(), Arc::new(answer));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            thread::spawn(move || {
                let mut line = Line { stream, bytes: Vec::new(), descriptors: Vec::new() };
                let mut answers = Answers(line.stream.try_clone().unwrap());
                while let Some(asked) = line.next() {
                    answer(asked, &mut answers);
                }
            });
        }
    });
}

/// The calls of one connection.
struct Line {
    stream: UnixStream,
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Line {
    fn next(&mut self) -> Option<Asked> {
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == 0) {
                let mut call: Value = serde_json::from_slice(&self.bytes[..end]).unwrap();
                self.bytes.drain(..=end);
                let method = call["method"].as_str().unwrap().rsplit_once('.').unwrap().1.to_owned();
                let descriptors = std::mem::take(&mut self.descriptors);
                return Some(Asked { method, parameters: call["parameters"].take(), descriptors });
            }
            let mut buffer = [0; 8192];
            let mut pieces = [IoSliceMut::new(&mut buffer)];
            let mut beside = cmsg_space!([RawFd; 4]);
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let received =
                recvmsg::<()>(self.stream.as_raw_fd(), &mut pieces, Some(&mut beside), flags).ok()?;
            for message in received.cmsgs().unwrap() {
                if let ControlMessageOwned::ScmRights(descriptors) = message {
                    // SAFETY: the kernel has just made these descriptors for this process alone.
                    let own =
                        descriptors.iter().map(|descriptor| unsafe { OwnedFd::from_raw_fd(*descriptor) });
                    self.descriptors.extend(own);
                }
            }
            let length = received.bytes;
            if length == 0 {
                return None;
            }
            self.bytes.extend_from_slice(&buffer[..length]);
        }
    }
}
