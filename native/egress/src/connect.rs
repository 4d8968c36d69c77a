//! Connections: addresses, sockets, TLS.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// The next address is tried when the one before was silent for so long (RFC 8305).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A name or an address without brackets, and a port.
    Tcp(String, u16),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// TLS, and the name that the server must have.
#[derive(Debug, Clone)]
pub struct Secure {
    /// Versions, authorities, certificate.
    pub config: Arc<ClientConfig>,
    /// Name in the server's certificate.
    pub name: ServerName<'static>,
}

pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A connection of any kind.
pub(crate) type Stream = Box<dyn Wire>;

/// An address that a target has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Return the addresses of a target, in the order of preference.
pub(crate) async fn resolve(target: &Target) -> Result<Vec<Address>, String> {
    match target {
        Target::Unix(path) => Ok(vec![Address::Unix(path.clone())]),
        Target::Tcp(host, port) => {
            let found = tokio::net::lookup_host((host.as_str(), *port)).await;
            let mut addresses = Vec::new();
            for one in found.map_err(|error| format!("DNS resolution failed for {host}: {error}"))? {
                let address = Address::Tcp(one);
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            if addresses.is_empty() {
                Err(format!("DNS resolution failed for {host}: no addresses"))
            } else {
                Ok(addresses)
            }
        }
    }
}

/// Connect to the first address that answers. The error names the target and the cause.
pub(crate) async fn connect(target: &Target, addresses: &[Address], secure: Option<&Secure>) -> Result<Stream, String> {
    let plain = first(addresses).await.map_err(|error| format!("cannot connect to {target}: {}", cause(&error)))?;
    let Some(secure) = secure else { return Ok(plain) };
    let connector = TlsConnector::from(secure.config.clone());
    let stream = connector.connect(secure.name.clone(), plain).await;
    Ok(Box::new(stream.map_err(|error| tls_cause(target, &error))?))
}

async fn first(addresses: &[Address]) -> io::Result<Stream> {
    let [one] = addresses else {
        let mut attempts = JoinSet::new();
        let mut waiting = addresses.iter().cloned();
        let mut last = io::Error::other("no address");
        loop {
            match waiting.next() {
                Some(address) => _ = attempts.spawn(async move { open(&address).await }),
                None if attempts.is_empty() => return Err(last),
                None => {}
            }
            let more = waiting.len() > 0;
            tokio::select! {
                done = attempts.join_next(), if !attempts.is_empty() => match done {
                    Some(Ok(Ok(stream))) => return Ok(stream),
                    Some(Ok(Err(error))) => last = error,
                    _ => {}
                },
                () = tokio::time::sleep(NEXT_ADDRESS), if more => {}
            }
        }
    };
    open(one).await
}

async fn open(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
    }
}

/// Say what an error of the system means, without its number.
fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn tls_cause(target: &Target, error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidMessage(_)) => {
            "the destination does not speak TLS on this port; set tls.insecure: true if that is meant".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(why)) => {
            format!("cannot connect to {target}: certificate verify failed: {why}")
        }
        Some(other) => format!("cannot connect to {target}: TLS: {other}"),
        None => format!("cannot connect to {target}: TLS: {}", cause(error)),
    }
}
