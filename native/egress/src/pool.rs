//! HTTP/1.1: POST requests over a pool of kept connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use native_runtime::Mailbox;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::Piece;
use crate::compress::{Compression, compress, decompress};
use crate::connect::{Secure, Target, connect, resolve};
use crate::reply::{HttpAnswer, Outcome, Reply, chain};
use crate::tokens::Tokens;

/// How often idle connections are looked at, at least.
const SWEEP: Duration = Duration::from_secs(10);

/// What a pool is made of.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// For `https` URLs, which cannot be used without.
    pub tls: Option<Arc<ClientConfig>>,
    /// Name in the server's certificate instead of the URL's host.
    pub server_name: Option<ServerName<'static>>,
    /// Sent with each request.
    pub headers: HeaderMap,
    /// How bodies are compressed.
    pub compression: Option<Compression>,
    /// Most connections to one host at once; 0 = as many as requests are under way.
    pub connections_per_host: usize,
    /// A connection that is not used for that long is closed.
    pub idle_timeout: Duration,
    /// Keep connections for the next request.
    pub keep_alive: bool,
    /// Largest answer taken, in bytes; what is more is cut off.
    pub answer_limit: usize,
}

/// A pool of connections. Dropping it closes it.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    tokens: Tokens,
    mailbox: Arc<Mailbox<Reply>>,
}

#[derive(Debug)]
struct Shared {
    options: PoolOptions,
    idle: Mutex<HashMap<Key, Vec<Idle>>>,
    turns: Mutex<HashMap<Key, Arc<Semaphore>>>,
}

/// Scheme and place.
type Key = (bool, Target);

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Piece>,
    since: Instant,
}

/// Why there is no answer, and whether the server had begun one.
struct Silence {
    why: String,
    before_answer: bool,
}

impl Pool {
    /// Make a pool; it opens no connection.
    pub fn new(runtime: Handle, mailbox: Arc<Mailbox<Reply>>, mut options: PoolOptions) -> Self {
        if !options.keep_alive {
            options.headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        let every = options.idle_timeout.clamp(Duration::from_millis(100), SWEEP);
        let shared = Arc::new(Shared { options, idle: Mutex::default(), turns: Mutex::default() });
        runtime.spawn(sweep(Arc::downgrade(&shared), every));
        Self { shared, tokens: Tokens::new(&runtime), mailbox }
    }

    /// Begin a request; its end comes into the mailbox under the token, unless it is cancelled. Headers given here
    /// replace those of the pool.
    pub fn post(&self, token: u64, url: Uri, headers: Vec<(HeaderName, HeaderValue)>, data: Bytes) {
        let shared = self.shared.clone();
        let (tasks, mailbox) = (self.tokens.tasks(), self.mailbox.clone());
        self.tokens.spawn(token, async move {
            let outcome = match shared.post(url, headers, data).await {
                Ok(answer) => Outcome::Http(answer),
                Err(why) => Outcome::Failed(why),
            };
            tasks.forget(token);
            mailbox.put(Reply { token, outcome });
        });
    }

    /// Leave a request; nothing comes into the mailbox for it, unless it is there already.
    pub fn cancel(&self, token: u64) {
        self.tokens.cancel(token);
    }

    /// Requests under way.
    pub fn pending(&self) -> usize {
        self.tokens.len()
    }

    /// Leave all requests and connections.
    pub fn close(&self) {
        self.tokens.cancel_all();
        self.shared.idle().clear();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, HashMap<Key, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn post(&self, url: Uri, headers: Vec<(HeaderName, HeaderValue)>, data: Bytes) -> Result<HttpAnswer, String> {
        let key = place(&url)?;
        let data = match self.options.compression {
            None => data,
            Some(how) => compress(how, data).await.map_err(|error| format!("compression failed: {error}"))?,
        };
        let _turn = self.turn(&key).await;
        let request = self.request(&url, headers, data);
        if let Some(sender) = self.kept(&key) {
            match self.exchange(sender, request.clone(), &key).await {
                // The server closed the connection while it was idle, and this request met its end.
                Err(silence) if silence.before_answer => {}
                other => return other.map_err(|silence| silence.why),
            }
        }
        let sender = self.open(&key).await?;
        self.exchange(sender, request, &key).await.map_err(|silence| silence.why)
    }

    async fn turn(&self, key: &Key) -> Option<OwnedSemaphorePermit> {
        let most = self.options.connections_per_host;
        if most == 0 {
            return None;
        }
        let turns = {
            let mut all = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(key.clone()).or_insert_with(|| Arc::new(Semaphore::new(most))).clone()
        };
        turns.acquire_owned().await.ok()
    }

    fn request(&self, url: &Uri, headers: Vec<(HeaderName, HeaderValue)>, data: Bytes) -> Request<Piece> {
        let mut request = Request::new(Piece::new(data));
        *request.method_mut() = Method::POST;
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse().unwrap_or_default();
        let all = request.headers_mut();
        *all = self.options.headers.clone();
        for (name, value) in headers {
            all.insert(name, value);
        }
        if !all.contains_key(http::header::HOST) {
            let host = url.authority().map_or("", |authority| authority.as_str());
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            if let Ok(value) = HeaderValue::from_str(host) {
                all.insert(http::header::HOST, value);
            }
        }
        request
    }

    /// Return the connection that was used last and still stands.
    fn kept(&self, key: &Key) -> Option<SendRequest<Piece>> {
        let mut idle = self.idle();
        let kept = idle.get_mut(key)?;
        while let Some(one) = kept.pop() {
            if one.since.elapsed() < self.options.idle_timeout && one.sender.is_ready() {
                return Some(one.sender);
            }
        }
        None
    }

    async fn open(&self, (https, target): &Key) -> Result<SendRequest<Piece>, String> {
        let addresses = resolve(target).await?;
        let secure = if *https { Some(self.secure(target)?) } else { None };
        let stream = connect(target, &addresses, secure.as_ref()).await?;
        let mut builder = http1::Builder::new();
        builder.title_case_headers(true);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn secure(&self, target: &Target) -> Result<Secure, String> {
        let config = self.options.tls.clone().ok_or("this client was made without TLS")?;
        if let Some(name) = &self.options.server_name {
            return Ok(Secure { config, name: name.clone() });
        }
        let Target::Tcp(host, _) = target else { return Err("TLS needs a host".to_owned()) };
        let name = ServerName::try_from(host.clone()).map_err(|_| format!("{host} is no name for a server"))?;
        Ok(Secure { config, name })
    }

    async fn exchange(
        &self,
        mut sender: SendRequest<Piece>,
        request: Request<Piece>,
        key: &Key,
    ) -> Result<HttpAnswer, Silence> {
        let response = sender.send_request(request).await.map_err(|error| Silence {
            before_answer: error.is_canceled() || error.is_incomplete_message() || is_io(&error),
            why: lost(&key.1, &error),
        })?;
        let (answer, whole) = read(response, self.options.answer_limit)
            .await
            .map_err(|why| Silence { why: lost_text(&key.1, &why), before_answer: false })?;
        if whole && self.options.keep_alive && !sender.is_closed() {
            self.idle().entry(key.clone()).or_default().push(Idle { sender, since: Instant::now() });
        }
        Ok(answer)
    }
}

fn is_io(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>())
}

fn lost(target: &Target, error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return format!("{target} closed the connection without an answer");
    }
    lost_text(target, &chain(error))
}

fn lost_text(target: &Target, why: &str) -> String {
    format!("no answer from {target}: {why}")
}

/// Return where a URL leads to.
fn place(url: &Uri) -> Result<Key, String> {
    let https = match url.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err("no URL of http or https".to_owned()),
    };
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err("a URL without a host".to_owned());
    }
    let port = url.port_u16().unwrap_or(if https { 443 } else { 80 });
    Ok((https, Target::Tcp(host.to_owned(), port)))
}

/// Read an answer up to the limit; the second part says whether that was all of it.
async fn read(response: Response<Incoming>, limit: usize) -> Result<(HttpAnswer, bool), String> {
    let (head, mut body) = response.into_parts();
    let text =
        |name: HeaderName| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut data = BytesMut::new();
    let mut whole = true;
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|error| chain(&error))?.into_data() else { continue };
        data.put_slice(&piece);
        if data.len() > limit {
            whole = false;
            break;
        }
    }
    let mut body = data.freeze();
    if let Some(encoding) = text(http::header::CONTENT_ENCODING)
        && let Ok(Some(plain)) = decompress(&encoding.to_ascii_lowercase(), &body, limit)
    {
        body = plain;
    }
    body.truncate(limit);
    let answer = HttpAnswer {
        status: head.status.as_u16(),
        content_type: text(http::header::CONTENT_TYPE).unwrap_or_default(),
        retry_after: text(http::header::RETRY_AFTER),
        location: text(http::header::LOCATION),
        body,
    };
    Ok((answer, whole))
}

/// Close what is idle for too long, until the pool is gone.
async fn sweep(pool: Weak<Shared>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(pool) = pool.upgrade() else { return };
        let longest = pool.options.idle_timeout;
        pool.idle().retain(|_, kept| {
            kept.retain(|one| one.since.elapsed() < longest && !one.sender.is_closed());
            !kept.is_empty()
        });
    }
}
