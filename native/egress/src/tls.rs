//! What TLS clients are configured with, made from PEM text.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme, SupportedProtocolVersion,
};

/// The files and limits of a TLS client; PEM text where nothing else is said.
#[derive(Debug, Default)]
pub struct TlsOptions {
    /// Authorities that were asked for: each must be usable.
    pub authorities: Vec<u8>,
    /// Authorities of the system: what cannot be used is passed over.
    pub system: Vec<u8>,
    /// Take the authorities that Mozilla trusts where the other two hold none.
    pub bundled: bool,
    /// The own chain, leaf first; empty without one.
    pub certificate: Vec<u8>,
    /// The key of the own certificate.
    pub key: Vec<u8>,
    /// Whether TLS 1.2 may be spoken.
    pub tls12: bool,
    /// Whether TLS 1.3 may be spoken.
    pub tls13: bool,
    /// IANA names of suites of TLS 1.2; empty for all that are safe.
    pub suites: Vec<String>,
    /// Do not ask who answers.
    pub skip_verify: bool,
    /// `h2` or `http/1.1`.
    pub protocol: Vec<u8>,
}

/// Make a configuration.
///
/// # Errors
/// A phrase that says what cannot be used: the authorities, the certificate or the key.
pub fn client_config(options: &TlsOptions) -> Result<Arc<ClientConfig>, String> {
    let mut provider = ring::default_provider();
    if !options.suites.is_empty() {
        provider.cipher_suites.retain(|suite| {
            let name = format!("{:?}", suite.suite());
            suite.tls13().is_some() || options.suites.contains(&name)
        });
    }
    let provider = Arc::new(provider);
    let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
    if options.tls13 {
        versions.push(&rustls::version::TLS13);
    }
    if options.tls12 {
        versions.push(&rustls::version::TLS12);
    }
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier(options, provider)?);
    let mut config = if options.certificate.is_empty() {
        builder.with_no_client_auth()
    } else {
        let chain = certificates(&options.certificate, "certificate")?;
        let key = PrivateKeyDer::from_pem_slice(&options.key).map_err(|error| format!("private key: {error}"))?;
        builder.with_client_auth_cert(chain, key).map_err(|error| format!("certificate and key: {error}"))?
    };
    config.alpn_protocols = vec![options.protocol.clone()];
    Ok(Arc::new(config))
}

fn verifier(options: &TlsOptions, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    if options.skip_verify {
        return Ok(Arc::new(Anyone(provider)));
    }
    let mut roots = RootCertStore::empty();
    let mut pinned = Vec::new();
    if !options.authorities.is_empty() {
        for one in certificates(&options.authorities, "certificate authorities")? {
            pinned.push(one.clone());
            roots.add(one).map_err(|error| format!("certificate authorities: {error}"))?;
        }
    }
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&options.system).flatten());
    if roots.is_empty() && options.bundled {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| format!("certificate authorities: {error}"))?;
    Ok(Arc::new(Verifier { inner, pinned }))
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(format!("{what}: no certificate in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

/// The usual rules, and one more: a certificate that the user named as its own authority is taken, as OpenSSL does.
///
/// What `openssl req -x509` makes is such a certificate: its own issuer, with the mark of an authority, which the usual
/// rules do not take from a server.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.inner.verify_server_cert(leaf, chain, name, ocsp, now) {
            Err(Error::InvalidCertificate(CertificateError::Other(OtherError(why))))
                if why.to_string().contains("CaUsedAsEndEntity") && self.pinned.iter().any(|one| one == leaf) =>
            {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(leaf)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.inner.root_hint_subjects()
    }
}

/// `insecure_skip_verify`: whoever holds the key of the certificate that they show.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
