//! Heads as they go on to the other side: hop-by-hop fields out, ours in, everything else byte for byte.

use super::fields::{Known, elements};
use super::head::{Field, Fields, Framing, Mend, RequestHead, ResponseHead, Special, Version};

/// What becomes of a connection after the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It may carry another one.
    KeepAlive,
    /// It closes.
    Close,
}

/// What to change in a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestEdits<'a> {
    /// What is asked of the connection to the server.
    pub after: After,
    /// Fields to add, as name and value: tokens and text without line ends, which is for the caller to hold.
    pub add_fields: &'a [(&'a str, &'a [u8])],
    /// The configured name for the client's address where it is not `X-Forwarded-For`: a client cannot have it
    /// removed by listing it in `Connection`.
    pub forward_for: Option<&'a str>,
    /// What is asked stands in `Proxy-Connection`: the server is a proxy that knows no better.
    pub proxy_header: bool,
}

/// What to change in an answer.
#[derive(Debug, Clone, Copy)]
pub struct ResponseEdits<'a> {
    /// The version the client speaks. One of 1.0 gets no `Transfer-Encoding`; its body must be dechunked.
    pub client: Version,
    /// What becomes of the client's connection. An answer that only the connection's end delimits closes it in
    /// any case: [`ResponseHead::is_delimited_for`].
    pub after: After,
    /// Fields to add, as name and value: tokens and text without line ends, which is for the caller to hold.
    pub add_fields: &'a [(&'a str, &'a [u8])],
}

/// The head does not fit into the room given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl ResponseHead {
    /// Whether a client of this version can tell where the body ends while the connection stays open.
    pub fn is_delimited_for(&self, client: Version) -> bool {
        match self.framing {
            Framing::None | Framing::Length(_) => true,
            Framing::Chunked => client == Version::Http11,
            Framing::UntilClose => false,
        }
    }
}

/// Writes a request for the server into `out` and returns its length in bytes.
///
/// The version stays the client's, as with HAProxy, so a server never sends a 1.0 client what only 1.1 knows.
/// `bytes` are those the head was read from.
pub fn write_request(
    head: &RequestHead,
    bytes: &[u8],
    edits: &RequestEdits<'_>,
    out: &mut [u8],
) -> Result<usize, TooLong> {
    let mut out = Out { buffer: out, len: 0 };
    let (mut host_seen, mut trailers) = (false, false);
    let listed =
        Listed { fields: &head.fields, bytes, len: head.len, mend: head.mend, also_kept: edits.forward_for };
    let keep = &mut |known: Known, field: &Field| match known {
        Known::Other => !listed.has(field),
        // Repeated only with the same value, which once is enough.
        Known::Host => !core::mem::replace(&mut host_seen, true),
        Known::Expect => true,
        Known::Upgrade => head.upgrade,
        Known::Te => {
            trailers |=
                elements(field.value.of(bytes)).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
            false
        }
        Known::ContentLength => !head.mend.drop_length && !head.mend.fold_length,
        Known::TransferEncoding => !head.mend.drop_transfer_encoding,
        Known::Connection | Known::KeepAlive | Known::ProxyConnection => false,
    };
    let source = Source::of(&head.fields, bytes, head.len, head.bare_lf, (head.special, head.mend));
    if head.mend.edited {
        let version: &[u8] =
            if head.version == Version::Http10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" };
        for part in [head.method_span.of(bytes), b" ", head.target.of(bytes), version] {
            out.put(part)?;
        }
        source.copy_fields(keep, &mut out)?;
    } else {
        source.copy(usize::from(head.method_span.start), keep, &mut out)?;
    }
    out.folded_length(head.mend, head.framing)?;
    for (name, value) in edits.add_fields {
        out.field(name.as_bytes(), value)?;
    }
    let option: &[u8] = match (head.version, edits.after) {
        _ if head.upgrade => b"Upgrade",
        (Version::Http10, After::KeepAlive) => b"keep-alive",
        (Version::Http11, After::Close) => b"close",
        _ => b"",
    };
    if trailers && head.version == Version::Http11 {
        // Itself hop-by-hop, so it is listed (RFC 9110 §10.1.4).
        out.field(b"TE", b"trailers")?;
        out.put(if option.is_empty() { b"Connection: TE" } else { b"Connection: TE, " })?;
        out.put(option)?;
        out.put(b"\r\n")?;
    } else if !option.is_empty() {
        let proxy = edits.proxy_header && !head.upgrade;
        out.field(if proxy { b"Proxy-Connection" } else { b"Connection" }, option)?;
    }
    out.put(b"\r\n")?;
    Ok(out.len)
}

/// Writes an answer for the client into `out` and returns its length in bytes. The version is always HTTP/1.1,
/// the gateway's own (RFC 9110 §2.5). `bytes` are those the head was read from.
pub fn write_response(
    head: &ResponseHead,
    bytes: &[u8],
    edits: &ResponseEdits<'_>,
    out: &mut [u8],
) -> Result<usize, TooLong> {
    let mut out = Out { buffer: out, len: 0 };
    // A 426 says by `Upgrade` which protocol it wants (RFC 9110 §15.5.22).
    let upgrade = head.status == 101 || head.status == 426 && head.has(bytes, "upgrade");
    let listed = Listed { fields: &head.fields, bytes, len: head.len, mend: head.mend, also_kept: None };
    let keep = &mut |known: Known, field: &Field| match known {
        Known::Other => !listed.has(field),
        Known::Host | Known::Expect | Known::Te => true,
        Known::Upgrade => upgrade,
        Known::ContentLength => !head.mend.drop_length && !head.mend.fold_length,
        Known::TransferEncoding => !head.mend.drop_transfer_encoding && edits.client == Version::Http11,
        Known::Connection | Known::KeepAlive | Known::ProxyConnection => false,
    };
    let source = Source::of(&head.fields, bytes, head.len, head.bare_lf, (head.special, head.mend));
    out.put(b"HTTP/1.1")?;
    if head.mend.edited {
        let digit = |of: u16| b'0' + (head.status / of % 10) as u8;
        let status = [b' ', digit(100), digit(10), digit(1), b' '];
        for part in [&status, head.reason.of(bytes), b"\r\n"] {
            out.put(part)?;
        }
        source.copy_fields(keep, &mut out)?;
    } else {
        source.copy(b"HTTP/1.x".len(), keep, &mut out)?;
    }
    if head.mend.fold_length && !head.mend.drop_length {
        out.folded_length(head.mend, folded_value(&head.fields, bytes))?;
    }
    for (name, value) in edits.add_fields {
        out.field(name.as_bytes(), value)?;
    }
    let close = edits.after == After::Close || !head.is_delimited_for(edits.client);
    let option: &[u8] = match edits.client {
        _ if head.status == 101 => b"Upgrade",
        _ if head.is_interim() || head.tunnel => b"",
        _ if upgrade && close => b"Upgrade, close",
        _ if upgrade => b"Upgrade",
        _ if close => b"close",
        Version::Http10 => b"keep-alive",
        Version::Http11 => b"",
    };
    if !option.is_empty() {
        out.field(b"Connection", option)?;
    }
    out.put(b"\r\n")?;
    Ok(out.len)
}

/// The one number of a repeated `Content-Length`, which the framing of an answer to HEAD does not hold.
fn folded_value(fields: &Fields, bytes: &[u8]) -> Framing {
    let value = fields.iter().find(|field| Known::of(field.name.of(bytes)) == Known::ContentLength);
    let number =
        value.and_then(|field| elements(field.value.of(bytes)).next()).and_then(super::fields::decimal);
    number.map_or(Framing::None, Framing::Length)
}

/// The fields that `Connection` lists.
struct Listed<'a> {
    fields: &'a Fields,
    bytes: &'a [u8],
    /// Of the head as it came: what stands behind it is of rules.
    len: usize,
    mend: Mend,
    also_kept: Option<&'a str>,
}

impl Listed<'_> {
    /// Whether `Connection` has this field removed (RFC 9110 §7.6.1). Fields that are meant for the final
    /// recipient stay, or a client could hide its address or its credentials from rules and servers.
    fn has(&self, field: &Field) -> bool {
        if !self.mend.connection_lists || usize::from(field.name.start) >= self.len {
            return false;
        }
        let name = field.name.of(self.bytes);
        let mut connections =
            self.fields.iter().filter(|f| Known::of(f.name.of(self.bytes)) == Known::Connection);
        connections.any(|f| elements(f.value.of(self.bytes)).any(|option| option.eq_ignore_ascii_case(name)))
            && !is_end_to_end(name)
            && !self.also_kept.is_some_and(|kept| name.eq_ignore_ascii_case(kept.as_bytes()))
    }
}

/// Fields that no connection option can stand for.
fn is_end_to_end(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"x-forwarded-";
    const NAMES: [&[u8]; 13] = [
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-type",
        b"cookie",
        b"date",
        b"forwarded",
        b"location",
        b"origin",
        b"proxy-authorization",
        b"set-cookie",
        b"via",
        b"x-real-ip",
    ];
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
        || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Says whether a field is kept; asked of special ones, and of the others where any may go.
type Keep<'k> = &'k mut dyn FnMut(Known, &Field) -> bool;

/// A head to copy from.
struct Source<'a> {
    fields: &'a Fields,
    bytes: &'a [u8],
    len: usize,
    bare_lf: bool,
    special: Special,
    /// Any field may have to go, and not only a special one.
    any_may_go: bool,
}

impl<'a> Source<'a> {
    fn of(
        fields: &'a Fields,
        bytes: &'a [u8],
        len: usize,
        bare_lf: bool,
        (special, mend): (Special, Mend),
    ) -> Self {
        Self { fields, bytes, len, bare_lf, special, any_may_go: mend.connection_lists }
    }

    /// Whether a field is kept, by what it is.
    fn keeps(&self, index: usize, field: &Field, keep: Keep<'_>) -> bool {
        match self.special.contains(index) {
            true => keep(Known::of(field.name.of(self.bytes)), field),
            false => !self.any_may_go || keep(Known::Other, field),
        }
    }

    /// Copies the first line from `from` on and the lines of the fields to keep, without the blank line.
    /// Neighbours that stay go in one piece.
    fn copy(&self, from: usize, keep: Keep<'_>, out: &mut Out<'_>) -> Result<(), TooLong> {
        if self.bare_lf {
            return self.copy_mending(from, keep, out);
        }
        let mut run_start = from;
        for (at, field) in self.fields.iter().enumerate() {
            if self.keeps(at, field, keep) {
                continue;
            }
            out.put(self.bytes.get(run_start..usize::from(field.name.start)).unwrap_or(&[]))?;
            run_start = match self.fields.get(at + 1) {
                Some(next) => usize::from(next.name.start),
                None => self.fields_end(),
            };
        }
        out.put(self.bytes.get(run_start..self.fields_end()).unwrap_or(&[]))
    }

    /// One past the last field's line: where the blank line's CRLF begins.
    fn fields_end(&self) -> usize {
        self.len.saturating_sub(2)
    }

    /// Line by line, because some line ends in LF alone.
    fn copy_mending(&self, from: usize, keep: Keep<'_>, out: &mut Out<'_>) -> Result<(), TooLong> {
        let head = self.bytes.get(from..self.len).unwrap_or(&[]);
        let line = head.get(..memchr::memchr(b'\n', head).unwrap_or(0)).unwrap_or(&[]);
        out.put(line.strip_suffix(b"\r").unwrap_or(line))?;
        out.put(b"\r\n")?;
        self.copy_fields(keep, out)
    }

    /// The fields to keep, line by line.
    fn copy_fields(&self, keep: Keep<'_>, out: &mut Out<'_>) -> Result<(), TooLong> {
        for (at, field) in self.fields.iter().enumerate() {
            if self.keeps(at, field, keep) {
                out.field(field.name.of(self.bytes), field.value.of(self.bytes))?;
            }
        }
        Ok(())
    }
}

/// Bytes written so far into the caller's room.
struct Out<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        // Cannot overflow: `len` is at most the buffer's length, and both slices are real memory.
        let end = self.len + bytes.len();
        self.buffer.get_mut(self.len..end).ok_or(TooLong)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), TooLong> {
        self.put(name)?;
        self.put(b": ")?;
        self.put(value)?;
        self.put(b"\r\n")
    }

    /// A `Content-Length` that came more than once or with leading zeros, once and plainly.
    fn folded_length(&mut self, mend: Mend, framing: Framing) -> Result<(), TooLong> {
        let Framing::Length(mut number) = framing else { return Ok(()) };
        if !mend.fold_length {
            return Ok(());
        }
        let mut digits = [0u8; 20];
        let mut start = digits.len();
        for slot in digits.iter_mut().rev() {
            *slot = b'0' + (number % 10) as u8;
            number /= 10;
            start -= 1;
            if number == 0 {
                break;
            }
        }
        self.field(b"Content-Length", digits.get(start..).unwrap_or(&[]))
    }
}
