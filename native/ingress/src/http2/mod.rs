//! One HTTP/2 connection of a gRPC server (RFC 9113): frames, header blocks, flow control, and defence against their
//! abuse.

mod answers;
pub(crate) mod frames;
mod headers;
mod history;
pub(crate) mod hpack;
mod huffman;
mod rpc;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem::take;
use std::sync::Arc;

use crate::connection::{Fate, Protocol};
use crate::message::{Event, Reply};
use crate::server::{Link, order};
use crate::settings::{GrpcSettings, Millis, NEVER, Protocol as Kind, after};

use answers::Answers;
use frames::{
    DEFAULT_WINDOW, ErrorCode, Fault, HEAD_BYTES, MAX_PAYLOAD, MAX_WINDOW, PREFACE, SETTING_BYTES, check_goaway,
    check_priority, flag, frame_size, kind, protocol, put_frame, put_goaway, put_reset, put_settings,
    put_window_update, read_settings, read_word, setting, unpad, without_priority,
};
use history::History;
use hpack::{Decoder, Headers};
use rpc::Stream;

/// Bytes that a client may send ahead over all streams.
const CONNECTION_WINDOW: i64 = 16 * 1024 * 1024;
/// Headers of one request, decoded; far more than SDKs send.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// CONTINUATION frames of one header block (CVE-2024-27983 and its kin send them for ever).
const MAX_CONTINUATIONS: usize = 32;
/// Streams that a client may cancel beyond those that were answered (CVE-2023-44487, rapid reset), or make us cancel by
/// breaking a rule (CVE-2025-8671).
const FREE_RESETS: i64 = 200;
/// Frames that bring nothing (settings, empty data and the like) between two answers (CVE-2019-9515, CVE-2019-9518).
const IDLE_FRAMES: usize = 1000;
/// Pings in too quick succession that are forgiven, as in gRPC.
const PING_STRIKES: u32 = 2;
/// Milliseconds for GOAWAY to arrive before the connection is closed.
const LINGER: Millis = 1000;
const NOT_HTTP_2: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\n\
    this endpoint speaks gRPC, which is HTTP/2; OTLP/HTTP has an endpoint of its own\n";

/// Stream numbers are chosen by clients, but they rise and are bounded by the streams under way: no need for SipHash.
#[derive(Default)]
struct ById(u64);

impl Hasher for ById {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

type Streams = HashMap<u32, Stream, BuildHasherDefault<ById>>;

/// A header block that is not complete.
struct Block {
    stream: u32,
    flags: u8,
    fragments: usize,
    bytes: Vec<u8>,
}

/// The server's end of a connection.
pub(crate) struct Http2 {
    link: Arc<Link>,
    out: Vec<u8>,
    rest: Vec<u8>,
    /// Streams that are not answered yet.
    streams: Streams,
    /// Requests at work, also those whose stream is gone.
    handlers: usize,
    /// When something came last.
    now: Millis,
    opened: Millis,
    prefaced: bool,
    /// The client's first SETTINGS are there.
    greeted: bool,
    decoder: Decoder,
    block: Option<Block>,
    history: History,
    window: i64,
    answers: Answers,
    resets: i64,
    /// Since the last answer.
    idle_frames: usize,
    last_ping: Option<Millis>,
    strikes: u32,
    /// When our own ping left.
    pinged: Millis,
    blocked_since: Millis,
    /// GOAWAY was sent.
    leaving: bool,
    cut_at: Millis,
    /// When messages that stopped are looked for.
    messages_due: Millis,
    /// An error ended it.
    dead: bool,
    fate: Fate,
}

impl Http2 {
    pub(crate) fn new(link: Arc<Link>, fits: bool, now: Millis) -> Self {
        let mut made = Self {
            link,
            out: Vec::new(),
            rest: Vec::new(),
            streams: Streams::default(),
            handlers: 0,
            now,
            opened: now,
            prefaced: false,
            greeted: false,
            decoder: Decoder::new(),
            block: None,
            history: History::default(),
            window: CONNECTION_WINDOW,
            answers: Answers::new(),
            resets: FREE_RESETS,
            idle_frames: 0,
            last_ping: None,
            strikes: 0,
            pinged: NEVER,
            blocked_since: NEVER,
            leaving: false,
            cut_at: NEVER,
            messages_due: NEVER,
            dead: false,
            fate: Fate::Open,
        };
        let settings = [
            (setting::MAX_CONCURRENT_STREAMS, u32::try_from(made.settings().max_streams).unwrap_or(u32::MAX)),
            (setting::INITIAL_WINDOW_SIZE, made.settings().stream_window),
            (setting::MAX_HEADER_LIST_SIZE, MAX_HEADER_BYTES as u32),
        ];
        put_settings(&mut made.out, &settings);
        put_window_update(&mut made.out, 0, CONNECTION_WINDOW - DEFAULT_WINDOW);
        if !fits {
            made.die(ErrorCode::EnhanceYourCalm, "too many connections");
        }
        made
    }

    fn settings(&self) -> &GrpcSettings {
        match &self.link.server.settings.protocol {
            Kind::Grpc(settings) => settings,
            Kind::Http(_) => unreachable!("a server speaks one protocol"),
        }
    }

    // ------------------------------------------------------------------- reading

    /// Read the complete frames; return where the rest begins.
    fn read(&mut self, data: &[u8]) -> usize {
        let mut at = 0;
        if !self.prefaced {
            let begin = data.get(..PREFACE.len()).unwrap_or(data);
            if !PREFACE.starts_with(begin) {
                if looks_like_http_1(data) {
                    self.out.extend_from_slice(NOT_HTTP_2);
                }
                self.die(ErrorCode::Protocol, "no HTTP/2");
                return data.len();
            }
            if begin.len() < PREFACE.len() {
                return 0;
            }
            self.prefaced = true;
            at = PREFACE.len();
        }
        while let Some(&[a, b, c, kind, flags, i, j, k, l]) = data.get(at..).and_then(|rest| rest.first_chunk()) {
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            if length > MAX_PAYLOAD {
                self.die(ErrorCode::FrameSize, "frame too large");
                break;
            }
            let begin = at + HEAD_BYTES;
            let Some(payload) = data.get(begin..begin + length) else { break };
            let stream = u32::from_be_bytes([i, j, k, l]) & MAX_WINDOW as u32;
            match self.frame(kind, flags, stream, payload) {
                Ok(()) => {}
                Err(Fault::Stream(code)) => {
                    if let Err(Fault::Connection(code, message)) = self.fail(stream, code) {
                        self.die(code, message);
                    }
                }
                Err(Fault::Connection(code, message)) => self.die(code, message),
            }
            if self.dead {
                break;
            }
            at = begin + length;
        }
        at
    }

    fn frame(&mut self, frame: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<(), Fault> {
        if self.block.is_some() && frame != kind::CONTINUATION {
            return Err(protocol("a header block is interrupted"));
        }
        if !self.greeted {
            if frame != kind::SETTINGS {
                return Err(protocol("the first frame is not SETTINGS"));
            }
            self.greeted = true;
        }
        match frame {
            kind::DATA => self.on_data(flags, stream, payload),
            kind::HEADERS => self.on_headers(flags, stream, payload),
            kind::PRIORITY => {
                self.count_idle(1)?;
                check_priority(stream, payload)
            }
            kind::RST_STREAM => self.on_reset(stream, payload),
            kind::SETTINGS => self.on_settings(flags, stream, payload),
            kind::PUSH_PROMISE => Err(protocol("clients do not push")),
            kind::PING => self.on_ping(flags, stream, payload),
            kind::GOAWAY => {
                self.count_idle(1)?;
                check_goaway(stream, payload) // the client opens no more streams, which we will see
            }
            kind::WINDOW_UPDATE => self.on_window_update(stream, payload),
            kind::CONTINUATION => self.on_continuation(flags, stream, payload),
            _ => self.count_idle(1),
        }
    }

    fn count_idle(&mut self, frames: usize) -> Result<(), Fault> {
        self.idle_frames += frames;
        if self.idle_frames > IDLE_FRAMES {
            return Err(Fault::Connection(ErrorCode::EnhanceYourCalm, "too many frames that bring nothing"));
        }
        Ok(())
    }

    fn on_data(&mut self, flags: u8, id: u32, payload: &[u8]) -> Result<(), Fault> {
        let length = payload.len() as i64;
        self.window -= length;
        if self.window < 0 {
            return Err(Fault::Connection(ErrorCode::FlowControl, "more data than the connection's window"));
        }
        if self.window < CONNECTION_WINDOW / 2 {
            put_window_update(&mut self.out, 0, CONNECTION_WINDOW - self.window);
            self.window = CONNECTION_WINDOW;
        }
        let payload = if flags & flag::PADDED != 0 { unpad(payload)? } else { payload };
        let last = flags & flag::END_STREAM != 0;
        let Some(stream) = self.streams.get_mut(&id) else {
            self.history.check_late(id, last)?;
            return self.count_idle(usize::from(length == 0));
        };
        if stream.ended {
            return Err(Fault::Stream(ErrorCode::StreamClosed));
        }
        stream.receive_window -= length;
        if stream.receive_window < 0 {
            return Err(Fault::Connection(ErrorCode::FlowControl, "more data than the stream's window"));
        }
        if last {
            stream.ended = true;
        } else if payload.is_empty() {
            return self.count_idle(1);
        }
        stream.touched = self.now;
        if !stream.answered {
            stream.take(payload);
            self.receive(id)?;
        }
        Ok(())
    }

    /// Data of a stream came, or its end.
    fn receive(&mut self, id: u32) -> Result<(), Fault> {
        let Some(stream) = self.streams.get(&id) else { return Ok(()) };
        if let Some(announced) = stream.content_length
            && (stream.size() > announced || (stream.ended && stream.size() < announced))
        {
            return Err(Fault::Stream(ErrorCode::Protocol));
        }
        if !stream.answered {
            self.advance(id);
        }
        Ok(())
    }

    fn on_headers(&mut self, flags: u8, id: u32, payload: &[u8]) -> Result<(), Fault> {
        let payload = if flags & flag::PADDED != 0 { unpad(payload)? } else { payload };
        let payload = if flags & flag::PRIORITY != 0 { without_priority(id, payload)? } else { payload };
        if flags & flag::END_HEADERS != 0 {
            return self.on_block(flags, id, payload);
        }
        self.block = Some(Block { stream: id, flags, fragments: 1, bytes: payload.to_vec() });
        Ok(())
    }

    fn on_continuation(&mut self, flags: u8, id: u32, payload: &[u8]) -> Result<(), Fault> {
        let Some(mut block) = self.block.take().filter(|block| block.stream == id) else {
            return Err(protocol("CONTINUATION without HEADERS"));
        };
        block.bytes.extend_from_slice(payload);
        block.fragments += 1;
        if block.fragments > MAX_CONTINUATIONS || block.bytes.len() > MAX_HEADER_BYTES {
            return Err(Fault::Connection(ErrorCode::EnhanceYourCalm, "a header block without end"));
        }
        if flags & flag::END_HEADERS != 0 {
            return self.on_block(block.flags, id, &block.bytes);
        }
        self.block = Some(block);
        Ok(())
    }

    fn on_block(&mut self, flags: u8, id: u32, block: &[u8]) -> Result<(), Fault> {
        let headers = self.decoder.decode(block, MAX_HEADER_BYTES);
        let damaged = Fault::Connection(ErrorCode::Compression, "header block ends early or is damaged");
        let headers = headers.map_err(|hpack::Damaged| damaged)?;
        if self.decoder.bad_characters {
            return Err(protocol("a character that no header has"));
        }
        let ended = flags & flag::END_STREAM != 0;
        if let Some(stream) = self.streams.get_mut(&id) {
            if stream.ended {
                return Err(Fault::Stream(ErrorCode::StreamClosed));
            }
            check_trailers(headers.as_ref(), ended)?;
            stream.ended = true;
            return self.receive(id);
        }
        if !self.history.open(id)? {
            self.history.check_late(id, ended)?;
            return check_trailers(headers.as_ref(), ended);
        }
        let most = self.settings().max_streams;
        if self.leaving || self.streams.len() >= most || self.handlers >= most {
            // The client repeats it here, or elsewhere after GOAWAY, which told it so.
            self.history.cut(id);
            if !self.leaving {
                put_reset(&mut self.out, id, ErrorCode::RefusedStream);
            }
            return Ok(());
        }
        let content_length = match &headers {
            Some(headers) => headers::check_request(headers)?,
            None => None,
        };
        let mut stream = Stream::new(i64::from(self.settings().stream_window), content_length, self.now);
        stream.ended = ended;
        self.streams.insert(id, stream);
        if self.messages_due == NEVER {
            self.messages_due = after(self.now, self.settings().message_idle);
        }
        self.begin(id, headers);
        if ended { self.receive(id) } else { Ok(()) }
    }

    fn on_reset(&mut self, id: u32, payload: &[u8]) -> Result<(), Fault> {
        read_word(payload, "RST_STREAM of a wrong size")?;
        self.history.check_opened(id)?;
        self.history.end(id);
        if self.streams.contains_key(&id) {
            self.count_reset()?;
            self.drop_stream(id);
        }
        Ok(())
    }

    fn count_reset(&mut self) -> Result<(), Fault> {
        self.resets -= 1;
        if self.resets < 0 {
            return Err(Fault::Connection(ErrorCode::EnhanceYourCalm, "too many cancelled streams"));
        }
        Ok(())
    }

    fn on_settings(&mut self, flags: u8, id: u32, payload: &[u8]) -> Result<(), Fault> {
        if id != 0 {
            return Err(protocol("SETTINGS on a stream"));
        }
        if flags & flag::ACK != 0 {
            if !payload.is_empty() {
                return Err(frame_size("an acknowledgement of SETTINGS that is not empty"));
            }
            return Ok(());
        }
        self.count_idle(1 + payload.len() / SETTING_BYTES)?;
        if let Some(window) = read_settings(payload)? {
            self.answers.resize(window, &self.streams)?;
        }
        put_frame(&mut self.out, kind::SETTINGS, flag::ACK, 0, b"");
        self.send_waiting();
        Ok(())
    }

    fn on_ping(&mut self, flags: u8, id: u32, payload: &[u8]) -> Result<(), Fault> {
        if id != 0 {
            return Err(protocol("PING on a stream"));
        }
        if payload.len() != 8 {
            return Err(frame_size("PING of a wrong size"));
        }
        if flags & flag::ACK != 0 {
            return Ok(());
        }
        let settings = self.settings();
        let counts = !self.streams.is_empty() || settings.ping_without_streams;
        let least = if counts { after(0, settings.least_ping_interval.or(Some(Default::default()))) } else { NEVER };
        if self.last_ping.is_some_and(|last| self.now - last < least) {
            self.strikes += 1;
            if self.strikes > PING_STRIKES {
                return Err(Fault::Connection(ErrorCode::EnhanceYourCalm, "too_many_pings"));
            }
        }
        self.last_ping = Some(self.now);
        put_frame(&mut self.out, kind::PING, flag::ACK, 0, payload);
        Ok(())
    }

    fn on_window_update(&mut self, id: u32, payload: &[u8]) -> Result<(), Fault> {
        let increment = read_word(payload, "WINDOW_UPDATE of a wrong size")?;
        if id == 0 {
            self.answers.widen(increment)?;
        } else {
            self.history.check_opened(id)?;
            self.answers.widen_stream(self.streams.get_mut(&id), increment)?;
        }
        self.send_waiting();
        Ok(())
    }

    // ------------------------------------------------------------------- writing

    /// Answer a stream, once: header block, data, trailer block; data and trailers may be empty.
    fn respond(&mut self, id: u32, head: &[u8], data: &'static [u8], trailers: &'static [u8]) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.answered) else { return };
        stream.answered = true;
        self.resets += 1;
        self.idle_frames = 0;
        self.strikes = 0;
        self.last_ping = None;
        if self.answers.add(&mut self.out, id, stream.send_window, head, data, trailers) {
            self.end(id);
        } else {
            let streams = &self.streams;
            self.answers.tidy(self.settings().max_streams * 2, |one| streams.contains_key(&one));
            self.send_waiting();
        }
    }

    fn send_waiting(&mut self) {
        while let Some(id) = self.answers.next(&mut self.out, &mut self.streams) {
            self.end(id);
        }
    }

    /// Let a client send more on a stream whose data is wanted.
    fn grant(&mut self, id: u32) {
        let window = i64::from(self.settings().stream_window);
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.is_due(window)
        {
            put_window_update(&mut self.out, id, window - stream.receive_window);
            stream.receive_window = window;
        }
    }

    // -------------------------------------------------------------------- ending

    /// A stream is answered; a client that still sends is told to stop (RFC 9113, 8.1).
    fn end(&mut self, id: u32) {
        if let Some(stream) = self.streams.remove(&id) {
            if !stream.ended {
                put_reset(&mut self.out, id, ErrorCode::NoError);
                self.history.cut(id);
            }
            self.tell_gone(&stream);
        }
        self.close_if_done();
    }

    /// Nobody reads an answer any more; a request that is at work goes on.
    fn drop_stream(&mut self, id: u32) {
        if let Some(stream) = self.streams.remove(&id) {
            self.tell_gone(&stream);
        }
    }

    fn tell_gone(&self, stream: &Stream) {
        if let Some(number) = stream.unfulfilled() {
            self.link.server.put(Event::Gone(number));
        }
    }

    /// Cancel a stream because of what the client did on it.
    fn fail(&mut self, id: u32, code: ErrorCode) -> Result<(), Fault> {
        self.history.check_opened(id)?;
        self.count_reset()?;
        self.history.cut(id);
        put_reset(&mut self.out, id, code);
        if self.streams.contains_key(&id) {
            self.drop_stream(id);
            self.close_if_done();
        }
        Ok(())
    }

    /// Close a connection that is leaving when nothing is under way on it.
    fn close_if_done(&mut self) {
        if self.leaving && self.streams.is_empty() && self.handlers == 0 && self.fate == Fate::Open {
            self.fate = Fate::Close;
        }
    }

    /// Tell the client to go elsewhere, finish what is under way, then close; cut it off at some time.
    fn leave(&mut self, cut_at: Millis) {
        if self.leaving || self.dead {
            return;
        }
        self.leaving = true;
        self.cut_at = cut_at;
        put_goaway(&mut self.out, self.history.last, ErrorCode::NoError, "");
        self.close_if_done();
    }

    /// Tell the client what it did wrong and close.
    fn die(&mut self, code: ErrorCode, message: &str) {
        self.dead = true;
        self.drop_all();
        put_goaway(&mut self.out, self.history.last, code, message);
        self.cut_at = self.now + LINGER;
        self.fate = Fate::Linger;
    }

    fn drop_all(&mut self) {
        let open: Vec<u32> = self.streams.keys().copied().collect();
        for id in open {
            self.drop_stream(id);
        }
    }

    fn check(&mut self, now: Millis) {
        let settings = self.settings();
        let (age, grace, idle) = (after(self.opened, settings.age), settings.age_grace, after(self.now, settings.idle));
        let written_by = after(self.blocked_since, settings.write);
        let greeted_by = if self.greeted { NEVER } else { after(self.opened, settings.handshake) };
        let answered_by = after(self.pinged, settings.ping_timeout);
        let ping_at = after(self.now, settings.ping_after);
        let closed_by = if self.fate == Fate::Close { after(self.now, settings.write) } else { NEVER };
        if now >= closed_by || now >= self.cut_at || now >= written_by || now >= greeted_by || now >= answered_by {
            self.fate = Fate::Abort;
        } else if !self.greeted {
        } else if now >= age && !self.leaving {
            self.leave(after(now, grace));
        } else if now >= idle && self.streams.is_empty() && self.handlers == 0 {
            self.leave(NEVER);
        } else if now >= ping_at && self.pinged == NEVER {
            self.pinged = now;
            put_frame(&mut self.out, kind::PING, 0, 0, &[0; 8]);
        }
        if now >= self.messages_due {
            self.end_stopped_messages(now);
        }
    }
}

fn check_trailers(headers: Option<&Headers>, ended: bool) -> Result<(), Fault> {
    if !ended {
        return Err(Fault::Stream(ErrorCode::Protocol));
    }
    headers.map_or(Ok(()), headers::check_trailers)
}

/// `GET /`, `PRI *` and the like.
fn looks_like_http_1(data: &[u8]) -> bool {
    let word = data.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    word > 0 && matches!(data.get(word..), Some([b' ', b'/' | b'*' | b'h', ..]))
}

impl Protocol for Http2 {
    fn feed(&mut self, data: &[u8], now: Millis) {
        if self.dead {
            return;
        }
        self.now = now;
        self.pinged = NEVER;
        if self.rest.is_empty() {
            let at = self.read(data);
            self.rest.extend_from_slice(data.get(at..).unwrap_or_default());
        } else {
            let mut rest = take(&mut self.rest);
            rest.extend_from_slice(data);
            let at = self.read(&rest);
            rest.drain(..at.min(rest.len()));
            self.rest = rest;
        }
        if self.rest.is_empty() && self.rest.capacity() > 2 * MAX_PAYLOAD {
            self.rest = Vec::new();
        }
    }

    fn ended(&mut self, _now: Millis) {
        // A client of HTTP/2 does not close one half: nobody reads answers to what is not there yet.
        if self.fate == Fate::Open {
            self.fate = Fate::Close;
        }
    }

    fn reply(&mut self, id: u32, counted: bool, reply: Reply, _now: Millis) {
        self.handlers -= usize::from(counted).min(self.handlers);
        self.answer(id, reply);
        self.close_if_done();
    }

    fn order(&mut self, orders: u8, now: Millis) {
        if orders & order::DRAIN != 0 {
            self.leave(NEVER);
        }
        if orders & order::CUT != 0 {
            self.cut_off();
        }
        if orders & order::CHECK != 0 {
            self.check(now);
        }
        if orders & order::ABORT != 0 {
            self.abort();
        }
    }

    fn blocked(&mut self, blocked: bool, now: Millis) {
        self.blocked_since = if blocked { now } else { NEVER };
    }

    fn lost(&mut self) {
        self.dead = true;
        self.drop_all();
    }

    fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn reads(&self) -> bool {
        self.blocked_since == NEVER
    }

    fn fate(&self) -> Fate {
        self.fate
    }

    fn deadline(&self) -> Millis {
        let settings = self.settings();
        let mut due = self.cut_at.min(after(self.blocked_since, settings.write)).min(self.messages_due);
        if !self.greeted {
            due = due.min(after(self.opened, settings.handshake));
        }
        if self.fate == Fate::Close {
            due = due.min(after(self.now, settings.write));
        }
        if !self.leaving {
            due = due.min(after(self.opened, settings.age));
            if self.streams.is_empty() && self.handlers == 0 {
                due = due.min(after(self.now, settings.idle));
            }
        }
        due.min(if self.pinged == NEVER {
            after(self.now, settings.ping_after)
        } else {
            after(self.pinged, settings.ping_timeout)
        })
    }
}
