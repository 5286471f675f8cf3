//! From bytes to heads. `httparse` finds the parts of the lines; what HTTP/1.1 readers have been known to
//! disagree about is refused here.
//!
//! Both functions may be called again and again while bytes arrive, always with all bytes of the head so
//! far: `Ok(None)` means that more bytes may still make a head of it, and an error comes as soon as none
//! can, so that sniffing can tell HTTP from everything else by the first bytes.

use core::mem::MaybeUninit;

use httparse::Status;

use super::fields::{Facts, Known, decimal, find, is_host_byte, is_target_byte, is_token_byte};
use super::head::{
    Field, Fields, Framing, HeadError, MAX_FIELDS, Method, RequestFacts, RequestHead, ResponseHead, Span,
    Special, Version,
};

/// Empty lines taken before a request line (RFC 9112 §2.2 asks for one at least).
const EMPTY_LINES_MAX: usize = 4;

/// The longest method name, in bytes. The longest registered one has 17.
const METHOD_LEN_MAX: usize = 32;

/// Bytes a [`Span`] can reach.
const HEAD_LEN_MAX: usize = u16::MAX as usize;

/// Room for the fields; `httparse` reports one too many.
type Slots<'b> = [MaybeUninit<httparse::Header<'b>>; MAX_FIELDS];

/// Reads a request head from the start of `bytes`. `Ok(None)`: not whole yet.
pub fn parse_request(bytes: &[u8]) -> Result<Option<RequestHead>, HeadError> {
    let mut head = RequestHead::default();
    Ok(read_request(bytes, &mut head)?.then_some(head))
}

/// The same, into a head that is there already: it is large, and moving it would be a good part of the work.
/// `Ok(false)`: not whole yet.
pub fn read_request(bytes: &[u8], head: &mut RequestHead) -> Result<bool, HeadError> {
    let window = bytes.get(..HEAD_LEN_MAX).unwrap_or(bytes);
    let lead = skip_empty_lines(window)?;
    let text = window.get(lead..).unwrap_or(&[]);
    // Left to right, as httparse does: whichever finds a fault finds it in every longer input too.
    let Some(line) = scan_request_line(text)? else {
        return not_yet(bytes);
    };
    let mut slots: Slots<'_> = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let len = match parsed.parse_with_uninit_headers(text, &mut slots) {
        Ok(Status::Complete(len)) => lead + len,
        Ok(Status::Partial) => return not_yet(bytes),
        Err(error) => return Err(request_error(error, text.get(line.target_end + 1..).unwrap_or(&[]))),
    };
    let version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let target = Span::locate(window, text.get(line.method_len + 1..line.target_end).unwrap_or(&[]));
    let mut facts = Facts::default();
    let mut host: Option<&[u8]> = None;
    let fields = &mut head.fields;
    head.special = gather(window, parsed.headers, fields, &mut facts, Some(&mut host))?;
    check_authority(line.method, target.of(window), host)?;
    let framing = request_framing(line.method, version, &mut facts)?;
    let http11 = version == Version::Http11;
    let first_end = lead + line.target_end + " HTTP/1.1".len();
    let bare_lf =
        window.get(..lead).is_some_and(empty_lines_lack_cr) || has_bare_lf(window, first_end, fields, len);
    head.method = line.method;
    head.method_span = Span::locate(window, text.get(..line.method_len).unwrap_or(&[]));
    (head.target, head.version, head.len, head.framing) = (target, version, len, framing);
    head.keep_alive = facts.persists(version);
    head.upgrade = http11 && facts.upgrade_option && facts.upgrade_field && !facts.upgrade_h2c;
    head.expect_continue = http11 && facts.expect_continue;
    (head.bare_lf, head.mend) = (bare_lf, facts.mend);
    Ok(true)
}

/// Reads an answer's head from the start of `bytes`; `to` is the request it answers. `Ok(None)`: not whole
/// yet. Every error is a 502 for the client.
pub fn parse_response(bytes: &[u8], to: RequestFacts) -> Result<Option<ResponseHead>, HeadError> {
    let mut head = ResponseHead::default();
    Ok(read_response(bytes, to, &mut head)?.then_some(head))
}

/// The same, into a head that is there already. `Ok(false)`: not whole yet.
pub fn read_response(bytes: &[u8], to: RequestFacts, head: &mut ResponseHead) -> Result<bool, HeadError> {
    let window = bytes.get(..HEAD_LEN_MAX).unwrap_or(bytes);
    // httparse would skip empty lines here as well; RFC 9112 §2.2 allows them before requests only.
    if window.first().is_some_and(|&b| b != b'H') {
        return Err(HeadError::StatusLine);
    }
    let mut slots: Slots<'_> = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let outcome =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, window, &mut slots);
    let len = match outcome {
        Ok(Status::Complete(len)) => len,
        Ok(Status::Partial) => return not_yet(bytes),
        Err(error) => return Err(field_error(error).unwrap_or(HeadError::StatusLine)),
    };
    let version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let status = parsed.code.unwrap_or(0);
    if status < 100 {
        return Err(HeadError::StatusLine);
    }
    let reason = reason_span(window);
    let mut facts = Facts::default();
    let fields = &mut head.fields;
    head.special = gather(window, parsed.headers, fields, &mut facts, None)?;
    let framing = response_framing(status, version, to, &mut facts)?;
    // Without a phrase the line's text ends behind the status.
    let first_end = usize::from(reason.end).max("HTTP/1.1 200".len());
    head.bare_lf = has_bare_lf(window, first_end, fields, len);
    (head.status, head.version, head.reason) = (status, version, reason);
    (head.len, head.framing, head.mend) = (len, framing, facts.mend);
    head.keep_alive = facts.persists(version) && framing != Framing::UntilClose;
    head.tunnel = opens_tunnel(status, to.method);
    Ok(true)
}

/// More bytes may follow, unless a head so long cannot be held.
fn not_yet(bytes: &[u8]) -> Result<bool, HeadError> {
    if bytes.len() >= HEAD_LEN_MAX { Err(HeadError::TooLong) } else { Ok(false) }
}

/// How many bytes of empty lines come first.
fn skip_empty_lines(bytes: &[u8]) -> Result<usize, HeadError> {
    let mut at = 0;
    for _ in 0..=EMPTY_LINES_MAX {
        at += match bytes.get(at..).unwrap_or(&[]) {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            [b'\r', _, ..] => return Err(HeadError::EmptyLines),
            // Nothing more, a CR whose LF is still to come, or the request line.
            _ => return Ok(at),
        };
    }
    Err(HeadError::EmptyLines)
}

/// Whether one of these empty lines is a LF alone.
fn empty_lines_lack_cr(lines: &[u8]) -> bool {
    lines.chunks(2).any(|line| line != b"\r\n")
}

/// The parts of a request line up to the space before the version.
struct Line {
    method: Method,
    method_len: usize,
    target_end: usize,
}

/// Whether a head could have this method.
pub(super) fn is_method(name: &[u8]) -> bool {
    let is_token = !name.is_empty() && name.iter().all(|&b| is_token_byte(b));
    is_token && name.len() <= METHOD_LEN_MAX && !name.starts_with(b"SSH-")
}

/// Checks method and target byte by byte; `None` while the target's end has not come.
fn scan_request_line(text: &[u8]) -> Result<Option<Line>, HeadError> {
    // An SSH client's banner is made of token characters up to its space or line end (RFC 4253 §4.2).
    if text.starts_with(b"SSH-") {
        return Err(HeadError::Method);
    }
    // A lone CR may be an empty line whose LF is still to come.
    if text == b"\r" {
        return Ok(None);
    }
    let start = text.get(..METHOD_LEN_MAX + 1).unwrap_or(text);
    let Some(method_len) = start.iter().position(|&b| !is_token_byte(b)) else {
        return if text.len() > METHOD_LEN_MAX { Err(HeadError::Method) } else { Ok(None) };
    };
    if method_len == 0 || text.get(method_len) != Some(&b' ') {
        return Err(HeadError::Method);
    }
    let method = Method::from_name(text.get(..method_len).unwrap_or(&[]));
    let rest = text.get(method_len + 1..).unwrap_or(&[]);
    // Fragments and bytes beyond ASCII are no part of a target; HAProxy refuses both as well.
    let stop = rest.iter().position(|&b| !is_target_byte(b));
    let target = rest.get(..stop.unwrap_or(rest.len())).unwrap_or(&[]);
    if !may_be_target(method, target, stop.is_some()) {
        return Err(HeadError::Target);
    }
    match stop {
        None => Ok(None),
        Some(stop) if rest.get(stop) == Some(&b' ') => {
            Ok(Some(Line { method, method_len, target_end: method_len + 1 + stop }))
        }
        Some(_) => Err(HeadError::Target),
    }
}

/// Whether these bytes are (`whole`) or may become one of the forms of RFC 9112 §3.2.
fn may_be_target(method: Method, target: &[u8], whole: bool) -> bool {
    match target {
        [] => !whole,
        _ if method == Method::Connect => {
            target.iter().all(|&b| is_host_byte(b)) && (!whole || authority_port(target).is_some())
        }
        [b'/', ..] => true,
        [b'*', rest @ ..] => rest.is_empty(),
        _ => {
            let scheme_len =
                target.iter().position(|&b| !b.is_ascii_alphanumeric() && !matches!(b, b'+' | b'-' | b'.'));
            let Some(scheme_len) = scheme_len else {
                return !whole && target.first().is_some_and(u8::is_ascii_alphabetic);
            };
            let after = target.get(scheme_len..).unwrap_or(&[]);
            let mark_matches = after.iter().zip(b"://").all(|(a, b)| a == b);
            target.first().is_some_and(u8::is_ascii_alphabetic)
                && mark_matches
                && (!whole || absolute_authority(target).is_some_and(|a| !a.is_empty()))
        }
    }
}

/// The authority of an absolute-form target; `None` for the other forms, and for one with user information,
/// which RFC 9110 §4.2.4 has recipients treat as an error.
fn absolute_authority(target: &[u8]) -> Option<&[u8]> {
    let mark = find(target, b"://")?;
    let rest = target.get(mark + 3..)?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    rest.get(..end).filter(|authority| authority.iter().all(|&b| is_host_byte(b)))
}

/// The port of `host:port`, and what comes before it.
fn authority_port(authority: &[u8]) -> Option<(&[u8], u16)> {
    let colon = authority.iter().rposition(|&b| b == b':')?;
    let port = u16::try_from(decimal(authority.get(colon + 1..)?)?).ok()?;
    authority.get(..colon).filter(|host| !host.is_empty()).map(|host| (host, port))
}

/// A target that names a host must name the same as `Host` (RFC 9112 §3.2.2): what routes by one of them and
/// a server that goes by the other must not differ. A missing port is the scheme's.
fn check_authority(method: Method, target: &[u8], host: Option<&[u8]>) -> Result<(), HeadError> {
    let Some(host) = host else {
        // HAProxy passes a request without Host on, HTTP/1.1 included; so do we.
        return Ok(());
    };
    if matches!(target, [b'/' | b'*', ..]) {
        return Ok(());
    }
    let connect = method == Method::Connect;
    let authority = if connect { Some(target) } else { absolute_authority(target) };
    let authority = authority.ok_or(HeadError::Target)?;
    let default_port = |port: u16| match target.get(..6) {
        _ if connect => port == 80 || port == 443,
        Some(scheme) if scheme.eq_ignore_ascii_case(b"https:") => port == 443,
        _ => port == 80,
    };
    let same = match (authority_port(authority), authority_port(host)) {
        (Some((a, port_a)), Some((b, port_b))) => port_a == port_b && a.eq_ignore_ascii_case(b),
        (Some((a, port)), None) => default_port(port) && a.eq_ignore_ascii_case(host),
        (None, Some((b, port))) => default_port(port) && authority.eq_ignore_ascii_case(b),
        (None, None) => authority.eq_ignore_ascii_case(host),
    };
    if same { Ok(()) } else { Err(HeadError::Host) }
}

/// Copies the fields as spans and takes in what they mean; `host` is for a request's `Host`.
fn gather<'b>(
    window: &'b [u8],
    headers: &[httparse::Header<'b>],
    fields: &mut Fields,
    facts: &mut Facts,
    mut host: Option<&mut Option<&'b [u8]>>,
) -> Result<Special, HeadError> {
    fields.clear();
    let mut special = Special::default();
    for (index, header) in headers.iter().enumerate() {
        let name = header.name.as_bytes();
        let known = Known::of(name);
        if known != Known::Other {
            special.insert(index);
            facts.note(known, header.value)?;
            if known == Known::Host
                && let Some(host) = &mut host
            {
                note_host(host, header.value)?;
            }
        }
        let field = Field { name: Span::locate(window, name), value: Span::locate(window, header.value) };
        fields.push(field).map_err(|_| HeadError::TooManyFields)?;
    }
    Ok(special)
}

/// Takes in a `Host`: one that names a host, or the same once more.
fn note_host<'b>(host: &mut Option<&'b [u8]>, value: &'b [u8]) -> Result<(), HeadError> {
    let fits = match host {
        Some(before) => before.eq_ignore_ascii_case(value),
        None => value.iter().all(|&b| is_host_byte(b)),
    };
    *host = host.or(Some(value));
    if fits { Ok(()) } else { Err(HeadError::Host) }
}

/// RFC 9112 §6.3 for requests. CONNECT has no body (RFC 9110 §9.3.6): one that claims to have is refused,
/// since what follows it would be a tunnel's bytes to one reader and a body to another.
fn request_framing(method: Method, version: Version, facts: &mut Facts) -> Result<Framing, HeadError> {
    let framing = facts.framing(version)?.unwrap_or(Framing::None);
    match (method, framing) {
        (Method::Connect, Framing::Length(1..)) => Err(HeadError::ContentLength),
        (Method::Connect, Framing::Chunked) => Err(HeadError::TransferEncoding),
        _ => Ok(framing),
    }
}

/// RFC 9112 §6.3 for answers.
fn response_framing(
    status: u16,
    version: Version,
    to: RequestFacts,
    facts: &mut Facts,
) -> Result<Framing, HeadError> {
    let said = facts.framing(version)?;
    let tunnel = opens_tunnel(status, to.method);
    if tunnel || status < 200 || status == 204 {
        // RFC 9112 §6.1, RFC 9110 §8.6: such an answer has no length, whatever it says.
        facts.mend.drop_length = true;
        facts.mend.drop_transfer_encoding = true;
        return Ok(if tunnel { Framing::UntilClose } else { Framing::None });
    }
    if status == 304 || to.method == Method::Head {
        return Ok(Framing::None);
    }
    Ok(said.unwrap_or(Framing::UntilClose))
}

/// 101, and a 2xx to CONNECT (RFC 9110 §9.3.6).
fn opens_tunnel(status: u16, method: Method) -> bool {
    status == 101 || method == Method::Connect && (200..300).contains(&status)
}

/// The reason phrase of a status line known to be well-formed. Not taken from httparse, which gives none for a
/// phrase with bytes beyond ASCII.
fn reason_span(window: &[u8]) -> Span {
    // "HTTP/1.1 200" is 12 bytes; then a space and the phrase, or the end of the line.
    let line_end = memchr::memchr(b'\n', window).unwrap_or(0);
    match window.get(12..line_end) {
        Some([b' ', phrase @ .., b'\r'] | [b' ', phrase @ ..]) => Span::locate(window, phrase),
        _ => Span::default(),
    }
}

/// Whether the first line, the blank line or one of the fields' lines ends in LF without CR. Looks at the ends
/// only: `first_end` is where the first line's text ends.
fn has_bare_lf(window: &[u8], first_end: usize, fields: &Fields, len: usize) -> bool {
    let bare = |mut at: usize| {
        // The white space after a value is no part of its span.
        while let Some(b' ' | b'\t') = window.get(at) {
            at += 1;
        }
        window.get(at) == Some(&b'\n')
    };
    bare(first_end)
        || window.get(len.saturating_sub(2)) != Some(&b'\r')
        || fields.iter().any(|field| bare(usize::from(field.value.end)))
}

/// What httparse found after the target; `tail` is what follows the target's space.
fn request_error(error: httparse::Error, tail: &[u8]) -> HeadError {
    if let Some(found) = field_error(error) {
        return found;
    }
    match tail {
        [b'H', b'T', b'T', b'P', b'/', digit, ..]
            if error == httparse::Error::Version && digit.is_ascii_digit() =>
        {
            HeadError::Version
        }
        _ => HeadError::RequestLine,
    }
}

/// The errors of field lines; `None` for those of the first line.
fn field_error(error: httparse::Error) -> Option<HeadError> {
    match error {
        httparse::Error::HeaderName => Some(HeadError::FieldName),
        httparse::Error::HeaderValue => Some(HeadError::FieldValue),
        httparse::Error::NewLine => Some(HeadError::LineEnd),
        httparse::Error::TooManyHeaders => Some(HeadError::TooManyFields),
        _ => None,
    }
}
