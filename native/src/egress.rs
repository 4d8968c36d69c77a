//! `Egress`: clients for gRPC and HTTP, and where the ends of their requests arrive.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use native_runtime::Mailbox;
use otlp_egress::{
    Channel, ChannelOptions, Compression, Encoding, Keepalive, Outcome, Pool, PoolOptions, Reply, Secure, Target,
    TlsOptions, client_config,
};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList, PyTuple};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// Bodies up to this size are copied, which costs less than keeping the object.
const COPIED_BYTES: usize = 4 * 1024;

type Headers = Vec<(String, Vec<u8>)>;

/// The clients of one event loop: where their requests end.
#[pyclass(frozen, module = "untrace_pipeline_native")]
struct Egress {
    mailbox: Arc<Mailbox<Reply>>,
    next: Arc<AtomicU64>,
}

#[pymethods]
impl Egress {
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Self { mailbox: Arc::new(Mailbox::new()?), next: Arc::default() })
    }

    /// The file descriptor that is readable while requests have ended that nobody took.
    fn fileno(&self) -> i32 {
        self.mailbox.fd()
    }

    /// Return the requests that ended, as tuples that begin with their token.
    ///
    /// gRPC: `(token, code, message, details, body)`. HTTP: `(token, status, content_type, retry_after, location,
    /// body)`, or `(token, why)` without an answer.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let replies = self.mailbox.take();
        let ends: Vec<Bound<'py, PyTuple>> =
            replies.into_iter().map(|reply| end(py, reply)).collect::<PyResult<_>>()?;
        PyList::new(py, ends)
    }

    /// Open a gRPC channel. Raises `ValueError` that says what cannot be used.
    #[pyo3(signature = (*, target, authority, tls, server_name, headers, compression, keepalive, round_robin,
        wait_for_ready, backoff, answer_limit))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn channel(
        &self,
        target: (String, u16),
        authority: &str,
        tls: Option<PyRef<'_, TlsClient>>,
        server_name: &str,
        headers: Headers,
        compression: Option<(String, i32)>,
        keepalive: Option<(f64, f64, bool)>,
        round_robin: bool,
        wait_for_ready: bool,
        backoff: (f64, f64),
        answer_limit: usize,
    ) -> PyResult<GrpcChannel> {
        let secure = match tls {
            None => None,
            Some(tls) => Some(Secure { config: tls.0.clone(), name: name(server_name)? }),
        };
        let keepalive = keepalive.map(|(time, timeout, permit_without_stream)| Keepalive {
            time: seconds(time),
            timeout: seconds(timeout),
            permit_without_stream,
        });
        let options = ChannelOptions {
            target: place(target),
            authority: Authority::try_from(authority).map_err(|_| PyValueError::new_err("authority: not a host"))?,
            secure,
            headers: header_map(headers)?,
            compression: compression_of(compression)?,
            keepalive,
            round_robin,
            wait_for_ready,
            backoff: (seconds(backoff.0), seconds(backoff.1)),
            answer_limit,
        };
        let channel = Channel::new(native_runtime::handle()?, self.mailbox.clone(), options);
        Ok(GrpcChannel { channel, next: self.next.clone() })
    }

    /// Make a pool of HTTP connections. Raises `ValueError` that says what cannot be used.
    #[pyo3(signature = (*, tls, server_name, headers, compression, connections_per_host, idle_timeout, keep_alive,
        answer_limit))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn pool(
        &self,
        tls: Option<PyRef<'_, TlsClient>>,
        server_name: Option<&str>,
        headers: Headers,
        compression: Option<(String, i32)>,
        connections_per_host: usize,
        idle_timeout: f64,
        keep_alive: bool,
        answer_limit: usize,
    ) -> PyResult<HttpPool> {
        let options = PoolOptions {
            tls: tls.map(|tls| tls.0.clone()),
            server_name: server_name.map(name).transpose()?,
            headers: header_map(headers)?,
            compression: compression_of(compression)?,
            connections_per_host,
            idle_timeout: seconds(idle_timeout),
            keep_alive,
            answer_limit,
        };
        let pool = Pool::new(native_runtime::handle()?, self.mailbox.clone(), options);
        Ok(HttpPool { pool, next: self.next.clone() })
    }
}

/// A gRPC channel.
#[pyclass(frozen, module = "untrace_pipeline_native")]
struct GrpcChannel {
    channel: Channel,
    next: Arc<AtomicU64>,
}

#[pymethods]
impl GrpcChannel {
    /// Begin a call, and return its token; `timeout` in seconds.
    fn call(
        &self,
        path: &str,
        data: &Bound<'_, PyBytes>,
        headers: Option<Headers>,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        let path = PathAndQuery::try_from(path).map_err(|_| PyValueError::new_err("not the path of a method"))?;
        let headers = headers.map_or_else(|| Ok(Vec::new()), header_list)?;
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        self.channel.call(token, path, headers, body(data), timeout.map(seconds));
        Ok(token)
    }

    /// Leave a call.
    fn cancel(&self, token: u64) {
        self.channel.cancel(token);
    }

    /// Return the number of calls under way.
    fn pending(&self) -> usize {
        self.channel.pending()
    }

    /// Leave all calls, and close the connections. Safe twice.
    fn close(&self) {
        self.channel.close();
    }
}

/// A pool of HTTP connections.
#[pyclass(frozen, module = "untrace_pipeline_native")]
struct HttpPool {
    pool: Pool,
    next: Arc<AtomicU64>,
}

#[pymethods]
impl HttpPool {
    /// Begin a POST request, and return its token. `headers` replace those of the pool.
    fn post(&self, url: &str, data: &Bound<'_, PyBytes>, headers: Headers) -> PyResult<u64> {
        let url = Uri::try_from(url).map_err(|error| PyValueError::new_err(format!("URL: {error}")))?;
        let headers = header_list(headers)?;
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        self.pool.post(token, url, headers, body(data));
        Ok(token)
    }

    /// Leave a request.
    fn cancel(&self, token: u64) {
        self.pool.cancel(token);
    }

    /// Return the number of requests under way.
    fn pending(&self) -> usize {
        self.pool.pending()
    }

    /// Leave all requests, and close the connections. Safe twice.
    fn close(&self) {
        self.pool.close();
    }
}

/// What a TLS client is configured with.
#[pyclass(frozen, module = "untrace_pipeline_native")]
struct TlsClient(Arc<ClientConfig>);

#[pymethods]
impl TlsClient {
    /// Make it from PEM text. Raises `ValueError` that says what cannot be used.
    #[new]
    #[pyo3(signature = (*, authorities, system, bundled, certificate, key, tls12, tls13, suites, skip_verify,
        protocol))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn new(
        authorities: Vec<u8>,
        system: Vec<u8>,
        bundled: bool,
        certificate: Vec<u8>,
        key: Vec<u8>,
        tls12: bool,
        tls13: bool,
        suites: Vec<String>,
        skip_verify: bool,
        protocol: &str,
    ) -> PyResult<Self> {
        let options = TlsOptions {
            authorities,
            system,
            bundled,
            certificate,
            key,
            tls12,
            tls13,
            suites,
            skip_verify,
            protocol: protocol.as_bytes().to_vec(),
        };
        client_config(&options).map(Self).map_err(PyValueError::new_err)
    }
}

fn end(py: Python<'_>, reply: Reply) -> PyResult<Bound<'_, PyTuple>> {
    let Reply { token, outcome } = reply;
    match outcome {
        Outcome::Grpc(answer) => {
            let (details, body) = (PyBytes::new(py, &answer.details), PyBytes::new(py, &answer.body));
            (token, answer.code, answer.message, details, body).into_pyobject(py)
        }
        Outcome::Http(answer) => {
            let body = PyBytes::new(py, &answer.body);
            (token, answer.status, answer.content_type, answer.retry_after, answer.location, body).into_pyobject(py)
        }
        Outcome::Failed(why) => (token, why).into_pyobject(py),
    }
}

/// Take a body without copying it, unless it is small. The object is let go of at the next call from Python.
fn body(data: &Bound<'_, PyBytes>) -> Bytes {
    if data.as_bytes().len() <= COPIED_BYTES {
        return Bytes::copy_from_slice(data.as_bytes());
    }
    Bytes::from_owner(PyBackedBytes::from(data.clone()))
}

/// A host and a port, or the path of a unix socket and 0.
fn place((host, port): (String, u16)) -> Target {
    if port == 0 { Target::Unix(PathBuf::from(host)) } else { Target::Tcp(host, port) }
}

fn name(host: &str) -> PyResult<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).map_err(|_| PyValueError::new_err(format!("{host} is no name for a server")))
}

fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number).unwrap_or(if number > 0.0 { Duration::MAX } else { Duration::ZERO })
}

fn compression_of(given: Option<(String, i32)>) -> PyResult<Option<Compression>> {
    let Some((name, level)) = given else { return Ok(None) };
    let encoding = match name.as_str() {
        "gzip" => Encoding::Gzip,
        "deflate" | "zlib" => Encoding::Zlib,
        "zstd" => Encoding::Zstd,
        _ => return Err(PyRuntimeError::new_err(format!("no compression {name}"))),
    };
    Ok(Some(Compression { encoding, level }))
}

fn header_map(headers: Headers) -> PyResult<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in header_list(headers)? {
        map.append(name, value);
    }
    Ok(map)
}

/// Values are secrets, and stay out of the error.
fn header_list(headers: Headers) -> PyResult<Vec<(HeaderName, HeaderValue)>> {
    let one = |(name, value): (String, Vec<u8>)| {
        let known = HeaderName::try_from(name.as_str());
        let value = HeaderValue::from_bytes(&value);
        known.ok().zip(value.ok()).ok_or_else(|| PyValueError::new_err(format!("header {name}: cannot be sent")))
    };
    headers.into_iter().map(one).collect()
}

/// Add the classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Egress>()?;
    module.add_class::<GrpcChannel>()?;
    module.add_class::<HttpPool>()?;
    module.add_class::<TlsClient>()
}
