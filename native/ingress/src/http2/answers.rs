//! Answers and the windows that they must fit into (RFC 9113, 5.2).

use std::collections::VecDeque;

use super::Streams;
use super::frames::{DEFAULT_WINDOW, ErrorCode, Fault, MAX_PAYLOAD, MAX_WINDOW, flag, kind, protocol, put_frame};
use super::rpc::Stream;

const TOO_WIDE: Fault = Fault::Connection(ErrorCode::FlowControl, "a window above 2^31-1");

/// An answer whose data has to wait, with its trailers.
type Waiting = (u32, &'static [u8], &'static [u8]);

/// Sends answers in order, as the client's windows allow.
pub(crate) struct Answers {
    window: i64,
    stream_window: i64,
    waiting: VecDeque<Waiting>,
}

impl Answers {
    pub(crate) fn new() -> Self {
        Self { window: DEFAULT_WINDOW, stream_window: DEFAULT_WINDOW, waiting: VecDeque::new() }
    }

    /// Send header block, data and trailer block; true if everything has left, and not only the head.
    pub(crate) fn add(
        &mut self,
        out: &mut Vec<u8>,
        id: u32,
        send_window: i64,
        head: &[u8],
        data: &'static [u8],
        trailers: &'static [u8],
    ) -> bool {
        if data.is_empty() && trailers.is_empty() {
            put_frame(out, kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, id, head);
            return true;
        }
        put_frame(out, kind::HEADERS, flag::END_HEADERS, id, head);
        let size = data.len() as i64;
        let room = self.window.min(self.stream_window + send_window).min(MAX_PAYLOAD as i64);
        if self.waiting.is_empty() && size <= room {
            self.window -= size;
            put_ending(out, id, data, trailers);
            return true;
        }
        self.waiting.push_back((id, data, trailers));
        false
    }

    /// Forget answers to streams that are gone, if very many wait.
    pub(crate) fn tidy(&mut self, crowd: usize, is_open: impl Fn(u32) -> bool) {
        if self.waiting.len() > crowd {
            self.waiting.retain(|one| is_open(one.0));
        }
    }

    /// Send as much of the answers that wait as the windows let through, until one is complete; return its stream.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>, streams: &mut Streams) -> Option<u32> {
        while let Some(&(id, data, trailers)) = self.waiting.front() {
            let Some(stream) = streams.get_mut(&id) else {
                self.waiting.pop_front();
                continue;
            };
            let room = self.window.min(self.stream_window + stream.send_window).min(MAX_PAYLOAD as i64);
            if !data.is_empty() && room <= 0 {
                return None;
            }
            let (now, later) = data.split_at(data.len().min(usize::try_from(room).unwrap_or(0)));
            self.window -= now.len() as i64;
            stream.send_window -= now.len() as i64;
            if later.is_empty() {
                put_ending(out, id, now, trailers);
                self.waiting.pop_front();
                return Some(id);
            }
            put_frame(out, kind::DATA, 0, id, now);
            if let Some(first) = self.waiting.front_mut() {
                first.1 = later;
            }
        }
        None
    }

    /// Take a new window of all streams from the client's settings.
    pub(crate) fn resize(&mut self, window: i64, streams: &Streams) -> Result<(), Fault> {
        let widest = streams.values().map(|stream| stream.send_window).max().unwrap_or(0).max(0);
        if window + widest > MAX_WINDOW {
            return Err(TOO_WIDE);
        }
        self.stream_window = window;
        Ok(())
    }

    /// Widen the window of the connection.
    pub(crate) fn widen(&mut self, increment: i64) -> Result<(), Fault> {
        if increment == 0 {
            return Err(protocol("a WINDOW_UPDATE of nothing"));
        }
        self.window += increment;
        if self.window > MAX_WINDOW { Err(TOO_WIDE) } else { Ok(()) }
    }

    /// Widen the window of a stream, `None` for one that is closed already.
    pub(crate) fn widen_stream(&self, stream: Option<&mut Stream>, increment: i64) -> Result<(), Fault> {
        if increment == 0 {
            return Err(Fault::Stream(ErrorCode::Protocol));
        }
        if let Some(stream) = stream {
            stream.send_window += increment;
            if self.stream_window + stream.send_window > MAX_WINDOW {
                return Err(Fault::Stream(ErrorCode::FlowControl));
            }
        }
        Ok(())
    }
}

/// The last frames of an answer.
fn put_ending(out: &mut Vec<u8>, id: u32, data: &[u8], trailers: &[u8]) {
    if trailers.is_empty() {
        put_frame(out, kind::DATA, flag::END_STREAM, id, data);
        return;
    }
    put_frame(out, kind::DATA, 0, id, data);
    put_frame(out, kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, id, trailers);
}
