//! `Ingress`: a server for OTLP, and what it hands over.

use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use otlp_ingress as native;
use otlp_ingress::{Caller, Coding, Content, Event, GrpcSettings, HttpSettings, Limit, Listener, Pairs, Request};
use otlp_wire::{Decoded, Index, Signal};
use pyo3::exceptions::{PyKeyError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::table::{Table, signal};

/// Requests are merged up to that many items and bytes: what is refused for good is tried again one by one.
const MERGED_ITEMS: usize = 1000;
const MERGED_BYTES: usize = 1 << 20;
/// Groups that are looked at for one that a request fits into.
const OPEN_GROUPS: usize = 16;

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    }
}

/// How a request fails, rendered once for any number of requests.
#[pyclass(frozen, module = "untrace_pipeline_native")]
struct Refusal(native::Refusal);

#[pymethods]
impl Refusal {
    /// Return a status of gRPC; `details` is a serialized `google.rpc.Status`.
    #[staticmethod]
    fn grpc(code: u32, message: &str, details: &[u8]) -> Self {
        Self(native::grpc_refusal(code, message, details))
    }

    /// Return the answers of HTTP to a protobuf and to a JSON request: status, status line with headers, body.
    #[staticmethod]
    fn http(protobuf: (u16, Vec<u8>, Vec<u8>), json: (u16, Vec<u8>, Vec<u8>)) -> Self {
        Self(native::Refusal::Http(Box::new([protobuf, json].map(response))))
    }
}

fn response((status, head, body): (u16, Vec<u8>, Vec<u8>)) -> native::Response {
    native::Response { status, head, body }
}

/// A caller that is answered once.
struct Waiting(Mutex<Option<Caller>>);

impl Waiting {
    fn new(caller: Caller) -> Self {
        Self(Mutex::new(Some(caller)))
    }

    fn take(&self) -> Option<Caller> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Would a request be refused anyway?
#[pyclass(frozen, module = "untrace_pipeline_native")]
struct Question {
    caller: Waiting,
    /// What it is of.
    #[pyo3(get)]
    signal: &'static str,
    /// Bytes; 0 = unknown.
    #[pyo3(get)]
    size: usize,
}

#[pymethods]
impl Question {
    /// No: its body is wanted.
    fn admit(&self) {
        if let Some(caller) = self.caller.take() {
            caller.admit();
        }
    }

    /// Yes.
    fn refuse(&self, refusal: &Refusal) {
        if let Some(caller) = self.caller.take() {
            caller.refuse(refusal.0.clone());
        }
    }
}

/// The head of a request that Python handles.
#[pyclass(frozen, module = "untrace_pipeline_native")]
struct Head {
    caller: Waiting,
    /// By which its body is named.
    #[pyo3(get)]
    number: u64,
    /// `None` for a path that is no signal's.
    #[pyo3(get)]
    signal: Option<&'static str>,
    /// Method of HTTP; empty for gRPC.
    #[pyo3(get)]
    method: String,
    /// Path, question mark and query.
    #[pyo3(get)]
    target: String,
    headers: Pairs,
    /// `host:port` of the client, or `unix`.
    #[pyo3(get)]
    peer: String,
}

#[pymethods]
impl Head {
    /// Names in lower case, and values, in order.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        pairs(py, &self.headers)
    }

    /// The body is wanted. For gRPC that ends it; for HTTP the answer is still to come.
    fn admit(&self) {
        let mut kept = self.caller.0.lock().unwrap_or_else(PoisonError::into_inner);
        if self.method.is_empty() {
            if let Some(caller) = kept.take() {
                caller.admit();
            }
        } else if let Some(caller) = kept.as_ref() {
            caller.admit_and_keep();
        }
    }

    /// The answer of gRPC.
    fn refuse(&self, refusal: &Refusal) {
        if let Some(caller) = self.caller.take() {
            caller.refuse(refusal.0.clone());
        }
    }

    /// The answer of HTTP: status, status line with headers, body.
    fn respond(&self, status: u16, head: Vec<u8>, body: Vec<u8>) {
        if let Some(caller) = self.caller.take() {
            caller.respond(native::Response { status, head, body });
        }
    }
}

fn pairs<'py>(py: Python<'py>, pairs: &Pairs) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, pairs.iter().map(|(name, value)| (PyBytes::new(py, name), PyBytes::new(py, value))))
}

/// One request of a group.
struct Member {
    caller: Caller,
    began: u64,
    size: usize,
}

/// One request, or several of one sender that were merged: concatenated requests are the merged request.
#[pyclass(frozen, module = "untrace_pipeline_native")]
struct Group {
    members: Mutex<Vec<Member>>,
    kind: Signal,
    /// The serialized request.
    #[pyo3(get)]
    body: Py<PyBytes>,
    /// The decoded request, if tables are wanted and it is regular.
    #[pyo3(get)]
    table: Option<Py<Table>>,
    /// Number of items; `None` if it must be decoded first.
    #[pyo3(get)]
    item_count: Option<usize>,
    /// How many requests were merged.
    #[pyo3(get)]
    requests: usize,
    /// `host:port` of the client, or `unix`; port 0 if it is several connections.
    #[pyo3(get)]
    peer: String,
    /// Whether the body is JSON.
    #[pyo3(get)]
    is_json: bool,
    /// That of the head which came before; 0 if none did.
    #[pyo3(get)]
    number: u64,
    headers: Option<Pairs>,
}

#[pymethods]
impl Group {
    /// What it is of.
    #[getter]
    fn signal(&self) -> &'static str {
        name(self.kind)
    }

    /// Names and values, if the server keeps them.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        self.headers.as_ref().map(|headers| pairs(py, headers)).transpose()
    }

    /// Seconds since each of the requests began.
    fn ages(&self) -> Vec<f64> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.iter().map(|member| member.caller.elapsed(member.began) as f64 / 1000.0).collect()
    }

    /// Refuse all requests.
    fn refuse(&self, refusal: &Refusal) {
        for member in self.take() {
            member.caller.refuse(refusal.0.clone());
        }
    }

    /// Take the group apart: one group per request. This one is empty afterwards.
    fn split(&self, py: Python<'_>, tables: bool) -> PyResult<Vec<Group>> {
        let mut begin = 0;
        let mut parts = Vec::new();
        for member in self.take() {
            let bytes = self.body.as_bytes(py).get(begin..begin + member.size).unwrap_or_default();
            begin += member.size;
            // It was regular before it was merged.
            let index = match otlp_wire::decode(self.kind, bytes) {
                Ok(Decoded::Regular(index)) => Some(index),
                Ok(Decoded::Irregular) | Err(_) => None,
            };
            let body = PyBytes::new(py, bytes).unbind();
            parts.push(Group::made(py, tables, self.kind, body, index, vec![member], self.peer.clone(), None)?);
        }
        Ok(parts)
    }
}

impl Group {
    fn take(&self) -> Vec<Member> {
        std::mem::take(&mut *self.members.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[allow(clippy::too_many_arguments, reason = "one place that makes groups")]
    fn made(
        py: Python<'_>,
        tables: bool,
        kind: Signal,
        body: Py<PyBytes>,
        index: Option<Index>,
        members: Vec<Member>,
        peer: String,
        single: Option<(bool, u64, Option<Pairs>)>,
    ) -> PyResult<Self> {
        let item_count = index.as_ref().map(|index| index.items().len());
        let table = match index.filter(|_| tables) {
            Some(index) => Some(Py::new(py, Table::new(body.clone_ref(py), index))?),
            None => None,
        };
        let (is_json, number, headers) = single.unwrap_or_default();
        let requests = members.len();
        let members = Mutex::new(members);
        Ok(Self { members, kind, body, table, item_count, requests, peer, is_json, number, headers })
    }
}

/// Requests that will be one group.
struct Draft {
    requests: Vec<Request>,
    bytes: usize,
    items: usize,
}

impl Draft {
    fn new(request: Request) -> Self {
        let (bytes, items) = (request.body.len(), items(&request).unwrap_or(0));
        Self { requests: vec![request], bytes, items }
    }

    fn takes(&self, request: &Request, count: usize) -> bool {
        self.items + count <= MERGED_ITEMS
            && self.bytes + request.body.len() <= MERGED_BYTES
            && self.requests.first().is_some_and(|first| {
                first.signal == request.signal && items(first).is_some() && first.peer.host() == request.peer.host()
            })
    }

    fn finish(self, py: Python<'_>, tables: bool) -> PyResult<Group> {
        let mut requests = self.requests;
        let Some(first) = requests.first_mut() else { return Err(PyRuntimeError::new_err("a group of nothing")) };
        let kind = first.signal;
        let single = (matches!(first.content, Content::Json), first.number, first.headers.take());
        let connection = first.caller.connection();
        let mut peer = first.peer.address.clone();
        if first.peer.host() != peer && requests.iter().any(|one| one.caller.connection() != connection) {
            peer = format!("{}:0", requests.first().map_or("", |one| one.peer.host()));
        }
        let body = PyBytes::new_with(py, self.bytes, |space| {
            let mut at = 0;
            for request in &requests {
                if let Some(place) = space.get_mut(at..at + request.body.len()) {
                    place.copy_from_slice(&request.body);
                }
                at += request.body.len();
            }
            Ok(())
        })?;
        let mut members = Vec::with_capacity(requests.len());
        let mut merged: Option<Index> = None;
        let mut shift = 0;
        for request in requests {
            let size = request.body.len();
            members.push(Member { caller: request.caller, began: request.began, size });
            if let Content::Regular(index) = request.content {
                match &mut merged {
                    None => merged = Some(index),
                    Some(merged) => merged.append(index, shift),
                }
            }
            shift += size as u32;
        }
        Group::made(py, tables, kind, body.unbind(), merged, members, peer, Some(single))
    }
}

/// The number of items of a request that may be merged.
fn items(request: &Request) -> Option<usize> {
    match &request.content {
        Content::Regular(index) if request.headers.is_none() && request.number == 0 => Some(index.items().len()),
        _ => None,
    }
}

/// A server for OTLP over gRPC or HTTP. Every method returns at once.
#[pyclass(frozen, module = "untrace_pipeline_native")]
struct Ingress {
    server: native::Server,
    tables: bool,
}

#[pymethods]
impl Ingress {
    /// Serve on listening sockets, whose descriptors this takes over; `tls` is from [`Ingress::tls`].
    ///
    /// Raises `OSError`, `ValueError` or `KeyError`.
    #[new]
    fn new(
        settings: &Bound<'_, PyDict>,
        sockets: Vec<i32>,
        unix: bool,
        tables: bool,
        tls: Option<&Tls>,
    ) -> PyResult<Self> {
        let listeners = sockets.into_iter().map(|fd| {
            // SAFETY: the caller gives away a descriptor that it has detached from its socket object.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            if unix { Listener::Unix(UnixListener::from(fd)) } else { Listener::Tcp(TcpListener::from(fd)) }
        });
        let listeners = listeners.collect();
        let settings = read_settings(settings)?;
        let server = native::Server::start(settings, listeners, tls.map(|tls| tls.0.clone()))
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self { server, tables })
    }

    /// The descriptor that is readable while there is something to take.
    #[getter]
    fn fd(&self) -> i32 {
        self.server.fd()
    }

    /// Take what there is: groups of requests, and other events as tuples that begin with their name.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
        let mut drafts: Vec<Draft> = Vec::new();
        let others = PyList::empty(py);
        for event in self.server.take() {
            let other = match event {
                Event::Request(request) => {
                    let open = drafts.len().saturating_sub(OPEN_GROUPS);
                    let fit = items(&request).and_then(|count| {
                        drafts
                            .get_mut(open..)?
                            .iter_mut()
                            .find(|draft| draft.takes(&request, count))
                            .map(|one| (one, count))
                    });
                    match fit {
                        Some((draft, count)) => {
                            draft.bytes += request.body.len();
                            draft.items += count;
                            draft.requests.push(*request);
                        }
                        None => drafts.push(Draft::new(*request)),
                    }
                    continue;
                }
                Event::Ask { caller, signal, size } => {
                    let question = Question { caller: Waiting::new(caller), signal: name(signal), size };
                    PyTuple::new(py, ["ask".into_pyobject(py)?.into_any(), Bound::new(py, question)?.into_any()])?
                }
                Event::Head(head) => {
                    let head = *head;
                    let (method, target) = head.line;
                    let head = Head {
                        caller: Waiting::new(head.caller),
                        number: head.number,
                        signal: head.signal.map(name),
                        method,
                        target,
                        headers: head.headers,
                        peer: head.peer.address.clone(),
                    };
                    PyTuple::new(py, ["head".into_pyobject(py)?.into_any(), Bound::new(py, head)?.into_any()])?
                }
                Event::Body { number, body: Ok(body) } => {
                    ("body", number, PyBytes::new(py, &body)).into_pyobject(py)?
                }
                Event::Body { number, body: Err(Some((status, message))) } => {
                    ("problem", number, status, message).into_pyobject(py)?
                }
                Event::Body { number, body: Err(None) } => ("left", number).into_pyobject(py)?,
                Event::Gone(number) => ("gone", number).into_pyobject(py)?,
                Event::Answered(signal, status, seconds) => {
                    ("answered", name(signal), status, seconds).into_pyobject(py)?
                }
                Event::Log(warning, words) => ("log", warning, words).into_pyobject(py)?,
                Event::Empty => ("empty",).into_pyobject(py)?,
            };
            others.append(other)?;
        }
        let groups = PyList::empty(py);
        for draft in drafts {
            groups.append(draft.finish(py, self.tables)?)?;
        }
        Ok((groups, others))
    }

    /// Answer that everything was taken.
    #[staticmethod]
    fn succeed(groups: &Bound<'_, PyList>) -> PyResult<()> {
        for group in groups {
            for member in group.cast::<Group>()?.get().take() {
                member.caller.succeed();
            }
        }
        Ok(())
    }

    /// Ask about each request of a signal before its body is read, or read ahead again.
    fn set_gate(&self, signal: &str, open: bool) -> PyResult<()> {
        self.server.set_gate(self::signal(signal)?, open);
        Ok(())
    }

    /// Accept no more connections.
    fn close(&self) {
        self.server.close();
    }

    /// Let every connection end when what is under way on it is answered; `empty` comes with the last.
    fn drain(&self) {
        self.server.drain();
    }

    /// End calls whose message is not complete.
    fn cut(&self) {
        self.server.cut();
    }

    /// Close every connection at once.
    fn abort(&self) {
        self.server.abort();
    }
}

/// Certificates of a server, read again when their files change.
#[pyclass(frozen, module = "untrace_pipeline_native", name = "IngressTls")]
struct Tls(Arc<native::Tls>);

#[pymethods]
impl Tls {
    /// Read the files: a path (`str`) or the text itself (`bytes`) each. Raises `ValueError`.
    #[new]
    #[allow(clippy::too_many_arguments, reason = "options, all by name")]
    #[pyo3(signature = (*, certificate, key, client_authorities, versions, suites, protocol, reload))]
    fn new(
        certificate: &Bound<'_, PyAny>,
        key: &Bound<'_, PyAny>,
        client_authorities: Option<&Bound<'_, PyAny>>,
        versions: (bool, bool),
        suites: Vec<String>,
        protocol: String,
        reload: Option<f64>,
    ) -> PyResult<Self> {
        let settings = native::TlsSettings {
            certificate: source(certificate)?,
            key: source(key)?,
            client_authorities: client_authorities.map(source).transpose()?,
            versions,
            suites,
            protocol,
            reload: limit(reload),
        };
        native::Tls::new(settings).map(|tls| Self(Arc::new(tls))).map_err(PyValueError::new_err)
    }
}

fn source(value: &Bound<'_, PyAny>) -> PyResult<native::Source> {
    match value.cast::<PyBytes>() {
        Ok(text) => Ok(native::Source::Text(text.as_bytes().to_vec())),
        Err(_) => Ok(native::Source::File(value.extract()?)),
    }
}

fn limit(seconds: Option<f64>) -> Limit {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn get<'py, T: for<'a> FromPyObject<'a, 'py>>(settings: &Bound<'py, PyDict>, key: &str) -> PyResult<T> {
    let value = settings.get_item(key)?.ok_or_else(|| PyKeyError::new_err(key.to_string()))?;
    value.extract().map_err(Into::into)
}

fn read_settings(settings: &Bound<'_, PyDict>) -> PyResult<native::Settings> {
    let within = |key: &str| get::<Option<f64>>(settings, key).map(limit);
    let protocol = match get::<String>(settings, "protocol")?.as_str() {
        "grpc" => native::Protocol::Grpc(GrpcSettings {
            max_streams: get(settings, "max_streams")?,
            stream_window: get(settings, "stream_window")?,
            max_message: get(settings, "max_message")?,
            handshake: within("handshake")?,
            write: within("write")?,
            idle: within("idle")?,
            age: within("age")?,
            age_grace: within("age_grace")?,
            ping_after: within("ping_after")?,
            ping_timeout: within("ping_timeout")?,
            least_ping_interval: within("least_ping_interval")?,
            ping_without_streams: get(settings, "ping_without_streams")?,
            message_idle: within("message_idle")?,
        }),
        "http" => native::Protocol::Http(HttpSettings {
            paths: get(settings, "paths")?,
            max_body: get(settings, "max_body")?,
            codings: get::<Vec<String>>(settings, "codings")?
                .iter()
                .filter_map(|name| Coding::named(name.as_bytes()))
                .collect(),
            head: within("head")?,
            body_idle: within("body_idle")?,
            request: within("request")?,
            write: within("write")?,
            idle: within("idle")?,
            keep_alive: get(settings, "keep_alive")?,
            cors: get(settings, "cors")?,
            own_headers: get(settings, "own_headers")?,
        }),
        other => return Err(PyValueError::new_err(format!("no protocol is called {other:?}"))),
    };
    Ok(native::Settings {
        protocol,
        max_connections: get(settings, "max_connections")?,
        read_ahead: get(settings, "read_ahead")?,
        sweep: Duration::from_secs_f64(get(settings, "sweep")?),
        handshake: Duration::from_secs_f64(get(settings, "tls_handshake")?),
        unserved: get(settings, "unserved")?,
        metadata: get(settings, "metadata")?,
        authenticate: get(settings, "authenticate")?,
    })
}

/// Add what this file defines to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Ingress>()?;
    module.add_class::<Tls>()?;
    module.add_class::<Refusal>()?;
    module.add_class::<Question>()?;
    module.add_class::<Head>()?;
    module.add_class::<Group>()
}
