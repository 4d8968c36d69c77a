//! Clients for OTLP over gRPC and HTTP, on the one thread of [`native_runtime`].
//!
//! A [`Channel`] makes unary gRPC calls, a [`Pool`] POST requests of HTTP/1.1. Each request has a token; its end comes
//! as a [`Reply`] into a mailbox, many at a time. Bodies are never copied, unless they are small, and are compressed
//! here, large ones on another thread.

#![forbid(unsafe_code)]

mod body;
mod channel;
mod compress;
mod connect;
mod gather;
mod grpc;
mod link;
mod pool;
mod reply;
mod tls;
mod tokens;

pub use channel::{Channel, ChannelOptions};
pub use compress::{Compression, Encoding, compress_now};
pub use connect::{Secure, Target};
pub use link::Keepalive;
pub use pool::{Pool, PoolOptions};
pub use reply::{GrpcAnswer, HttpAnswer, Outcome, Reply};
pub use tls::{TlsOptions, client_config};
