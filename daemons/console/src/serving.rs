//! Connections: TLS, and the bounds on what strangers can take of this process.
//!
//! ```text
//!   accept ──> a place (of all, of this address) ──> TLS handshake ──> HTTP/1.1 requests ──> the place is free
//! ```

use crate::{certificate::Certificate, error::Error, guard};
use axum::{
    Extension, Router,
    extract::{ConnectInfo, DefaultBodyLimit},
    middleware,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::{ServerConfig, crypto::ring};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;

/// Connections at a time.
const MOST: u32 = 512;
/// Connections at a time from one address: enough for a floor of agents behind one proxy.
const MOST_OF_ONE: u32 = 128;
/// For the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For the head of a request, the silence before it included.
const HEAD: Duration = Duration::from_secs(30);
/// For one connection: whoever does not read what was asked for keeps no place for ever. Browsers open the next
/// one by themselves.
const LIFE: Duration = Duration::from_secs(600);
/// For the last request of a connection.
const LAST: Duration = Duration::from_secs(40);
/// For the requests in hand when the daemon stops.
const FAREWELL: Duration = Duration::from_secs(3);
/// The most of a connection that is buffered, in bytes: it bounds the head of a request.
const BUFFER: usize = 32 * 1024;

/// HTTPS for one router.
pub struct Server {
    tls: TlsAcceptor,
    router: Router,
    places: Arc<Places>,
}

impl Server {
    /// A server of these routes under this certificate.
    ///
    /// # Errors
    /// [`Error::Tls`]: key and certificate do not belong together, or are of no kind that TLS takes.
    pub fn new(certificate: &Certificate, routes: Router) -> Result<Self, Error> {
        let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(Error::Tls)?
            .with_no_client_auth()
            .with_single_cert(certificate.chain(), certificate.key())
            .map_err(Error::Tls)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let router =
            routes.layer(DefaultBodyLimit::max(guard::LONGEST_BODY)).layer(middleware::from_fn(guard::every));
        Ok(Self { tls: Arc::new(tls).into(), router, places: Arc::default() })
    }

    /// Serves until `stop` resolves, then finishes what is in hand.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let all = Arc::new(Semaphore::new(MOST as usize));
        let stopping = watch::Sender::new(());
        tokio::pin!(stop);
        loop {
            // Beyond the bound strangers wait in the kernel's queue.
            let place = tokio::select! {
                () = &mut stop => break,
                Ok(place) = Arc::clone(&all).acquire_owned() => place,
            };
            let (stream, peer) = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of descriptors, or the peer has gone: neither is better for being asked at once.
                        tracing::debug!(%error, "a connection was not accepted");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                },
            };
            let Some(own) = self.places.of(peer.ip().to_canonical()) else { continue };
            let connection =
                connection(self.tls.clone(), self.router.clone(), stream, peer, stopping.subscribe());
            tokio::spawn(async move {
                connection.await;
                drop((own, place));
            });
        }
        drop(listener);
        // Whoever still waits to be read hears it from its own watch; without an answer in time it is cut off.
        drop(stopping);
        let _in_time_or_not = tokio::time::timeout(FAREWELL, all.acquire_many(MOST)).await;
    }
}

async fn connection(
    tls: TlsAcceptor,
    router: Router,
    stream: TcpStream,
    peer: SocketAddr,
    mut stopping: watch::Receiver<()>,
) {
    let stream = match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "no TLS came about"),
        Err(_elapsed) => return tracing::debug!("no TLS came about in time"),
    };
    let routes = TowerToHyperService::new(router.layer(Extension(ConnectInfo(peer))));
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), routes)
        // A live socket leaves the connection here; it has its own bounds.
        .with_upgrades();
    tokio::pin!(http);
    let outcome = tokio::select! {
        outcome = &mut http => Some(outcome),
        _stopped = stopping.changed() => None,
        () = tokio::time::sleep(LIFE) => None,
    };
    let outcome = match outcome {
        Some(outcome) => Ok(outcome),
        None => {
            http.as_mut().graceful_shutdown();
            tokio::time::timeout(LAST, http).await
        }
    };
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(_elapsed) => tracing::debug!("a connection was cut off: it did not take its last response"),
    }
}

/// How many connections each address has.
#[derive(Default)]
struct Places(Mutex<HashMap<IpAddr, u32>>);

/// One connection's place, free again when dropped.
struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    /// A place for one more connection from this address; `None` where it has its share.
    fn of(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Place { places: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_never_takes_every_place() {
        let places = Arc::new(Places::default());
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let held: Vec<_> = (0..MOST_OF_ONE).map_while(|_| places.of(one)).collect();
        assert_eq!(held.len(), MOST_OF_ONE as usize);
        assert!(places.of(one).is_none());
        assert!(places.of(other).is_some());
        drop(held);
        assert!(places.of(one).is_some());
        assert!(places.0.lock().unwrap().is_empty(), "an address without connections is forgotten");
    }
}
