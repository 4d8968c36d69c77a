//! One server: its connections, what they have for the event loop, and what the event loop has for them.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::mem::take;
use std::net::TcpListener as StdTcpListener;
use std::os::fd::RawFd;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use native_runtime::Mailbox;
use otlp_wire::Signal;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use crate::connection::serve;
use crate::message::{Event, Peer, Reply};
use crate::settings::{Millis, Settings};
use crate::tls::Tls;

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Orders to a connection; bits.
pub(crate) mod order {
    /// Look at the deadlines.
    pub(crate) const CHECK: u8 = 1;
    /// Take no new requests, finish those under way, close.
    pub(crate) const DRAIN: u8 = 2;
    /// End requests that are not there completely.
    pub(crate) const CUT: u8 = 4;
    /// Close at once.
    pub(crate) const ABORT: u8 = 8;
}

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(StdTcpListener),
    /// A unix socket.
    Unix(StdUnixListener),
}

/// A connection as the server and callers know it.
#[derive(Debug)]
pub(crate) struct Link {
    pub server: Arc<Shared>,
    pub number: u64,
    pub peer: Arc<Peer>,
    /// When orders are due, as the connection says.
    pub deadline: AtomicU64,
    orders: AtomicU8,
    inbox: Mutex<Vec<(u32, bool, Reply)>>,
    waker: Mutex<Option<Waker>>,
}

impl Link {
    /// Leave an answer for request `id` and wake the connection.
    pub(crate) fn push(&self, id: u32, counted: bool, reply: Reply) {
        locked(&self.inbox).push((id, counted, reply));
        self.wake();
    }

    pub(crate) fn take(&self) -> Vec<(u32, bool, Reply)> {
        take(&mut *locked(&self.inbox))
    }

    pub(crate) fn order(&self, orders: u8) {
        self.orders.fetch_or(orders, Ordering::AcqRel);
        self.wake();
    }

    pub(crate) fn orders(&self) -> u8 {
        self.orders.swap(0, Ordering::AcqRel)
    }

    pub(crate) fn watch(&self, waker: &Waker) {
        let mut kept = locked(&self.waker);
        if !kept.as_ref().is_some_and(|one| one.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = locked(&self.waker).as_ref() {
            waker.wake_by_ref();
        }
    }
}

/// An answer, and the request of which connection it is for; see [`Link::push`].
type Outgoing = (Arc<Link>, u32, bool, Reply);

/// What everybody around a server shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub settings: Settings,
    pub mailbox: Mailbox<Vec<Event>>,
    began: Instant,
    /// What came in during this turn of the thread.
    pending: Mutex<Vec<Event>>,
    /// Answers on their way to connections.
    outbox: Mutex<Vec<Outgoing>>,
    manager: Mutex<Option<Waker>>,
    links: Mutex<HashMap<u64, Arc<Link>>>,
    next_link: AtomicU64,
    next_call: AtomicU64,
    gates: [AtomicBool; 3],
    held: AtomicUsize,
    /// Callers that wait for an answer.
    waiting: AtomicUsize,
    draining: AtomicBool,
    closed: AtomicBool,
    date: Mutex<Arc<[u8]>>,
}

impl Shared {
    pub(crate) fn now(&self) -> Millis {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// The present time as a header value.
    pub(crate) fn date(&self) -> Arc<[u8]> {
        locked(&self.date).clone()
    }

    /// Whether a body of that many bytes may be read ahead.
    pub(crate) fn may_read(&self, signal: Signal, size: usize) -> bool {
        size <= MAX_UNASKED
            && self.gates[signal as usize].load(Ordering::Relaxed)
            && self.held.load(Ordering::Relaxed).saturating_add(size) <= self.settings.read_ahead
    }

    pub(crate) fn set_gate(&self, signal: Signal, open: bool) {
        self.gates[signal as usize].store(open, Ordering::Relaxed);
    }

    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Held { server: self.clone(), bytes }
    }

    /// Count callers that wait for an answer.
    pub(crate) fn count_waiting(&self, more: bool) {
        if more {
            self.waiting.fetch_add(1, Ordering::Relaxed);
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Tell the event loop something, at the end of this turn.
    pub(crate) fn put(&self, event: Event) {
        let mut pending = locked(&self.pending);
        pending.push(event);
        if pending.len() == 1 {
            drop(pending);
            self.wake_manager();
        }
    }

    /// Send an answer to a connection; from any thread. Wakes the thread only once for many.
    pub(crate) fn send(&self, link: Arc<Link>, id: u32, counted: bool, reply: Reply) {
        let mut outbox = locked(&self.outbox);
        outbox.push((link, id, counted, reply));
        if outbox.len() == 1 {
            drop(outbox);
            self.wake_manager();
        }
    }

    fn wake_manager(&self) {
        if let Some(waker) = locked(&self.manager).as_ref() {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn call_number(&self) -> u64 {
        self.next_call.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Note a new connection; false if there are too many.
    pub(crate) fn enter(self: &Arc<Self>, peer: Peer) -> (Arc<Link>, bool) {
        // Locked first: a connection either sees that the server drains, or is told so with the others.
        let mut links = locked(&self.links);
        let link = Arc::new(Link {
            server: self.clone(),
            number: self.next_link.fetch_add(1, Ordering::Relaxed),
            peer: Arc::new(peer),
            deadline: AtomicU64::new(0),
            orders: AtomicU8::new(if self.draining() { order::DRAIN } else { 0 }),
            inbox: Mutex::new(Vec::new()),
            waker: Mutex::new(None),
        });
        links.insert(link.number, link.clone());
        let fits = links.len() <= self.settings.max_connections;
        (link, fits)
    }

    pub(crate) fn leave(&self, link: &Link) {
        let mut links = locked(&self.links);
        links.remove(&link.number);
        if links.is_empty() && self.draining() {
            drop(links);
            self.put(Event::Empty);
        }
    }

    fn order_all(&self, orders: u8) {
        let links: Vec<_> = locked(&self.links).values().cloned().collect();
        for link in links {
            link.order(orders);
        }
    }

    /// Give the event loop what came in; true if there was something.
    fn hand_over(&self) -> bool {
        let events = take(&mut *locked(&self.pending));
        let some = !events.is_empty();
        if some {
            self.mailbox.put(events);
        }
        some
    }

    /// Give connections their answers.
    fn give_answers(&self) {
        let replies = take(&mut *locked(&self.outbox));
        for (link, id, counted, reply) in replies {
            link.push(id, counted, reply);
        }
    }

    fn sweep(&self) {
        *locked(&self.date) = today();
        let now = self.now();
        let due: Vec<_> =
            locked(&self.links).values().filter(|link| link.deadline.load(Ordering::Relaxed) <= now).cloned().collect();
        for link in due {
            link.order(order::CHECK);
        }
    }
}

fn today() -> Arc<[u8]> {
    httpdate::fmt_http_date(SystemTime::now()).into_bytes().into()
}

/// Bytes of one body that may come without a question.
pub(crate) const MAX_UNASKED: usize = 1024 * 1024;

/// Bytes that count against what may be read ahead, as long as this lives.
#[derive(Debug)]
pub struct Held {
    server: Arc<Shared>,
    bytes: usize,
}

impl Held {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.server.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.server.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A running server. Every method may be called from any thread.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listeners: Mutex<Vec<JoinHandle<()>>>,
    manager: JoinHandle<()>,
    sweeper: JoinHandle<()>,
}

impl Server {
    /// Serve on sockets that listen already and do not block.
    ///
    /// # Errors
    /// When the thread cannot be started, or a socket is none.
    pub fn start(settings: Settings, listeners: Vec<Listener>, tls: Option<Arc<Tls>>) -> io::Result<Self> {
        let handle = native_runtime::handle()?;
        let _inside = handle.enter();
        let gates = settings.unserved.map(|unserved| AtomicBool::new(!unserved));
        let pace = settings.sweep;
        let shared = Arc::new(Shared {
            settings,
            mailbox: Mailbox::new()?,
            began: Instant::now(),
            pending: Mutex::default(),
            outbox: Mutex::default(),
            manager: Mutex::default(),
            links: Mutex::default(),
            next_link: AtomicU64::new(0),
            next_call: AtomicU64::new(0),
            gates,
            held: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            date: Mutex::new(today()),
        });
        let mut sockets = Vec::new();
        for listener in listeners {
            sockets.push(match listener {
                Listener::Tcp(one) => Socket::Tcp(TcpListener::from_std(one)?),
                Listener::Unix(one) => Socket::Unix(UnixListener::from_std(one)?),
            });
        }
        let accepting = |socket| handle.spawn(accept(shared.clone(), socket, tls.clone()));
        let listeners = Mutex::new(sockets.into_iter().map(accepting).collect());
        let manager = handle.spawn(manage(shared.clone()));
        let sweeping = shared.clone();
        let sweeper = handle.spawn(async move {
            let mut ticks = tokio::time::interval(pace);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                sweeping.sweep();
            }
        });
        Ok(Self { shared, listeners, manager, sweeper })
    }

    /// The file descriptor that is readable while events wait.
    pub fn fd(&self) -> RawFd {
        self.shared.mailbox.fd()
    }

    /// Take all events, oldest first.
    pub fn take(&self) -> Vec<Event> {
        let mut batches = self.shared.mailbox.take();
        match batches.len() {
            1 => batches.pop().unwrap_or_default(),
            _ => batches.into_iter().flatten().collect(),
        }
    }

    /// Ask about each request of a signal before its body is read, or read ahead again.
    pub fn set_gate(&self, signal: Signal, open: bool) {
        self.shared.set_gate(signal, open);
    }

    /// Accept no more connections.
    pub fn close(&self) {
        for listener in locked(&self.listeners).drain(..) {
            listener.abort();
        }
    }

    /// Let every connection end when what is under way on it is answered; [`Event::Empty`] comes with the last.
    pub fn drain(&self) {
        self.close();
        self.shared.draining.store(true, Ordering::Relaxed);
        self.shared.order_all(order::DRAIN);
        if locked(&self.shared.links).is_empty() {
            self.shared.put(Event::Empty);
        }
    }

    /// End requests that are not there completely.
    pub fn cut(&self) {
        self.shared.order_all(order::CUT);
    }

    /// Close every connection at once.
    pub fn abort(&self) {
        self.close();
        self.shared.draining.store(true, Ordering::Relaxed);
        self.shared.give_answers(); // what was taken is acknowledged if anything still can be
        self.shared.order_all(order::ABORT);
        self.sweeper.abort();
        self.shared.closed.store(true, Ordering::Relaxed);
        self.shared.wake_manager();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.abort();
        // The manager ends by itself when it has handed over what was left.
        let _ = &self.manager;
    }
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Accept connections until aborted.
async fn accept(server: Arc<Shared>, socket: Socket, tls: Option<Arc<Tls>>) {
    loop {
        let accepted = match &socket {
            Socket::Tcp(listener) => listener.accept().await.map(|(stream, address)| {
                // Answers are small and go out whole; waiting for more of them only delays.
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(server.clone(), stream, Peer::of(address), tls.clone()));
            }),
            Socket::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                tokio::spawn(serve(server.clone(), stream, Peer::unix(), tls.clone()));
            }),
        };
        if accepted.is_err() {
            // Too many open files, or a client that left: what waits is accepted when there is room.
            tokio::time::sleep(server.settings.sweep).await;
        }
    }
}

/// Callers that wait, from which on the event loop is not woken for each further one: they wait for something else, and
/// waking it costs more than a request.
const CROWD: usize = 16;
/// How often it is woken then at most.
const PACE: Duration = Duration::from_millis(1);

/// Carry events and answers between the connections and the event loop, at the end of each turn.
async fn manage(server: Arc<Shared>) {
    let mut pause = pin!(tokio::time::sleep(Duration::ZERO));
    let mut paused = false;
    poll_fn(|context| {
        {
            let mut kept = locked(&server.manager);
            if !kept.as_ref().is_some_and(|one| one.will_wake(context.waker())) {
                *kept = Some(context.waker().clone());
            }
        }
        server.give_answers();
        paused = paused && pause.as_mut().poll(context).is_pending();
        if !paused && server.hand_over() && server.waiting.load(Ordering::Relaxed) >= CROWD {
            pause.as_mut().reset(tokio::time::Instant::now() + PACE);
            paused = pause.as_mut().poll(context).is_pending();
        }
        if server.closed.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
