//! The daemon's side: connections of each caller, checked, decoded and queued for the daemon's own loop.
//!
//! A call passes, in this order: the peer's uid, the table's word on the method, the shape of the
//! parameters, the bound of the queue. The daemon sees only what passed all four.

use crate::{
    error::{Refusal, RefusalKind},
    interface::{Answer, Interface, Outgoing},
    peer::{Peer, Privileges},
    refusals::Refusals,
    wire::{Connection, WireCall, WireReply},
};
use mutant::mutant;
use serde_json::{Value, json};
use std::{
    io,
    os::fd::OwnedFd,
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};
use tokio::{
    net::UnixListener,
    sync::{Semaphore, mpsc},
};

/// Connections that one caller may hold.
const CONNECTIONS: usize = 256;
/// Calls of one caller that wait for the daemon; the next one is answered Busy.
const WAITING: usize = 128;
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

impl<I: Interface> Session<I> {
    async fn run(self, mut connection: Connection) -> io::Result<()> {
        while let Some((bytes, descriptors)) = connection.read().await? {
            let call: WireCall = serde_json::from_slice(&bytes)?;
            if call.oneway {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "oneway calls are not used here"));
            }
            let more = call.more;
            let answers = self.admit(call, descriptors);
            self.answer(&mut connection, answers, more).await?;
        }
        Ok(())
    }

    /// Passes the call on, or refuses it; either way the answers come from the returned channel.
    fn admit(&self, call: WireCall, descriptors: Vec<OwnedFd>) -> mpsc::Receiver<Outgoing> {
        let (sender, answers) = mpsc::channel(BEHIND);
        let refuse = |sender: &mpsc::Sender<Outgoing>, refusal| {
            // The channel is new and empty, and its receiver is in our hand.
            let _fits = sender.try_send(Outgoing::Last(Err(refusal), Vec::new()));
        };
        let Some((interface, method)) = call.method.rsplit_once('.') else {
            refuse(&sender, Refusal::invalid("house.no-method", "a method is INTERFACE.METHOD"));
            return answers;
        };
        if interface == "org.varlink.service" {
            let _fits =
                sender.try_send(Outgoing::Last(introspect::<I>(method, &call.parameters), Vec::new()));
            return answers;
        }
        let ours = interface.strip_prefix("cn.yanmen.") == Some(I::DAEMON);
        let permitted = house::permits(self.peer.caller.name, I::DAEMON, method) || mutant("table-unchecked");
        if !ours || !permitted {
            self.refusals.tell(self.peer.caller.name, self.peer.uid, method);
            let message = format!("{} may not call {} of {}", self.peer.caller.name, method, I::DAEMON);
            refuse(&sender, Refusal::not_permitted("house.not-in-table", message));
            return answers;
        }
        let streaming = I::METHODS.iter().find(|facts| facts.name == method).map(|facts| facts.streaming);
        if streaming.is_some_and(|streaming| streaming != call.more) {
            refuse(
                &sender,
                Refusal::invalid("house.more", format!("{method} is called with more = {}", !call.more)),
            );
            return answers;
        }
        let parameters = if call.parameters.is_null() { json!({}) } else { call.parameters };
        match I::decode(method, parameters, Answer(sender.clone())) {
            None => refuse(
                &sender,
                Refusal::not_found("house.no-method", format!("{} has no {method}", I::DAEMON)),
            ),
            Some(Err((error, _answer))) => {
                refuse(
                    &sender,
                    Refusal::invalid("house.parameters", format!("parameters of {method}: {error}")),
                );
            }
            Some(Ok(decoded)) => {
                let request = Request { peer: self.peer.clone(), descriptors, call: decoded };
                if self.queue.try_send(request).is_err() {
                    let (daemon, caller) = (I::DAEMON, self.peer.caller.name);
                    let message =
                        format!("{WAITING} calls of {caller} wait for {daemon}: try again in a moment");
                    refuse(&sender, Refusal::busy("house.busy", message));
                }
            }
        }
        answers
    }

    async fn answer(
        &self,
        connection: &mut Connection,
        mut answers: mpsc::Receiver<Outgoing>,
        more: bool,
    ) -> io::Result<()> {
        loop {
            let next = tokio::select! {
                next = answers.recv() => next,
                // The caller of a stream says nothing more: whatever becomes readable is its end.
                _ = connection.readable(), if more => {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            };
            match next {
                Some(Outgoing::More(parameters, descriptors)) => {
                    let reply = WireReply { parameters, continues: true, error: None };
                    match connection.write(&reply, &descriptors).await {
                        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                            return connection.write(&too_long::<I>(), &[]).await;
                        }
                        written => written?,
                    }
                }
                Some(Outgoing::Last(outcome, descriptors)) => {
                    return match connection.write(&reply(outcome), &descriptors).await {
                        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                            connection.write(&too_long::<I>(), &[]).await
                        }
                        written => written,
                    };
                }
                // A stream that ended: its connection ends with it, and the caller sees its end.
                None if more => return Err(io::ErrorKind::ConnectionAborted.into()),
                None => {
                    let message = format!("{} gave no answer", I::DAEMON);
                    let refusal = Refusal::unavailable("house.no-answer", message);
                    return connection.write(&reply(Err(refusal)), &[]).await;
                }
            }
        }
    }
}

fn reply(outcome: Result<Value, Refusal>) -> WireReply {
    match outcome {
        // Varlink's parameters are an object; `()` is null in JSON.
        Ok(Value::Null) => WireReply { parameters: json!({}), ..WireReply::default() },
        Ok(parameters) => WireReply { parameters, ..WireReply::default() },
        Err(refusal) => WireReply {
            parameters: json!({ "code": refusal.code, "message": refusal.message }),
            continues: false,
            error: Some(refusal.kind.wire_name().to_owned()),
        },
    }
}

/// In the place of an answer that does not fit one message: its caller hears what is wrong.
fn too_long<I: Interface>() -> WireReply {
    tracing::error!(daemon = I::DAEMON, "an answer is longer than one message");
    reply(Err(Refusal::too_long(format!("the answer of {}", I::DAEMON))))
}

/// `org.varlink.service`: what this daemon is, and what its interface looks like.
fn introspect<I: Interface>(method: &str, parameters: &Value) -> Result<Value, Refusal> {
    let name = format!("cn.yanmen.{}", I::DAEMON);
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
