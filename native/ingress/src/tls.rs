//! TLS of servers: certificates that are read again when their files change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedCipherSuite, version};

use crate::server::locked;

/// A file, or text in its place.
#[derive(Clone, Debug)]
pub enum Source {
    /// To be read, and read again.
    File(PathBuf),
    /// As it is.
    Text(Vec<u8>),
}

impl Source {
    fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => fs::read(path).map_err(|error| format!("{}: {error}", path.display())),
            Self::Text(text) => Ok(text.clone()),
        }
    }

    fn fingerprint(&self) -> Option<(u64, i64, i64, u64)> {
        let Self::File(path) = self else { return None };
        let status = fs::metadata(path).ok()?;
        Some((status.ino(), status.mtime(), status.mtime_nsec(), status.size()))
    }
}

/// What a server shows and asks for.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The certificate with its chain.
    pub certificate: Source,
    /// Its key.
    pub key: Source,
    /// Authorities of clients; those without a certificate are refused then.
    pub client_authorities: Option<Source>,
    /// Whether TLS 1.2 and TLS 1.3 are spoken.
    pub versions: (bool, bool),
    /// IANA names of the suites of TLS 1.2; empty = all that are safe.
    pub suites: Vec<String>,
    /// The protocol that is agreed on (ALPN).
    pub protocol: String,
    /// How often changed files are looked for; `None` = never.
    pub reload: Option<Duration>,
}

type Fingerprints = Vec<Option<(u64, i64, i64, u64)>>;

#[derive(Debug)]
struct State {
    config: Arc<ServerConfig>,
    seen: Fingerprints,
    next: Option<Instant>,
}

/// The present configuration of a server.
#[derive(Debug)]
pub struct Tls {
    settings: TlsSettings,
    state: Mutex<State>,
}

impl Tls {
    /// Read the files.
    ///
    /// # Errors
    /// With what cannot be used, in words.
    pub fn new(settings: TlsSettings) -> Result<Self, String> {
        let config = build(&settings)?;
        let seen = look(&settings);
        let next = settings.reload.map(|pace| Instant::now() + pace);
        Ok(Self { settings, state: Mutex::new(State { config, seen, next }) })
    }

    /// Return the configuration for the next handshake, and what is to be logged: whether it is a warning, and words.
    pub(crate) fn current(&self) -> (Arc<ServerConfig>, Option<(bool, String)>) {
        let mut state = locked(&self.state);
        let now = Instant::now();
        let Some(pace) = self.settings.reload.filter(|_| state.next.is_some_and(|next| now >= next)) else {
            return (state.config.clone(), None);
        };
        state.next = Some(now + pace);
        let seen = look(&self.settings);
        if seen == state.seen {
            return (state.config.clone(), None);
        }
        state.seen = seen;
        let said = match build(&self.settings) {
            Ok(config) => {
                state.config = config;
                (false, "certificate reloaded".to_string())
            }
            Err(reason) => (true, format!("changed certificate not taken, the old one stays: {reason}")),
        };
        (state.config.clone(), Some(said))
    }
}

fn look(settings: &TlsSettings) -> Fingerprints {
    let sources = [Some(&settings.certificate), Some(&settings.key), settings.client_authorities.as_ref()];
    sources.into_iter().flatten().map(Source::fingerprint).collect()
}

fn certificates(source: &Source) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&source.read()?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err("no certificate in it".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn build(settings: &TlsSettings) -> Result<Arc<ServerConfig>, String> {
    let mut provider = ring::default_provider();
    if !settings.suites.is_empty() {
        let wanted = |suite: &SupportedCipherSuite| {
            suite.tls13().is_some()
                || suite.suite().as_str().is_some_and(|name| settings.suites.iter().any(|one| one == name))
        };
        provider.cipher_suites.retain(wanted);
    }
    let provider = Arc::new(provider);
    let versions: Vec<_> = [(settings.versions.0, &version::TLS12), (settings.versions.1, &version::TLS13)]
        .into_iter()
        .filter_map(|(spoken, version)| spoken.then_some(version))
        .collect();
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| error.to_string())?;
    let builder = match &settings.client_authorities {
        None => builder.with_no_client_auth(),
        Some(source) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(source)? {
                roots.add(authority).map_err(|error| error.to_string())?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|error| error.to_string())?)
        }
    };
    let key = PrivateKeyDer::from_pem_slice(&settings.key.read()?).map_err(|error| error.to_string())?;
    let mut config =
        builder.with_single_cert(certificates(&settings.certificate)?, key).map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![settings.protocol.as_bytes().to_vec()];
    if settings.client_authorities.is_some() {
        // A resumed session would go past authorities that changed.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}
