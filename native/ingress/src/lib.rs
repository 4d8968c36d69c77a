//! OTLP servers over gRPC and HTTP.
//!
//! Connections are state machines without input and output of their own ([`http1`], [`http2`]), which one thread feeds
//! (`connection`). A complete request is decompressed, decoded and validated there; malformed ones are answered there.
//! The rest goes to an event loop as [`Event`]s, many at a time, and comes back as answers through each [`Caller`].
//!
//! The protocols are written out here, as they are in the Python servers, and not taken from a library: a body must
//! not be read before somebody was asked, pings and cancelled streams are counted, and errors have the same words
//! whichever transport serves. Parsing of HTTP/1.1 heads is `httparse`, TLS is `rustls`.

#![forbid(unsafe_code)]

mod coding;
mod connection;
mod http1;
mod http2;
mod message;
mod refusal;
mod server;
mod settings;
mod tls;

pub use coding::Coding;
pub use message::{Caller, Content, Event, Head, Pairs, Peer, Request};
pub use refusal::{Refusal, Response, grpc_refusal};
pub use server::{Held, Listener, Server};
pub use settings::{GrpcSettings, HttpSettings, Limit, Protocol, Settings};
pub use tls::{Source, Tls, TlsSettings};
