//! What goes between a server and the event loop.

use std::net::SocketAddr;
use std::sync::Arc;

use otlp_wire::{Index, Signal};

use crate::coding::{Coding, Undone, decompress};
use crate::refusal::{Refusal, Response, code, grpc_refusal, status_bytes, status_json};
use crate::server::{Held, Link};
use crate::settings::Protocol;

/// Who sent something.
#[derive(Debug, PartialEq, Eq)]
pub struct Peer {
    /// `host:port`, or `unix`.
    pub address: String,
    /// Length of the host in `address`.
    host: usize,
}

impl Peer {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let host = address.ip().to_string();
        Self { host: host.len(), address: format!("{host}:{}", address.port()) }
    }

    pub(crate) fn unix() -> Self {
        Self { address: "unix".into(), host: 4 }
    }

    /// The address without the port.
    pub fn host(&self) -> &str {
        self.address.get(..self.host).unwrap_or_default()
    }
}

/// Names and values of headers, in order; names in lower case.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Something for the event loop.
#[derive(Debug)]
pub enum Event {
    /// Would a request of that many bytes be refused anyway? (0 = unknown size.)
    Ask {
        /// Who waits for [`Caller::admit`] or [`Caller::refuse`].
        caller: Caller,
        /// What it is of.
        signal: Signal,
        /// Bytes.
        size: usize,
    },
    /// The head of a request that the event loop handles itself; its body comes after [`Caller::admit`].
    Head(Box<Head>),
    /// A request, complete.
    Request(Box<Request>),
    /// The body of a request whose head came before, or why it never will.
    Body {
        /// That of the head.
        number: u64,
        /// The body as it came, or an HTTP status and what to say; `None`: the client is gone.
        body: Result<Vec<u8>, Option<(u16, String)>>,
    },
    /// Nobody waits for the answer to a head any more.
    Gone(u64),
    /// A request was answered here: signal, HTTP status, seconds that it took.
    Answered(Signal, u16, f64),
    /// Something to log: whether it is a warning, and the words.
    Log(bool, String),
    /// The last connection of a draining server is gone.
    Empty,
}

/// The head of a request.
#[derive(Debug)]
pub struct Head {
    /// Who waits for an answer.
    pub caller: Caller,
    /// Number by which [`Event::Body`], [`Event::Gone`] and [`Request::number`] name it.
    pub number: u64,
    /// For gRPC: what it is of.
    pub signal: Option<Signal>,
    /// Method and target; empty for gRPC.
    pub line: (String, String),
    /// All headers.
    pub headers: Pairs,
    /// Who sent it.
    pub peer: Arc<Peer>,
}

/// What is in a body.
#[derive(Debug)]
pub enum Content {
    /// Protobuf, valid, and where its messages lie.
    Regular(Index),
    /// Protobuf that a full parser must look at.
    Irregular,
    /// JSON.
    Json,
}

/// A complete request.
#[derive(Debug)]
pub struct Request {
    /// Who waits for an answer.
    pub caller: Caller,
    /// What it is of.
    pub signal: Signal,
    /// Body without compression.
    pub body: Vec<u8>,
    /// What is in it.
    pub content: Content,
    /// Whether the answer is to be JSON.
    pub json: bool,
    /// Who sent it.
    pub peer: Arc<Peer>,
    /// All headers, if the server keeps them.
    pub headers: Option<Pairs>,
    /// Number of its [`Head`]; 0 if there was none.
    pub number: u64,
    /// Milliseconds, as the server counts, when its head was there.
    pub began: u64,
    /// Lets the next body be read ahead when it is dropped.
    pub held: Held,
}

/// An answer on its way to a connection.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Everything was taken.
    Taken,
    Refused(Refusal),
    /// Go on with the body.
    Admitted,
    /// HTTP only.
    Response(Box<Response>),
    /// From another thread: a body that was undone and decoded.
    Worked(Box<(Origin, Outcome)>),
}

/// Who waits for an answer; told that something went wrong if it is dropped without one.
#[derive(Debug)]
pub struct Caller {
    link: Option<Arc<Link>>,
    id: u32,
    counted: bool,
}

impl Caller {
    /// `counted`: the connection counts it as under way until the answer comes.
    pub(crate) fn new(link: &Arc<Link>, id: u32, counted: bool) -> Self {
        link.server.count_waiting(true);
        Self { link: Some(link.clone()), id, counted }
    }

    fn reply(&mut self, reply: Reply) {
        if let Some(link) = self.link.take() {
            let server = link.server.clone();
            server.count_waiting(false);
            server.send(link, self.id, self.counted, reply);
        }
    }

    /// Number of the connection; those of one server differ.
    pub fn connection(&self) -> u64 {
        self.link.as_ref().map_or(0, |link| link.number)
    }

    /// Milliseconds since a moment that the server counts.
    pub fn elapsed(&self, began: u64) -> u64 {
        self.link.as_ref().map_or(0, |link| link.server.now().saturating_sub(began))
    }

    /// Everything was taken.
    pub fn succeed(mut self) {
        self.reply(Reply::Taken);
    }

    /// The body is wanted.
    pub fn admit(mut self) {
        self.reply(Reply::Admitted);
    }

    /// The body is wanted, and the answer comes later.
    pub fn admit_and_keep(&self) {
        if let Some(link) = &self.link {
            link.server.send(link.clone(), self.id, false, Reply::Admitted);
        }
    }

    /// It is refused.
    pub fn refuse(mut self, refusal: Refusal) {
        self.reply(Reply::Refused(refusal));
    }

    /// HTTP only: that is the answer.
    pub fn respond(mut self, response: Response) {
        self.reply(Reply::Response(Box::new(response)));
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let Some(link) = &self.link else { return };
        const MESSAGE: &str = "internal error, see the log of the receiver";
        let refusal = match &link.server.settings.protocol {
            Protocol::Grpc(_) => grpc_refusal(code::UNAVAILABLE, MESSAGE, b""),
            Protocol::Http(http) => http_refusal(503, code::UNAVAILABLE, MESSAGE, &http.own_headers),
        };
        self.reply(Reply::Refused(refusal));
    }
}

pub(crate) const PROTOBUF: &str = "application/x-protobuf";
pub(crate) const JSON: &str = "application/json";

/// Return the answers of HTTP to a failure, in both forms.
pub(crate) fn http_refusal(status: u16, code: u32, message: &str, own_headers: &[u8]) -> Refusal {
    Refusal::Http(Box::new([
        Response::new(status, PROTOBUF, own_headers, status_bytes(code, message)),
        Response::new(status, JSON, own_headers, status_json(code, message)),
    ]))
}

/// What a request costs besides its body, so that empty ones do not pile up either.
const REQUEST_BYTES: usize = 512;

/// What is known of a request besides its body.
#[derive(Debug)]
pub(crate) struct Origin {
    pub signal: Signal,
    pub json: bool,
    pub headers: Option<Pairs>,
    pub number: u64,
    pub began: u64,
    pub held: Held,
}

impl Origin {
    /// Return the event for a request that is complete; its connection counts it as under way.
    pub(crate) fn request(self, link: &Arc<Link>, id: u32, body: Vec<u8>, content: Content) -> Event {
        let Self { signal, json, headers, number, began, mut held } = self;
        held.add(REQUEST_BYTES);
        let caller = Caller::new(link, id, true);
        let peer = link.peer.clone();
        Event::Request(Box::new(Request { caller, signal, body, content, json, peer, headers, number, began, held }))
    }
}

/// A body and what is to be done with it; done in another thread where it is large.
#[derive(Debug)]
pub(crate) struct Job {
    pub body: Vec<u8>,
    pub coding: Coding,
    pub signal: Signal,
    pub json: bool,
    pub limit: usize,
}

/// How a job ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Something for the event loop.
    Content(Vec<u8>, Content),
    /// A valid request without items.
    Empty,
    /// Code and words; whether it is the sender's OTLP that is wrong, and not the transport of it.
    Failed(u32, String, bool),
}

/// Compressed bytes from which on a job may take so long that others should not wait for it.
const LARGE_COMPRESSED: usize = 128 * 1024;
/// The same for plain ones, and for what comes out of compressed ones: about a millisecond.
const LARGE: usize = 2 * 1024 * 1024;

impl Job {
    /// Do it, or begin it in another thread if it turns out to be large; then the connection gets [`Reply::Worked`].
    pub(crate) fn run(mut self, link: &Arc<Link>, id: u32, origin: Origin) -> Option<(Origin, Outcome)> {
        let most = if self.coding == Coding::Identity { LARGE } else { LARGE_COMPRESSED };
        if self.body.len() < most
            && let Some(outcome) = self.attempt(self.limit.min(LARGE))
        {
            return Some((origin, outcome));
        }
        let link = link.clone();
        tokio::task::spawn_blocking(move || {
            let outcome = self.attempt(self.limit).unwrap_or_else(|| {
                let message = format!("the decompressed body is larger than the limit of {} bytes", self.limit);
                Outcome::Failed(code::RESOURCE_EXHAUSTED, message, false)
            });
            let server = link.server.clone();
            server.send(link, id, true, Reply::Worked(Box::new((origin, outcome))));
        });
        None
    }

    /// Take the compression off, decode and validate; `None` if more than `limit` bytes come out.
    fn attempt(&mut self, limit: usize) -> Option<Outcome> {
        Some(match decompress(self.coding, &mut self.body, limit) {
            Ok(body) => self.read(body),
            Err(Undone::Invalid(message)) => Outcome::Failed(code::INVALID_ARGUMENT, message, false),
            Err(Undone::Oversize) => return None,
        })
    }

    fn read(&self, body: Vec<u8>) -> Outcome {
        if self.json {
            return Self::read_json(self.signal, body);
        }
        match otlp_wire::decode(self.signal, &body) {
            Ok(otlp_wire::Decoded::Regular(index)) if index.items().is_empty() => Outcome::Empty,
            Ok(otlp_wire::Decoded::Regular(index)) => Outcome::Content(body, Content::Regular(index)),
            Ok(otlp_wire::Decoded::Irregular) => Outcome::Content(body, Content::Irregular),
            Err(error) => {
                let message = format!("{} (at byte {})", error.message, error.offset);
                Outcome::Failed(code::INVALID_ARGUMENT, message, true)
            }
        }
    }

    /// What is plain JSON becomes protobuf here; of the rest Python says what is wrong with it.
    fn read_json(signal: Signal, body: Vec<u8>) -> Outcome {
        let Some(converted) = otlp_json::from_json(signal, &body) else { return Outcome::Content(body, Content::Json) };
        match otlp_wire::decode(signal, &converted) {
            Ok(otlp_wire::Decoded::Regular(index)) if index.items().is_empty() => Outcome::Empty,
            Ok(otlp_wire::Decoded::Regular(index)) => Outcome::Content(converted, Content::Regular(index)),
            Ok(otlp_wire::Decoded::Irregular) | Err(_) => Outcome::Content(body, Content::Json),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_grows_large_is_left_as_it_was_for_another_thread() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(&vec![0; 3 * LARGE]).unwrap();
        let body = packer.finish().unwrap();
        assert!(body.len() < LARGE_COMPRESSED);
        let mut job = Job { body, coding: Coding::Gzip, signal: Signal::Traces, json: false, limit: 4 * LARGE };
        assert!(job.attempt(LARGE).is_none());
        assert!(matches!(job.attempt(job.limit), Some(Outcome::Failed(code::INVALID_ARGUMENT, _, true))));
    }
}
