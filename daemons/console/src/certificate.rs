//! The key and the certificate of HTTPS: one file, made at the first start, replaced by whoever has a better
//! one.
//!
//! `https.pem` in the state directory holds the private key, then the certificate and its chain. One file,
//! because half a pair is no state that a power cut may leave.

use crate::{error::Error, randomness::hexadecimal};
use nix::{ifaddrs::getifaddrs, unistd::gethostname};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use ring::digest::{SHA256, digest};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use schemars::JsonSchema;
use serde::Serialize;
use std::{
    fs,
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    time::Duration,
};
use types::Utc;
use x509_cert::{certificate::Certificate as X509, der::Decode, time::Time};

/// The file's name in the state directory.
pub const FILE: &str = "https.pem";
/// The longest life that every browser takes.
const LIFE: Duration = Duration::from_secs(825 * 24 * 60 * 60);

/// What people may know of the server's own certificate (RFC 5280).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Facts {
    /// SHA-256 of it, 64 hexadecimal digits: to be compared with the browser's view.
    pub sha256: String,
    /// Whose it is.
    pub subject: String,
    /// Who issued it: the same where it is self-signed.
    pub issuer: String,
    /// From when it holds.
    pub from: Option<Utc>,
    /// Until when it holds.
    pub until: Option<Utc>,
}

/// A private key with its certificates, the server's own first. It has no `Debug`.
pub struct Certificate {
    key: PrivateKeyDer<'static>,
    chain: Vec<CertificateDer<'static>>,
}

impl Certificate {
    /// The one in `directory`; where there is none, a new self-signed one for `listen`.
    ///
    /// # Errors
    /// The file is broken, readable by others, or cannot be written.
    pub fn of(directory: &Path, listen: SocketAddr) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let failed = |error| Error::File(path.clone(), error);
        match fs::metadata(&path) {
            Ok(found) if found.permissions().mode() & 0o077 != 0 => return Err(Error::Exposed(path)),
            Ok(_private) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write(directory, &path, &self_signed(listen)?).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        let pem = fs::read(&path).map_err(failed)?;
        let broken = |reason: &dyn std::fmt::Display| Error::Broken(path.clone(), reason.to_string());
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| broken(&error))?;
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| broken(&error))?;
        if chain.is_empty() {
            return Err(broken(&"there is no certificate in it"));
        }
        Ok(Self { key, chain })
    }

    /// What people may know of it.
    pub fn facts(&self) -> Facts {
        let own = self.chain.first().and_then(|own| X509::from_der(own).ok());
        let body = own.as_ref().map(X509::tbs_certificate);
        let moment = |time: Time| {
            let since = i64::try_from(time.to_unix_duration().as_nanos());
            Utc(since.unwrap_or(i64::MAX))
        };
        Facts {
            sha256: self.fingerprint(),
            subject: body.map(|body| body.subject().to_string()).unwrap_or_default(),
            issuer: body.map(|body| body.issuer().to_string()).unwrap_or_default(),
            from: body.map(|body| moment(body.validity().not_before)),
            until: body.map(|body| moment(body.validity().not_after)),
        }
    }

    /// SHA-256 of the server's own certificate, 64 hexadecimal digits: what an administrator compares with
    /// the browser's view before trusting it.
    pub fn fingerprint(&self) -> String {
        self.chain.first().map(|own| hexadecimal(digest(&SHA256, own).as_ref())).unwrap_or_default()
    }

    /// The key, for TLS and nothing else.
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }

    /// The certificates, the server's own first.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }
}

/// A new ECDSA P-256 key and its certificate (RFC 5280), in PEM.
fn self_signed(listen: SocketAddr) -> Result<String, Error> {
    let host = gethostname().ok().and_then(|name| name.into_string().ok()).filter(|name| is_dns(name));
    let mut names = vec!["localhost".to_owned()];
    names.extend(host.clone().filter(|host| host != "localhost"));
    names.extend(addresses(listen.ip()).iter().map(ToString::to_string));

    let mut certificate = CertificateParams::new(names).map_err(Error::Make)?;
    let name = host.unwrap_or_else(|| "yanmen".to_owned());
    certificate.distinguished_name.push(DnType::CommonName, name);
    certificate.is_ca = IsCa::ExplicitNoCa;
    certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = u64::try_from(service::clock::utc().seconds()).unwrap_or(0);
    certificate.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(now);
    certificate.not_after = certificate.not_before + LIFE;

    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::Make)?;
    let certificate = certificate.self_signed(&key).map_err(Error::Make)?;
    Ok(key.serialize_pem() + &certificate.pem())
}

/// The addresses under which the console is found: of a wildcard, every address of the machine.
fn addresses(listen: IpAddr) -> Vec<IpAddr> {
    if !listen.is_unspecified() {
        return vec![listen];
    }
    let mut found: Vec<IpAddr> = getifaddrs()
        .into_iter()
        .flatten()
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .filter(|address| !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn is_dns(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
}

/// Writes the file whole or not at all, readable by this daemon alone.
fn write(directory: &Path, path: &Path, pem: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen() -> SocketAddr {
        "127.0.0.1:8443".parse().unwrap()
    }

    #[test]
    fn it_is_made_once_and_only_the_console_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let first = Certificate::of(directory.path(), listen()).unwrap();
        let again = Certificate::of(directory.path(), listen()).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(first.fingerprint().len(), 64);
        let facts = first.facts();
        assert_eq!((&facts.sha256, &facts.subject), (&first.fingerprint(), &facts.issuer));
        assert!(facts.subject.starts_with("CN="), "{facts:?}");
        assert_eq!(facts.until.unwrap().since(facts.from.unwrap()), LIFE);
        let file = directory.path().join(FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Certificate::of(directory.path(), listen()), Err(Error::Exposed(_))));
    }

    #[test]
    fn a_broken_file_is_named_with_the_way_out() {
        let directory = tempfile::tempdir().unwrap();
        let pem = self_signed(listen()).unwrap();
        let key = &pem[..pem.find("-----BEGIN CERTIFICATE").unwrap()];
        for wrong in ["", "garbage", key, &pem[key.len()..]] {
            write(directory.path(), &directory.path().join(FILE), wrong).unwrap();
            let told = Certificate::of(directory.path(), listen()).err().unwrap().to_string();
            assert!(told.contains(FILE) && told.contains("delete it"), "{told}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_every_address() {
        let found = addresses("0.0.0.0".parse().unwrap());
        assert!(found.iter().all(|address| !address.is_unspecified()), "{found:?}");
        assert_eq!(addresses("192.0.2.7".parse().unwrap()), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    }
}
