//! One HTTP/1.1 connection: requests in, answers out in the order of the requests.
//!
//! Plain OTLP requests are read and decoded here. All others (another path or method, web pages, requests that must be
//! authenticated) are handled by the event loop with the code that the Python server has for them: it gets the head,
//! asks for the body when it wants it, and gives back a whole answer.

mod chunks;
mod head;

use std::collections::VecDeque;
use std::mem::take;
use std::sync::Arc;

use otlp_wire::Signal;

use crate::coding::Coding;
use crate::connection::{Fate, Protocol};
use crate::message::{Caller, Event, Head, JSON, Job, Origin, Outcome, PROTOBUF, Reply, http_refusal};
use crate::refusal::{Refusal, Response, code};
use crate::server::{Held, Link, MAX_UNASKED, order};
use crate::settings::{HttpSettings, Millis, NEVER, Protocol as Kind, after};

use chunks::{Broken, Chunks};
use head::{Framing, MAX_HEAD_BYTES, RequestHead, Unreadable};

/// Requests parsed ahead; then reading pauses.
const MAX_PIPELINED: usize = 16;
/// Bytes of chunk headers that a body may have, and per byte of content; one-byte chunks have 5.
const FRAMING_BYTES: usize = 64 * 1024;
const FRAMING_FACTOR: usize = 16;
/// A body that nobody wants is read to its end up to this size; beyond, the connection is closed. As Go does it.
const SKIPPED_BYTES: usize = 256 * 1024;
/// How long input is thrown away after a refusal, so that the client can read it before the connection resets.
const LINGER: Millis = 2000;
/// Room made at once for a body.
const STEP: usize = 256 * 1024;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

/// What a request is answered.
enum Answer {
    Taken,
    Response(Response),
    /// Nothing: the connection closes.
    Nothing,
}

/// A request that is not answered yet, or whose turn has not come.
struct Slot {
    id: u32,
    signal: Option<Signal>,
    json: bool,
    /// The event loop has its head under that number; 0 if it is handled here.
    number: u64,
    is_head: bool,
    keep_alive: bool,
    expects_continue: bool,
    /// Announced size; `None` for chunks.
    announced: Option<usize>,
    complete: bool,
    failed: bool,
    began: Millis,
    answer: Option<Answer>,
}

impl Slot {
    /// Whether the rest of an unwanted body is small enough to read past it.
    fn is_skippable(&self) -> bool {
        !self.failed && !self.expects_continue && self.announced.is_some_and(|size| size <= SKIPPED_BYTES)
    }
}

/// The body that is coming in; it belongs to the last slot, or to none if that was answered already.
struct Incoming {
    id: u32,
    length: usize,
    chunks: Option<Chunks>,
    coding: Coding,
    origin: Option<Origin>,
    body: Vec<u8>,
    held: Held,
    /// Bytes that may come until somebody is asked.
    allowed: usize,
    /// Somebody was asked; nothing is read meanwhile.
    asking: bool,
    /// Somebody was asked once.
    asked: bool,
    discarded: bool,
    touched: Millis,
}

/// The server's end of a connection.
pub(crate) struct Http1 {
    link: Arc<Link>,
    out: Vec<u8>,
    rest: Vec<u8>,
    slots: VecDeque<Slot>,
    next: u32,
    incoming: Option<Incoming>,
    /// When the head that is coming in began; `NEVER` between requests.
    head_began: Millis,
    /// Length of the input when it was last tried to be a head.
    tried: usize,
    /// When the present request must be there.
    request_due: Millis,
    /// Since when nothing is under way.
    idle_since: Millis,
    first: bool,
    blocked_since: Millis,
    linger_until: Millis,
    /// Input is thrown away; the connection closes after what is still to be answered.
    deaf: bool,
    /// The client will send no more.
    ended: bool,
    fate: Fate,
    now: Millis,
}

impl Http1 {
    pub(crate) fn new(link: Arc<Link>, fits: bool, now: Millis) -> Self {
        let mut made = Self {
            link,
            out: Vec::new(),
            rest: Vec::new(),
            slots: VecDeque::new(),
            next: 0,
            incoming: None,
            head_began: NEVER,
            tried: 0,
            request_due: NEVER,
            idle_since: now,
            first: true,
            blocked_since: NEVER,
            linger_until: NEVER,
            deaf: false,
            ended: false,
            fate: Fate::Open,
            now,
        };
        if !fits {
            made.refuse_with(503, "too many connections", b"retry-after: 1\r\n");
        }
        made
    }

    fn settings(&self) -> &HttpSettings {
        match &self.link.server.settings.protocol {
            Kind::Http(settings) => settings,
            Kind::Grpc(_) => unreachable!("a server speaks one protocol"),
        }
    }

    // ------------------------------------------------------------------- reading

    /// Read as much as may be read now.
    fn pump(&mut self, data: &[u8]) {
        if self.rest.is_empty() {
            let used = self.consume(data);
            self.rest.extend_from_slice(data.get(used..).unwrap_or_default());
        } else {
            let mut rest = take(&mut self.rest);
            rest.extend_from_slice(data);
            let used = self.consume(&rest);
            rest.drain(..used.min(rest.len()));
            self.rest = rest;
        }
        if self.deaf || (self.rest.is_empty() && self.rest.capacity() > MAX_HEAD_BYTES) {
            self.rest = Vec::new();
        }
    }

    fn consume(&mut self, data: &[u8]) -> usize {
        let mut at = 0;
        while at < data.len() && !self.deaf {
            let input = data.get(at..).unwrap_or_default();
            if self.incoming.is_some() {
                let used = self.read_body(input);
                if used == 0 {
                    break;
                }
                at += used;
            } else if self.slots.len() >= MAX_PIPELINED {
                break;
            } else {
                let used = self.read_head(input);
                if used == 0 {
                    break;
                }
                at += used;
            }
        }
        at
    }

    /// Read a head; return its length, 0 if it is not complete or wrong.
    fn read_head(&mut self, input: &[u8]) -> usize {
        if self.head_began == NEVER {
            self.head_began = self.now;
            self.request_due = after(self.now, self.settings().request);
            self.tried = 0;
        }
        // Trying costs as much as there is: not again for every byte of a client that sends one at a time.
        let complete = has_end(input, self.tried.saturating_sub(3));
        if self.tried != 0 && !complete && input.len() < 2 * self.tried && input.len() <= MAX_HEAD_BYTES {
            return 0;
        }
        self.tried = input.len();
        match head::parse(input) {
            Ok(Some((head, length))) => {
                self.head_began = NEVER;
                self.first = false;
                self.begin(head, input.len() > length);
                length
            }
            Ok(None) => 0,
            Err(Unreadable(status, message)) => {
                self.refuse(status, &message);
                0
            }
        }
    }

    /// A request begins: decide who handles it.
    fn begin(&mut self, head: RequestHead, has_more: bool) {
        let server = self.link.server.clone();
        let settings = self.settings();
        let id = self.next;
        let announced = match head.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        let place = settings.paths.iter().position(|path| *path == head.path);
        let signal = place.and_then(|place| SIGNALS.get(place)).copied();
        let json = media_type(head.header(b"content-type"));
        let coding = Coding::named(&head.header(b"content-encoding").trim_ascii().to_ascii_lowercase())
            .filter(|coding| settings.codings.contains(coding));
        let plain = head.method == "POST"
            && !server.settings.authenticate
            && (!settings.cors || head.header(b"origin").is_empty());
        let (limit, keep_alive) = (settings.max_body, head.keep_alive && settings.keep_alive);
        self.next = self.next.wrapping_add(1);
        self.slots.push_back(Slot {
            id,
            signal,
            json: json.unwrap_or(false),
            number: 0,
            is_head: head.method == "HEAD",
            keep_alive,
            expects_continue: head.expects_continue && !has_more,
            announced,
            complete: false,
            failed: false,
            began: self.now,
            answer: None,
        });
        let mut incoming = Incoming {
            id,
            length: announced.unwrap_or(0),
            chunks: announced.is_none().then(Chunks::new),
            coding: coding.unwrap_or(Coding::Identity),
            origin: None,
            body: Vec::new(),
            held: server.hold(0),
            allowed: 0,
            asking: true,
            asked: false,
            discarded: false,
            touched: self.now,
        };
        let problem = if !head.has_host {
            Some((400, "the header Host is missing".to_string()))
        } else if announced.is_some_and(|size| size > limit) {
            Some((413, too_large(limit)))
        } else {
            None
        };
        if let (true, Some(signal), Some(json), Some(_)) = (plain, signal, json, coding) {
            let headers = server.settings.metadata.then_some(head.headers);
            let held = server.hold(0);
            incoming.origin = Some(Origin { signal, json, headers, number: 0, began: self.now, held });
            self.incoming = Some(incoming);
            if let Some((status, message)) = problem {
                return self.fail(status, &message);
            }
            if server.may_read(signal, announced.unwrap_or(0)) {
                self.admit();
            } else {
                if let Some(incoming) = &mut self.incoming {
                    incoming.asked = true;
                }
                let caller = Caller::new(&self.link, id, false);
                server.put(Event::Ask { caller, signal, size: announced.unwrap_or(0) });
            }
        } else {
            let number = server.call_number();
            if let Some(slot) = self.slots.back_mut() {
                slot.number = number;
            }
            self.incoming = Some(incoming);
            server.put(Event::Head(Box::new(Head {
                caller: Caller::new(&self.link, id, false),
                number,
                signal,
                line: (head.method, format!("{}?{}", head.path, head.query)),
                headers: head.headers,
                peer: self.link.peer.clone(),
            })));
            if let Some((status, message)) = problem.filter(|(status, _)| *status == 400) {
                self.fail(status, &message);
            }
            if announced == Some(0) {
                self.complete();
            }
        }
    }

    /// The body that is coming in is wanted.
    fn admit(&mut self) {
        let front = self.slots.front().map(|slot| slot.id);
        let Some(incoming) = &mut self.incoming else { return };
        incoming.asking = false;
        incoming.touched = self.now;
        while incoming.allowed <= incoming.body.len() {
            incoming.allowed += MAX_UNASKED;
        }
        let nothing_to_come = incoming.length == 0 && incoming.chunks.is_none();
        if front == Some(incoming.id) {
            self.tell_to_go_on();
        }
        if nothing_to_come {
            self.complete();
        }
    }

    /// Send 100 Continue if the client of the first request waits for it.
    fn tell_to_go_on(&mut self) {
        let wanted = self
            .incoming
            .as_ref()
            .is_some_and(|incoming| !incoming.asking && !incoming.discarded && incoming.body.is_empty());
        if let Some(slot) = self.slots.front_mut()
            && slot.expects_continue
            && wanted
            && self.incoming.as_ref().is_some_and(|incoming| incoming.id == slot.id)
        {
            slot.expects_continue = false;
            self.out.extend_from_slice(CONTINUE);
        }
    }

    /// Take a piece of the body; return the bytes used.
    fn read_body(&mut self, input: &[u8]) -> usize {
        let limit = self.settings().max_body;
        let Some(incoming) = &mut self.incoming else { return 0 };
        if incoming.asking && !incoming.discarded {
            return 0;
        }
        incoming.touched = self.now;
        let (used, piece) = match &mut incoming.chunks {
            None => {
                let piece = input.get(..incoming.length).unwrap_or(input);
                incoming.length -= piece.len();
                (piece.len(), piece)
            }
            Some(chunks) => match chunks.next(input) {
                Ok(read) => read,
                Err(Broken::Rule) => {
                    self.refuse(400, "this is no HTTP request: a chunk that breaks the rules");
                    return 0;
                }
                Err(Broken::Trailers) => {
                    let Unreadable(status, message) = head::too_large();
                    self.refuse(status, &message);
                    return 0;
                }
            },
        };
        if !incoming.discarded {
            incoming.held.add(piece.len());
            if incoming.body.capacity() - incoming.body.len() < piece.len() {
                let wanted = (piece.len() + incoming.length).min(STEP.max(incoming.body.len()));
                incoming.body.reserve_exact(wanted.max(piece.len()));
            }
            incoming.body.extend_from_slice(piece);
        }
        let size = incoming.body.len();
        let framing = incoming.chunks.as_ref().map_or(0, |chunks| chunks.framing);
        let done = incoming.chunks.as_ref().map_or(incoming.length == 0, Chunks::is_done);
        if size > limit {
            self.fail(413, &too_large(limit));
        } else if framing > FRAMING_BYTES + FRAMING_FACTOR * size && !incoming.discarded {
            self.refuse(400, "the body is nearly all chunk headers");
        } else if done {
            self.complete();
        } else if !incoming.discarded && (size > incoming.allowed || is_crowded(&self.link, incoming)) {
            (incoming.asking, incoming.asked) = (true, true);
            let id = incoming.id;
            if let Some(signal) = self.slots.back().and_then(|slot| slot.signal) {
                let caller = Caller::new(&self.link, id, false);
                self.link.server.put(Event::Ask { caller, signal, size });
            }
        }
        used
    }

    /// The request is complete.
    fn complete(&mut self) {
        let Some(mut incoming) = self.incoming.take() else { return };
        self.request_due = NEVER;
        if let Some(slot) = self.slots.back_mut().filter(|slot| slot.id == incoming.id) {
            slot.complete = true;
            if slot.failed || slot.answer.is_some() {
                return self.flush();
            }
            if slot.number != 0 {
                return self.link.server.put(Event::Body { number: slot.number, body: Ok(incoming.body) });
            }
        } else {
            // It was answered before its body was read.
            self.idle_since = self.now;
            return;
        }
        let Some(mut origin) = incoming.origin.take() else { return };
        origin.held = incoming.held;
        let limit = self.settings().max_body;
        let job = Job { body: incoming.body, coding: incoming.coding, signal: origin.signal, json: origin.json, limit };
        if let Some((origin, outcome)) = job.run(&self.link, incoming.id, origin) {
            self.worked(incoming.id, origin, outcome);
        }
    }

    fn worked(&mut self, id: u32, origin: Origin, outcome: Outcome) {
        match outcome {
            Outcome::Content(body, content) => {
                let event = origin.request(&self.link, id, body, content);
                self.link.server.put(event);
            }
            Outcome::Empty => {
                self.count(id, 200);
                self.answer(id, Answer::Taken);
            }
            Outcome::Failed(code, message, _) => {
                let status = if code == code::RESOURCE_EXHAUSTED { 413 } else { 400 };
                self.answer_failure(id, status, code, &message);
            }
        }
    }

    // ----------------------------------------------------------------- answering

    fn slot(&mut self, id: u32) -> Option<&mut Slot> {
        let first = self.slots.front()?.id;
        self.slots.get_mut(id.wrapping_sub(first) as usize)
    }

    /// Tell those who count of an answer that was given here.
    fn count(&mut self, id: u32, status: u16) {
        let now = self.link.server.now();
        if let Some(slot) = self.slot(id)
            && let Some(signal) = slot.signal
        {
            let seconds = now.saturating_sub(slot.began) as f64 / 1000.0;
            self.link.server.put(Event::Answered(signal, status, seconds));
        }
    }

    fn answer_failure(&mut self, id: u32, status: u16, code: u32, message: &str) {
        let refusal = http_refusal(status, code, message, &self.settings().own_headers);
        self.count(id, status);
        self.answer_refusal(id, refusal);
    }

    fn answer_refusal(&mut self, id: u32, refusal: Refusal) {
        let Refusal::Http(both) = refusal else { return };
        let [protobuf, json] = *both;
        let is_json = self.slot(id).is_some_and(|slot| slot.json);
        self.answer(id, Answer::Response(if is_json { json } else { protobuf }));
    }

    fn answer(&mut self, id: u32, answer: Answer) {
        if let Some(slot) = self.slot(id).filter(|slot| slot.answer.is_none()) {
            slot.answer = Some(answer);
            self.flush();
        }
    }

    /// Write the answers whose turn it is.
    fn flush(&mut self) {
        while self.fate == Fate::Open
            && let Some(Slot { answer: Some(answer), .. }) = self.slots.front_mut().map(|slot| &mut *slot)
        {
            let answer = std::mem::replace(answer, Answer::Nothing);
            let Some(slot) = self.slots.pop_front() else { return };
            let readable = slot.complete || slot.is_skippable();
            let last = self.slots.is_empty() && (self.ended || self.deaf || self.link.server.draining());
            let close = last || !slot.keep_alive || !readable;
            if !self.write(answer, &slot, close) {
                self.fate = Fate::Close;
            } else if close {
                self.close(self.deaf || !slot.complete);
            } else if let Some(incoming) = self.incoming.as_mut().filter(|one| one.id == slot.id) {
                incoming.discarded = true;
                incoming.body = Vec::new();
            } else {
                self.idle_since = self.now;
                self.tell_to_go_on();
            }
        }
        if self.slots.is_empty() && self.incoming.is_none() && self.fate == Fate::Open && self.ended {
            self.fate = Fate::Close;
        }
    }

    fn write(&mut self, answer: Answer, slot: &Slot, close: bool) -> bool {
        let date = self.link.server.date();
        let server = self.link.server.clone();
        let Kind::Http(settings) = &server.settings.protocol else { return false };
        let out = &mut self.out;
        let body = match answer {
            Answer::Nothing => return false,
            Answer::Taken => {
                out.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-type: ");
                out.extend_from_slice(if slot.json { JSON } else { PROTOBUF }.as_bytes());
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(&settings.own_headers);
                if slot.json { b"{}".to_vec() } else { Vec::new() }
            }
            Answer::Response(response) => {
                out.extend_from_slice(&response.head);
                response.body
            }
        };
        put_end(out, close, &date, body.len());
        if !slot.is_head {
            out.extend_from_slice(&body);
        }
        true
    }

    // ------------------------------------------------------------------- failing

    /// The body that is coming in will never be complete.
    fn fail(&mut self, status: u16, message: &str) {
        let Some(incoming) = &mut self.incoming else { return };
        let id = incoming.id;
        incoming.discarded = true;
        incoming.body = Vec::new();
        let Some(slot) = self.slots.back_mut().filter(|slot| slot.id == id && !slot.failed) else { return };
        slot.failed = true;
        if slot.number != 0 {
            let body = Err(Some((status, message.to_string())));
            self.link.server.put(Event::Body { number: slot.number, body });
            return;
        }
        let code = match status {
            400 => code::INVALID_ARGUMENT,
            408 => code::DEADLINE_EXCEEDED,
            503 => code::UNAVAILABLE,
            _ => code::RESOURCE_EXHAUSTED,
        };
        self.answer_failure(id, status, code, message);
    }

    fn refuse(&mut self, status: u16, message: &str) {
        self.refuse_with(status, message, b"");
    }

    /// Answer input that is no request, after what came before it, and close.
    fn refuse_with(&mut self, status: u16, message: &str, headers: &[u8]) {
        if self.deaf {
            return;
        }
        self.deaf = true;
        self.head_began = NEVER;
        if self.incoming.as_ref().is_some_and(|incoming| !incoming.discarded) {
            self.fail(status, message); // the answer to its request
        } else if self.slots.is_empty() {
            let body = format!("{message}\n").into_bytes();
            let response = Response::new(status, "text/plain; charset=utf-8", headers, body);
            self.out.extend_from_slice(&response.head);
            let date = self.link.server.date();
            put_end(&mut self.out, true, &date, response.body.len());
            self.out.extend_from_slice(&response.body);
            self.close(true);
        }
    }

    /// Close; with `linger` the client can read the answer while its input is thrown away.
    fn close(&mut self, linger: bool) {
        self.deaf = true;
        if !linger || self.ended {
            self.fate = Fate::Close;
        } else {
            self.fate = Fate::Linger;
            self.linger_until = self.now + LINGER;
        }
        self.forget_incoming();
        self.slots.clear();
    }

    /// Nobody waits for the rest of the body.
    fn forget_incoming(&mut self) {
        if let Some(incoming) = self.incoming.take()
            && let Some(slot) = self.slots.iter().find(|slot| slot.id == incoming.id && slot.number != 0)
            && !slot.failed
        {
            self.link.server.put(Event::Body { number: slot.number, body: Err(None) });
        }
    }

    /// A deadline has passed: answer 408 if a request had begun, and close.
    fn expire(&mut self) {
        if self.blocked_since != NEVER || self.fate != Fate::Open {
            self.fate = Fate::Abort;
        } else if self.incoming.as_ref().is_some_and(|incoming| !incoming.discarded) {
            self.fail(408, "the body did not arrive in time");
        } else if self.head_began != NEVER {
            self.refuse(408, "the headers did not arrive in time");
        } else if self.slots.is_empty() {
            self.fate = Fate::Close;
        }
    }
}

/// Append the lines that end a head.
fn put_end(out: &mut Vec<u8>, close: bool, date: &[u8], length: usize) {
    if close {
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(b"date: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\ncontent-length: ");
    if length < 10 {
        out.push(b'0' + length as u8);
    } else {
        out.extend_from_slice(length.to_string().as_bytes());
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// Whether a body that nobody was asked about came in while others used up what may be read ahead.
fn is_crowded(link: &Link, incoming: &Incoming) -> bool {
    let signal = incoming.origin.as_ref().map(|origin| origin.signal);
    !incoming.asked && signal.is_some_and(|signal| !link.server.may_read(signal, 0))
}

fn too_large(limit: usize) -> String {
    format!("the body is larger than the limit of {limit} bytes")
}

/// Whether the end of a head is there, looking from some place on.
fn has_end(input: &[u8], from: usize) -> bool {
    input.get(from..).unwrap_or_default().windows(4).any(|four| four == b"\r\n\r\n")
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

impl Protocol for Http1 {
    fn feed(&mut self, data: &[u8], now: Millis) {
        self.now = now;
        if !self.deaf {
            self.pump(data);
        }
    }

    fn ended(&mut self, now: Millis) {
        self.now = now;
        self.ended = true;
        if self.fate != Fate::Open {
            return;
        }
        self.deaf = true;
        if let Some(id) = self.incoming.as_ref().filter(|one| !one.discarded).map(|one| one.id) {
            self.forget_incoming();
            self.slots.retain(|slot| slot.id != id);
        }
        self.incoming = None;
        if self.slots.is_empty() {
            self.fate = Fate::Close;
        }
    }

    fn reply(&mut self, id: u32, _counted: bool, reply: Reply, now: Millis) {
        self.now = now;
        match reply {
            Reply::Taken => self.answer(id, Answer::Taken),
            Reply::Refused(refusal) => self.answer_refusal(id, refusal),
            Reply::Response(response) => self.answer(id, Answer::Response(*response)),
            Reply::Worked(work) => {
                let (origin, outcome) = *work;
                self.worked(id, origin, outcome);
            }
            Reply::Admitted => {
                if self.incoming.as_ref().is_some_and(|incoming| incoming.id == id) {
                    self.admit();
                }
            }
        }
        if !self.deaf && !self.rest.is_empty() {
            self.pump(b"");
        }
    }

    fn order(&mut self, orders: u8, now: Millis) {
        self.now = now;
        if orders & order::DRAIN != 0 && self.slots.is_empty() && self.fate == Fate::Open {
            self.fate = Fate::Close;
        }
        if orders & order::CHECK != 0 && self.deadline() <= now {
            self.expire();
        }
        if orders & order::ABORT != 0 {
            self.fate = Fate::Abort;
        }
    }

    fn blocked(&mut self, blocked: bool, now: Millis) {
        self.blocked_since = if blocked { now } else { NEVER };
        if !blocked {
            self.idle_since = now;
        }
    }

    fn lost(&mut self) {
        self.forget_incoming();
        self.slots.clear();
    }

    fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn reads(&self) -> bool {
        if self.blocked_since != NEVER {
            return false;
        }
        self.deaf
            || match &self.incoming {
                Some(incoming) => incoming.discarded || !incoming.asking,
                None => self.slots.len() < MAX_PIPELINED,
            }
    }

    fn fate(&self) -> Fate {
        self.fate
    }

    fn deadline(&self) -> Millis {
        let settings = self.settings();
        if self.blocked_since != NEVER {
            after(self.blocked_since, settings.write)
        } else if self.fate == Fate::Close {
            after(self.now, settings.write)
        } else if self.fate != Fate::Open {
            self.linger_until
        } else if let Some(incoming) = &self.incoming {
            let silent = if incoming.asking { NEVER } else { after(incoming.touched, settings.body_idle) };
            silent.min(self.request_due)
        } else if self.head_began != NEVER {
            after(self.head_began, settings.head).min(self.request_due)
        } else if self.slots.is_empty() {
            after(self.idle_since, if self.first { settings.head } else { settings.idle })
        } else {
            NEVER
        }
    }
}
