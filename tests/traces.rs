//! Traces, as a collector gets them over OTLP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::json;

use crate::fixtures::encode;
use crate::harness::Engine;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Takes what is sent to it, for as long as the process lives.
struct Collector {
    url: String,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let kept = bodies.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || {
                    while let Some(body) = take(&stream) {
                        kept.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(body);
                    }
                });
            }
        });
        Collector {
            url: format!("http://{address}"),
            bodies,
        }
    }

    fn bodies(&self) -> Vec<Vec<u8>> {
        self.bodies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Every span that has come, and what is said of the process with each.
    fn spans(&self) -> Vec<Span> {
        let sent = self.bodies().into_iter().map(|body| {
            ExportTraceServiceRequest::decode(body.as_slice()).expect("what OTLP sends")
        });
        sent.flat_map(|sent| sent.resource_spans)
            .flat_map(|resource| {
                let about = resource.resource.unwrap_or_default();
                let name = about
                    .attributes
                    .iter()
                    .find(|about| about.key == "service.name");
                assert!(format!("{name:?}").contains("dealwright"), "{about:?}");
                resource.scope_spans
            })
            .flat_map(|scope| scope.spans)
            .collect()
    }
}

/// Reads one request of OTLP and answers it; none at the end of the connection.
fn take(stream: &TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    assert!(line.starts_with("POST /v1/traces "), "{line}");
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer =
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
    (&*stream).write_all(answer.as_bytes()).ok()?;
    Some(body)
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Attribute> {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

fn text(span: &Span, key: &str) -> String {
    match attribute(span, key) {
        Some(Attribute::StringValue(text)) => text.clone(),
        other => panic!("{key} is {other:?} in {span:?}"),
    }
}

#[track_caller]
fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    match (found.next(), found.next()) {
        (Some(one), None) => one,
        _ => {
            let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
            panic!("not one {name} among {names:?}")
        }
    }
}

/// The spans right within another.
fn within<'a>(spans: &'a [Span], outer: &Span) -> Vec<&'a Span> {
    let inside = spans
        .iter()
        .filter(|span| span.parent_span_id == outer.span_id);
    inside
        .inspect(|span| assert_eq!(span.trace_id, outer.trace_id))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

on_both_engines! {
    fn a_request_is_a_span_with_its_work_in_the_store_inside(server: &Server) {
        let collector = Collector::start();
        let server = server.another(&["--otlp-endpoint", &collector.url]);
        let client = server.client();
        let made = client.post("/opportunities", json!({"name": "Fence"})).expect(201);
        let path = format!("/opportunities/{}", made.id());
        let traceparent = format!("00-{TRACE}-{PARENT}-01");
        let headers = [("traceparent", traceparent.as_str()), ("x-request-id", "mine-7")];
        client.raw("GET", &path, &headers, b"").expect(200);
        client.get("/nothing").expect(404);
        // Told at the end, however short before it they were.
        assert!(server.terminate().success());

        let spans = collector.spans();
        let read = named(&spans, "GET /opportunities/:id");
        assert_eq!((hex(&read.trace_id), hex(&read.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
        assert_eq!(read.kind, SpanKind::Server as i32);
        assert_eq!(text(read, "http.request.method"), "GET");
        assert_eq!(text(read, "http.route"), "/opportunities/:id");
        assert_eq!(text(read, "request_id"), "mine-7");
        assert_eq!(attribute(read, "http.response.status_code"), Some(&Attribute::IntValue(200)));

        let system = match server.engine() {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgresql",
        };
        let write = named(&spans, "POST /opportunities");
        assert!(write.parent_span_id.is_empty(), "{write:?}");
        assert_eq!(attribute(write, "http.response.status_code"), Some(&Attribute::IntValue(201)));
        for (request, kind) in [(read, "read"), (write, "write")] {
            let inside = within(&spans, request);
            let store = inside.iter().find(|span| span.name == kind).expect(kind);
            assert_eq!(text(store, "db.system.name"), system);
            assert!(store.start_time_unix_nano >= request.start_time_unix_nano);
            let runs = within(&spans, store);
            assert!(!runs.is_empty() && runs.iter().all(|span| span.name == "run"), "{runs:?}");
            assert!(runs[0].start_time_unix_nano >= store.start_time_unix_nano);
            assert!(runs[0].end_time_unix_nano <= store.end_time_unix_nano);
        }
        let nowhere = named(&spans, "GET");
        assert_eq!(attribute(nowhere, "http.response.status_code"), Some(&Attribute::IntValue(404)));
        // What the server does of itself every second is in no trace.
        for span in spans.iter().filter(|span| span.parent_span_id.is_empty()) {
            assert_eq!(span.kind, SpanKind::Server as i32, "{span:?}");
        }
    }

    fn a_call_of_a_tool_is_a_span_within_its_request(server: &Server) {
        let collector = Collector::start();
        let server = server.another(&["--otlp-endpoint", &collector.url]);
        let call = json!({"name": "list_customers", "arguments": {"search": "Zebulon"}});
        let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call}).to_string();
        let headers = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        server.client().under("").raw("POST", "/mcp", &headers, call.as_bytes()).expect(200);
        assert!(server.terminate().success());

        let spans = collector.spans();
        let request = named(&spans, "POST /mcp");
        let tool = named(&spans, "tools/call list_companies");
        assert!(within(&spans, request).contains(&tool), "{spans:?}");
        assert_eq!(text(tool, "gen_ai.tool.name"), "list_companies");
        assert_eq!(attribute(tool, "status"), Some(&Attribute::IntValue(200)));
        let work = within(&spans, tool);
        assert!(work.iter().any(|span| span.name == "scan"), "{work:?}");
        for body in collector.bodies() {
            assert!(!String::from_utf8_lossy(&body).contains("Zebulon"));
        }
    }

    fn nothing_that_a_client_sent_is_in_a_trace(server: &Server) {
        let collector = Collector::start();
        let server = server.another(&["--otlp-endpoint", &collector.url]);
        let client = server.client();
        let address = "zebulon@leak.example";
        let contact = json!({"first_name": "Zebulon", "email": address, "phone": "+61491570156"});
        client.post("/contacts", contact.clone()).expect(201);
        client.post("/contacts", json!({"email": address, "phone": address})).expect(400);
        client.post("/contacts/search", json!({"query": address})).expect(200);
        client.get(&format!("/contacts?search={}", encode(address))).expect(200);
        client.get("/contacts/zebulon").expect(400);
        client.get("/zebulon").expect(404);
        client.raw("ZEBULON", "/contacts", &[], b"").expect(405);
        let headers = [
            ("traceparent", "00-zebulon-61491570156-01"),
            ("tracestate", "zebulon=61491570156"),
            ("baggage", "who=zebulon"),
            ("x-request-id", address),
            ("user-agent", address),
        ];
        client.raw("GET", "/contacts", &headers, b"").expect(200);
        let traceparent = format!("00-{TRACE}-{PARENT}-01");
        let headers = [("traceparent", traceparent.as_str()), ("tracestate", "zebulon=61491570156")];
        client.raw("GET", "/contacts", &headers, b"").expect(200);
        assert!(server.terminate().success());

        assert!(collector.spans().len() > 9, "{:?}", collector.spans());
        for body in collector.bodies() {
            let told = String::from_utf8_lossy(&body).to_lowercase();
            for trace in ["zebulon", "491570156", "leak.example", &server.key()[8..].to_lowercase()] {
                assert!(!told.contains(trace), "{trace} in {told}");
            }
        }
    }

    fn a_collector_that_takes_nothing_hinders_no_one(server: &Server) {
        // One that is not there, and one that never says anything.
        let closed = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let gone = closed.local_addr().expect("its address");
        drop(closed);
        let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mute = silent.local_addr().expect("its address");
        for collector in [gone, mute] {
            let server = server.another(&["--otlp-endpoint", &format!("http://{collector}/")]);
            let client = server.client();
            // With more spans than are ever kept.
            for _ in 0..1000 {
                client.get("/pipelines").expect(200);
            }
            assert!(server.terminate().success());
            let told = server.log().matches("the collector takes no spans").count();
            assert!(told <= 1, "{told} times");
            assert!(told == 1 || server.log().contains("the last spans were not sent"));
        }
    }

    fn an_address_that_is_no_url_is_refused(server: &Server) {
        for wrong in ["localhost:4318", "ftp://localhost", ""] {
            let output = server.cli(&["serve", "--otlp-endpoint", wrong]);
            assert!(!output.status.success(), "{wrong}");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("--otlp-endpoint"), "{said}");
        }
    }
}
