//! Between the socket and `hyper`: notes when bytes go to and fro, and looks at the frames of HTTP/2.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::frames::{ENHANCE_YOUR_CALM, Follower, FrameHead, PREFACE, PROTOCOL_ERROR, flag, goaway, kind};
use crate::server::{Link, locked};
use crate::settings::{Millis, NEVER, Protocol, after};

/// Streams that a client may cancel beyond those that were answered (CVE-2023-44487, rapid reset).
const FREE_RESETS: usize = 200;
/// Frames that bring nothing (settings, empty data and the like) between two answers (CVE-2019-9515, CVE-2019-9518).
const IDLE_FRAMES: usize = 1000;
/// Padded frames up to that size count as empty: nobody has a reason to send many.
const PADDING: usize = 256;
/// Pings in too quick succession that are forgiven, as in gRPC.
const PING_STRIKES: u32 = 2;
const NOT_HTTP_2: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\n\
    this endpoint speaks gRPC, which is HTTP/2; OTLP/HTTP has an endpoint of its own\n";

/// What is watched of a connection of HTTP/2.
#[derive(Debug, Default)]
struct Watch {
    /// How much of the preface is there.
    prefaced: usize,
    incoming: Follower,
    outgoing: Follower,
    last_stream: u32,
    greeted: bool,
    resets: usize,
    idle_frames: usize,
    /// Answers when `idle_frames` was last set to nothing.
    answered: usize,
    last_ping: Option<Millis>,
    strikes: u32,
    /// What the client did wrong.
    fault: Option<(u32, &'static str)>,
}

impl Watch {
    fn read(&mut self, data: &[u8], link: &Link) {
        let missing = PREFACE.get(self.prefaced..).unwrap_or_default();
        let count = missing.len().min(data.len());
        let (begin, rest) = data.split_at(count);
        if !missing.starts_with(begin) {
            self.fault = Some((PROTOCOL_ERROR, "no HTTP/2"));
            return;
        }
        self.prefaced += count;
        let mut follower = std::mem::take(&mut self.incoming);
        follower.follow(rest, |head| self.see(head, link));
        self.incoming = follower;
    }

    fn see(&mut self, head: FrameHead, link: &Link) {
        if !self.greeted && head.kind != kind::SETTINGS {
            self.fault = Some((PROTOCOL_ERROR, "the first frame is not SETTINGS"));
            return;
        }
        self.greeted = true;
        let answered = link.answered.load(Ordering::Relaxed);
        if answered != self.answered {
            self.answered = answered;
            (self.idle_frames, self.strikes, self.last_ping) = (0, 0, None);
        }
        let padded = head.flags & flag::PADDED != 0 && head.length <= PADDING;
        match head.kind {
            kind::HEADERS => self.last_stream = self.last_stream.max(head.stream),
            kind::DATA if head.length != 0 && !padded => {}
            kind::WINDOW_UPDATE | kind::CONTINUATION => {}
            kind::SETTINGS if head.flags & flag::ACK != 0 => {}
            kind::RST_STREAM => {
                self.resets += 1;
                if self.resets > FREE_RESETS + answered {
                    self.fault = Some((ENHANCE_YOUR_CALM, "too many cancelled streams"));
                }
            }
            kind::PING if head.flags & flag::ACK != 0 => {}
            kind::PING => self.ping(link),
            _ => self.idle_frames += 1,
        }
        if self.idle_frames > IDLE_FRAMES {
            self.fault = Some((ENHANCE_YOUR_CALM, "too many frames that bring nothing"));
        }
    }

    fn ping(&mut self, link: &Link) {
        let Protocol::Grpc(settings) = &link.server.settings.protocol else {
            self.idle_frames += 1;
            return;
        };
        let now = link.server.now();
        let counts = link.active.load(Ordering::Relaxed) != 0 || settings.ping_without_streams;
        let least = if counts { after(0, settings.least_ping_interval.or(Some(Default::default()))) } else { NEVER };
        if self.last_ping.is_some_and(|last| now - last < least) {
            self.strikes += 1;
            if self.strikes > PING_STRIKES {
                self.fault = Some((ENHANCE_YOUR_CALM, "too_many_pings"));
            }
        }
        self.last_ping = Some(now);
    }
}

/// `GET /`, `PRI *` and the like.
fn looks_like_http_1(data: &[u8]) -> bool {
    let word = data.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    word > 0 && matches!(data.get(word..), Some([b' ', b'/' | b'*' | b'h', ..]))
}

#[derive(Debug)]
struct Inner<S> {
    stream: S,
    /// What was read before `hyper` was there.
    begin: Vec<u8>,
    watch: Option<Watch>,
    ended: bool,
}

/// A socket that `hyper` has, and whoever follows the connection, too.
#[derive(Debug)]
pub(crate) struct Stream<S> {
    inner: Arc<Mutex<Inner<S>>>,
    link: Arc<Link>,
}

impl<S> Clone for Stream<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), link: self.link.clone() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    pub(crate) fn new(stream: S, link: &Arc<Link>) -> Self {
        let inner = Inner { stream, begin: Vec::new(), watch: None, ended: false };
        Self { inner: Arc::new(Mutex::new(inner)), link: link.clone() }
    }

    /// HTTP/2 is spoken on it.
    pub(crate) fn watch(&self) {
        locked(&self.inner).watch = Some(Watch::default());
    }

    /// Give back what was read.
    pub(crate) fn put_back(&self, begin: Vec<u8>) {
        locked(&self.inner).begin = begin;
    }

    /// Whether the client sends no more.
    pub(crate) fn has_ended(&self) -> bool {
        locked(&self.inner).ended
    }

    /// Whether the client has sent a frame, or speaks HTTP/1.1.
    pub(crate) fn is_greeted(&self) -> bool {
        locked(&self.inner).watch.as_ref().is_none_or(|watch| watch.greeted)
    }

    pub(crate) fn is_http1(&self) -> bool {
        locked(&self.inner).watch.is_none()
    }

    /// Read what nobody looks at.
    pub(crate) fn poll_discard(&self, context: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut locked(&self.inner).stream).poll_read(context, space)
    }

    /// What to tell a client that broke a rule that `hyper` does not know.
    pub(crate) fn fault(&self) -> Option<Vec<u8>> {
        let inner = locked(&self.inner);
        let watch = inner.watch.as_ref()?;
        let (code, words) = watch.fault?;
        if watch.prefaced < PREFACE.len() && looks_like_http_1(&inner.begin) {
            return Some(NOT_HTTP_2.into());
        }
        Some(if watch.outgoing.is_between() { goaway(watch.last_stream, code, words) } else { Vec::new() })
    }

    /// Send what `hyper` does not.
    pub(crate) fn poll_send(&self, context: &mut Context<'_>, data: &mut &[u8]) -> Poll<()> {
        let mut inner = locked(&self.inner);
        while !data.is_empty() {
            match Pin::new(&mut inner.stream).poll_write(context, data) {
                Poll::Ready(Ok(count)) if count > 0 => *data = data.get(count..).unwrap_or_default(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        Pin::new(&mut inner.stream).poll_shutdown(context).map(|_| ())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let link = &self.link;
        let mut inner = locked(&self.inner);
        let inner = &mut *inner;
        let before = space.filled().len();
        if inner.begin.is_empty() || inner.watch.as_ref().is_some_and(|watch| watch.fault.is_some()) {
            match Pin::new(&mut inner.stream).poll_read(context, space) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
            let now = link.server.now();
            link.read_at.store(now, Ordering::Relaxed);
            if inner.watch.is_none()
                && link.active.load(Ordering::Relaxed) == 0
                && link.head_began.load(Ordering::Relaxed) == NEVER
            {
                link.head_began.store(now, Ordering::Relaxed);
            }
        } else {
            let count = inner.begin.len().min(space.remaining());
            space.put_slice(inner.begin.get(..count).unwrap_or_default());
            inner.begin.drain(..count);
        }
        let data = space.filled().get(before..).unwrap_or_default();
        inner.ended |= data.is_empty();
        if let Some(watch) = &mut inner.watch {
            watch.read(data, link);
            if watch.fault.is_some() {
                // The rest is none of hyper's business.
                inner.begin = data.into();
                space.set_filled(before);
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Stream<S> {
    fn note(inner: &mut Inner<S>, link: &Link, data: &[u8], result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(Ok(count)) => {
                link.blocked_since.store(NEVER, Ordering::Relaxed);
                if let Some(watch) = &mut inner.watch {
                    watch.outgoing.follow(data.get(..*count).unwrap_or_default(), |_| ());
                }
            }
            Poll::Pending if link.blocked_since.load(Ordering::Relaxed) == NEVER => {
                link.blocked_since.store(link.server.now(), Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = locked(&self.inner);
        let result = Pin::new(&mut inner.stream).poll_write(context, data);
        Self::note(&mut inner, &self.link, data, &result);
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = locked(&self.inner);
        let result = Pin::new(&mut inner.stream).poll_write_vectored(context, pieces);
        let mut left = if let Poll::Ready(Ok(count)) = &result { *count } else { 0 };
        for piece in pieces {
            if left == 0 || inner.watch.is_none() {
                break;
            }
            let count = left.min(piece.len());
            left -= count;
            Self::note(&mut inner, &self.link, piece, &Poll::Ready(Ok(count)));
        }
        if inner.watch.is_none() || result.is_pending() {
            Self::note(&mut inner, &self.link, b"", &result);
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        locked(&self.inner).stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut locked(&self.inner).stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever follows the connection closes it, when it has said everything.
        self.poll_flush(context)
    }
}
