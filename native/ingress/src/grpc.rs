//! gRPC calls (gRPC over HTTP/2, PROTOCOL-HTTP2.md): the three Export methods of OTLP.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, Bytes};
use h2::Reason;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use otlp_wire::Signal;

use crate::answer::{Active, Answer};
use crate::body::{Next, Pieces, next};
use crate::coding::Coding;
use crate::message::{Call, Caller, Event, Head, Job, Origin, Outcome, Reply, pairs};
use crate::refusal::{ENCODINGS, GRPC, GRPC_STATUS, Refusal, code, grpc_refusal, status_bytes};
use crate::server::{Link, MAX_UNASKED, Shared};
use crate::settings::{GrpcSettings, NEVER, Protocol};

/// Bytes of the metadata of a call; far more than SDKs send.
pub(crate) const MAX_METADATA: usize = 64 * 1024;
/// Before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
const METHODS: [(&str, Signal); 3] = [
    ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Signal::Traces),
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Signal::Metrics),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Signal::Logs),
];
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ZERO: HeaderValue = HeaderValue::from_static("0");
/// A response message of no bytes: everything was taken.
const SUCCESS: Bytes = Bytes::from_static(&[0; PREFIX_BYTES]);
const NOT_GRPC: Bytes = Bytes::from_static(b"this endpoint speaks gRPC; OTLP/HTTP has an endpoint of its own\n");

/// Why a call has no answer.
type Failure = h2::Error;

/// Serve a call.
pub(crate) async fn serve(link: Arc<Link>, request: Request<Incoming>) -> Result<Response<Answer>, Failure> {
    let active = Active::begin(&link);
    let Protocol::Grpc(settings) = &link.server.settings.protocol else { return Err(Reason::INTERNAL_ERROR.into()) };
    if link.handlers.load(Ordering::Relaxed) >= settings.max_streams {
        return Err(Reason::REFUSED_STREAM.into());
    }
    let method = request.method() == Method::POST;
    let content_type = request.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !method || !content_type.starts_with(b"application/grpc") {
        return Ok(not_grpc(active));
    }
    let response = match export(&link, settings, request).await {
        Ok(()) => success(active),
        Err(End::Refused(refusal)) => refused(active, refusal),
        Err(End::Gone(failure)) => return Err(failure),
    };
    Active::answered(&link);
    Ok(response)
}

/// Why a call did not succeed.
enum End {
    Refused(Refusal),
    Gone(Failure),
}

fn refuse<T>(code: u32, message: &str) -> Result<T, End> {
    Err(End::Refused(grpc_refusal(code, message, b"")))
}

fn not_grpc(active: Active) -> Response<Answer> {
    let mut response = Response::new(Answer { data: NOT_GRPC, trailers: None, _active: active });
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn success(active: Active) -> Response<Answer> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, ZERO);
    let mut response = Response::new(Answer { data: SUCCESS, trailers: Some(trailers), _active: active });
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

fn refused(active: Active, refusal: Refusal) -> Response<Answer> {
    let mut response = Response::new(Answer { data: Bytes::new(), trailers: None, _active: active });
    if let Refusal::Grpc(headers) = refusal {
        *response.headers_mut() = *headers;
    }
    response
}

/// What the event loop says of a question, or in the end.
async fn wait(call: &Call) -> Result<(), End> {
    match call.reply().await {
        Reply::Taken | Reply::Admitted | Reply::Response(_) => Ok(()),
        Reply::Refused(refusal) => Err(End::Refused(refusal)),
    }
}

/// Tells the event loop that a call whose head it has will bring no message.
struct Announced<'a> {
    server: &'a Shared,
    number: u64,
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        if self.number != 0 {
            self.server.put(Event::Gone(self.number));
        }
    }
}

async fn export(link: &Arc<Link>, settings: &GrpcSettings, request: Request<Incoming>) -> Result<(), End> {
    let (parts, mut body) = request.into_parts();
    let headers = parts.headers;
    let server = &link.server;
    let began = server.now();
    if headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum::<usize>() > MAX_METADATA {
        return refuse(code::RESOURCE_EXHAUSTED, "the metadata is larger than the limit of 64 KiB");
    }
    let encoding = headers.get(GRPC_ENCODING).map_or(&b""[..], HeaderValue::as_bytes);
    let Some(coding) = Coding::named(encoding).filter(|coding| *coding != Coding::Zlib) else {
        let name = String::from_utf8_lossy(encoding.get(..50).unwrap_or(encoding));
        let message = format!("grpc-encoding '{name}' is not supported; supported: {ENCODINGS}");
        return refuse(code::UNIMPLEMENTED, &message);
    };
    let path = parts.uri.path();
    let Some(&(_, signal)) = METHODS.iter().find(|(name, _)| *name == path) else {
        let name: String = path.chars().take(200).collect();
        return refuse(code::UNIMPLEMENTED, &format!("unknown method {name}"));
    };
    let (metadata, authenticate) = (server.settings.metadata, server.settings.authenticate);
    let call = Call::new(link);
    let mut announced = Announced { server, number: 0 };
    if authenticate {
        announced.number = server.call_number();
        server.put(Event::Head(Box::new(Head {
            caller: Caller::new(&call, true),
            number: announced.number,
            signal: Some(signal),
            line: Default::default(),
            headers: pairs(&headers),
            peer: link.peer.clone(),
        })));
        wait(&call).await?;
    } else if !server.may_read(signal, 0) {
        server.put(Event::Ask { caller: Caller::new(&call, false), signal, size: 0 });
        wait(&call).await?;
    }
    let mut held = server.hold(0);
    let (compressed, body) = read(&call, settings, signal, &mut body, |size| held.add(size)).await?;
    if compressed && coding == Coding::Identity {
        return refuse(code::INTERNAL, "the message is compressed, but grpc-encoding does not say how");
    }
    let coding = if compressed { coding } else { Coding::Identity };
    let headers = (metadata && !authenticate).then(|| pairs(&headers));
    let number = announced.number;
    match (Job { body, coding, signal, json: false, limit: settings.max_message }).done().await {
        Outcome::Content(body, content) => {
            announced.number = 0;
            let origin = Origin { signal, json: false, headers, number, began, held };
            server.put(origin.request(&call, body, content));
            wait(&call).await
        }
        Outcome::Empty => Ok(()),
        Outcome::Failed(code, message, of_content) => {
            let details = if of_content { status_bytes(code, &message) } else { Vec::new() };
            Err(End::Refused(grpc_refusal(code, &message, &details)))
        }
    }
}

/// Read the one message: whether it is compressed, and its bytes.
async fn read(
    call: &Arc<Call>,
    settings: &GrpcSettings,
    signal: Signal,
    body: &mut Incoming,
    mut hold: impl FnMut(usize),
) -> Result<(bool, Bytes), End> {
    let (link, limit) = (&call.link, settings.max_message);
    let window = settings.stream_window as usize;
    let too_large = || refuse(code::RESOURCE_EXHAUSTED, &format!("the message is larger than max ({limit} bytes)"));
    let (mut prefix, mut prefixed) = ([0; PREFIX_BYTES], 0);
    let (mut pieces, mut asked_at) = (Pieces::default(), None);
    loop {
        let mut piece = match next(body, link, settings.message_idle, NEVER).await {
            Next::Data(piece) => piece,
            Next::End => break,
            Next::Late => return refuse(code::DEADLINE_EXCEEDED, "the message did not arrive in time"),
            Next::Cut => return refuse(code::UNAVAILABLE, "the server is shutting down"),
            Next::Broken(error) => return Err(End::Gone(broken(&error))),
        };
        let own = piece.len().min(PREFIX_BYTES - prefixed);
        if let Some(place) = prefix.get_mut(prefixed..prefixed + own) {
            place.copy_from_slice(piece.get(..own).unwrap_or_default());
        }
        piece.advance(own);
        prefixed += own;
        let [_, length @ ..] = prefix;
        let announced = u32::from_be_bytes(length) as usize;
        if !piece.is_empty() {
            hold(piece.len());
            pieces.add(piece, announced);
        }
        if prefixed < PREFIX_BYTES {
            continue;
        }
        if announced > limit || pieces.len() > limit {
            return too_large();
        }
        if pieces.len() >= announced && announced <= MAX_UNASKED {
            continue; // only its end is missing
        }
        if announced <= MAX_UNASKED && (asked_at.is_some() || link.server.may_read(signal, 0)) {
            continue;
        }
        if asked_at.is_none_or(|at| pieces.len() - at > window / 2) {
            // Ask again where more is known now: otherwise messages that are begun could fill the memory.
            let size = if asked_at.is_some() { announced.saturating_sub(pieces.len()) } else { announced };
            asked_at = Some(pieces.len());
            link.server.put(Event::Ask { caller: Caller::new(call, false), signal, size });
            wait(call).await?;
        }
    }
    let [compressed, length @ ..] = prefix;
    if prefixed < PREFIX_BYTES || pieces.len() != u32::from_be_bytes(length) as usize {
        return refuse(code::INVALID_ARGUMENT, "a unary call brings exactly one whole message");
    }
    Ok((compressed != 0, pieces.finish()))
}

/// What `hyper` should do with a stream whose body broke.
fn broken(error: &hyper::Error) -> h2::Error {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    source.and_then(h2::Error::reason).unwrap_or(Reason::CANCEL).into()
}
