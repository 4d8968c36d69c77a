//! OTLP servers over gRPC and HTTP.
//!
//! `hyper` speaks the protocols, on one thread. Around it: `connection` follows each connection from its first byte to
//! its last, with deadlines and orders; `stream` lies between socket and `hyper` and counts what `hyper` does not;
//! `grpc` and `http` serve requests. A complete request is decompressed, decoded and validated here; malformed ones
//! are answered here. The rest goes to an event loop as [`Event`]s, many at a time, and comes back as answers through
//! each [`Caller`]. No body is read before it is wanted: `hyper` reads one only while somebody polls it.

#![forbid(unsafe_code)]

mod answer;
mod body;
mod coding;
mod connection;
mod frames;
mod grpc;
mod http;
mod message;
mod refusal;
mod server;
mod settings;
mod stream;
mod tls;

pub use coding::Coding;
pub use message::{Caller, Content, Event, Head, Pairs, Peer, Request};
pub use refusal::{Refusal, Response, grpc_refusal};
pub use server::{Held, Listener, Server};
pub use settings::{GrpcSettings, HttpSettings, Limit, Protocol, Settings};
pub use tls::{Source, Tls, TlsSettings};
