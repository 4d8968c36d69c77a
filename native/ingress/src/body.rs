//! Bodies of requests as they come in.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;

use crate::server::Link;
use crate::settings::{Limit, Millis, NEVER, after};

/// Room made at once for what comes in pieces.
const STEP: usize = 256 * 1024;

/// What came next.
#[derive(Debug)]
pub(crate) enum Next {
    Data(Bytes),
    End,
    /// Nothing, for too long.
    Late,
    /// The server stops and waits no longer.
    Cut,
    Broken(hyper::Error),
}

/// Poll for data, past trailers.
fn poll_data(body: &mut Incoming, context: &mut Context<'_>) -> Poll<Next> {
    loop {
        return match Pin::new(&mut *body).poll_frame(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Next::End),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Next::Broken(error)),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Poll::Ready(Next::Data(data)),
                Err(_trailers) => continue,
            },
        };
    }
}

/// Return the next piece; `idle` is for one silence, `due` for everything.
pub(crate) async fn next(body: &mut Incoming, link: &Link, idle: Limit, due: Millis) -> Next {
    // Nearly always it is there: no timer is needed then.
    let first = poll_fn(|context| Poll::Ready(poll_data(body, context))).await;
    if let Poll::Ready(next) = first {
        return next;
    }
    let server = &link.server;
    let cut = server.cut.notified();
    if server.is_cut() {
        return Next::Cut;
    }
    let now = server.now();
    let last = after(now, idle).min(due);
    let wait = async {
        if last == NEVER {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(last.saturating_sub(now))).await;
    };
    tokio::select! {
        biased;
        next = poll_fn(|context| poll_data(body, context)) => next,
        () = cut => Next::Cut,
        () = wait => Next::Late,
    }
}

/// Pieces of one body. A single one is kept as it is.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    first: Bytes,
    joined: Vec<u8>,
}

impl Pieces {
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    /// Add a piece of something that will come to `whole` bytes, as the sender says.
    pub(crate) fn add(&mut self, piece: Bytes, whole: usize) {
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        if self.joined.is_empty() || self.joined.capacity() - self.joined.len() < piece.len() {
            // Room for what was announced, but no more of it than what came deserves.
            let size = self.len();
            let wanted = whole.saturating_sub(size).min(STEP.max(size)).max(piece.len());
            self.joined.reserve_exact(self.first.len() + wanted);
        }
        if !self.first.is_empty() {
            self.joined.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.joined.extend_from_slice(&piece);
    }

    pub(crate) fn finish(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.into() }
    }
}
