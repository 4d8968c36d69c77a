//! One connection from its first byte to its last: which protocol, deadlines, orders, and a decent end.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;

use crate::frames::{ENHANCE_YOUR_CALM, NO_SETTINGS, PREFACE, goaway};
use crate::message::{Event, Peer};
use crate::refusal::plain_answer;
use crate::server::{Link, Shared, order};
use crate::settings::{GrpcSettings, HttpSettings, Millis, NEVER, Protocol, after};
use crate::stream::Stream;
use crate::tls::Tls;
use crate::{grpc, http};

/// Bytes that a client may send ahead over all streams.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Headers of one call as `hyper` takes them; what is more than [`grpc::MAX_METADATA`] is refused with a status.
const MAX_HEADER_BYTES: u32 = 2 * grpc::MAX_METADATA as u32;
/// Streams that were cancelled before anybody saw them, and those that broke a rule; `Stream` counts all.
const MAX_RESETS: usize = 200;
/// Request line and headers of HTTP/1.1; far more than SDKs send, cookies and baggage included.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;
/// Answers that wait for a client of HTTP/2, per stream.
const SEND_BUFFER: usize = 64 * 1024;
/// How long input is thrown away after a refusal, so that the client can read it before the connection resets.
const LINGER: Duration = Duration::from_secs(2);
/// Milliseconds for a client to acknowledge that it should leave, when nothing is under way any more.
const LEAVE: Millis = 1000;
const NOT_TLS: &str =
    "this endpoint speaks plain HTTP, the client began a TLS handshake: configure tls on one of the sides";
/// Turns that answers have to leave on a connection that is aborted.
const LAST_TURNS: u32 = 3;

/// Serve a connection to its end.
pub(crate) async fn serve<S>(server: Arc<Shared>, stream: S, peer: Peer, tls: Option<Arc<Tls>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
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

async fn run<S>(server: Arc<Shared>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (link, fits) = server.enter(peer);
    let stream = Stream::new(stream, &link);
    let end = match &server.settings.protocol {
        Protocol::Grpc(_) if !fits => {
            let words = goaway(0, ENHANCE_YOUR_CALM, "too many connections");
            End::Say([&NO_SETTINGS[..], &words].concat())
        }
        Protocol::Grpc(settings) => serve_grpc(&link, settings, &stream).await,
        Protocol::Http(_) if !fits => End::Say(plain_answer(503, "too many connections", "retry-after: 1\r\n")),
        Protocol::Http(settings) => match peek(&link, settings, &stream).await {
            Ok(true) => serve_http2(&link, settings, &stream).await,
            Ok(false) => serve_http1(&link, settings, &stream).await,
            Err(end) => end,
        },
    };
    end.meet(&link, &stream).await;
    server.leave(&link);
}

async fn serve_grpc<S>(link: &Arc<Link>, settings: &GrpcSettings, stream: &Stream<S>) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    stream.watch();
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(settings.stream_window)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(u32::try_from(settings.max_streams).unwrap_or(u32::MAX))
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(settings.ping_after)
        .auto_date_header(false);
    if let Some(timeout) = settings.ping_timeout {
        builder.keep_alive_timeout(timeout);
    }
    let owner = link.clone();
    let service = service_fn(move |request| grpc::serve(owner.clone(), request));
    let connection = builder.serve_connection(TokioIo::new(stream.clone()), service);
    let times = Times {
        write: settings.write,
        idle: settings.idle,
        age: settings.age,
        age_grace: settings.age_grace,
        greeting: settings.handshake,
        ..Times::default()
    };
    drive(link, stream, times, connection, http2::Connection::graceful_shutdown).await
}

async fn serve_http2<S>(link: &Arc<Link>, settings: &HttpSettings, stream: &Stream<S>) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    stream.watch();
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(http::MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .max_send_buf_size(SEND_BUFFER);
    let owner = link.clone();
    let service = service_fn(move |request| http::serve(owner.clone(), request));
    let connection = builder.serve_connection(TokioIo::new(stream.clone()), service);
    let times = Times { write: settings.write, idle: settings.idle, greeting: settings.head, ..Times::default() };
    drive(link, stream, times, connection, http2::Connection::graceful_shutdown).await
}

async fn serve_http1<S>(link: &Arc<Link>, settings: &HttpSettings, stream: &Stream<S>) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let owner = link.clone();
    let service = service_fn(move |request| http::serve(owner.clone(), request));
    // The time for a head is counted here: hyper closes without a word, and counts the time between requests, too.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .half_close(true)
        .keep_alive(settings.keep_alive)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream.clone()), service);
    let times = Times { write: settings.write, idle: settings.idle, head: settings.head, ..Times::default() };
    drive(link, stream, times, connection, http1::Connection::graceful_shutdown).await
}

/// Read until it is clear whether a client speaks HTTP/2, which it may without having asked.
async fn peek<S>(link: &Link, settings: &HttpSettings, stream: &Stream<S>) -> Result<bool, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut begin, mut space) = (Vec::new(), [0; PREFACE.len()]);
    let opened = link.server.now();
    loop {
        let count = poll_fn(|context| {
            link.watch(context.waker());
            let orders = link.orders();
            if orders & order::ABORT != 0 || (orders & order::DRAIN != 0 && begin.is_empty()) {
                return Poll::Ready(Err(End::Quiet));
            }
            let rest = space.get_mut(begin.len()..).unwrap_or_default();
            let mut rest = ReadBuf::new(rest);
            match Pin::new(&mut stream.clone()).poll_read(context, &mut rest) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(rest.filled().len())),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(End::Quiet)),
                Poll::Pending => {}
            }
            let due = after(opened, settings.head);
            link.deadline.store(due, Ordering::Relaxed);
            if link.server.now() < due {
                Poll::Pending
            } else if begin.is_empty() {
                Poll::Ready(Err(End::Quiet))
            } else {
                Poll::Ready(Err(End::Say(late_head())))
            }
        })
        .await?;
        begin.extend_from_slice(space.get(begin.len()..begin.len() + count).unwrap_or_default());
        if begin.starts_with(b"\x16\x03") {
            return Err(End::Say(plain_answer(400, NOT_TLS, "")));
        }
        let is_preface = begin == PREFACE;
        if is_preface || count == 0 || !PREFACE.starts_with(&begin) {
            if is_preface {
                link.head_began.store(NEVER, Ordering::Relaxed);
            }
            stream.put_back(begin);
            if link.server.draining() {
                link.order(order::DRAIN);
            }
            return Ok(is_preface);
        }
    }
}

fn late_head() -> Vec<u8> {
    plain_answer(408, "the headers did not arrive in time", "")
}

/// Limits in time of a connection.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    write: Option<Duration>,
    idle: Option<Duration>,
    age: Option<Duration>,
    age_grace: Option<Duration>,
    /// For the first bytes of HTTP/2.
    greeting: Option<Duration>,
    /// For a head of HTTP/1.1.
    head: Option<Duration>,
}

/// How a connection ends.
#[derive(Debug)]
enum End {
    /// At once.
    Quiet,
    /// After everything has left; input is thrown away first.
    Linger,
    /// The same, after these bytes.
    Say(Vec<u8>),
}

impl End {
    async fn meet<S: AsyncRead + AsyncWrite + Unpin>(self, link: &Link, stream: &Stream<S>) {
        let (words, lingers) = match self {
            Self::Quiet => (Vec::new(), false),
            Self::Linger => (Vec::new(), true),
            Self::Say(words) => (words, true),
        };
        let (mut rest, mut sent) = (words.as_slice(), false);
        let mut space = vec![0; if lingers { 16 * 1024 } else { 0 }];
        let farewell = poll_fn(|context| {
            link.watch(context.waker());
            if link.orders() & order::ABORT != 0 {
                return Poll::Ready(());
            }
            if !sent {
                sent = stream.poll_send(context, &mut rest).is_ready();
            }
            if !lingers {
                return if sent { Poll::Ready(()) } else { Poll::Pending };
            }
            throw_away(stream, context, &mut space)
        });
        let _ = tokio::time::timeout(LINGER, farewell).await;
    }
}

/// Read to the end.
fn throw_away<S>(stream: &Stream<S>, context: &mut Context<'_>, space: &mut [u8]) -> Poll<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let mut buffer = ReadBuf::new(space);
        match stream.poll_discard(context, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
            Poll::Ready(_) => return Poll::Ready(()),
        }
    }
}

/// A connection that is driven: what it was told, and when.
struct Driver<'a, S> {
    link: &'a Link,
    stream: &'a Stream<S>,
    times: Times,
    opened: Millis,
    /// When it was told to take no more, and when it is cut off.
    leaving: Option<(Millis, Millis)>,
    is_http1: bool,
    served: bool,
}

/// What is due.
enum Due {
    Nothing,
    Leave(Millis),
    End(End),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<'_, S> {
    /// Say what is due, and note when to look again.
    fn check(&mut self) -> Due {
        let (link, times) = (self.link, &self.times);
        let now = link.server.now();
        let read = |value: &std::sync::atomic::AtomicU64| value.load(Ordering::Relaxed);
        let is_idle = link.active.load(Ordering::Relaxed) == 0;
        self.served |= link.answered.load(Ordering::Relaxed) != 0;
        let written_by = after(read(&link.blocked_since), times.write);
        let greeted_by = if self.stream.is_greeted() { NEVER } else { after(self.opened, times.greeting) };
        let head_by = if is_idle { after(read(&link.head_began), times.head) } else { NEVER };
        let silence = if self.is_http1 && !self.served { times.head } else { times.idle };
        let idle_since =
            if self.is_http1 { read(&link.idle_since) } else { read(&link.idle_since).max(read(&link.read_at)) };
        let waits = is_idle && self.leaving.is_none() && read(&link.head_began) == NEVER;
        let idle_by = if waits { after(idle_since, silence) } else { NEVER };
        let (left_by, cut_at) = match self.leaving {
            Some((since, cut)) => (if is_idle { since.max(idle_since) + LEAVE } else { NEVER }, cut),
            None => (NEVER, NEVER),
        };
        let old_at = if self.leaving.is_none() { after(self.opened, times.age) } else { NEVER };
        let all = [written_by, greeted_by, head_by, idle_by, left_by, cut_at, old_at];
        link.deadline.store(all.into_iter().min().unwrap_or(NEVER), Ordering::Relaxed);
        if now >= written_by.min(greeted_by).min(left_by).min(cut_at) {
            Due::End(End::Quiet)
        } else if now >= head_by {
            Due::End(End::Say(late_head()))
        } else if now >= old_at {
            Due::Leave(after(now, times.age_grace))
        } else if now >= idle_by {
            Due::Leave(NEVER)
        } else {
            Due::Nothing
        }
    }
}

/// Drive a connection of `hyper` until it ends, or has to.
async fn drive<S, C>(link: &Arc<Link>, stream: &Stream<S>, times: Times, connection: C, leave: fn(Pin<&mut C>)) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let opened = link.server.now();
    let is_http1 = stream.is_http1();
    let mut driver = Driver { link, stream, times, opened, leaving: None, is_http1, served: false };
    let mut last_turns = None;
    poll_fn(|context| {
        link.watch(context.waker());
        let orders = link.orders();
        if orders & (order::DRAIN | order::ABORT) != 0 && driver.leaving.is_none() {
            driver.leaving = Some((link.server.now(), NEVER));
            leave(connection.as_mut());
        }
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(context) {
                let lingers = link.lingers.load(Ordering::Relaxed) || result.is_err();
                return Poll::Ready(if lingers && !stream.has_ended() { End::Linger } else { End::Quiet });
            }
            if let Some(words) = stream.fault() {
                return Poll::Ready(End::Say(words));
            }
            match driver.check() {
                Due::Nothing => break,
                Due::End(end) => return Poll::Ready(end),
                Due::Leave(cut_at) => {
                    driver.leaving = Some((link.server.now(), cut_at));
                    leave(connection.as_mut());
                }
            }
        }
        if orders & order::ABORT != 0 || last_turns.is_some() {
            let turns = last_turns.get_or_insert(LAST_TURNS);
            *turns -= 1;
            if *turns == 0 {
                return Poll::Ready(End::Quiet);
            }
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}
