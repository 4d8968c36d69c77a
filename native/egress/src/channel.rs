//! A gRPC channel: connections to the addresses of a name, kept up, and calls spread over them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use native_runtime::Mailbox;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::compress::{Compression, Encoding, compress};
use crate::connect::{Address, Secure, Target, connect, resolve};
use crate::grpc::{broken, framed, read, timeout_value, untouched};
use crate::link::{self, Keepalive, Link};
use crate::reply::{GrpcAnswer, Outcome, Reply, code};
use crate::tokens::Tokens;

/// A handshake that takes longer has failed, as in gRPC's own libraries.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const GROWTH: f64 = 1.6;
/// A connection that ends sooner counts as a failed attempt.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// Names are asked for again when a connection is lost, but not more often than this.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(5);
/// What HTTP/2 forbids.
const OF_CONNECTIONS: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// What a channel is made of.
#[derive(Debug, Clone)]
pub struct ChannelOptions {
    /// Where to connect to.
    pub target: Target,
    /// `:authority`.
    pub authority: Authority,
    /// TLS; absent = plain.
    pub secure: Option<Secure>,
    /// Sent with each call, including the user agent.
    pub headers: HeaderMap,
    /// How messages are compressed.
    pub compression: Option<Compression>,
    /// Pings.
    pub keepalive: Option<Keepalive>,
    /// Use all addresses of the target in turn, not only the first that answers.
    pub round_robin: bool,
    /// Calls wait for a connection instead of failing.
    pub wait_for_ready: bool,
    /// First and longest wait between attempts to connect.
    pub backoff: (Duration, Duration),
    /// Largest answer taken, in bytes.
    pub answer_limit: usize,
}

/// A channel. Dropping it closes it.
#[derive(Debug)]
pub struct Channel {
    shared: Arc<Shared>,
    tokens: Tokens,
    keeper: AbortHandle,
    mailbox: Arc<Mailbox<Reply>>,
}

#[derive(Debug)]
struct Shared {
    options: ChannelOptions,
    state: Mutex<State>,
    changed: Notify,
    lost: Notify,
    turn: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    connections: HashMap<usize, Connection>,
    unresolved: Option<String>,
}

/// What is known of one connection.
#[derive(Debug, Default)]
struct Connection {
    link: Option<Link>,
    /// Why there is none; absent before the first attempt has ended.
    error: Option<String>,
}

enum Pick {
    Ready(Link),
    Wait,
    Fail(String),
}

impl Channel {
    /// Open a channel; it connects in the background.
    pub fn new(runtime: Handle, mailbox: Arc<Mailbox<Reply>>, mut options: ChannelOptions) -> Self {
        let headers = &mut options.headers;
        headers.insert(http::header::TE, HeaderValue::from_static("trailers"));
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        for name in OF_CONNECTIONS {
            headers.remove(name);
        }
        headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,deflate,gzip,zstd"));
        if let Some(compression) = options.compression {
            headers.insert("grpc-encoding", HeaderValue::from_static(encoding_name(compression.encoding)));
        }
        let shared = Arc::new(Shared {
            options,
            state: Mutex::default(),
            changed: Notify::new(),
            lost: Notify::new(),
            turn: AtomicUsize::new(0),
        });
        let keeper = runtime.spawn(keep_all(shared.clone())).abort_handle();
        Self { shared, tokens: Tokens::new(&runtime), keeper, mailbox }
    }

    /// Begin a call; its end comes into the mailbox under the token, unless it is cancelled.
    pub fn call(
        &self,
        token: u64,
        path: PathAndQuery,
        headers: Vec<(HeaderName, HeaderValue)>,
        data: Bytes,
        limit: Option<Duration>,
    ) {
        let shared = self.shared.clone();
        let (tasks, mailbox) = (self.tokens.tasks(), self.mailbox.clone());
        self.tokens.spawn(token, async move {
            let answer = shared.call(path, headers, data, limit).await;
            tasks.forget(token);
            mailbox.put(Reply { token, outcome: Outcome::Grpc(answer) });
        });
    }

    /// Leave a call; nothing comes into the mailbox for it, unless it is there already.
    pub fn cancel(&self, token: u64) {
        self.tokens.cancel(token);
    }

    /// Calls under way.
    pub fn pending(&self) -> usize {
        self.tokens.len()
    }

    /// Leave all calls and connections.
    pub fn close(&self) {
        self.tokens.cancel_all();
        self.keeper.abort();
        self.shared.state().connections.clear();
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.close();
    }
}

fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Gzip => "gzip",
        Encoding::Zlib => "deflate",
        Encoding::Zstd => "zstd",
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(
        &self,
        path: PathAndQuery,
        headers: Vec<(HeaderName, HeaderValue)>,
        data: Bytes,
        limit: Option<Duration>,
    ) -> GrpcAnswer {
        let Some(limit) = limit else { return self.exchange(path, headers, data, None).await };
        let deadline = Instant::now() + limit.min(Duration::from_secs(86400 * 365));
        match timeout_at(deadline, self.exchange(path, headers, data, Some(deadline))).await {
            Ok(answer) => answer,
            Err(_) => {
                let target = &self.options.target;
                let text = self.no_connection().map_or_else(
                    || "Deadline Exceeded".to_owned(),
                    |why| format!("Deadline Exceeded while waiting for a connection to {target}: {why}"),
                );
                GrpcAnswer::failed(code::DEADLINE_EXCEEDED, text)
            }
        }
    }

    async fn exchange(
        &self,
        path: PathAndQuery,
        headers: Vec<(HeaderName, HeaderValue)>,
        data: Bytes,
        deadline: Option<Instant>,
    ) -> GrpcAnswer {
        let data = match self.options.compression {
            None => data,
            Some(how) => match compress(how, data).await {
                Ok(data) => data,
                Err(error) => return GrpcAnswer::failed(code::INTERNAL, format!("compression failed: {error}")),
            },
        };
        let mut again = true;
        loop {
            let Some(message) = framed(data.clone(), self.options.compression.is_some()) else {
                return GrpcAnswer::failed(code::RESOURCE_EXHAUSTED, "the request is larger than gRPC can send");
            };
            let link = match self.connection().await {
                Ok(link) => link,
                Err(why) => return GrpcAnswer::failed(code::UNAVAILABLE, why),
            };
            let error = match link.send(self.request(&path, &headers, deadline), message).await {
                Ok((response, _underway)) => match response.await {
                    Ok(response) => return read(response, self.options.answer_limit).await,
                    Err(error) if untouched(&error) => error,
                    Err(error) => return broken(&error),
                },
                Err(error) => error,
            };
            if !again {
                return broken(&error);
            }
            again = false;
        }
    }

    fn request(
        &self,
        path: &PathAndQuery,
        headers: &[(HeaderName, HeaderValue)],
        deadline: Option<Instant>,
    ) -> Request<()> {
        let options = &self.options;
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(if options.secure.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
        uri.authority = Some(options.authority.clone());
        uri.path_and_query = Some(path.clone());
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        let all = request.headers_mut();
        *all = options.headers.clone();
        for (name, value) in headers {
            if !OF_CONNECTIONS.contains(&name.as_str()) && name != http::header::TE {
                all.append(name.clone(), value.clone());
            }
        }
        if let Some(deadline) = deadline {
            all.insert("grpc-timeout", timeout_value(deadline.saturating_duration_since(Instant::now())));
        }
        request
    }

    /// Return a connection for a call, waiting for one where that makes sense.
    async fn connection(&self) -> Result<Link, String> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.pick() {
                Pick::Ready(link) => return Ok(link),
                Pick::Fail(why) if !self.options.wait_for_ready => return Err(why),
                _ => changed.await,
            }
        }
    }

    fn pick(&self) -> Pick {
        let mut state = self.state();
        for connection in state.connections.values_mut() {
            connection.link.take_if(|link| link.is_closed());
        }
        let ready = || state.connections.values().filter_map(|one| one.link.as_ref());
        let count = ready().count();
        if count > 0
            && let Some(link) = ready().nth(self.turn.fetch_add(1, Ordering::Relaxed) % count)
        {
            return Pick::Ready(link.clone());
        }
        let connecting = state.connections.values().any(|one| one.error.is_none());
        match state.connections.values().find_map(|one| one.error.clone()).or_else(|| state.unresolved.clone()) {
            Some(why) if !connecting => Pick::Fail(why),
            _ => Pick::Wait,
        }
    }

    /// Why there is no connection; `None` if there is one.
    fn no_connection(&self) -> Option<String> {
        match self.pick() {
            Pick::Ready(_) => None,
            Pick::Wait => Some("still connecting".to_owned()),
            Pick::Fail(why) => Some(why),
        }
    }

    fn update(&self, id: usize, link: Option<Link>, error: Option<String>) {
        if let Some(connection) = self.state().connections.get_mut(&id) {
            connection.link = link;
            connection.error = error;
        }
        self.changed.notify_waiters();
    }
}

/// Keep connections to all addresses that the target has, as they change.
async fn keep_all(shared: Arc<Shared>) {
    let mut kept: Vec<(Vec<Address>, Kept)> = Vec::new();
    let mut next = 0;
    let mut delay = shared.options.backoff.0;
    loop {
        match resolve(&shared.options.target).await {
            Ok(addresses) => {
                delay = shared.options.backoff.0;
                let groups: Vec<Vec<Address>> = if shared.options.round_robin {
                    addresses.into_iter().map(|one| vec![one]).collect()
                } else {
                    vec![addresses]
                };
                kept.retain(|(group, _)| groups.contains(group));
                for group in groups {
                    if !kept.iter().any(|(known, _)| *known == group) {
                        shared.state().connections.insert(next, Connection::default());
                        let task = tokio::spawn(keep(shared.clone(), next, group.clone()));
                        kept.push((group, Kept { id: next, task, shared: shared.clone() }));
                        next += 1;
                    }
                }
                shared.state().unresolved = None;
                shared.lost.notified().await;
                sleep(RESOLVE_INTERVAL).await;
            }
            Err(why) => {
                shared.state().unresolved = Some(why);
                shared.changed.notify_waiters();
                sleep(jittered(delay)).await;
                delay = delay.mul_f64(GROWTH).min(shared.options.backoff.1);
            }
        }
    }
}

/// A connection that is kept up until this is dropped.
struct Kept {
    id: usize,
    task: JoinHandle<()>,
    shared: Arc<Shared>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.state().connections.remove(&self.id);
        self.shared.changed.notify_waiters();
    }
}

/// Keep one connection up.
async fn keep(shared: Arc<Shared>, id: usize, addresses: Vec<Address>) {
    let (first, longest) = shared.options.backoff;
    let mut delay = first;
    loop {
        let started = Instant::now();
        let why = match timeout(CONNECT_TIMEOUT, open(&shared.options, &addresses)).await {
            Err(_) => format!("cannot connect to {}: no answer within {CONNECT_TIMEOUT:?}", shared.options.target),
            Ok(Err(why)) => why,
            Ok(Ok((link, task))) => {
                shared.update(id, Some(link.clone()), None);
                let mut driver = Driver(Some(task));
                let why = tokio::select! {
                    end = driver.end() => end,
                    () = link.closed() => String::new(),
                };
                drop(link);
                driver.detach(); // calls under way may end, then it does
                shared.lost.notify_one();
                if started.elapsed() > SHORT_LIFE {
                    delay = first;
                    shared.update(id, None, None); // the next attempt begins at once, and calls wait for it
                    continue;
                }
                let target = &shared.options.target;
                if why.is_empty() { format!("{target} closed the connection") } else { why }
            }
        };
        shared.update(id, None, Some(why));
        shared.lost.notify_one();
        sleep(jittered(delay)).await;
        delay = delay.mul_f64(GROWTH).min(longest);
    }
}

/// Ends a connection when it is dropped.
struct Driver(Option<JoinHandle<String>>);

impl Driver {
    /// Wait for the end of the connection, and say why it came.
    async fn end(&mut self) -> String {
        match &mut self.0 {
            Some(task) => task.await.unwrap_or_default(),
            None => String::new(),
        }
    }

    fn detach(&mut self) {
        self.0 = None;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// A fifth more or less, so that clients do not come in step.
fn jittered(delay: Duration) -> Duration {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    delay.mul_f64(0.8 + 0.4 * f64::from(nanos % 1000) / 1000.0)
}

type Opened = (Link, JoinHandle<String>);

/// Connect; the second part says, when it is over, why.
async fn open(options: &ChannelOptions, addresses: &[Address]) -> Result<Opened, String> {
    let stream = connect(&options.target, addresses, options.secure.as_ref()).await?;
    link::open(stream, options.keepalive).await
}
