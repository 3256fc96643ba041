//! HTTPS on a real socket, under the certificate of a first start.

use crate::{certificate::Certificate, pages, serving::Server};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsConnector;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn the_page_comes_over_tls_and_by_no_other_way() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let certificate = Certificate::of(directory.path(), address).unwrap();
    let mut trusted = RootCertStore::empty();
    trusted.add(certificate.chain().remove(0)).unwrap();
    let server = Server::new(&certificate, pages::router()).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(server.run(listener, async { drop(stopped.await) }));

    for name in ["127.0.0.1", "localhost"] {
        let answer = ask(address, name, trusted.clone()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("/main.js"), "{answer}");
        assert!(answer.contains("strict-transport-security: "));
    }

    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(REQUEST).await.unwrap();
    let mut answer = Vec::new();
    let _alert_then_closed = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "no word in the clear");

    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), served).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody else holds the socket here");
}

async fn ask(address: SocketAddr, name: &'static str, trusted: RootCertStore) -> String {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream =
        TlsConnector::from(Arc::new(tls)).connect(ServerName::try_from(name).unwrap(), stream).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
