//! gRPC calls on HTTP/2 streams (gRPC over HTTP/2, PROTOCOL-HTTP2.md): the three Export methods of OTLP.

use otlp_wire::Signal;

use super::Http2;
use super::frames::HEAD_BYTES;
use super::hpack::{Headers, Kind};
use crate::coding::Coding;
use crate::connection::Fate;
use crate::message::{Caller, Event, Head, Job, Origin, Outcome, Pairs, Reply};
use crate::refusal::{ENCODINGS, Refusal, code, grpc_refusal, status_bytes};
use crate::server::{Held, MAX_UNASKED};
use crate::settings::{Millis, NEVER, after};

/// Before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
const METHODS: [(&[u8], Signal); 3] = [
    (b"/opentelemetry.proto.collector.trace.v1.TraceService/Export", Signal::Traces),
    (b"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Signal::Metrics),
    (b"/opentelemetry.proto.collector.logs.v1.LogsService/Export", Signal::Logs),
];
/// `:status: 200` and `content-type: application/grpc`.
const HEAD: &[u8] = b"\x88\x00\x0ccontent-type\x10application/grpc";
/// A response message of no bytes: everything was taken.
const SUCCESS: &[u8] = &[0; PREFIX_BYTES];
/// `grpc-status: 0`.
const OK: &[u8] = b"\x00\x0bgrpc-status\x010";
const NOT_GRPC: &[u8] = b"\x00\x07:status\x03415\x00\x0ccontent-type\x19text/plain; charset=utf-8";
const NOT_GRPC_TEXT: &[u8] = b"this endpoint speaks gRPC; OTLP/HTTP has an endpoint of its own\n";
/// Room made at once for a message that comes in pieces.
const STEP: usize = 256 * 1024;

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its message may come.
    Reading,
    /// The event loop was asked whether it may.
    Asking,
    /// Its message is complete and on its way.
    Working,
}

/// A call whose method is known.
#[derive(Debug)]
struct Call {
    signal: Signal,
    coding: Coding,
    stage: Stage,
    /// Its size was asked for.
    sized: bool,
    /// Of its head, if the event loop got that; 0 if not.
    number: u64,
    headers: Option<Pairs>,
    began: Millis,
    held: Held,
}

/// One request and its answer.
pub(crate) struct Stream {
    /// What the data must add up to, if the client said so.
    pub content_length: Option<usize>,
    prefix: [u8; PREFIX_BYTES],
    prefixed: usize,
    body: Vec<u8>,
    /// Whether the client has sent everything.
    pub ended: bool,
    /// Whether there is an answer; it may still wait for the client's window.
    pub answered: bool,
    pub receive_window: i64,
    /// What the client granted beyond the window that its settings give to every stream.
    pub send_window: i64,
    /// When something came last.
    pub touched: Millis,
    call: Option<Call>,
}

impl Stream {
    pub(crate) fn new(window: i64, content_length: Option<usize>, now: Millis) -> Self {
        Self {
            content_length,
            prefix: [0; PREFIX_BYTES],
            prefixed: 0,
            body: Vec::new(),
            ended: false,
            answered: false,
            receive_window: window,
            send_window: 0,
            touched: now,
            call: None,
        }
    }

    /// Bytes that came, with the prefix.
    pub(crate) fn size(&self) -> usize {
        self.prefixed + self.body.len()
    }

    /// The size of the message as its prefix says, `None` if that is not there yet.
    fn announced(&self) -> Option<usize> {
        let [_, length @ ..] = self.prefix;
        (self.prefixed == PREFIX_BYTES).then_some(u32::from_be_bytes(length) as usize)
    }

    /// Add a piece of the message.
    pub(crate) fn take(&mut self, piece: &[u8]) {
        let Some(call) = &mut self.call else { return };
        let own = piece.len().min(PREFIX_BYTES - self.prefixed);
        let (begin, piece) = piece.split_at(own);
        if let Some(place) = self.prefix.get_mut(self.prefixed..self.prefixed + own) {
            place.copy_from_slice(begin);
        }
        self.prefixed += own;
        if piece.is_empty() {
            return;
        }
        call.held.add(piece.len());
        if self.body.capacity() - self.body.len() < piece.len() {
            // Room for what was announced, but no more of it than what came deserves.
            let [_, length @ ..] = self.prefix;
            let missing = (u32::from_be_bytes(length) as usize).saturating_sub(self.body.len());
            let wanted = missing.min(STEP.max(self.body.len()));
            self.body.reserve_exact(wanted.max(piece.len()));
        }
        self.body.extend_from_slice(piece);
    }

    /// Whether a client has used up so much of the window that it should be told to go on, or not to.
    pub(crate) fn is_due(&self, window: i64) -> bool {
        self.receive_window < window / 2 && !self.ended
    }

    /// The number of the head that the event loop has and whose message it will not get.
    pub(crate) fn unfulfilled(&self) -> Option<u64> {
        self.call.as_ref().filter(|call| call.stage != Stage::Working && call.number != 0).map(|call| call.number)
    }
}

fn refusal(code: u32, message: &str) -> Refusal {
    grpc_refusal(code, message, b"")
}

impl Http2 {
    /// The headers of a stream are there: find the method, and refuse what cannot be served.
    pub(super) fn begin(&mut self, id: u32, headers: Option<Headers>) {
        let Some(headers) = headers else {
            return self
                .refuse(id, &refusal(code::RESOURCE_EXHAUSTED, "the metadata is larger than the limit of 64 KiB"));
        };
        let (mut path, mut encoding, mut content_type, mut post) = (&b""[..], &b""[..], &b""[..], false);
        for entry in &headers {
            match entry.kind {
                Kind::Path => path = &entry.value,
                Kind::GrpcEncoding => encoding = &entry.value,
                Kind::ContentType => content_type = &entry.value,
                Kind::Method => post = &*entry.value == b"POST",
                _ => {}
            }
        }
        if !post || !content_type.starts_with(b"application/grpc") {
            return self.respond(id, NOT_GRPC, NOT_GRPC_TEXT, b"");
        }
        let Some(coding) = Coding::named(encoding).filter(|coding| *coding != Coding::Zlib) else {
            let name = String::from_utf8_lossy(encoding.get(..50).unwrap_or(encoding));
            let message = format!("grpc-encoding '{name}' is not supported; supported: {ENCODINGS}");
            return self.refuse(id, &refusal(code::UNIMPLEMENTED, &message));
        };
        let Some(&(_, signal)) = METHODS.iter().find(|(name, _)| *name == path) else {
            let name = String::from_utf8_lossy(path.get(..200).unwrap_or(path));
            return self.refuse(id, &refusal(code::UNIMPLEMENTED, &format!("unknown method {name}")));
        };
        let server = self.link.server.clone();
        let (metadata, authenticate) = (server.settings.metadata, server.settings.authenticate);
        let mut call = Call {
            signal,
            coding,
            stage: Stage::Reading,
            sized: false,
            number: 0,
            headers: (metadata && !authenticate).then(|| pairs(&headers)),
            began: self.now,
            held: server.hold(0),
        };
        if authenticate {
            call.stage = Stage::Asking;
            call.number = server.call_number();
            self.handlers += 1;
            server.put(Event::Head(Box::new(Head {
                caller: Caller::new(&self.link, id, true),
                number: call.number,
                signal: Some(signal),
                line: Default::default(),
                headers: pairs(&headers),
                peer: self.link.peer.clone(),
            })));
        } else if !server.may_read(signal, 0) {
            call.stage = Stage::Asking;
            server.put(Event::Ask { caller: Caller::new(&self.link, id, false), signal, size: 0 });
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.call = Some(call);
        }
    }

    /// Data came: send the message on when it is complete; refuse it as soon as it is known to be too large.
    pub(super) fn advance(&mut self, id: u32) {
        let limit = self.settings().max_message;
        let window = i64::from(self.settings().stream_window);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(call) = &mut stream.call else { return };
        let [_, length @ ..] = stream.prefix;
        let announced = (stream.prefixed == PREFIX_BYTES).then_some(u32::from_be_bytes(length) as usize);
        if announced.unwrap_or(0) > limit || stream.body.len() > limit {
            let message = format!("the message is larger than max ({limit} bytes)");
            return self.refuse(id, &refusal(code::RESOURCE_EXHAUSTED, &message));
        }
        if call.stage != Stage::Reading {
            return;
        }
        if stream.ended {
            return self.complete(id);
        }
        let Some(announced) = announced else { return };
        if announced <= MAX_UNASKED && (call.sized || self.link.server.may_read(call.signal, 0)) {
            return self.grant(id);
        }
        let due = stream.receive_window < window / 2;
        if !call.sized || due {
            // Ask again where more is known now: otherwise messages that are begun could fill the memory.
            let size = if call.sized { announced.saturating_sub(stream.body.len()) } else { announced };
            call.sized = true;
            call.stage = Stage::Asking;
            let caller = Caller::new(&self.link, id, false);
            self.link.server.put(Event::Ask { caller, signal: call.signal, size });
        }
    }

    /// The message is there.
    fn complete(&mut self, id: u32) {
        let limit = self.settings().max_message;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let [compressed, ..] = stream.prefix;
        if stream.announced() != Some(stream.body.len()) {
            let message = "a unary call brings exactly one whole message";
            return self.refuse(id, &refusal(code::INVALID_ARGUMENT, message));
        }
        let Some(call) = &mut stream.call else { return };
        if compressed != 0 && call.coding == Coding::Identity {
            let message = "the message is compressed, but grpc-encoding does not say how";
            return self.refuse(id, &refusal(code::INTERNAL, message));
        }
        let coding = if compressed == 0 { Coding::Identity } else { call.coding };
        let signal = call.signal;
        call.stage = Stage::Working;
        let mut held = self.link.server.hold(0);
        std::mem::swap(&mut held, &mut call.held);
        let origin =
            Origin { signal, json: false, headers: call.headers.take(), number: call.number, began: call.began, held };
        let job = Job { body: std::mem::take(&mut stream.body), coding, signal, json: false, limit };
        match job.run(&self.link, id, origin) {
            Some((origin, outcome)) => self.worked(id, origin, outcome),
            None => self.handlers += 1,
        }
    }

    fn worked(&mut self, id: u32, origin: Origin, outcome: Outcome) {
        if origin.number != 0 && !matches!(outcome, Outcome::Content(..)) {
            self.link.server.put(Event::Gone(origin.number));
        }
        match outcome {
            Outcome::Content(body, content) => {
                self.handlers += 1;
                let event = origin.request(&self.link, id, body, content);
                self.link.server.put(event);
            }
            Outcome::Empty => self.respond(id, HEAD, SUCCESS, OK),
            Outcome::Failed(code, message, of_content) => {
                let details = if of_content { status_bytes(code, &message) } else { Vec::new() };
                self.refuse(id, &grpc_refusal(code, &message, &details));
            }
        }
    }

    /// Take an answer of the event loop.
    pub(super) fn answer(&mut self, id: u32, reply: Reply) {
        match reply {
            Reply::Taken => self.respond(id, HEAD, SUCCESS, OK),
            Reply::Refused(refusal) => self.refuse(id, &refusal),
            Reply::Worked(work) => {
                let (origin, outcome) = *work;
                self.worked(id, origin, outcome);
            }
            Reply::Admitted => {
                if let Some(call) = self.streams.get_mut(&id).and_then(|stream| stream.call.as_mut())
                    && call.stage == Stage::Asking
                {
                    call.stage = Stage::Reading;
                    self.grant(id);
                    self.advance(id);
                }
            }
            Reply::Response(_) => {}
        }
    }

    pub(super) fn refuse(&mut self, id: u32, refusal: &Refusal) {
        let Refusal::Grpc(block) = refusal else { return };
        let mut head = Vec::with_capacity(HEAD_BYTES + HEAD.len() + block.len());
        head.extend_from_slice(HEAD);
        head.extend_from_slice(block);
        self.respond(id, &head, b"", b"");
    }

    fn refuse_where(&mut self, refusal: &Refusal, which: impl Fn(&Stream) -> bool) {
        let found: Vec<u32> = self.streams.iter().filter(|(_, one)| which(one)).map(|(id, _)| *id).collect();
        for id in found {
            self.refuse(id, refusal);
        }
    }

    /// The server stops: end calls whose message is not complete.
    pub(super) fn cut_off(&mut self) {
        self.refuse_where(&refusal(code::UNAVAILABLE, "the server is shutting down"), |stream| !stream.ended);
    }

    /// The server cannot wait any longer.
    pub(super) fn abort(&mut self) {
        self.refuse_where(&refusal(code::UNAVAILABLE, "the server is shutting down"), |_| true);
        self.fate = Fate::Abort;
    }

    /// End calls whose message stopped in the middle.
    pub(super) fn end_stopped_messages(&mut self, now: Millis) {
        let limit = self.settings().message_idle;
        let late = refusal(code::DEADLINE_EXCEEDED, "the message did not arrive in time");
        self.refuse_where(&late, |stream| !stream.ended && after(stream.touched, limit) <= now);
        let due = |stream: &Stream| if stream.ended { NEVER } else { after(stream.touched, limit) };
        self.messages_due = self.streams.values().map(due).min().unwrap_or(NEVER);
    }
}

fn pairs(headers: &Headers) -> Pairs {
    let regular = headers.iter().filter(|entry| !entry.name.starts_with(b":"));
    regular.map(|entry| (entry.name.to_vec(), entry.value.to_vec())).collect()
}
