//! The daemon's side: connections of each caller, checked, decoded and queued for the daemon's own loop.
//!
//! A call passes, in this order: the peer's uid, the table's word on the method, the shape of the
//! parameters, the bound of the queue. The daemon sees only what passed all four.

use crate::{
    error::{Refusal, RefusalKind},
    interface::{Answer, Decoded, Interface, Many, Once, Outgoing, encode},
    peer::{Peer, Privileges},
    refusals::Refusals,
    wire::{Connection, WireCall, WireReply},
};
use mutant::mutant;
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};
use tokio::{
    net::UnixListener,
    sync::{Semaphore, mpsc, oneshot},
};

/// Connections that one caller may hold.
const CONNECTIONS: usize = 256;
/// Calls of one caller that wait for the daemon; the next one is answered Busy.
const WAITING: usize = 128;
/// Calls of one connection that are taken in before the first of them is answered.
const TOGETHER: usize = 64;
/// Bytes of a stream that are written at once.
const AT_ONCE: usize = 64 << 10;
/// Replies of one stream that wait for its caller.
const BEHIND: usize = 64;

/// One call, permitted and decoded.
pub struct Request<I: Interface> {
    /// Who asks.
    pub peer: Peer,
    /// The descriptors that came with it.
    pub descriptors: Vec<OwnedFd>,
    /// What is asked, and where the reply goes.
    pub call: I::Call,
}

/// The calls that come in: each caller's in the order of their arrival, and the callers by turns, so that none
/// of them keeps the others waiting however much it asks.
pub struct Calls<I: Interface> {
    queues: Vec<mpsc::Receiver<Request<I>>>,
    /// Whose turn it is.
    turn: usize,
}

impl<I: Interface> Calls<I> {
    /// The next call; `None` when every listening socket is closed. Cancel-safe.
    pub async fn next(&mut self) -> Option<Request<I>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut task::Context<'_>) -> Poll<Option<Request<I>>> {
        let callers = self.queues.len();
        let turn = if mutant("callers-by-arrival") { 0 } else { self.turn };
        let mut closed = 0;
        for caller in (turn..callers).chain(0..turn) {
            match self.queues[caller].poll_recv(context) {
                Poll::Ready(Some(request)) => {
                    self.turn = (caller + 1) % callers;
                    return Poll::Ready(Some(request));
                }
                Poll::Ready(None) => closed += 1,
                Poll::Pending => {}
            }
        }
        if closed == callers { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// Serves `I` on the listening sockets, one a caller.
pub(crate) fn serve<I: Interface>(
    listeners: Vec<(&'static house::Daemon, UnixListener)>,
    privileges: Privileges,
    refusals: Refusals,
) -> Calls<I> {
    let mut queues = Vec::with_capacity(listeners.len());
    for (caller, listener) in listeners {
        let (queue, calls) = mpsc::channel(WAITING);
        tokio::spawn(accept::<I>(caller, listener, privileges.clone(), queue, refusals.clone()));
        queues.push(calls);
    }
    Calls { queues, turn: 0 }
}

async fn accept<I: Interface>(
    caller: &'static house::Daemon,
    listener: UnixListener,
    privileges: Privileges,
    queue: mpsc::Sender<Request<I>>,
    refusals: Refusals,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // A semaphore that is never closed always gives a place in the end.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: those that are open will end.
                tracing::error!(caller = caller.name, %error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        match privileges.check(&stream, caller) {
            Ok(peer) => {
                let session = Session { peer, queue: queue.clone(), refusals: refusals.clone() };
                tokio::spawn(async move {
                    if let Err(error) = session.run(Connection::new(stream)).await {
                        tracing::debug!(caller = caller.name, %error, "connection ended");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                let uid = stream.peer_cred().map_or(u32::MAX, |credentials| credentials.uid());
                tracing::debug!(caller = caller.name, uid, %error, "peer refused");
                refusals.tell(caller.name, uid, "");
            }
        }
    }
}

/// One connection.
struct Session<I: Interface> {
    peer: Peer,
    queue: mpsc::Sender<Request<I>>,
    refusals: Refusals,
}

/// The frames of one answer on their way.
enum Answers {
    Once(oneshot::Receiver<Outgoing>),
    Many(mpsc::Receiver<Outgoing>),
}

impl Answers {
    /// A way for one frame.
    fn once() -> (Answer, Self) {
        let (answer, answers) = oneshot::channel();
        (Answer::Once(Once(answer)), Self::Once(answers))
    }

    /// A way for many.
    fn many() -> (Answer, Self) {
        let (answer, answers) = mpsc::channel(BEHIND);
        (Answer::Many(Many(answer)), Self::Many(answers))
    }

    async fn next(&mut self) -> Option<Outgoing> {
        match self {
            Self::Once(once) => once.await.ok(),
            Self::Many(many) => many.recv().await,
        }
    }

    /// The next frame, where it is there.
    fn try_next(&mut self) -> Option<Outgoing> {
        match self {
            Self::Once(once) => once.try_recv().ok(),
            Self::Many(many) => many.try_recv().ok(),
        }
    }
}

impl<I: Interface> Session<I> {
    async fn run(self, mut connection: Connection) -> io::Result<()> {
        while let Some((bytes, descriptors)) = connection.read().await? {
            let (more, answers) = self.take(&bytes, descriptors)?;
            if more {
                self.stream(&mut connection, answers).await?;
                continue;
            }
            // What was sent together is answered together.
            let mut asked = VecDeque::from([answers]);
            let mut stream = None;
            while asked.len() < TOGETHER
                && stream.is_none()
                && let Some(bytes) = connection.read_here()
            {
                match self.take(&bytes, Vec::new())? {
                    (true, answers) => stream = Some(answers),
                    (false, answers) => asked.push_back(answers),
                }
            }
            self.answer(&mut connection, asked).await?;
            if let Some(answers) = stream {
                self.stream(&mut connection, answers).await?;
            }
        }
        Ok(())
    }

    /// Takes one call in; whether it wants many replies.
    fn take(&self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> io::Result<(bool, Answers)> {
        let call: WireCall<'_> = serde_json::from_slice(bytes)?;
        if call.oneway {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "oneway calls are not used here"));
        }
        let (answer, answers) = if call.more { Answers::many() } else { Answers::once() };
        self.admit(&call, descriptors, answer);
        Ok((call.more, answers))
    }

    /// Passes the call on, or refuses it.
    fn admit(&self, call: &WireCall<'_>, descriptors: Vec<OwnedFd>, answer: Answer) {
        let Some((interface, method)) = call.method.rsplit_once('.') else {
            return answer.refuse(Refusal::invalid("house.no-method", "a method is INTERFACE.METHOD"));
        };
        let parameters = match call.parameters.map(RawValue::get) {
            None | Some("null") => "{}",
            Some(parameters) => parameters,
        };
        if interface == "org.varlink.service" {
            return answer.say(introspect::<I>(method, parameters).and_then(|reply| encode(&reply)));
        }
        let ours = interface.strip_prefix("cn.yanmen.") == Some(I::DAEMON);
        let permitted = house::permits(self.peer.caller.name, I::DAEMON, method) || mutant("table-unchecked");
        if !ours || !permitted {
            self.refusals.tell(self.peer.caller.name, self.peer.uid, method);
            let message = format!("{} may not call {} of {}", self.peer.caller.name, method, I::DAEMON);
            return answer.refuse(Refusal::not_permitted("house.not-in-table", message));
        }
        let streaming = I::METHODS.iter().find(|facts| facts.name == method).map(|facts| facts.streaming);
        if streaming.is_some_and(|streaming| streaming != call.more) {
            let message = format!("{method} is called with more = {}", !call.more);
            return answer.refuse(Refusal::invalid("house.more", message));
        }
        match I::decode(method, parameters, answer) {
            Decoded::NoMethod(answer) => {
                answer
                    .refuse(Refusal::not_found("house.no-method", format!("{} has no {method}", I::DAEMON)));
            }
            Decoded::Malformed(error, answer) => {
                answer
                    .refuse(Refusal::invalid("house.parameters", format!("parameters of {method}: {error}")));
            }
            Decoded::Call(decoded) => {
                let request = Request { peer: self.peer.clone(), descriptors, call: decoded };
                if let Err(refused) = self.queue.try_send(request) {
                    let (daemon, caller) = (I::DAEMON, self.peer.caller.name);
                    let message =
                        format!("{WAITING} calls of {caller} wait for {daemon}: try again in a moment");
                    I::refuse(refused.into_inner().call, Refusal::busy("house.busy", message));
                }
            }
        }
    }

    /// Writes the answers in the order of their calls: those that are there in one go.
    async fn answer(&self, connection: &mut Connection, asked: VecDeque<Answers>) -> io::Result<()> {
        for mut answers in asked {
            let frame = match answers.try_next() {
                Some(frame) => Some(frame),
                None => {
                    connection.flush().await?;
                    answers.next().await
                }
            };
            let (reply, descriptors) = match frame {
                Some(Outgoing::Last(outcome, descriptors)) => (reply(outcome), descriptors),
                Some(Outgoing::More(_)) | None => {
                    let message = format!("{} gave no answer", I::DAEMON);
                    (reply(Err(Refusal::unavailable("house.no-answer", message))), Vec::new())
                }
            };
            put::<I>(connection, &reply, &descriptors).await?;
        }
        connection.flush().await
    }

    /// Writes the replies of a stream until it ends: those that are there in one go.
    async fn stream(&self, connection: &mut Connection, mut answers: Answers) -> io::Result<()> {
        loop {
            let next = tokio::select! {
                next = answers.next() => next,
                // The caller of a stream says nothing more: whatever becomes readable is its end.
                _ = connection.readable() => return Err(io::ErrorKind::ConnectionAborted.into()),
            };
            let mut frame = next;
            while let Some(some) = frame {
                match some {
                    Outgoing::More(parameters) => {
                        let reply = WireReply { parameters: Some(parameters), continues: true, error: None };
                        match connection.queue(&reply) {
                            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                                return connection.write(&too_long::<I>(), &[]).await;
                            }
                            queued => queued?,
                        }
                    }
                    Outgoing::Last(outcome, descriptors) => {
                        put::<I>(connection, &reply(outcome), &descriptors).await?;
                        return connection.flush().await;
                    }
                }
                frame = if connection.queued() < AT_ONCE { answers.try_next() } else { None };
            }
            if connection.queued() == 0 {
                // A stream that ended: its connection ends with it, and the caller sees its end.
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            connection.flush().await?;
        }
    }
}

/// Takes a reply to be written; one with descriptors goes at once.
async fn put<I: Interface>(
    connection: &mut Connection,
    reply: &WireReply,
    descriptors: &[OwnedFd],
) -> io::Result<()> {
    let put = match descriptors {
        [] => connection.queue(reply),
        descriptors => connection.write(reply, descriptors).await,
    };
    match put {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => connection.queue(&too_long::<I>()),
        put => put,
    }
}

fn reply(outcome: Result<Box<RawValue>, Refusal>) -> WireReply {
    let refusal = match outcome {
        // Varlink's parameters are an object; `()` is null in JSON.
        Ok(reply) if reply.get() == "null" => {
            return WireReply { parameters: encode(&json!({})).ok(), ..WireReply::default() };
        }
        Ok(reply) => return WireReply { parameters: Some(reply), ..WireReply::default() },
        Err(refusal) => refusal,
    };
    WireReply {
        parameters: encode(&json!({ "code": refusal.code, "message": refusal.message })).ok(),
        continues: false,
        error: Some(refusal.kind.wire_name().to_owned()),
    }
}

/// In the place of an answer that does not fit one message: its caller hears what is wrong.
fn too_long<I: Interface>() -> WireReply {
    tracing::error!(daemon = I::DAEMON, "an answer is longer than one message");
    reply(Err(Refusal::too_long(format!("the answer of {}", I::DAEMON))))
}

/// `org.varlink.service`: what this daemon is, and what its interface looks like.
fn introspect<I: Interface>(method: &str, parameters: &str) -> Result<Value, Refusal> {
    let name = format!("cn.yanmen.{}", I::DAEMON);
    let parameters: Value = serde_json::from_str(parameters).unwrap_or_default();
    match method {
        "GetInfo" => Ok(json!({
            "vendor": "Yanmen", "product": I::DAEMON, "version": env!("CARGO_PKG_VERSION"), "url": "",
            "interfaces": ["org.varlink.service", name],
        })),
        "GetInterfaceDescription" if parameters.get("interface").and_then(Value::as_str) == Some(&name) => {
            Ok(json!({ "description": crate::describe::<I>() }))
        }
        _ => Err(Refusal::new(
            RefusalKind::NotFound,
            "house.no-method",
            "org.varlink.service has no such thing here",
        )),
    }
}
