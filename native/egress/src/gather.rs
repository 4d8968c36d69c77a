//! A connection that gathers what is written, so that many frames cost one call of the system.
//!
//! HTTP/2 writes and flushes frame by frame, 16 KiB at a time. Here writing only copies into a buffer, and flushing does
//! nothing; whoever drives the connection calls [`Gather::poll_send`] when it has nothing more to say for now.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::connect::Stream;

/// What is written beyond this waits until the system has taken some.
const BUFFER_BYTES: usize = 256 * 1024;
/// Connections that only ever send small requests keep a small buffer. Larger ones are kept as well: fresh memory of
/// that size costs more than what is copied into it.
const SMALL_BYTES: usize = 32 * 1024;

/// A connection. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Gather(Arc<Mutex<Inner>>);

struct Inner {
    stream: Stream,
    buffer: Vec<u8>,
    sent: usize,
    unflushed: bool,
    last_read: Instant,
}

impl Gather {
    pub(crate) fn new(stream: Stream) -> Self {
        let inner = Inner { stream, buffer: Vec::new(), sent: 0, unflushed: false, last_read: Instant::now() };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Send what was gathered. Ready when nothing is left.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_send(cx)
    }

    /// When something was read last.
    pub(crate) fn last_read(&self) -> Instant {
        self.lock().last_read
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.buffer.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.sent += taken,
            }
            self.unflushed = true;
        }
        self.sent = 0;
        self.buffer.clear();
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Make room, by sending if need be.
    fn poll_room(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<io::Result<()>> {
        if self.buffer.len() >= BUFFER_BYTES {
            ready!(self.poll_send(cx))?;
        }
        let needed = self.buffer.len() + bytes;
        if needed > self.buffer.capacity() && needed > SMALL_BYTES {
            self.buffer.reserve_exact(BUFFER_BYTES.saturating_sub(self.buffer.len()) + bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Gather {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        ready!(Pin::new(&mut inner.stream).poll_read(cx, buffer))?;
        inner.last_read = Instant::now();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gather {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        ready!(inner.poll_room(cx, data.len()))?;
        inner.buffer.extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        ready!(inner.poll_room(cx, bytes))?;
        for piece in pieces {
            inner.buffer.extend_from_slice(piece);
        }
        Poll::Ready(Ok(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        ready!(inner.poll_send(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn nothing_is_sent_before_it_is_asked_for() {
        let (near, mut far) = duplex(1024);
        let mut gather = Gather::new(Box::new(near));
        for piece in [&b"one "[..], b"two "] {
            gather.write_all(piece).await.unwrap();
            gather.flush().await.unwrap();
        }
        let pieces = [IoSlice::new(b"three "), IoSlice::new(b"four")];
        assert_eq!(gather.write_vectored(&pieces).await.unwrap(), 10);
        let mut read = [0; 64];
        poll_fn(|cx| {
            assert!(Pin::new(&mut far).poll_read(cx, &mut ReadBuf::new(&mut read)).is_pending());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| gather.poll_send(cx)).await.unwrap();
        assert_eq!(far.read(&mut read).await.unwrap(), 18);
        assert_eq!(&read[..18], b"one two three four");
    }

    #[tokio::test]
    async fn more_than_the_buffer_holds_waits_until_it_is_taken_and_stays_in_order() {
        let (near, mut far) = duplex(1000);
        let mut gather = Gather::new(Box::new(near));
        let data: Vec<u8> = (0..BUFFER_BYTES as u32).flat_map(u32::to_be_bytes).collect();
        let written = async {
            for piece in data.chunks(16_393) {
                gather.write_all(piece).await.unwrap();
            }
            gather.shutdown().await.unwrap();
        };
        let mut read = Vec::new();
        let (_, got) = tokio::join!(written, far.read_to_end(&mut read));
        assert_eq!(got.unwrap(), data.len());
        assert!(read == data);
    }

    #[tokio::test]
    async fn a_peer_that_has_gone_is_an_error() {
        let (near, far) = duplex(10);
        let mut gather = Gather::new(Box::new(near));
        drop(far);
        gather.write_all(b"lost").await.unwrap();
        assert!(poll_fn(|cx| gather.poll_send(cx)).await.is_err());
    }
}
