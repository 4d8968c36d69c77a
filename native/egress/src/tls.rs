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
/// rules do not take from a server. They look at the time before they look at the mark, so a certificate that is refused
/// for its mark is valid now; a test holds them to it.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Made with `openssl req -x509 -addext subjectAltName=DNS:localhost -days 30`.
    const OWN_AUTHORITY: &str = "-----BEGIN CERTIFICATE-----
MIIBkzCCATmgAwIBAgIUXvhyQBAbyzMGQJz1mSvA3FPpNXEwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MB4XDTI2MTEyMTA2NDE0NloXDTI2MTIyMTA2
NDE0NlowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEojM51nvXNz2vI8EmlDbzo6lMEhwncijU7E196nT3TioIyH4xtfpfW7DB
WbY2mpWrImVSyu5Wp7AJYX52BBRt7aNpMGcwHQYDVR0OBBYEFAlU9UDVRMOtxyK8
iCURtI1uE0srMB8GA1UdIwQYMBaAFAlU9UDVRMOtxyK8iCURtI1uE0srMA8GA1Ud
EwEB/wQFMAMBAf8wFAYDVR0RBA0wC4IJbG9jYWxob3N0MAoGCCqGSM49BAMCA0gA
MEUCIQC0Krd9ODlnuv6BGyeDQvTr7w81KyPU73kC0w2AjGGcrQIgat1/xOZgSB/V
/599c6aMmc1xQfxMRGBT+JEUJ+5ZmEM=
-----END CERTIFICATE-----
";
    const NOT_BEFORE: u64 = 1_795_243_306;
    const NOT_AFTER: u64 = 1_797_835_306;

    fn verified(options: &TlsOptions, name: &'static str, at: u64) -> Result<ServerCertVerified, Error> {
        let verifier = verifier(options, Arc::new(ring::default_provider())).unwrap();
        let leaf = CertificateDer::from_pem_slice(OWN_AUTHORITY.as_bytes()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(at));
        verifier.verify_server_cert(&leaf, &[], &ServerName::try_from(name).unwrap(), &[], now)
    }

    fn pinned() -> TlsOptions {
        TlsOptions { authorities: OWN_AUTHORITY.into(), ..TlsOptions::default() }
    }

    #[test]
    fn a_certificate_that_is_its_own_authority_is_taken_while_it_is_valid() {
        for at in [NOT_BEFORE, NOT_AFTER] {
            assert!(verified(&pinned(), "localhost", at).is_ok());
        }
        let expired = verified(&pinned(), "localhost", NOT_AFTER + 1);
        assert!(matches!(expired, Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))));
        let early = verified(&pinned(), "localhost", NOT_BEFORE - 1);
        assert!(matches!(early, Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { .. }))));
    }

    #[test]
    fn it_is_taken_under_its_name_only() {
        let other = verified(&pinned(), "example.com", NOT_BEFORE);
        assert!(matches!(other, Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))));
    }

    #[test]
    fn it_is_taken_only_where_the_user_named_it() {
        let bundled = TlsOptions { bundled: true, ..TlsOptions::default() };
        assert!(verified(&bundled, "localhost", NOT_BEFORE).is_err());
        let of_the_system = TlsOptions { system: OWN_AUTHORITY.into(), ..TlsOptions::default() };
        assert!(verified(&of_the_system, "localhost", NOT_BEFORE).is_err());
    }

    #[test]
    fn whoever_wants_no_verification_gets_none() {
        let blind = TlsOptions { skip_verify: true, ..TlsOptions::default() };
        assert!(verified(&blind, "example.com", NOT_AFTER + 1).is_ok());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let broken = TlsOptions { authorities: b"no certificate".into(), tls13: true, ..TlsOptions::default() };
        assert_eq!(client_config(&broken).unwrap_err(), "certificate authorities: no certificate in it");
        let keyless = TlsOptions { certificate: OWN_AUTHORITY.into(), tls13: true, ..pinned() };
        assert!(client_config(&keyless).unwrap_err().starts_with("private key: "));
    }
}
