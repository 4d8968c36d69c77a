//! Requests of OTLP/HTTP, over HTTP/1.1 and HTTP/2.
//!
//! Plain OTLP requests are read and decoded here. All others (another path or method, web pages, requests that must be
//! authenticated) are handled by the event loop with the code that the Python server has for them: it gets the head,
//! asks for the body when it wants it, and gives back a whole answer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderName, HeaderValue, ORIGIN,
    TRANSFER_ENCODING,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use otlp_wire::Signal;

use crate::answer::{Active, Answer};
use crate::body::{Next, Pieces, next};
use crate::coding::Coding;
use crate::message::{Call, Caller, Event, Head, JSON, Job, Origin, Outcome, PROTOBUF, Reply, http_refusal, pairs};
use crate::refusal::{Refusal, Response as Whole, code, read_lines};
use crate::server::{Held, Link, MAX_UNASKED, Shared};
use crate::settings::{HttpSettings, Millis, NEVER, Protocol, after};

/// Requests under way per connection of HTTP/2.
pub(crate) const MAX_STREAMS: u32 = 250;
/// A body that nobody wants is read to its end up to this size; beyond, the connection is closed. As Go does it.
const SKIPPED_BYTES: usize = 256 * 1024;
const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

/// Why a request gets no answer: its client is gone.
fn gone() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

/// Why a body cannot be taken.
enum Problem {
    /// A status, and what to say.
    Status(u16, String),
    Refused(Refusal),
    Gone,
}

fn problem<T>(status: u16, message: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Status(status, message.into()))
}

/// One request, besides its head.
struct Incomer<'a> {
    call: &'a Arc<Call>,
    settings: &'a HttpSettings,
    /// Whose it is; `None` if the event loop handles it.
    signal: Option<Signal>,
    body: Incoming,
    announced: Option<usize>,
    /// When everything must be there.
    due: Millis,
    waits_to_go_on: bool,
}

/// Serve a request.
pub(crate) async fn serve(link: Arc<Link>, request: Request<Incoming>) -> Result<Response<Answer>, io::Error> {
    let active = Active::begin(&link);
    let head_began = link.head_began.swap(NEVER, Ordering::Relaxed);
    let Protocol::Http(settings) = &link.server.settings.protocol else { return Err(gone()) };
    let (parts, body) = request.into_parts();
    let began = link.server.now();
    let announced = body.size_hint().exact().map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    let expects = parts.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let call = Call::new(&link);
    let mut incomer = Incomer {
        call: &call,
        settings,
        signal: None,
        body,
        announced,
        due: after(head_began.min(began), settings.request),
        waits_to_go_on: expects,
    };
    let ends = !settings.keep_alive || ends_connection(&parts);
    let mut response = incomer.answer(parts, began, active).await?;
    if (incomer.left_something().await || ends) && response.version() < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Active::answered(&link);
    Ok(response)
}

impl Incomer<'_> {
    async fn answer(&mut self, parts: Parts, began: Millis, active: Active) -> Result<Response<Answer>, io::Error> {
        let (link, settings) = (self.call.link.clone(), self.settings);
        let version = parts.version;
        let headers = &parts.headers;
        let place = settings.paths.iter().position(|path| path == parts.uri.path());
        let signal = place.and_then(|place| SIGNALS.get(place)).copied();
        let json = media_type(last(headers, CONTENT_TYPE));
        let coding = Coding::named(&last(headers, CONTENT_ENCODING).trim_ascii().to_ascii_lowercase())
            .filter(|coding| settings.codings.contains(coding));
        let plain = parts.method == Method::POST
            && !link.server.settings.authenticate
            && !(settings.cors && headers.contains_key(ORIGIN));
        let mut response = match (signal, json, coding) {
            (Some(signal), Some(json), Some(coding)) if plain => {
                self.signal = Some(signal);
                self.export(parts, signal, json, coding, began, active).await?
            }
            _ => self.pass_on(parts, signal, active).await?,
        };
        *response.version_mut() = version;
        Ok(response)
    }

    /// Take an OTLP request.
    async fn export(
        &mut self,
        parts: Parts,
        signal: Signal,
        json: bool,
        coding: Coding,
        began: Millis,
        active: Active,
    ) -> Result<Response<Answer>, io::Error> {
        let server = &self.call.link.server;
        let mut held = server.hold(0);
        let count = |status| {
            let seconds = server.now().saturating_sub(began) as f64 / 1000.0;
            server.put(Event::Answered(signal, status, seconds));
        };
        let outcome = match self.read(Some(&parts), &mut held).await {
            Ok(body) => Job { body, coding, signal, json, limit: self.settings.max_body }.done().await,
            Err(Problem::Refused(refusal)) => return Ok(self.refused(refusal, json, active)),
            Err(Problem::Gone) => return Err(gone()),
            Err(Problem::Status(status, message)) => {
                count(status);
                let code = match status {
                    400 => code::INVALID_ARGUMENT,
                    408 => code::DEADLINE_EXCEEDED,
                    _ => code::RESOURCE_EXHAUSTED,
                };
                return Ok(self.refused(http_refusal(status, code, &message, b""), json, active));
            }
        };
        match outcome {
            Outcome::Content(body, content) => {
                let headers = server.settings.metadata.then(|| pairs(&parts.headers));
                let origin = Origin { signal, json, headers, number: 0, began, held };
                server.put(origin.request(self.call, body, content));
                Ok(match self.call.reply().await {
                    Reply::Taken | Reply::Admitted => taken(server, json, active),
                    Reply::Refused(refusal) => self.refused(refusal, json, active),
                    Reply::Response(response) => whole(*response, active),
                })
            }
            Outcome::Empty => {
                count(200);
                Ok(taken(server, json, active))
            }
            Outcome::Failed(code, message, _) => {
                let status = if code == code::RESOURCE_EXHAUSTED { 413 } else { 400 };
                count(status);
                Ok(self.refused(http_refusal(status, code, &message, b""), json, active))
            }
        }
    }

    /// Have a request handled by the event loop.
    async fn pass_on(
        &mut self,
        parts: Parts,
        signal: Option<Signal>,
        active: Active,
    ) -> Result<Response<Answer>, io::Error> {
        let link = &self.call.link;
        let server = &link.server;
        let mut head = Announced { server, number: server.call_number() };
        let query = parts.uri.query().unwrap_or_default();
        let fault = check_head(&parts).err();
        server.put(Event::Head(Box::new(Head {
            caller: Caller::new(self.call, false),
            number: head.number,
            signal,
            line: (parts.method.as_str().into(), format!("{}?{query}", parts.uri.path())),
            headers: pairs(&parts.headers),
            peer: link.peer.clone(),
        })));
        if let Some(message) = fault {
            head.tell(Err(Some((400, message))));
        } else if self.body.is_end_stream() {
            head.tell(Ok(Bytes::new()));
        }
        loop {
            match self.call.reply().await {
                Reply::Admitted if head.number != 0 => {
                    let mut held = server.hold(0);
                    match self.read(None, &mut held).await {
                        Ok(body) => head.tell(Ok(body)),
                        Err(Problem::Status(status, message)) => head.tell(Err(Some((status, message)))),
                        Err(Problem::Refused(_) | Problem::Gone) => return Err(gone()),
                    }
                }
                Reply::Admitted => {}
                Reply::Response(response) => {
                    head.number = 0;
                    return Ok(whole(*response, active));
                }
                Reply::Taken => return Ok(taken(server, false, active)),
                Reply::Refused(refusal) => {
                    head.number = 0;
                    return Ok(self.refused(refusal, false, active));
                }
            }
        }
    }

    /// Read the body, after the event loop was asked where that is due.
    async fn read(&mut self, parts: Option<&Parts>, held: &mut Held) -> Result<Bytes, Problem> {
        let limit = self.settings.max_body;
        let link = self.call.link.clone();
        if let Some(Err(message)) = parts.map(check_head) {
            return problem(400, message);
        }
        if self.announced.is_some_and(|size| size > limit) {
            return problem(413, too_large(limit));
        }
        let announced = self.announced.unwrap_or(0);
        let mut asked = self.signal.is_none();
        if let Some(signal) = self.signal
            && !link.server.may_read(signal, announced)
        {
            asked = true;
            self.ask(signal, announced).await?;
        }
        let (mut pieces, mut allowed) = (Pieces::default(), MAX_UNASKED);
        loop {
            let piece = match next(&mut self.body, &link, self.settings.body_idle, self.due).await {
                Next::Data(piece) => piece,
                Next::End => return Ok(pieces.finish()),
                Next::Late => return problem(408, "the body did not arrive in time"),
                Next::Cut => return Err(Problem::Gone),
                Next::Broken(error) if error.is_incomplete_message() || is_reset(&error) => return Err(Problem::Gone),
                Next::Broken(error) => return problem(400, format!("this is no HTTP request: {error}")),
            };
            self.waits_to_go_on = false;
            held.add(piece.len());
            pieces.add(piece, announced);
            let size = pieces.len();
            if size > limit {
                return problem(413, too_large(limit));
            }
            let Some(signal) = self.signal.filter(|_| self.announced.is_none_or(|whole| size < whole)) else {
                continue;
            };
            // Also where nobody was asked, and others have used up meanwhile what may be read ahead.
            if size > allowed || (!asked && !link.server.may_read(signal, 0)) {
                asked = true;
                self.ask(signal, size).await?;
                while allowed <= size {
                    allowed += MAX_UNASKED;
                }
            }
        }
    }

    async fn ask(&self, signal: Signal, size: usize) -> Result<(), Problem> {
        let caller = Caller::new(self.call, false);
        self.call.link.server.put(Event::Ask { caller, signal, size });
        match self.call.reply().await {
            Reply::Refused(refusal) => Err(Problem::Refused(refusal)),
            _ => Ok(()),
        }
    }

    /// Read past the rest of a body that nobody wants if it is small; whether something stays.
    async fn left_something(&mut self) -> bool {
        if self.body.is_end_stream() {
            return false;
        }
        let link = &self.call.link;
        if !self.waits_to_go_on && self.announced.is_some_and(|size| size <= SKIPPED_BYTES) {
            loop {
                match next(&mut self.body, link, self.settings.body_idle, self.due).await {
                    Next::Data(_) => {}
                    Next::End => return false,
                    _ => break,
                }
            }
        }
        link.lingers.store(true, Ordering::Relaxed);
        true
    }

    fn refused(&self, refusal: Refusal, json: bool, active: Active) -> Response<Answer> {
        let server = &self.call.link.server;
        match refusal {
            Refusal::Http(both) => {
                let [protobuf, in_json] = *both;
                let mut response = whole(if json { in_json } else { protobuf }, active);
                for (name, value) in &server.own_headers {
                    if !response.headers().contains_key(name) {
                        response.headers_mut().append(name, value.clone());
                    }
                }
                response
            }
            Refusal::Grpc(_) => taken(server, json, active),
        }
    }
}

/// A head that the event loop has and whose body is still to come.
struct Announced<'a> {
    server: &'a Shared,
    /// 0 if nothing is to come.
    number: u64,
}

impl Announced<'_> {
    fn tell(&mut self, body: Result<Bytes, Option<(u16, String)>>) {
        if self.number != 0 {
            self.server.put(Event::Body { number: self.number, body });
            self.number = 0;
        }
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.tell(Err(None));
    }
}

/// Everything was taken.
fn taken(server: &Shared, json: bool, active: Active) -> Response<Answer> {
    let data = if json { Bytes::from_static(b"{}") } else { Bytes::new() };
    let mut response = Response::new(Answer { data, trailers: None, _active: active });
    let headers = response.headers_mut();
    headers.clone_from(&server.own_headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(if json { JSON } else { PROTOBUF }));
    response
}

/// An answer that the event loop has rendered.
fn whole(response: Whole, active: Active) -> Response<Answer> {
    let Whole { status, head, body } = response;
    let mut made = Response::new(Answer { data: body.into(), trailers: None, _active: active });
    *made.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *made.headers_mut() = read_lines(&head);
    made
}

/// Say what is wrong with a head that `hyper` lets through.
fn check_head(parts: &Parts) -> Result<(), String> {
    let headers = &parts.headers;
    if parts.version == Version::HTTP_11 && !headers.contains_key(HOST) {
        return Err("the header Host is missing".into());
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        if headers.contains_key(CONTENT_LENGTH) {
            return Err("this is no HTTP request: Content-Length and Transfer-Encoding".into());
        }
        let mut all = headers.get_all(TRANSFER_ENCODING).iter();
        if !all.next().is_some_and(|one| one.as_bytes().eq_ignore_ascii_case(b"chunked")) || all.next().is_some() {
            return Err("this is no HTTP request: Transfer-Encoding other than chunked, once".into());
        }
    }
    if headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err("this is no HTTP request: Content-Length twice".into());
    }
    Ok(())
}

/// Whether a client wants no more than this request, or offers another protocol, which is ignored.
fn ends_connection(parts: &Parts) -> bool {
    parts.version < Version::HTTP_11 || parts.headers.contains_key(hyper::header::UPGRADE) || check_head(parts).is_err()
}

fn is_reset(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.is::<h2::Error>() || source.downcast_ref::<io::Error>().is_some_and(is_gone))
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

fn too_large(limit: usize) -> String {
    format!("the body is larger than the limit of {limit} bytes")
}

/// Return a header, empty if it is absent; the last where it occurs twice.
fn last(headers: &HeaderMap, name: HeaderName) -> &[u8] {
    headers.get_all(name).iter().next_back().map_or(b"", HeaderValue::as_bytes)
}

/// Whether a media type is OTLP's JSON (true) or protobuf (false).
fn media_type(value: &[u8]) -> Option<bool> {
    let name = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if name.eq_ignore_ascii_case(PROTOBUF.as_bytes()) {
        Some(false)
    } else if name.eq_ignore_ascii_case(JSON.as_bytes()) {
        Some(true)
    } else {
        None
    }
}
