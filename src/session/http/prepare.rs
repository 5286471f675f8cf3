//! From a whole head to what is sent to the server. No waiting in here: the head's index is large, and lives
//! only as long as this call.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use super::super::Session;
use super::super::choice::{goes_even_down, persist_word, stick_to, wish};
use super::super::hash::wants_body;
use super::super::relay::{Bound, Flow};
use super::super::trace::{Trace, own_backend};
use super::super::world::Scene;
use super::persistence;
use super::rules::{self, At, End, Ending, Within};
use crate::backend::{Backend, Wish};
use crate::config::{
    Algorithm, Balance, ConnectionMode, ForwardFor, HeaderNames, HttpOptions, Key, Mode, Net,
};
use crate::http::edit::Text;
use crate::http::{
    After, Chunked, Framing, HeadError, Method, RequestEdits, RequestFacts, RequestHead, Version,
    read_request, write_request,
};
use crate::net::Buffer;
use crate::rules::{Choice, Seen, applies, choose_backend, is_to_proxy};

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
    /// The client sent HEAD, whatever the server got.
    pub to_head: bool,
    /// What is asked of the choice of a server.
    pub wish: Wish,
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
    /// Rules wait for the body.
    Wait {
        paused: Box<Paused>,
        within: Within,
        at_least: usize,
    },
    /// `monitor-uri`: answered without a log line.
    Monitor {
        status: u16,
        facts: RequestFacts,
        keep_alive: bool,
    },
}

/// A request whose rules have stopped to wait for its body: what they have made of it so far.
pub(super) struct Paused {
    pub head: RequestHead,
    text: Option<Text>,
    backend: Option<Rc<Backend>>,
    at: At,
    /// As the client sent it.
    facts: RequestFacts,
}

impl Paused {
    /// The client has been told to go on (RFC 9110 §10.1.1): the server need not do so again.
    pub fn told_to_continue(&mut self, session: &Session, bytes: &[u8]) {
        let text = rules::editable(&mut self.text, bytes, self.head.len, session);
        self.head.edit().remove(text, &|name| name.eq_ignore_ascii_case(b"expect"));
    }
}

/// Parses, routes, and rewrites the request at the front of `input`, and takes its bytes out of there. Goes on with
/// what is `paused`.
pub(super) fn prepare(
    session: &Session,
    input: &mut Option<Buffer>,
    (nth, mut paused): (u32, Option<Box<Paused>>),
    trace: &mut Trace,
) -> Prepared {
    let Some(buffer) = input.as_mut() else { return refused(HeadError::RequestLine) };
    let config = &session.frontend.config;
    let is_new = paused.is_none();
    let bytes = buffer.bytes();
    // The head is large: it stays where it was made.
    let mut parsed = RequestHead::default();
    let (mut work, facts) = match paused.as_deref_mut() {
        Some(Paused { head, text, backend, at, facts }) => {
            let (text, backend, at) = (text.take(), backend.take(), *at);
            (rules::Request { session, head, bytes, text, backend, at }, *facts)
        }
        None => {
            match read_request(bytes, &mut parsed) {
                Ok(true) if parsed.len <= session.frontend.head_bytes_max => {}
                Ok(true) => return refused(HeadError::TooLong),
                Ok(false) => return refused(HeadError::RequestLine),
                Err(error) => return refused(error),
            }
            if let Err(end) = begin(session, &parsed, bytes, nth, trace) {
                return Prepared::End { end, facts: parsed.facts(), keep_alive: false };
            }
            let facts = parsed.facts();
            let at = At::START;
            (rules::Request { session, head: &mut parsed, bytes, text: None, backend: None, at }, facts)
        }
    };
    let (head_len, framing) = (work.head.len, work.head.framing);
    // An answer of our own leaves the connection usable only where nothing of a body is still to come.
    let whole_len = match framing {
        Framing::None => Some(head_len),
        Framing::Length(len) => usize::try_from(len)
            .ok()
            .and_then(|len| len.checked_add(head_len))
            .filter(|&len| len <= buffer.len()),
        Framing::Chunked | Framing::UntilClose => None,
    };
    let may_stay = work.head.keep_alive && whole_len.is_some() && !session.frontend.leaving.get();
    if is_new {
        if let Some(status) = monitor_status(&work) {
            buffer.consume(whole_len.unwrap_or(head_len));
            return Prepared::Monitor { status, facts, keep_alive: may_stay };
        }
        if session.frontend.shared.keeps_line {
            let line = request_line(work.head, buffer.bytes());
            session.extra().request_line = Some(line);
        }
    }
    session.note_number(trace.number);
    // Made before any rule changes the request, so that rules and lines agree about it.
    let unique_id = session.unique_id(&Seen::with_head(bytes, work.head).within(&Scene::of(session)));
    let routed = route(&mut work, trace);
    if let Err(end) = &routed
        && let Ending::Answer { termination: (b'P', _), .. } = **end
    {
        // As HAProxy does, for the line: which server a refused request asked for.
        refused_wish(&mut work, trace);
    }
    let rules::Request { head, text, backend, at, .. } = work;
    let (backend, wish) = match routed {
        Ok(Some(routed)) => routed,
        Ok(None) => return Prepared::Refuse { status: 503, termination: (b'S', b'C') },
        Err(end) => {
            if let Ending::Wait { within, at_least } = *end {
                let paused = Box::new(Paused { head: head.clone(), text, backend, at, facts });
                return Prepared::Wait { paused, within, at_least };
            }
            let keep_alive = may_stay && config.http.connection != ConnectionMode::Close;
            buffer.consume(whole_len.unwrap_or(head_len));
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
    let mut text = text;
    if let Some(name) = &backend.config.send_name
        && head.has(bytes_of(&text, buffer), name)
    {
        let text = rules::editable(&mut text, bytes, head.len, session);
        head.edit().remove(text, &|known| known.eq_ignore_ascii_case(name.as_bytes()));
    }
    let mut out = Buffer::take();
    let after = if keeps_server || back.pretend_keep_alive { After::KeepAlive } else { After::Close };
    let head_bytes = bytes_of(&text, buffer);
    let longest_name = || {
        let names = backend.servers.iter().map(|server| server.config.name.as_str());
        names.max_by_key(|name| name.len()).unwrap_or_default()
    };
    let server = backend.config.send_name.as_deref().map(|field| (field, longest_name()));
    let added = Added { options: [back, frontend], unique_id: unique_id.as_deref(), server };
    if write_head(session, head, head_bytes, added, after, &mut out).is_none() {
        if text.is_some() {
            return Prepared::End { end: Ending::failed(b'R'), facts, keep_alive: false };
        }
        return refused(HeadError::TooLong);
    }
    let keep_alive =
        head.keep_alive && frontend.connection != ConnectionMode::Close && !session.frontend.leaving.get();
    // The answer's reader goes by the method that the server got.
    let to_head = facts.method == Method::Head;
    let (facts, upgrade) = (head.facts(), head.upgrade);
    buffer.consume(head_len);
    let head_bytes = out.len();
    let Ok(upload) = take_body(framing, input, &mut out) else {
        return Prepared::Refuse { status: 400, termination: (b'P', b'D') };
    };
    let body_bytes = out.len().saturating_sub(head_bytes) as u64;
    Prepared::Send(Request {
        backend,
        facts,
        out,
        upload,
        body_bytes,
        keeps_server,
        keep_alive,
        to_head,
        wish,
        upgrade,
    })
}

/// The answer to a head that cannot be read.
fn refused(error: HeadError) -> Prepared {
    Prepared::Refuse { status: error.status(), termination: (b'P', b'R') }
}

/// What is done about a request before its rules, once.
fn begin(
    session: &Session,
    head: &RequestHead,
    bytes: &[u8],
    nth: u32,
    trace: &mut Trace,
) -> Result<(), End> {
    session.capture_request(head, bytes);
    // Before the request is known to the log, as in HAProxy. Sniffing has asked about the first one.
    if nth > 0 || session.frontend.config.mode == Mode::Http {
        session.ruling_on_request(None, head, bytes).inspect_err(|_| trace.timers.request = -1)?;
    }
    if session.frontend.logger.is_active() {
        trace.request = Some(request_line(head, bytes));
    }
    trace.bytes_from_client = head.len as u64;
    trace.has_begun = true;
    Ok(())
}

/// What the gateway adds to a request.
struct Added<'a> {
    /// Of the backend and the frontend.
    options: [&'a HttpOptions; 2],
    unique_id: Option<&'a [u8]>,
    /// `http-send-name-header`, and the longest name that it may have to tell: room for the one that it will be.
    server: Option<(&'a str, &'a str)>,
}

fn bytes_of<'a>(text: &'a Option<Text>, buffer: &'a Buffer) -> &'a [u8] {
    text.as_ref().map_or(buffer.bytes(), Text::bytes)
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

/// Runs the rules and chooses the backend, whose rules run as well, and the server that it prefers.
fn route(work: &mut rules::Request<'_>, trace: &mut Trace) -> Result<Option<Routed>, End> {
    let session = work.session;
    let frontend = &session.frontend.config;
    if work.backend.is_none() {
        work.buffer(frontend.http.buffer_request)?;
        if frontend.http_rules.ask_requests() || frontend.http.header_names != HeaderNames::Preserve {
            work.run_all(&frontend.http_rules, frontend.http.header_names, &frontend.acls)?;
        }
        work.backend = chosen(work);
        if let Some(backend) = &work.backend {
            trace.kept.word = persist_word(session, backend, work.seen());
        }
        if let Some(backend) = work.backend.as_ref().filter(|backend| backend.config.mode == Mode::Http)
            && let Err(end) = session.ruling_on_request(Some(backend), work.head, work.head_bytes())
        {
            trace.backend = Some(backend.clone());
            trace.timers.request = -1;
            return Err(end);
        }
    }
    let Some(backend) = work.backend.clone() else { return Ok(None) };
    trace.backend = Some(backend.clone());
    let config = &backend.config;
    if config.mode == Mode::Tcp {
        return Ok(Some((backend, Wish::default())));
    }
    let Balance { algorithm, .. } = &config.balance;
    let searched = matches!(algorithm, Algorithm::Hash(Key::UrlParam(_)));
    work.buffer(searched && wants_body(&backend, work.head, work.head_bytes()))?;
    // What a `listen` shares with its own servers has run.
    if !Rc::ptr_eq(&config.http_rules, &frontend.http_rules) {
        work.buffer(config.http.buffer_request)?;
        if config.http_rules.ask_requests() || config.http.header_names != HeaderNames::Preserve {
            work.run_all(&config.http_rules, config.http.header_names, &config.acls)?;
        }
    }
    let mut wish = wish(session, &backend, work.seen(), trace.kept.word);
    if persistence::reads_cookies(session, Some(&backend)) {
        persistence::on_request(work, Some(&backend), &mut wish, trace)?;
    }
    stick_to(session, &backend, work.seen(), &mut wish);
    trace.kept.server = wish.server;
    Ok(Some((backend, wish)))
}

/// Notes for the line which server a refused request asked for, and gives it a backend to be logged with.
fn refused_wish(work: &mut rules::Request<'_>, trace: &mut Trace) {
    let backend = work.backend.clone().or_else(|| own_backend(work.session).cloned());
    if persistence::reads_cookies(work.session, backend.as_deref()) {
        let down = |backend: &Rc<Backend>| goes_even_down(backend, trace.kept.word);
        let even_down = backend.as_ref().is_some_and(down);
        let mut wish = Wish { even_down, ..Wish::default() };
        // The request goes nowhere, so that it may be left half changed.
        let _ = persistence::on_request(work, backend.as_deref(), &mut wish, trace);
        trace.asked_for(wish.server);
        if wish.server.is_some() {
            trace.backend = backend;
        }
    }
}

/// A backend, and what it asks of the choice of a server.
type Routed = (Rc<Backend>, Wish);

fn chosen(work: &rules::Request<'_>) -> Option<Rc<Backend>> {
    let frontend = &work.session.frontend;
    let scene = Scene::of(work.session);
    match choose_backend(&frontend.config, &work.seen().within(&scene)) {
        Choice::Backend(id) => frontend.backend(id).cloned(),
        Choice::None | Choice::NotYet => None,
    }
}

/// The status for a request of `monitor-uri`.
fn monitor_status(work: &rules::Request<'_>) -> Option<u16> {
    let config = &work.session.frontend.config;
    let uri = config.monitor_uri.as_ref()?;
    if work.head.target.of(work.bytes) != uri.as_bytes() {
        return None;
    }
    let scene = Scene::of(work.session);
    let view = Seen::with_head(work.bytes, work.head).within(&scene);
    let fails = config.monitor_fail.iter().any(|condition| applies(Some(condition), &config.acls, &view));
    Some(if fails { 503 } else { 200 })
}

/// Writes the head with the client's address and the request's id added, where that is asked for.
fn write_head(
    session: &Session,
    head: &RequestHead,
    bytes: &[u8],
    Added { options, unique_id, server }: Added<'_>,
    after: After,
    out: &mut Buffer,
) -> Option<()> {
    let mut texts = [heapless::String::<46>::new(), heapless::String::new()];
    let mut fields = heapless::Vec::<(&str, &[u8]), 4>::new();
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
    if let Some((field, name)) = server {
        fields.push((field, name.as_bytes())).ok()?;
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
    let (start, target_end) = (usize::from(head.method_span.start), usize::from(head.target.end));
    let line = bytes.get(start..target_end + " HTTP/1.1".len()).unwrap_or_default();
    line.get(..LINE_BYTES_MAX).unwrap_or(line).into()
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
