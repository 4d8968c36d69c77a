//! What is sent: one or two pieces of memory that nobody copies.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A request body: a short beginning, and the rest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pieces {
    first: Bytes,
    rest: Bytes,
    sized: bool,
}

impl Pieces {
    /// A body whose length is announced.
    pub(crate) fn sized(rest: Bytes) -> Self {
        Self { first: Bytes::new(), rest, sized: true }
    }

    /// A message of gRPC: the prefix, then the message. Its length is not announced, as gRPC clients do.
    pub(crate) fn message(prefix: Bytes, rest: Bytes) -> Self {
        Self { first: prefix, rest, sized: false }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let first = std::mem::take(&mut self.first);
        let piece = if first.is_empty() { std::mem::take(&mut self.rest) } else { first };
        Poll::Ready(if piece.is_empty() { None } else { Some(Ok(Frame::data(piece))) })
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.sized { SizeHint::with_exact((self.first.len() + self.rest.len()) as u64) } else { SizeHint::default() }
    }
}
