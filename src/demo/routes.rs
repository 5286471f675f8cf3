//! What the web backend answers to what.

use std::net::SocketAddr;
use std::process;
use std::sync::PoisonError;

use super::Gateway;
use super::text::{http_date, json_string, query_value, unix_time_ms};
use super::trip;
use super::web::Request;

/// The page: one file, nothing fetched from elsewhere.
const PAGE: &str = include_str!("page.html");
/// What the page may do, should a browser be talked into more.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    img-src data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TRIP_TEXT_BYTES_MAX: usize = 4096;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// The web backend as its routes see it.
pub struct Site {
    /// Where it listens; every answer names it in `X-Served-By`.
    pub address: SocketAddr,
    gateway: Gateway,
}

/// An answer before it is framed.
pub struct Answer {
    pub status: u16,
    pub reason: &'static str,
    pub content_type: &'static str,
    /// Further header fields.
    pub fields: Vec<(&'static str, String)>,
    pub body: Body,
}

pub enum Body {
    /// Sent with its length.
    Whole(Vec<u8>),
    /// Sent one by one, chunked.
    Pieces(Vec<String>),
}

impl Answer {
    fn ok(content_type: &'static str, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status: 200, reason: "OK", content_type, fields: Vec::new(), body: Body::Whole(body.into()) }
    }

    /// A short answer that says its own status.
    pub fn text(status: u16, reason: &'static str) -> Answer {
        let body = format!("{status} {reason} (oneport demo, web backend)\n");
        Answer { status, reason, ..Answer::ok(TEXT, body) }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.fields.push((name, value.into()));
        self
    }
}

impl Site {
    /// A site at `address` that makes its raw round trips through `gateway`, once that is told.
    pub fn new(address: SocketAddr, gateway: Gateway) -> Site {
        Site { address, gateway }
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request) -> Answer {
        let allowed = match request.path.as_str() {
            "/" | "/api/whoami" | "/api/time" | "/api/stream" | "/api/socket" => "GET, HEAD",
            "/api/echo" => "POST",
            _ => return Answer::text(404, "Not Found"),
        };
        if !allowed.split(", ").any(|method| method == request.method) {
            return Answer::text(405, "Method Not Allowed").with("Allow", allowed);
        }
        match request.path.as_str() {
            "/api/whoami" => Answer::ok(JSON, self.whoami(request)),
            "/api/time" => Answer::ok(JSON, time()),
            "/api/stream" => Answer { body: Body::Pieces(self.pieces()), ..Answer::ok(TEXT, "") },
            "/api/socket" => self.raw_trip(request),
            "/api/echo" => echo(request),
            _ => Answer::ok("text/html; charset=utf-8", PAGE).with("Content-Security-Policy", PAGE_POLICY),
        }
    }

    /// Which backend answers, and what the gateway made of the request on its way.
    fn whoami(&self, request: &Request) -> String {
        let pairs: Vec<String> = request
            .headers
            .iter()
            .map(|(name, value)| format!("[{},{}]", json_string(name), json_string(value)))
            .collect();
        let forwarded = request.header("x-forwarded-for").map_or("null".to_string(), json_string);
        format!(
            r#"{{"backend":"web","address":"{}","pid":{},"peer":{},"request":{},"forwarded_for":{forwarded},"headers":[{}]}}"#,
            self.address,
            process::id(),
            json_string(&request.peer),
            request.number,
            pairs.join(",")
        ) + "\n"
    }

    fn pieces(&self) -> Vec<String> {
        (1..=5).map(|n| format!("piece {n} of 5 from web {}\n", self.address)).collect()
    }

    fn raw_trip(&self, request: &Request) -> Answer {
        let text = query_value(&request.query, "text").unwrap_or_else(|| "hello".to_string());
        if text.len() > TRIP_TEXT_BYTES_MAX {
            return Answer::text(413, "Content Too Large");
        }
        // Copied out, so that a slow trip holds no lock.
        let gateway = self.gateway.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(gateway) = gateway else {
            return failed_trip(
                503,
                "Service Unavailable",
                "the gateway has no TCP address that is known here",
            );
        };
        let named = json_string(&format!("{}:{}", gateway.0, gateway.1));
        match trip::through(&gateway, &text) {
            Ok(trip) => Answer::ok(
                JSON,
                format!(
                    r#"{{"ok":{},"gateway":{named},"sent_bytes":{},"greeting":{},"echo":{},"connect_us":{},"round_trip_us":{}}}"#,
                    trip.ok,
                    trip.sent_bytes,
                    json_string(&trip.greeting),
                    json_string(&trip.echo),
                    trip.connect_us,
                    trip.round_trip_us
                ) + "\n",
            ),
            Err(e) => failed_trip(502, "Bad Gateway", &format!("through {}:{}: {e}", gateway.0, gateway.1)),
        }
    }
}

fn failed_trip(status: u16, reason: &'static str, why: &str) -> Answer {
    let body = format!("{{\"ok\":false,\"error\":{}}}\n", json_string(why));
    Answer { status, reason, ..Answer::ok(JSON, body) }
}

fn time() -> String {
    let now_ms = unix_time_ms();
    format!("{{\"unix_ms\":{now_ms},\"date\":\"{}\"}}\n", http_date(now_ms / 1000))
}

/// The body as it came, and as plain data: what a browser would run is not echoed as such.
fn echo(request: &Request) -> Answer {
    let mut answer = Answer::ok("application/octet-stream", request.body.as_slice());
    if request.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")) {
        answer.content_type = TEXT;
    }
    answer
}
