//! The answers the gateway gives by itself.
//!
//! Whole messages, ready to send, in one table: configured error files replace entries of it. All of them
//! close the connection, since after most of them nobody knows where the next request would begin.

use super::{Framing, Method, RequestFacts, Version, parse_response};

/// Builds one entry; the test below holds the length to account.
macro_rules! page {
    ($status:literal, $reason:literal, $length:literal, $text:literal) => {
        (
            $status,
            concat!(
                "HTTP/1.1 ",
                $status,
                " ",
                $reason,
                "\r\nContent-Length: ",
                $length,
                "\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n",
                "<!doctype html><title>",
                $reason,
                "</title><h1>",
                $status,
                " ",
                $reason,
                "</h1><p>",
                $text,
                "</p>\n"
            )
            .as_bytes(),
        )
    };
}

/// Status and whole answer, by status.
#[rustfmt::skip]
static ANSWERS: &[(u16, &[u8])] = &[
    page!(400, "Bad Request", "124", "What arrived is not a request this server can read."),
    page!(403, "Forbidden", "120", "The rules of this server do not allow this request."),
    page!(405, "Method Not Allowed", "136", "This address does not take requests of this kind."),
    page!(408, "Request Timeout", "134", "The request did not arrive whole in the time allowed."),
    page!(413, "Content Too Large", "137", "The content of this request is larger than is taken."),
    page!(414, "URI Too Long", "127", "The address in this request is longer than is taken."),
    page!(429, "Too Many Requests", "129", "Too many requests have come in a short time."),
    page!(431, "Request Header Fields Too Large", "164", "The header of this request is larger than is taken."),
    page!(500, "Internal Server Error", "143", "This server failed while it worked on the request."),
    page!(501, "Not Implemented", "134", "This server does not know what this request asks for."),
    page!(502, "Bad Gateway", "149", "The server behind this one gave an answer that cannot be read, or broke off."),
    page!(503, "Service Unavailable", "151", "No server is free to take this request. Try again in a moment."),
    page!(504, "Gateway Timeout", "131", "The server behind this one did not answer in time."),
    page!(505, "HTTP Version Not Supported", "144", "This server speaks HTTP/1.0 and HTTP/1.1."),
];

/// The whole answer of this status; that of 500 for a status not in the table.
pub fn answer(status: u16) -> &'static [u8] {
    let find = |wanted| ANSWERS.iter().find(|(status, _)| *status == wanted).map(|(_, bytes)| *bytes);
    find(status).or_else(|| find(500)).unwrap_or(b"")
}

/// The usual reason phrase of a status.
pub fn reason(status: u16) -> &'static str {
    const REASONS: &[(u16, &str)] = &[
        (200, "OK"),
        (201, "Created"),
        (202, "Accepted"),
        (204, "No Content"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (304, "Not Modified"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
        (401, "Unauthorized"),
        (404, "Not Found"),
        (407, "Proxy Authentication Required"),
        (409, "Conflict"),
        (410, "Gone"),
        (422, "Unprocessable Content"),
        (425, "Too Early"),
    ];
    if let Some((_, reason)) = REASONS.iter().find(|(known, _)| *known == status) {
        return reason;
    }
    // The others have a page, whose first line ends in it.
    let page = ANSWERS.iter().find(|(known, _)| *known == status).map_or(&b""[..], |(_, page)| page);
    let line = page.get("HTTP/1.1 200 ".len()..).unwrap_or_default();
    let end = memchr::memchr(b'\r', line).unwrap_or(0);
    line.get(..end).and_then(|line| core::str::from_utf8(line).ok()).unwrap_or("Other")
}

/// Whether there is a page of our own for this status.
pub fn has_page(status: u16) -> bool {
    ANSWERS.iter().any(|(known, _)| *known == status)
}

/// A whole answer: first line, fields as given, the body's length, the body.
pub fn compose(status: u16, fields: &[(&[u8], &[u8])], body: &[u8]) -> Vec<u8> {
    with_reason(status, reason(status).as_bytes(), fields, body)
}

fn with_reason(status: u16, reason: &[u8], fields: &[(&[u8], &[u8])], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + body.len());
    let number = status.to_string();
    for part in [b"HTTP/1.1 ", number.as_bytes(), b" ", reason, b"\r\n"] {
        out.extend_from_slice(part);
    }
    let length = body.len().to_string();
    let own: (&[u8], &[u8]) = (b"Content-Length", length.as_bytes());
    for (name, value) in core::iter::once(&own).chain(fields) {
        for part in [*name, b": ", *value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

/// An answer that sends the client elsewhere.
pub fn redirection(status: u16, location: &[u8]) -> Vec<u8> {
    compose(status, &[(b"Cache-Control", b"no-cache"), (b"Location", location)], b"")
}

/// The answer in an error file, with the length of its body.
///
/// # Errors
/// It is none: why.
pub fn page(file: &[u8]) -> Result<Vec<u8>, &'static str> {
    if file.starts_with(b"\xef\xbb\xbf") || file.starts_with(b"\xff\xfe") || file.starts_with(b"\xfe\xff") {
        return Err("it begins with a byte-order mark; save it without");
    }
    let to = RequestFacts { method: Method::Get, version: Version::Http11 };
    let head = match parse_response(file, to) {
        Ok(Some(head)) if head.status >= 200 => head,
        Ok(Some(_)) => return Err("it is an interim answer"),
        Ok(None) => return Err("no empty line ends its head"),
        Err(error) => return Err(error.reason()),
    };
    let body = file.get(head.len..).unwrap_or_default();
    let mut fields: Vec<(&[u8], &[u8])> = Vec::new();
    for field in &head.fields {
        let name = field.name.of(file);
        if !super::edit::is_own(name) {
            fields.push((name, field.value.of(file)));
        }
    }
    let is_close = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"close");
    if head.values(file, "connection").any(is_close) {
        fields.push((b"Connection", b"close"));
    }
    if matches!(head.framing, Framing::Chunked) {
        return Err("its body is chunked");
    }
    if matches!(head.framing, Framing::Length(len) if len != body.len() as u64) {
        return Err("its Content-Length is not the length of its body");
    }
    Ok(with_reason(head.status, head.reason.of(file), &fields, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_statuses_are_right() {
        for (status, bytes) in ANSWERS {
            let to = RequestFacts { method: Method::Get, version: Version::Http11 };
            let head = parse_response(bytes, to).unwrap().unwrap();
            assert_eq!(head.status, *status);
            let body = bytes.len() - head.len;
            assert_eq!(head.framing, Framing::Length(body as u64), "{status} has a body of {body} bytes");
            assert!(!head.keep_alive);
        }
        assert_eq!(answer(503).get(9..12), Some(&b"503"[..]));
        assert_eq!(answer(999), answer(500));
    }
}
