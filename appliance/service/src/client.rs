//! The caller's side: one [`Client`] a daemon called.

use crate::{
    error::{Error, Refusal, RefusalKind},
    interface::{Interface, Method},
    wire::{Connection, WireCall, WireReply},
};
use serde_json::Value;
use std::{
    io,
    marker::PhantomData,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::net::UnixStream;

/// How long a call waits for its reply unless it says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);
/// Idle connections kept for the next call.
const IDLE: usize = 8;

/// The way to one daemon. Cheap to clone; calls made at the same time ride on connections of their own, and
/// an idle connection is used again.
pub struct Client<I> {
    shared: Arc<Shared>,
    interface: PhantomData<fn(I)>,
}

impl<I> Clone for Client<I> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), interface: PhantomData }
    }
}

struct Shared {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl<I: Interface> Client<I> {
    /// A client of the daemon behind `path`; connects at the first call.
    pub fn at(path: PathBuf) -> Self {
        Self { shared: Arc::new(Shared { path, idle: Mutex::default() }), interface: PhantomData }
    }

    /// Calls `method` and waits for its reply, 10 s at most.
    ///
    /// # Errors
    /// [`Error::Refused`] is the daemon's word; after every other error the outcome is unknown.
    pub async fn call<M: Method<Interface = I>>(&self, method: M) -> Result<M::Reply, Error> {
        self.call_with(method, Vec::new(), PATIENCE).await.map(|(reply, _)| reply)
    }

    /// Calls `method` with descriptors, waits at most `patience`, and returns the reply with its descriptors.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_with<M: Method<Interface = I>>(
        &self,
        method: M,
        descriptors: Vec<OwnedFd>,
        patience: Duration,
    ) -> Result<(M::Reply, Vec<OwnedFd>), Error> {
        let call = wire_call(&method, false)?;
        let exchange = async {
            let mut connection = self.send::<M>(&call, &descriptors).await?;
            let (reply, received) = read::<M>(&mut connection).await?;
            self.keep(connection);
            Ok((understand::<M>(reply)?, received))
        };
        tokio::time::timeout(patience, exchange).await.unwrap_or(Err(Error::TimedOut {
            daemon: I::DAEMON,
            method: M::NAME,
            seconds: patience.as_secs(),
        }))
    }

    /// Calls a streaming method. The stream has its own connection and lasts until either side ends it.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn stream<M: Method<Interface = I>>(&self, method: M) -> Result<Stream<M>, Error> {
        let connection = self.send::<M>(&wire_call(&method, true)?, &[]).await?;
        Ok(Stream { connection, method: PhantomData })
    }

    /// Sends the call on an idle connection, or on a new one where the idle one has been closed meanwhile.
    async fn send<M: Method>(&self, call: &WireCall, descriptors: &[OwnedFd]) -> Result<Connection, Error> {
        let idle = self.idle().pop();
        if let Some(mut connection) = idle
            && still_open(&connection)
            && connection.write(call, descriptors).await.is_ok()
        {
            return Ok(connection);
        }
        let mut connection = self.connect().await?;
        connection.write(call, descriptors).await.map_err(broken::<M>)?;
        Ok(connection)
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let stream = UnixStream::connect(&self.shared.path).await.map_err(|source| Error::Unreachable {
            daemon: I::DAEMON,
            path: self.shared.path.display().to_string(),
            source,
        })?;
        Ok(Connection::new(stream))
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        // What came beyond the reply would be taken for the answer to the next call.
        if idle.len() < IDLE && connection.is_drained() {
            idle.push(connection);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A panic elsewhere leaves at worst a connection too many in the list.
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket that this client calls.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }
}

/// The replies of a streaming call.
pub struct Stream<M> {
    connection: Connection,
    method: PhantomData<fn(M)>,
}

impl<M: Method> Stream<M> {
    /// The next reply; `None` when the daemon has ended the stream. Cancel-safe.
    ///
    /// # Errors
    /// As [`Client::call`]; the stream is over after the first.
    pub async fn next(&mut self) -> Result<Option<M::Reply>, Error> {
        match self.connection.read().await.map_err(broken::<M>)? {
            None => Ok(None),
            Some((bytes, _)) => understand::<M>(parse::<M>(&bytes)?).map(Some),
        }
    }
}

/// Whether an idle connection has neither ended nor spoken out of turn.
fn still_open(connection: &Connection) -> bool {
    let mut byte = [0];
    matches!(connection.stream().try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn wire_call<M: Method>(method: &M, more: bool) -> Result<WireCall, Error> {
    let parameters = serde_json::to_value(method).map_err(malformed::<M>)?;
    Ok(WireCall {
        method: format!("cn.yanmen.{}.{}", M::Interface::DAEMON, M::NAME),
        parameters,
        more,
        oneway: false,
    })
}

async fn read<M: Method>(connection: &mut Connection) -> Result<(WireReply, Vec<OwnedFd>), Error> {
    match connection.read().await.map_err(broken::<M>)? {
        Some((bytes, descriptors)) => Ok((parse::<M>(&bytes)?, descriptors)),
        None => Err(broken::<M>(io::ErrorKind::UnexpectedEof.into())),
    }
}

fn parse<M: Method>(bytes: &[u8]) -> Result<WireReply, Error> {
    serde_json::from_slice(bytes).map_err(malformed::<M>)
}

fn understand<M: Method>(reply: WireReply) -> Result<M::Reply, Error> {
    match reply.error {
        None => serde_json::from_value(reply.parameters).map_err(malformed::<M>),
        Some(name) => {
            let text = |key: &str| reply.parameters.get(key).and_then(Value::as_str).map(str::to_owned);
            let kind = RefusalKind::of_wire_name(&name);
            let message = text("message")
                .unwrap_or_else(|| format!("{} refused {}: {name}", M::Interface::DAEMON, M::NAME));
            Err(Refusal { kind, code: text("code").unwrap_or(name), message }.into())
        }
    }
}

fn broken<M: Method>(source: io::Error) -> Error {
    Error::Broken { daemon: M::Interface::DAEMON, method: M::NAME, source }
}

fn malformed<M: Method>(error: serde_json::Error) -> Error {
    Error::Malformed { daemon: M::Interface::DAEMON, method: M::NAME, reason: error.to_string() }
}
