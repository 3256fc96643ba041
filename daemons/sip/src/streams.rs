//! Connections: one task each, which reads for the engine and writes what the engine gives it.
//!
//! A connection by TCP is kept by the supervisor, so that calls over it outlive this process; what goes out is
//! given to the kernel at once, and a connection on which something had to wait, and might be cut in the middle,
//! is kept no longer. One under TLS ends with the process: its keys are nobody else's.
//!
//! ```text
//!   engine ──open, adopt──► task ──Opened, Bytes, Closed──► engine
//!      └─────send──────────►│
//! ```

use crate::tls::Tls;
use service::Context;
use sip_core::{ConnectionId, Disconnect, Flow, Protocol};
use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpStream as StdTcpStream},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::mpsc,
    task::AbortHandle,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use types::TrunkId;

/// Where the names of kept connections begin.
const PREFIX: &str = "stream.";
/// Most connections kept over a restart: the supervisor has room for so many beside the sockets.
const KEPT: usize = 2_048;
/// How long a TLS handshake may take that a peer began, and how long it may not take what we send.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most messages that wait for a peer that does not read.
const QUEUE: usize = 256;
/// Bytes read at once.
const CHUNK: usize = 16_384;

/// What happened on a connection.
pub enum Heard {
    /// It is open; with the stream where that is plain TCP.
    Opened(ConnectionId, Option<Arc<TcpStream>>),
    /// Bytes came.
    Bytes(ConnectionId, Vec<u8>),
    /// It is over.
    Closed(ConnectionId, Disconnect),
}

/// Every connection.
pub struct Streams {
    house: Context,
    live: HashMap<ConnectionId, Live>,
    tell: mpsc::Sender<Heard>,
}

struct Live {
    /// For what the kernel has no room for at the moment, and for TLS.
    queue: mpsc::Sender<Vec<u8>>,
    /// Where bytes go without a queue.
    direct: Option<Arc<TcpStream>>,
    task: AbortHandle,
    kept: bool,
}

impl Streams {
    /// No connection yet. What happens comes out of the receiver.
    pub fn new(house: Context) -> (Self, mpsc::Receiver<Heard>) {
        let (tell, told) = mpsc::channel(256);
        (Self { house, live: HashMap::new(), tell }, told)
    }

    /// Takes back what an earlier life had open; names those.
    pub fn take_back(&mut self) -> Vec<ConnectionId> {
        let mut back = Vec::new();
        for name in self.house.kept_names() {
            let Some(number) = name.strip_prefix(PREFIX) else { continue };
            let (Ok(number), Some(descriptor)) = (number.parse(), self.house.kept(&name).pop()) else {
                self.house.forget(&name);
                continue;
            };
            let stream = StdTcpStream::from(descriptor);
            let usable = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            match usable {
                Ok(stream) => {
                    let (id, stream) = (ConnectionId(number), Arc::new(stream));
                    let work = Arc::clone(&stream);
                    self.begin(id, |queue, tell| carry_plain(id, work, queue, tell));
                    self.direct(id, stream, true);
                    back.push(id);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken back");
                    self.house.forget(&name);
                }
            }
        }
        back
    }

    /// Returns once the connections that were taken back take bytes, or are full.
    pub async fn ready(&self) {
        for stream in self.live.values().filter_map(|live| live.direct.as_ref()) {
            _ = timeout(Duration::from_millis(20), stream.writable()).await;
        }
    }

    /// Goes on with a connection that a peer opened.
    pub fn adopt(&mut self, id: ConnectionId, stream: TcpStream, tls: Option<TlsAcceptor>) {
        prepare(&stream);
        match tls {
            None => {
                let stream = Arc::new(stream);
                let work = Arc::clone(&stream);
                self.begin(id, |queue, tell| carry_plain(id, work, queue, tell));
                self.opened(id, stream);
            }
            Some(acceptor) => self.begin(id, |queue, tell| async move {
                match timeout(PATIENCE, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => carry(id, stream, queue, tell).await,
                    Ok(Err(_)) => Disconnect::Untrusted,
                    Err(_) => Disconnect::Foreign,
                }
            }),
        }
    }

    /// Opens a connection, from an address of ours.
    pub fn open(
        &mut self,
        id: ConnectionId,
        from: SocketAddr,
        flow: Flow,
        trunk: Option<&TrunkId>,
        tls: &Tls,
    ) {
        let connector = match flow.protocol {
            Protocol::Tls => match trunk.and_then(|trunk| tls.connector(trunk)) {
                Some(connector) => Some(connector),
                // Nobody says by which certificate that peer would be known.
                None => return self.begin(id, |_, _| async { Disconnect::Untrusted }),
            },
            Protocol::Udp | Protocol::Tcp => None,
        };
        self.begin(id, |queue, tell| async move {
            let stream = match connect(from, flow.remote).await {
                Ok(stream) => stream,
                Err(error) => return of_failure(&error),
            };
            match connector {
                None => {
                    let stream = Arc::new(stream);
                    _ = tell.send(Heard::Opened(id, Some(Arc::clone(&stream)))).await;
                    carry_plain(id, stream, queue, tell).await
                }
                Some((connector, server)) => match handshake(connector, server, stream).await {
                    Ok(stream) => {
                        _ = tell.send(Heard::Opened(id, None)).await;
                        carry(id, stream, queue, tell).await
                    }
                    Err(why) => why,
                },
            }
        });
    }

    /// A plain connection is open: from now on it outlives the process.
    pub fn opened(&mut self, id: ConnectionId, stream: Arc<TcpStream>) {
        let room = self.live.values().filter(|live| live.kept).count() < KEPT;
        if room && self.live.contains_key(&id) && !mutant::mutant("sip-connections-not-kept") {
            self.house.keep(&name(id), &stream);
        }
        self.direct(id, stream, room);
    }

    /// Sends on a connection. A peer that does not read loses it.
    pub fn send(&mut self, id: ConnectionId, bytes: Vec<u8>) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let mut bytes = bytes;
        if let Some(stream) = live.direct.as_ref().filter(|_| live.queue.capacity() == QUEUE) {
            match stream.try_write(&bytes) {
                Ok(written) if written == bytes.len() => return,
                Ok(written) => _ = bytes.drain(..written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Its task hears of it as well.
                Err(_) => return,
            }
        }
        if std::mem::take(&mut live.kept) {
            self.house.forget(&name(id));
        }
        if live.queue.try_send(bytes).is_err() {
            tracing::warn!(connection = id.0, "a peer does not read: its connection is closed");
            self.close(id);
            let tell = self.tell.clone();
            tokio::spawn(async move { tell.send(Heard::Closed(id, Disconnect::Closed)).await });
        }
    }

    /// Closes a connection; what was given before is still sent.
    pub fn close(&mut self, id: ConnectionId) {
        if let Some(live) = self.live.remove(&id) {
            if live.kept {
                self.house.forget(&name(id));
            }
            // The end of its queue is the end of the task; one that hangs is ended after that.
            let task = live.task;
            tokio::spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                task.abort();
            });
        }
    }

    /// A connection ended by itself.
    pub fn ended(&mut self, id: ConnectionId) {
        if let Some(live) = self.live.remove(&id)
            && live.kept
        {
            self.house.forget(&name(id));
        }
    }

    fn direct(&mut self, id: ConnectionId, stream: Arc<TcpStream>, kept: bool) {
        if let Some(live) = self.live.get_mut(&id) {
            (live.direct, live.kept) = (Some(stream), kept);
        }
    }

    fn begin<Work>(
        &mut self,
        id: ConnectionId,
        work: impl FnOnce(mpsc::Receiver<Vec<u8>>, mpsc::Sender<Heard>) -> Work,
    ) where
        Work: Future<Output = Disconnect> + Send + 'static,
    {
        let (queue, queued) = mpsc::channel(QUEUE);
        let work = work(queued, self.tell.clone());
        let tell = self.tell.clone();
        let task = tokio::spawn(async move {
            let why = work.await;
            _ = tell.send(Heard::Closed(id, why)).await;
        });
        self.live.insert(id, Live { queue, direct: None, task: task.abort_handle(), kept: false });
    }
}

/// Reads, and writes what had to wait, until one side ends.
async fn carry_plain(
    id: ConnectionId,
    stream: Arc<TcpStream>,
    mut queue: mpsc::Receiver<Vec<u8>>,
    tell: mpsc::Sender<Heard>,
) -> Disconnect {
    let mut buffer = vec![0; CHUNK];
    loop {
        tokio::select! {
            given = queue.recv() => {
                let Some(bytes) = given else { return Disconnect::Closed };
                if !matches!(timeout(PATIENCE, write_all(&stream, &bytes)).await, Ok(Ok(()))) {
                    return Disconnect::Closed;
                }
            }
            ready = stream.readable() => match ready.and_then(|()| stream.try_read(&mut buffer)) {
                Ok(0) => return Disconnect::Closed,
                Ok(length) => {
                    if tell.send(Heard::Bytes(id, buffer[..length].to_vec())).await.is_err() {
                        return Disconnect::Closed;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Disconnect::Closed,
            }
        }
    }
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads and writes under TLS until one side ends.
async fn carry<S>(
    id: ConnectionId,
    stream: S,
    mut queue: mpsc::Receiver<Vec<u8>>,
    tell: mpsc::Sender<Heard>,
) -> Disconnect
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut read, mut write) = tokio::io::split(stream);
    let mut buffer = vec![0; CHUNK];
    loop {
        tokio::select! {
            biased;
            given = queue.recv() => {
                let Some(bytes) = given else {
                    // Closed by us.
                    _ = timeout(PATIENCE, write.shutdown()).await;
                    return Disconnect::Closed;
                };
                let written = async {
                    write.write_all(&bytes).await?;
                    write.flush().await
                };
                match timeout(PATIENCE, written).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return Disconnect::Closed,
                }
            }
            length = read.read(&mut buffer) => match length {
                Ok(0) | Err(_) => return Disconnect::Closed,
                Ok(length) => {
                    if tell.send(Heard::Bytes(id, buffer[..length].to_vec())).await.is_err() {
                        return Disconnect::Closed;
                    }
                }
            }
        }
    }
}

async fn connect(from: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // From the address of the network, any port: the one we listen on is taken.
    socket.bind(SocketAddr::new(from.ip(), 0))?;
    let stream = socket.connect(remote).await?;
    prepare(&stream);
    Ok(stream)
}

async fn handshake(
    connector: TlsConnector,
    server: rustls::pki_types::ServerName<'static>,
    stream: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Disconnect> {
    connector.connect(server, stream).await.map_err(|error| {
        tracing::warn!(%error, "TLS to a trunk failed");
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Disconnect::Untrusted,
            _ => Disconnect::Closed,
        }
    })
}

/// Small messages go at once, and a peer that vanished is noticed.
fn prepare(stream: &TcpStream) {
    use nix::sys::socket::{setsockopt, sockopt};
    let told = stream.set_nodelay(true).map_err(|error| error.to_string()).and_then(|()| {
        setsockopt(stream, sockopt::KeepAlive, &true)
            .and_then(|()| setsockopt(stream, sockopt::TcpKeepIdle, &60))
            .and_then(|()| setsockopt(stream, sockopt::TcpKeepInterval, &10))
            .and_then(|()| setsockopt(stream, sockopt::TcpKeepCount, &3))
            // What is sent and not acknowledged for so long has no one to read it.
            .and_then(|()| setsockopt(stream, sockopt::TcpUserTimeout, &30_000))
            .map_err(|error| error.to_string())
    });
    if let Err(error) = told {
        tracing::debug!(error, "a connection could not be tuned");
    }
}

fn of_failure(error: &io::Error) -> Disconnect {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Disconnect::Refused,
        _ => Disconnect::Unreachable,
    }
}

fn name(id: ConnectionId) -> String {
    format!("{PREFIX}{}", id.0)
}
