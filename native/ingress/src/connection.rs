//! One connection: bytes from and to the socket, for either protocol.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;

use crate::http1::Http1;
use crate::http2::Http2;
use crate::message::{Event, Peer, Reply};
use crate::server::{Link, Shared, order};
use crate::settings::{self, Millis};
use crate::tls::Tls;

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;
/// Reads before other connections get their turn.
const READS_PER_TURN: usize = 4;
/// Answers that wait for the client beyond that stop the reading.
const HIGH_WATER: usize = 64 * 1024;

thread_local! {
    /// Where bytes of a socket arrive; one for all connections, because none keeps anything there.
    static ARRIVALS: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on.
    Open,
    /// It is closed when everything is written.
    Close,
    /// The same, but what the client still sends is thrown away first, so that it can read the answer.
    Linger,
    /// It is closed now.
    Abort,
}

/// A protocol on a connection: bytes in, bytes out, no input and output of its own.
pub(crate) trait Protocol {
    fn feed(&mut self, data: &[u8], now: Millis);
    /// The client sends no more.
    fn ended(&mut self, now: Millis);
    /// An answer to request `id`; `counted` as its caller was.
    fn reply(&mut self, id: u32, counted: bool, reply: Reply, now: Millis);
    fn order(&mut self, orders: u8, now: Millis);
    /// Whether the client leaves its answers where they are.
    fn blocked(&mut self, blocked: bool, now: Millis);
    /// The connection is gone.
    fn lost(&mut self);
    /// What is to be written.
    fn out(&mut self) -> &mut Vec<u8>;
    /// Whether more input is welcome.
    fn reads(&self) -> bool;
    fn fate(&self) -> Fate;
    /// When `order::CHECK` is due.
    fn deadline(&self) -> Millis;
}

/// Serve a connection to its end.
pub(crate) async fn serve<S>(server: Arc<Shared>, stream: S, peer: Peer, tls: Option<Arc<Tls>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(tls) = tls else { return run(server, stream, peer).await };
    let (config, said) = tls.current();
    if let Some((warning, words)) = said {
        server.put(Event::Log(warning, words));
    }
    let handshake = TlsAcceptor::from(config).accept(stream);
    if let Ok(Ok(stream)) = tokio::time::timeout(server.settings.handshake, handshake).await {
        run(server, stream, peer).await;
    }
}

async fn run<S: AsyncRead + AsyncWrite + Unpin>(server: Arc<Shared>, stream: S, peer: Peer) {
    let (link, fits) = server.enter(peer);
    let now = server.now();
    match &server.settings.protocol {
        settings::Protocol::Grpc(_) => drive(stream, Http2::new(link.clone(), fits, now), &link).await,
        settings::Protocol::Http(_) => drive(stream, Http1::new(link.clone(), fits, now), &link).await,
    }
    server.leave(&link);
}

async fn drive<S: AsyncRead + AsyncWrite + Unpin, P: Protocol>(stream: S, protocol: P, link: &Link) {
    let mut driver = Driver { stream, protocol, written: 0, blocked: false, ended: false, shut: false };
    poll_fn(|context| driver.poll(context, link)).await;
    driver.protocol.lost();
}

struct Driver<S, P> {
    stream: S,
    protocol: P,
    /// How much of the output has left.
    written: usize,
    blocked: bool,
    ended: bool,
    shut: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin, P: Protocol> Driver<S, P> {
    fn poll(&mut self, context: &mut Context<'_>, link: &Link) -> Poll<()> {
        link.watch(context.waker());
        let now = link.server.now();
        let orders = link.orders();
        let aborted = orders & order::ABORT != 0;
        for (id, counted, reply) in link.take() {
            // What was taken is acknowledged; of the rest nobody is told more than that the server ends.
            if !aborted || matches!(reply, Reply::Taken) {
                self.protocol.reply(id, counted, reply, now);
            }
        }
        if orders != 0 {
            self.protocol.order(orders, now);
        }
        let result = self.exchange(context, now);
        link.deadline.store(self.protocol.deadline(), Ordering::Relaxed);
        result
    }

    /// Read and write until nothing goes any more; ready when the connection is at its end.
    fn exchange(&mut self, context: &mut Context<'_>, now: Millis) -> Poll<()> {
        for _ in 0..READS_PER_TURN {
            let fate = self.protocol.fate();
            let wanted = match fate {
                Fate::Open => self.protocol.reads(),
                Fate::Linger => true,
                Fate::Close | Fate::Abort => false,
            };
            let more = wanted && !self.ended && self.read(context, fate, now);
            match self.write(context, now) {
                Poll::Ready(false) => return Poll::Ready(()),
                Poll::Ready(true) if self.protocol.fate() == Fate::Abort => return Poll::Ready(()),
                Poll::Ready(true) => match self.finish(context) {
                    Poll::Ready(true) => return Poll::Ready(()),
                    Poll::Ready(false) => {}
                    Poll::Pending => return Poll::Pending,
                },
                Poll::Pending if self.protocol.fate() == Fate::Abort => return Poll::Ready(()),
                Poll::Pending => {}
            }
            // A connection whose reading was resumed by the writing has more to read, too.
            let resumed = !wanted && !self.ended && self.protocol.fate() == Fate::Open && self.protocol.reads();
            if !more && !resumed {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Read once; true if there may be more.
    fn read(&mut self, context: &mut Context<'_>, fate: Fate, now: Millis) -> bool {
        ARRIVALS.with_borrow_mut(|space| {
            let mut buffer = ReadBuf::new(space);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    if fate == Fate::Open {
                        self.protocol.feed(buffer.filled(), now);
                    }
                    return true;
                }
                Poll::Ready(Ok(())) => self.protocol.ended(now),
                Poll::Ready(Err(_)) => self.shut = true,
            }
            self.ended = true;
            true
        })
    }

    /// Write what there is: ready with whether the client is still there, pending while it takes no more.
    fn write(&mut self, context: &mut Context<'_>, now: Millis) -> Poll<bool> {
        if self.shut && self.ended {
            return Poll::Ready(false);
        }
        while self.written < self.protocol.out().len() {
            let rest = self.protocol.out().get(self.written..).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(count)) if count > 0 => self.written += count,
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => {
                    if self.protocol.out().len() - self.written > HIGH_WATER && !self.blocked {
                        self.blocked = true;
                        self.protocol.blocked(true, now);
                    }
                    return Poll::Pending;
                }
            }
        }
        if self.written > 0 {
            let out = self.protocol.out();
            out.clear();
            if out.capacity() > 4 * HIGH_WATER {
                out.shrink_to(HIGH_WATER);
            }
            self.written = 0;
        }
        if self.blocked {
            self.blocked = false;
            self.protocol.blocked(false, now);
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(Ok(())) => Poll::Ready(true),
            Poll::Ready(Err(_)) => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Everything is written: close if that was all. Ready with whether the connection is at its end.
    fn finish(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let fate = self.protocol.fate();
        if fate == Fate::Open {
            return Poll::Ready(false);
        }
        if !self.shut {
            let _ = ready!(Pin::new(&mut self.stream).poll_shutdown(context));
            self.shut = true;
        }
        Poll::Ready(fate != Fate::Linger || self.ended)
    }
}
