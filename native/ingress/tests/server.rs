//! Servers on a loopback port: what the event loop sees of requests, and what clients see of its answers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use otlp_ingress::{
    Coding, Content, Event, GrpcSettings, HttpSettings, Listener, Protocol, Refusal, Response, Server, Settings,
};
use otlp_wire::Signal;

/// A request of one span: `resource_spans { scope_spans { spans { trace_id, span_id } } }`.
fn span() -> Vec<u8> {
    let mut span = vec![0x0a, 16];
    span.extend([1; 16]);
    span.extend([0x12, 8]);
    span.extend([2; 8]);
    let scope = [&[0x12, span.len() as u8], span.as_slice()].concat();
    let resource = [&[0x12, scope.len() as u8], scope.as_slice()].concat();
    [&[0x0a, resource.len() as u8], resource.as_slice()].concat()
}

fn settings(protocol: Protocol) -> Settings {
    Settings {
        protocol,
        max_connections: 100,
        read_ahead: 10_000,
        sweep: Duration::from_millis(20),
        handshake: Duration::from_secs(5),
        unserved: [false, false, true],
        metadata: false,
        authenticate: false,
    }
}

fn http() -> Protocol {
    Protocol::Http(HttpSettings {
        paths: ["/v1/traces".into(), "/v1/metrics".into(), "/v1/logs".into()],
        max_body: 1 << 20,
        codings: vec![Coding::Identity, Coding::Gzip],
        head: None,
        body_idle: None,
        request: None,
        write: None,
        idle: None,
        keep_alive: true,
        cors: false,
        own_headers: b"x-own: 1\r\n".to_vec(),
    })
}

fn grpc() -> Protocol {
    Protocol::Grpc(GrpcSettings {
        max_streams: 100,
        stream_window: 1 << 20,
        max_message: 1 << 20,
        handshake: None,
        write: None,
        idle: None,
        age: None,
        age_grace: None,
        ping_after: None,
        ping_timeout: None,
        least_ping_interval: None,
        ping_without_streams: true,
        message_idle: None,
    })
}

struct Running {
    server: Server,
    client: TcpStream,
    events: Vec<Event>,
}

impl Running {
    fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let server = Server::start(settings, vec![Listener::Tcp(listener)], None).unwrap();
        Self { server, client, events: Vec::new() }
    }

    fn send(&mut self, data: &[u8]) {
        self.client.write_all(data).unwrap();
    }

    /// Wait for the next event.
    fn event(&mut self) -> Event {
        while self.events.is_empty() {
            self.events = self.server.take();
            std::thread::yield_now();
        }
        self.events.remove(0)
    }

    /// Read until some text was seen.
    fn read_until(&mut self, end: &str) -> String {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(end) {
            let mut space = [0; 4096];
            let count = self.client.read(&mut space).unwrap();
            assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&space[..count]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn refusal() -> Refusal {
    let response = || Response { status: 503, head: b"HTTP/1.1 503 Busy\r\n".to_vec(), body: b"later".to_vec() };
    Refusal::Http(Box::new([response(), response()]))
}

#[test]
fn requests_come_decoded_and_answers_go_back_in_order() {
    let mut running = Running::start(settings(http()));
    let two = [post("/v1/traces", &span()), post("/v1/metrics", b"")].concat();
    running.send(&two);
    let Event::Answered(Signal::Metrics, 200, _) = (match running.event() {
        Event::Request(request) => {
            assert!(matches!(&request.content, Content::Regular(index) if index.items().len() == 1));
            assert_eq!((request.signal, request.body.as_slice()), (Signal::Traces, span().as_slice()));
            assert_eq!(request.peer.address, running.client.local_addr().unwrap().to_string());
            request.caller.refuse(refusal());
            running.event()
        }
        other => panic!("{other:?}"),
    }) else {
        panic!("an empty request is answered here")
    };
    let seen = running.read_until("x-own");
    assert!(seen.find("503 Busy") < seen.find("200 OK"), "{seen}");
}

#[test]
fn malformed_requests_never_reach_the_event_loop() {
    let mut running = Running::start(settings(http()));
    running.send(&post("/v1/traces", b"\xff\xff"));
    assert!(matches!(running.event(), Event::Answered(Signal::Traces, 400, _)));
    running.read_until("400 Bad Request");
}

#[test]
fn a_closed_gate_asks_before_the_body() {
    let mut running = Running::start(settings(http()));
    running.server.set_gate(Signal::Traces, false);
    running.send(&post("/v1/traces", &span()));
    let Event::Ask { caller, signal, size } = running.event() else { panic!("not asked") };
    assert_eq!((signal, size), (Signal::Traces, span().len()));
    caller.admit();
    let Event::Request(request) = running.event() else { panic!("no request") };
    request.caller.succeed();
    running.read_until("200 OK");
}

#[test]
fn a_signal_without_a_pipeline_is_asked_about() {
    let mut running = Running::start(settings(http()));
    running.send(&post("/v1/logs", b""));
    let Event::Ask { caller, .. } = running.event() else { panic!("not asked") };
    caller.refuse(refusal());
    running.read_until("later");
}

#[test]
fn what_is_read_ahead_is_bounded() {
    let mut running = Running::start(settings(http()));
    let large = [span().as_slice(), &[0x7a, 0xf8, 0x55], &[0; 11_000]].concat(); // and an unknown field
    running.send(&[post("/v1/traces", &span()), post("/v1/traces", &large)].concat());
    let Event::Request(first) = running.event() else { panic!("no request") };
    let Event::Ask { caller, size, .. } = running.event() else { panic!("not asked") };
    assert_eq!(size, large.len());
    caller.admit();
    let Event::Request(second) = running.event() else { panic!("no request") };
    first.caller.succeed();
    drop(second.caller);
    running.read_until("internal error");
}

#[test]
fn the_last_connection_of_a_draining_server_is_told() {
    let mut running = Running::start(settings(http()));
    running.send(&post("/v1/traces", &span()));
    let Event::Request(request) = running.event() else { panic!("no request") };
    running.server.drain();
    request.caller.succeed();
    assert!(running.read_until("\r\n\r\n").contains("connection: close"));
    assert!(matches!(running.event(), Event::Empty));
}

#[test]
fn frames_are_taken_apart_wherever_they_are_cut() {
    let mut running = Running::start(settings(grpc()));
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let mut block = vec![0x83, 0x86, 0x04, path.len() as u8];
    block.extend(path.as_bytes());
    block.extend(b"\x0f\x10\x10application/grpc");
    let message = [&[0, 0, 0, 0, span().len() as u8], span().as_slice()].concat();
    let frame = |kind: u8, flags: u8, payload: &[u8]| {
        [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, u8::from(kind < 2)], payload].concat()
    };
    let all =
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, b""), frame(1, 4, &block), frame(0, 1, &message)]
            .concat();
    for byte in all {
        running.send(&[byte]);
    }
    let Event::Request(request) = running.event() else { panic!("no request") };
    assert_eq!(request.body, span());
    request.caller.succeed();
    running.read_until("grpc-status");
}
