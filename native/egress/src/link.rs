//! One HTTP/2 connection: driven in the background, shared by calls, watched by pings.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use bytes::buf::Chain;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong};
use http::Request;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::connect::Stream;
use crate::gather::Gather;
use crate::reply::chain;

/// Windows for what comes back: answers are small.
const WINDOW_BYTES: u32 = 1 << 20;
const HEADERS_BYTES: u32 = 64 << 10;
/// However often pings are asked for.
const LEAST_PING_INTERVAL: Duration = Duration::from_millis(10);

/// A message of gRPC: the prefix, and what follows.
pub(crate) type Message = Chain<Bytes, Bytes>;

/// Pings that find dead connections.
#[derive(Debug, Clone, Copy)]
pub struct Keepalive {
    /// Ping after that long without a sign of life.
    pub time: Duration,
    /// Give up when a ping is not answered in that time.
    pub timeout: Duration,
    /// Ping also while no call is under way.
    pub permit_without_stream: bool,
}

/// A connection that takes calls. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    sender: SendRequest<Message>,
    life: Arc<Life>,
}

#[derive(Debug, Default)]
struct Life {
    closed: AtomicBool,
    ended: Notify,
    calls: AtomicUsize,
}

/// Counted among the calls under way until it is dropped.
pub(crate) struct Underway(Arc<Life>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Link {
    /// Whether it takes no more calls.
    pub(crate) fn is_closed(&self) -> bool {
        self.life.closed.load(Ordering::Relaxed)
    }

    /// Wait until it takes no more calls.
    pub(crate) async fn closed(&self) {
        self.life.ended.notified().await;
    }

    /// Send a request. On failure nothing was sent, and the connection takes no more.
    pub(crate) async fn send(
        self,
        request: Request<()>,
        message: Message,
    ) -> Result<(ResponseFuture, Underway), h2::Error> {
        let life = self.life;
        let sent = match self.sender.ready().await {
            Ok(mut sender) => sender.send_request(request, false),
            Err(error) => Err(error),
        };
        match sent {
            Ok((response, mut body)) => {
                life.calls.fetch_add(1, Ordering::Relaxed);
                let underway = Underway(life);
                // Without asking for capacity: what waits for it waits in this connection, and is no copy. A stream
                // that is closed already has an answer, or says why not.
                let _ = body.send_data(message, true);
                Ok((response, underway))
            }
            Err(error) => {
                life.close();
                Err(error)
            }
        }
    }
}

impl Life {
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.ended.notify_one();
    }
}

/// Begin to speak HTTP/2; the second part says, when the connection is over, why.
pub(crate) async fn open(stream: Stream, keepalive: Option<Keepalive>) -> Result<(Link, JoinHandle<String>), String> {
    let stream = Gather::new(stream);
    let opened = Builder::new()
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_header_list_size(HEADERS_BYTES)
        .enable_push(false)
        .handshake(stream.clone())
        .await;
    let (sender, mut connection) = opened.map_err(|error| chain(&error))?;
    let pings = keepalive.zip(connection.ping_pong());
    let life = Arc::new(Life::default());
    let link = Link { sender, life: life.clone() };
    let task = tokio::spawn(async move {
        let watch = async {
            match pings {
                Some((keepalive, pings)) => watch(&stream, &life, keepalive, pings).await,
                None => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            biased;
            why = drive(connection, &stream) => why,
            why = watch => why,
        };
        life.close();
        why
    });
    Ok((link, task))
}

/// Read and write until the connection is over.
async fn drive(mut connection: Connection<Gather, Message>, stream: &Gather) -> String {
    let end = poll_fn(|cx| {
        let ended = Pin::new(&mut connection).poll(cx).map_err(|error| chain(&error));
        match stream.poll_send(cx) {
            Poll::Ready(Err(error)) if ended.is_pending() => Poll::Ready(Err(chain(&error))),
            _ => ended,
        }
    });
    end.await.err().unwrap_or_default()
}

/// Ping as it was asked for, until a ping is not answered.
async fn watch(stream: &Gather, life: &Life, keepalive: Keepalive, mut pings: PingPong) -> String {
    let time = keepalive.time.max(LEAST_PING_INTERVAL);
    loop {
        let idle = stream.last_read().elapsed();
        if idle < time {
            sleep(time - idle).await;
            continue;
        }
        if !keepalive.permit_without_stream && life.calls.load(Ordering::Relaxed) == 0 {
            sleep(time).await;
            continue;
        }
        match timeout(keepalive.timeout, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return chain(&error),
            Err(_) => return format!("a ping was not answered within {:?}", keepalive.timeout),
        }
    }
}
