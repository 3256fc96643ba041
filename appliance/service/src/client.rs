//! The caller's side: one [`Client`] a daemon called.

use crate::{
    error::{Error, Refusal, RefusalKind},
    interface::{Interface, Method},
    wire::{Ask, Connection, WireReply},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
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
    pub async fn call<M: Method<I>>(&self, method: M) -> Result<M::Reply, Error> {
        self.call_with(method, Vec::new(), PATIENCE).await.map(|(reply, _)| reply)
    }

    /// Calls `method` with descriptors, waits at most `patience`, and returns the reply with its descriptors.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_with<M: Method<I>>(
        &self,
        method: M,
        descriptors: Vec<OwnedFd>,
        patience: Duration,
    ) -> Result<(M::Reply, Vec<OwnedFd>), Error> {
        let called = Called::of::<I, M>();
        let exchange = async {
            let mut connection = self.send(called, &method, false, &descriptors).await?;
            let (reply, received) = called.read(&mut connection).await?;
            self.keep(connection);
            Ok((called.understand(reply)?, received))
        };
        tokio::time::timeout(patience, exchange).await.unwrap_or(Err(Error::TimedOut {
            daemon: called.daemon,
            method: called.method,
            seconds: patience.as_secs(),
        }))
    }

    /// Calls `method` several times at once: they are heard in this order, and answered together. What each came to,
    /// and why there is no more of it.
    pub async fn call_all<M: Method<I>>(
        &self,
        methods: &[M],
    ) -> (Vec<Result<M::Reply, Refusal>>, Option<Error>) {
        let called = Called::of::<I, M>();
        let mut replies = Vec::with_capacity(methods.len());
        let exchange = async {
            let Some((first, others)) = methods.split_first() else { return Ok(()) };
            let mut connection = self.open().await?;
            for method in [first].into_iter().chain(others) {
                called.queue(&mut connection, method, false)?;
            }
            connection.flush().await.map_err(|error| called.broken(error))?;
            while replies.len() < methods.len() {
                let (reply, _none) = called.read(&mut connection).await?;
                replies.push(match called.understand(reply) {
                    Err(Error::Refused(refusal)) => Err(refusal),
                    outcome => Ok(outcome?),
                });
            }
            self.keep(connection);
            Ok(())
        };
        let late =
            Error::TimedOut { daemon: called.daemon, method: called.method, seconds: PATIENCE.as_secs() };
        let outcome = tokio::time::timeout(PATIENCE, exchange).await.unwrap_or(Err(late));
        (replies, outcome.err())
    }

    /// Calls a streaming method. The stream has its own connection and lasts until either side ends it.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn stream<M: Method<I>>(&self, method: M) -> Result<Stream<M::Reply>, Error> {
        let called = Called::of::<I, M>();
        let connection = self.send(called, &method, true, &[]).await?;
        Ok(Stream { connection, called, reply: PhantomData })
    }

    /// Sends the call on an idle connection, or on a new one where the idle one has been closed meanwhile.
    async fn send<M: Method<I>>(
        &self,
        called: Called,
        method: &M,
        more: bool,
        descriptors: &[OwnedFd],
    ) -> Result<Connection, Error> {
        let mut connection = self.open().await?;
        called.queue(&mut connection, method, more)?;
        match connection.send(descriptors).await {
            Ok(()) => Ok(connection),
            Err(_closed_meanwhile) => {
                let mut connection = self.connect().await?;
                called.queue(&mut connection, method, more)?;
                connection.send(descriptors).await.map_err(|error| called.broken(error))?;
                Ok(connection)
            }
        }
    }

    /// An idle connection, or a new one.
    async fn open(&self) -> Result<Connection, Error> {
        let idle = self.idle().pop();
        match idle.filter(still_open) {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
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
pub struct Stream<R> {
    connection: Connection,
    called: Called,
    reply: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> Stream<R> {
    /// The next reply; `None` when the daemon has ended the stream. Cancel-safe.
    ///
    /// # Errors
    /// As [`Client::call`]; the stream is over after the first.
    pub async fn next(&mut self) -> Result<Option<R>, Error> {
        match self.connection.read().await.map_err(|error| self.called.broken(error))? {
            None => Ok(None),
            Some((bytes, _)) => self.called.understand(self.called.parse(&bytes)?).map(Some),
        }
    }
}

/// Whether an idle connection has neither ended nor spoken out of turn.
fn still_open(connection: &Connection) -> bool {
    let mut byte = [0];
    matches!(connection.stream().try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// What was called, for the wire and for what went wrong.
#[derive(Clone, Copy)]
struct Called {
    daemon: &'static str,
    method: &'static str,
}

impl Called {
    fn of<I: Interface, M: Method<I>>() -> Self {
        Self { daemon: I::DAEMON, method: M::NAME }
    }

    fn queue(
        self,
        connection: &mut Connection,
        parameters: &impl Serialize,
        more: bool,
    ) -> Result<(), Error> {
        let method = format!("cn.yanmen.{}.{}", self.daemon, self.method);
        connection.queue(&Ask { method: &method, parameters, more }).map_err(|error| self.broken(error))
    }

    async fn read(self, connection: &mut Connection) -> Result<(WireReply, Vec<OwnedFd>), Error> {
        match connection.read().await.map_err(|error| self.broken(error))? {
            Some((bytes, descriptors)) => Ok((self.parse(&bytes)?, descriptors)),
            None => Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn parse(self, bytes: &[u8]) -> Result<WireReply, Error> {
        serde_json::from_slice(bytes).map_err(|error| self.malformed(&error))
    }

    fn understand<R: DeserializeOwned>(self, reply: WireReply) -> Result<R, Error> {
        let Some(name) = reply.error else {
            let parameters = reply.parameters.as_deref().map_or("{}", RawValue::get);
            return serde_json::from_str(parameters).map_err(|error| self.malformed(&error));
        };
        let parameters: Value =
            reply.parameters.and_then(|all| serde_json::from_str(all.get()).ok()).unwrap_or_default();
        let text = |key: &str| parameters.get(key).and_then(Value::as_str).map(str::to_owned);
        let kind = RefusalKind::of_wire_name(&name);
        let message =
            text("message").unwrap_or_else(|| format!("{} refused {}: {name}", self.daemon, self.method));
        Err(Refusal { kind, code: text("code").unwrap_or(name), message }.into())
    }

    fn broken(self, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::FileTooLarge {
            return Refusal::too_long(format!("what {} of {} is asked", self.method, self.daemon)).into();
        }
        Error::Broken { daemon: self.daemon, method: self.method, source }
    }

    fn malformed(self, error: &serde_json::Error) -> Error {
        Error::Malformed { daemon: self.daemon, method: self.method, reason: error.to_string() }
    }
}
