//! From a whole head to what is sent to the server. No waiting in here: the head's index is large, and lives
//! only as long as this call.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use super::super::Session;
use super::super::relay::{Bound, Flow};
use super::super::trace::Trace;
use super::super::world::Scene;
use super::rules::{self, End};
use crate::backend::Backend;
use crate::config::{ConnectionMode, ForwardFor, HttpOptions, Mode, Net};
use crate::http::edit::Text;
use crate::http::{
    After, Chunked, Framing, HeadError, Method, RequestEdits, RequestFacts, RequestHead, Version,
    parse_request, write_request,
};
use crate::net::Buffer;
use crate::rules::{Choice, View, applies, choose_backend, is_to_proxy};

/// A request ready to be sent.
pub(super) struct Request {
    pub backend: Rc<Backend>,
    pub facts: RequestFacts,
    /// The head as the server gets it, and as much of the body as was there and fitted.
    pub out: Buffer,
    /// The rest of the body; `None` when `out` holds all of it.
    pub upload: Option<Flow>,
    /// Bytes of the body in `out`.
    pub body_bytes: u64,
    /// Whether the server's connection may carry another request after this one.
    pub keeps_server: bool,
    /// Whether the client may send another request after this one.
    pub keep_alive: bool,
    pub upgrade: bool,
}

/// What a head came to.
pub(super) enum Prepared {
    Send(Request),
    /// It goes to a `mode tcp` backend, as it came: an upgrade, mostly.
    Tunnel(Rc<Backend>),
    Refuse {
        status: u16,
        /// Who and in which phase, for the termination state.
        termination: (u8, u8),
    },
    /// Rules end it.
    End {
        end: End,
        facts: RequestFacts,
        keep_alive: bool,
    },
    /// `monitor-uri`: answered without a log line.
    Monitor {
        status: u16,
        facts: RequestFacts,
        keep_alive: bool,
    },
}

/// Parses, routes, and rewrites the request at the front of `input`, and takes its bytes out of there.
pub(super) fn prepare(
    session: &Session,
    input: &mut Option<Buffer>,
    nth: u32,
    trace: &mut Trace,
) -> Prepared {
    let refuse = |error: HeadError| Prepared::Refuse { status: error.status(), termination: (b'P', b'R') };
    let Some(buffer) = input.as_mut() else { return refuse(HeadError::RequestLine) };
    let head = match parse_request(buffer.bytes()) {
        Ok(Some(head)) if head.len <= session.frontend.head_bytes_max => head,
        Ok(Some(_)) => return refuse(HeadError::TooLong),
        Ok(None) => return refuse(HeadError::RequestLine),
        Err(error) => return refuse(error),
    };
    session.capture_request(&head, buffer.bytes());
    // Before the request is known to the log, as in HAProxy. Sniffing has asked about the first one.
    if (nth > 0 || session.frontend.config.mode == Mode::Http)
        && let Err(end) = session.ruling_on_request(None, &head, buffer.bytes())
    {
        trace.timers.request = -1;
        return Prepared::End { end, facts: head.facts(), keep_alive: false };
    }
    if session.frontend.logger.is_active() {
        trace.request = Some(request_line(&head, buffer.bytes()));
    }
    trace.bytes_from_client = head.len as u64;
    let config = &session.frontend.config;
    let (facts, head_len, framing) = (head.facts(), head.len, head.framing);
    // An answer of our own leaves the connection usable only where no body is to come.
    let no_body = matches!(framing, Framing::None | Framing::Length(0));
    let may_stay = head.keep_alive && no_body && !session.frontend.leaving.get();
    let mut work = rules::Request { session, head, bytes: buffer.bytes(), text: None };
    if let Some(status) = monitor_status(&work) {
        buffer.consume(head_len);
        return Prepared::Monitor { status, facts, keep_alive: may_stay };
    }
    if session.frontend.shared.keeps_line {
        let line = request_line(&work.head, buffer.bytes());
        session.extra.borrow_mut().get_or_insert_default().request_line = Some(line);
    }
    session.note_number(trace.number);
    // Made before any rule changes the request, so that rules and lines agree about it.
    let unique_id =
        session.unique_id(&View::with_head(buffer.bytes(), &work.head).within(&Scene::of(session)));
    let routed = route(&mut work, trace);
    let rules::Request { head, text, .. } = work;
    let backend = match routed {
        Ok(Some(backend)) => backend,
        Ok(None) => return Prepared::Refuse { status: 503, termination: (b'S', b'C') },
        Err(end) => {
            let keep_alive = may_stay && config.http.connection != ConnectionMode::Close;
            buffer.consume(head_len);
            if buffer.is_empty() {
                *input = None;
            }
            return Prepared::End { end, facts, keep_alive };
        }
    };
    if backend.config.mode == Mode::Tcp {
        return Prepared::Tunnel(backend);
    }
    let frontend = &session.frontend.config.http;
    let back = &backend.config.http;
    let keeps_server = [frontend, back].iter().all(|side| side.connection == ConnectionMode::KeepAlive);
    let mut out = Buffer::take();
    let after = if keeps_server || back.pretend_keep_alive { After::KeepAlive } else { After::Close };
    let head_bytes = text.as_ref().map_or(buffer.bytes(), Text::bytes);
    let added = Added { options: [back, frontend], unique_id: unique_id.as_deref() };
    if write_head(session, &head, head_bytes, added, after, &mut out).is_none() {
        if text.is_some() {
            return Prepared::Refuse { status: 500, termination: (b'P', b'R') };
        }
        return refuse(HeadError::TooLong);
    }
    // Where a rule turned HEAD into another method or another into HEAD, client and server do not agree whether the
    // answer has a body: what follows it would be taken for a part of it, or the other way round.
    let agreed = (facts.method == Method::Head) == (head.method == Method::Head);
    let keep_alive = head.keep_alive
        && frontend.connection != ConnectionMode::Close
        && !session.frontend.leaving.get()
        && agreed;
    // The answer's reader goes by the method that the server got.
    let (facts, upgrade) = (head.facts(), head.upgrade);
    buffer.consume(head_len);
    let head_bytes = out.len();
    let Ok(upload) = take_body(framing, input, &mut out) else {
        return Prepared::Refuse { status: 400, termination: (b'P', b'D') };
    };
    let body_bytes = out.len().saturating_sub(head_bytes) as u64;
    Prepared::Send(Request { backend, facts, out, upload, body_bytes, keeps_server, keep_alive, upgrade })
}

/// What the gateway adds to a request.
struct Added<'a> {
    /// Of the backend and the frontend.
    options: [&'a HttpOptions; 2],
    unique_id: Option<&'a [u8]>,
}

/// The name of the header that tells of an address, where one of the sides wants it. Each side can make an exception;
/// the backend's name wins, and `if-none` counts only where both say it (configuration §4.2, "option forwardfor").
fn address_header<'a>(
    sides: [Option<&'a ForwardFor>; 2],
    address: Option<SocketAddr>,
    is_there: &dyn Fn(&str) -> bool,
) -> Option<(&'a str, IpAddr)> {
    let told = sides[0].or(sides[1])?;
    let address = client_ip(address?);
    let mut written = sides.iter().flatten();
    let is_in = |net: Net| net.address.is_ipv4() == address.is_ipv4() && net.contains(address);
    let excepted = written.clone().filter_map(|side| side.except).any(is_in);
    let kept = written.all(|side| side.if_none) && is_there(&told.header);
    (!excepted && !kept).then_some((told.header.as_str(), address))
}

/// Runs the rules and chooses the backend, whose rules run as well.
fn route(work: &mut rules::Request<'_>, trace: &mut Trace) -> Result<Option<Rc<Backend>>, End> {
    let session = work.session;
    let frontend = &session.frontend.config;
    work.run_all(&frontend.http_rules, frontend.http.header_names, &frontend.acls, None)?;
    let scene = Scene::of(session);
    let view = View::with_head(work.head_bytes(), &work.head)
        .with_body(work.bytes.get(work.head.len..).unwrap_or_default())
        .within(&scene);
    let backend = match choose_backend(frontend, &view) {
        Choice::Backend(id) => session.frontend.backend(id).cloned(),
        Choice::None | Choice::NotYet => None,
    };
    let Some(backend) = backend else { return Ok(None) };
    trace.backend = Some(backend.clone());
    let config = &backend.config;
    if config.mode == Mode::Http {
        if let Err(end) = session.ruling_on_request(Some(&backend), &work.head, work.head_bytes()) {
            trace.timers.request = -1;
            return Err(end);
        }
        work.run_all(&config.http_rules, config.http.header_names, &config.acls, Some(&backend))?;
    }
    Ok(Some(backend))
}

/// The status for a request of `monitor-uri`.
fn monitor_status(work: &rules::Request<'_>) -> Option<u16> {
    let config = &work.session.frontend.config;
    let uri = config.monitor_uri.as_ref()?;
    if work.head.target.of(work.bytes) != uri.as_bytes() {
        return None;
    }
    let scene = Scene::of(work.session);
    let view = View::with_head(work.bytes, &work.head).within(&scene);
    let fails = config.monitor_fail.iter().any(|condition| applies(Some(condition), &config.acls, &view));
    Some(if fails { 503 } else { 200 })
}

/// Writes the head with the client's address and the request's id added, where that is asked for.
fn write_head(
    session: &Session,
    head: &RequestHead,
    bytes: &[u8],
    Added { options, unique_id }: Added<'_>,
    after: After,
    out: &mut Buffer,
) -> Option<()> {
    let mut texts = [heapless::String::<46>::new(), heapless::String::new()];
    let mut fields = heapless::Vec::<(&str, &[u8]), 3>::new();
    let id_header = session.frontend.config.lines.unique_id_header.as_deref();
    if let Some(field) = id_header.zip(unique_id) {
        fields.push(field).ok()?;
    }
    let forward_for = options.map(|side| side.forward_for.as_ref());
    let original_to = options.map(|side| side.original_to.as_ref());
    let has = |name: &str| head.has(bytes, name);
    let destination = || original_to.iter().flatten().next().and_then(|_| session.destination());
    let headers = [
        address_header(forward_for, session.peer.get(), &has),
        address_header(original_to, destination(), &|_| false),
    ];
    for ((name, address), text) in headers.into_iter().flatten().zip(&mut texts) {
        write_address(text, address).ok()?;
        fields.push((name, text.as_bytes())).ok()?;
    }
    let edits = RequestEdits {
        after,
        add_fields: &fields,
        forward_for: forward_for.into_iter().flatten().next().map(|option| option.header.as_str()),
        proxy_header: session.frontend.config.http.proxy_header && is_to_proxy(head.target.of(bytes)),
    };
    let len = write_request(head, bytes, &edits, out.room()).ok()?;
    out.filled(len);
    Some(())
}

/// 46 bytes hold the longest address, IPv6 with an embedded IPv4 one. IPv4 is written by hand: through the
/// formatter it took a twentieth of all instructions of a request.
fn write_address(text: &mut heapless::String<46>, address: IpAddr) -> std::fmt::Result {
    let IpAddr::V4(address) = address else { return write!(text, "{address}") };
    for (at, octet) in address.octets().into_iter().enumerate() {
        if at > 0 {
            text.push('.').map_err(|_| std::fmt::Error)?;
        }
        for (unit, needed) in [(100, octet >= 100), (10, octet >= 10), (1, true)] {
            if needed {
                text.push(char::from(b'0' + octet / unit % 10)).map_err(|_| std::fmt::Error)?;
            }
        }
    }
    Ok(())
}

/// IPv4-mapped addresses are told as IPv4.
fn client_ip(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

/// Moves the body's first bytes from `input` to `out`; returns a flow for what is still to come, and leaves
/// in `input` what belongs to the next request.
fn take_body(
    framing: Framing,
    input: &mut Option<Buffer>,
    out: &mut Buffer,
) -> Result<Option<Flow>, super::super::relay::FlowError> {
    let bound = match framing {
        Framing::None | Framing::Length(0) | Framing::UntilClose => {
            if input.as_ref().is_some_and(Buffer::is_empty) {
                *input = None;
            }
            return Ok(None);
        }
        Framing::Length(len) => Bound::Length(len),
        Framing::Chunked => Bound::Chunked(Chunked::new()),
    };
    let mut upload = Flow::new(bound, input.take())?;
    let len = out.append(upload.ready_bytes());
    upload.passed(len);
    if upload.is_done() {
        *input = upload.into_rest();
        return Ok(None);
    }
    Ok(Some(upload))
}

/// The request line without its end, for the log; at most 1 KiB of it.
fn request_line(head: &RequestHead, bytes: &[u8]) -> Box<[u8]> {
    const LINE_BYTES_MAX: usize = 1_024;
    let line = bytes.get(usize::from(head.method_span.start)..).unwrap_or_default();
    let line = line.get(..LINE_BYTES_MAX).unwrap_or(line);
    let end = memchr::memchr2(b'\r', b'\n', line).unwrap_or(line.len());
    line.get(..end).unwrap_or(line).into()
}

/// Whether a request may be sent a second time when the first got no answer (RFC 9110 §9.2.2).
pub(super) fn is_idempotent(facts: RequestFacts) -> bool {
    let by_method = matches!(
        facts.method,
        Method::Get | Method::Head | Method::Options | Method::Trace | Method::Put | Method::Delete
    );
    by_method && matches!(facts.version, Version::Http10 | Version::Http11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_standard_library_does() {
        for octet in 0..=255 {
            let address = IpAddr::from([octet, 1, 10, 255 - octet]);
            let mut text = heapless::String::new();
            write_address(&mut text, address).unwrap();
            assert_eq!(text.as_str(), address.to_string());
        }
        let mut text = heapless::String::new();
        write_address(&mut text, IpAddr::from([u16::MAX; 8])).unwrap();
        assert_eq!(text.as_str(), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    }
}
