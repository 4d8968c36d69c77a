//! What is given to `hyper` to send.

use std::convert::Infallible;
use std::mem::take;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::HeaderMap;

use crate::server::Link;

/// A request that is under way on its connection, until this is dropped.
#[derive(Debug)]
pub(crate) struct Active(pub Arc<Link>);

impl Active {
    pub(crate) fn begin(link: &Arc<Link>) -> Self {
        link.active.fetch_add(1, Ordering::Relaxed);
        Self(link.clone())
    }

    /// The request has an answer, which is about to leave.
    pub(crate) fn answered(link: &Link) {
        link.answered.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let link = &self.0;
        link.idle_since.store(link.server.now(), Ordering::Relaxed);
        link.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer: at most one piece, and trailers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub data: Bytes,
    pub trailers: Option<HeaderMap>,
    /// The request, which ends when this has left.
    pub _active: Active,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(take(&mut self.data)))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.trailers.is_some() { SizeHint::default() } else { SizeHint::with_exact(self.data.len() as u64) }
    }
}
