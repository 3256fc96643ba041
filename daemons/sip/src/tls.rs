//! TLS: who we are to our peers, and by what we know a carrier.
//!
//! Owns this daemon's private key, which leaves it for the handshake alone. One file for each network,
//! `tls.pem` for the first and `tls-NAME.pem` for the others: the key, then its certificates. Where there is none a
//! self-signed one is made. A file that changes is taken up within a minute, for connections from then on.

use crate::error::Error;
use rcgen::{
    CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use settings::sip::{MAIN, Network, Sip, Trunk};
use std::{
    collections::HashMap,
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use types::TrunkId;

/// How long a self-signed certificate holds.
const LIFE: Duration = Duration::from_secs(3 * 365 * 86_400);
/// Largest file of certificates.
const MAX_FILE: u64 = 1 << 20;

/// What TLS stands on at the moment.
#[derive(Default)]
pub struct Tls {
    /// By the network's name.
    servers: HashMap<String, Server>,
    clients: HashMap<TrunkId, (TlsConnector, ServerName<'static>)>,
}

struct Server {
    acceptor: TlsAcceptor,
    path: PathBuf,
    changed: Option<SystemTime>,
}

impl Tls {
    /// Reads what the settings name; makes the certificates that are missing.
    ///
    /// # Errors
    /// A certificate of ours cannot be read. A trunk whose authorities cannot be read is left out, and told in
    /// the log: the others go on.
    pub fn of(section: &Sip) -> Result<Self, Error> {
        let mut tls = Self::default();
        for network in section.all_networks().filter(|network| !network.tls.is_empty()) {
            tls.servers.insert(network.name.to_string(), Server::of(&network)?);
        }
        tls.know(section);
        Ok(tls)
    }

    /// Takes other settings. What cannot be read stays as it was.
    pub fn obey(&mut self, section: &Sip) {
        for network in section.all_networks().filter(|network| !network.tls.is_empty()) {
            match Server::of(&network) {
                Ok(server) => _ = self.servers.insert(network.name.to_string(), server),
                Err(error) => tracing::error!(%error, "the certificate stays as it was"),
            }
        }
        self.know(section);
    }

    /// Reads the files that changed.
    pub fn refresh(&mut self, section: &Sip) {
        let stale = |server: &Server| changed(&server.path) != server.changed;
        if self.servers.values().any(stale) {
            tracing::info!("a certificate has changed");
            self.obey(section);
        }
    }

    /// For connections that peers open on a network.
    pub fn acceptor(&self, network: &str) -> Option<TlsAcceptor> {
        self.servers.get(network).map(|server| server.acceptor.clone())
    }

    /// For connections that we open to a trunk.
    pub fn connector(&self, trunk: &TrunkId) -> Option<(TlsConnector, ServerName<'static>)> {
        self.clients.get(trunk).cloned()
    }

    fn know(&mut self, section: &Sip) {
        self.clients.clear();
        let networks: Vec<_> = section.all_networks().collect();
        for trunk in &section.trunks {
            let Some(verification) = &trunk.tls else { continue };
            let named = trunk.network.as_ref().map_or(MAIN, types::Name::as_str);
            let network = networks.iter().find(|network| network.name.as_str() == named);
            match client(trunk, verification, network) {
                Ok(client) => _ = self.clients.insert(trunk.name.clone(), client),
                Err(error) => tracing::error!(trunk = %trunk.name, %error, "the trunk cannot be known"),
            }
        }
    }
}

impl Server {
    fn of(network: &Network) -> Result<Self, Error> {
        let path = path(network);
        if network.certificate.is_none() && !path.exists() {
            let pem = self_signed(network).map_err(|error| Error::Certificate(path.clone(), error))?;
            write(&path, &pem).map_err(|error| Error::Certificate(path.clone(), error.to_string()))?;
            tracing::info!(path = %path.display(), "made a self-signed certificate");
        }
        let (key, chain) = pair(&path)?;
        let broken = |error: rustls::Error| Error::Certificate(path.clone(), error.to_string());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(broken)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(broken)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, changed: changed(&path), path })
    }
}

/// Where a network's key and certificate lie.
fn path(network: &Network) -> PathBuf {
    match (&network.certificate, network.name.as_str()) {
        (Some(path), _) => path.clone(),
        (None, MAIN) => PathBuf::from("tls.pem"),
        (None, name) => PathBuf::from(format!("tls-{name}.pem")),
    }
}

fn pair(path: &Path) -> Result<(PrivateKeyDer<'static>, Vec<CertificateDer<'static>>), Error> {
    let broken = |error: &dyn std::fmt::Display| Error::Certificate(path.to_owned(), error.to_string());
    let pem = read(path).map_err(|error| broken(&error))?;
    let mode = fs::metadata(path).map_err(|error| broken(&error))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(broken(&"others may read the private key: chmod 600"));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| broken(&error))?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|e| broken(&e))?;
    if chain.is_empty() {
        return Err(broken(&"there is no certificate in it"));
    }
    Ok((key, chain))
}

fn client(
    trunk: &Trunk,
    verification: &settings::sip::Verification,
    network: Option<&Network>,
) -> Result<(TlsConnector, ServerName<'static>), Error> {
    let place = verification.authorities.clone().unwrap_or_default();
    let broken = |error: &dyn std::fmt::Display| Error::Certificate(place.clone(), error.to_string());
    let provider = Arc::new(ring::default_provider());
    let pin = verification.pin.as_deref().and_then(digest_of);
    let verifier: Arc<dyn ServerCertVerifier> = match (pin, &verification.authorities) {
        (Some(pin), _) => Arc::new(Pinned { pin, provider: provider.clone() }),
        (None, Some(path)) => {
            let mut roots = RootCertStore::empty();
            for root in CertificateDer::pem_slice_iter(&read(path).map_err(|error| broken(&error))?) {
                roots.add(root.map_err(|error| broken(&error))?).map_err(|error| broken(&error))?;
            }
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            builder.build().map_err(|error| broken(&error))?
        }
        (None, None) => return Err(broken(&"neither authorities nor a pin")),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    // A carrier that asks who we are (mutual TLS) is shown the certificate of the network.
    let own = network.filter(|network| !network.tls.is_empty() || network.certificate.is_some());
    let config = match own.map(|network| pair(&path(network))).transpose()? {
        Some((key, chain)) => config.with_client_auth_cert(chain, key).map_err(|error| broken(&error))?,
        None => config.with_no_client_auth(),
    };
    let name = match &verification.server_name {
        Some(name) => ServerName::try_from(name.clone()).map_err(|error| broken(&error))?,
        None => ServerName::from(trunk.address.ip()),
    };
    Ok((TlsConnector::from(Arc::new(config)), name))
}

/// The one certificate that is taken, whoever signed it.
#[derive(Debug)]
struct Pinned {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let same = ::ring::digest::digest(&::ring::digest::SHA256, end_entity).as_ref() == self.pin;
        if same || mutant::mutant("sip-pin-unchecked") {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn digest_of(pin: &str) -> Option<[u8; 32]> {
    let bytes: Option<Vec<u8>> =
        (0..32).map(|at| u8::from_str_radix(pin.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    bytes?.try_into().ok()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MAX_FILE {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    fs::read(path)
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// A new ECDSA P-256 key and its certificate (RFC 5280), in PEM.
fn self_signed(network: &Network) -> Result<String, String> {
    let addresses = network.tls.iter().map(std::net::SocketAddr::ip).chain(network.advertised);
    let names: Vec<_> = addresses.filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string()).collect();
    let mut certificate = CertificateParams::new(names).map_err(|error| error.to_string())?;
    certificate.distinguished_name.push(DnType::CommonName, "yanmen sip");
    certificate.is_ca = IsCa::ExplicitNoCa;
    certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let now = u64::try_from(service::clock::utc().seconds()).unwrap_or(0);
    certificate.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(now);
    certificate.not_after = certificate.not_before + LIFE;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| error.to_string())?;
    let certificate = certificate.self_signed(&key).map_err(|error| error.to_string())?;
    Ok(key.serialize_pem() + &certificate.pem())
}

/// Writes the file whole or not at all, readable by this daemon alone.
fn write(path: &Path, pem: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}
