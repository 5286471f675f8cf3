//! The answers the gateway gives by itself.
//!
//! Whole messages, ready to send, in one table: configured error files replace entries of it. All of them
//! close the connection, since after most of them nobody knows where the next request would begin.

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

/// The head of an answer alone, as HEAD wants it.
pub fn without_body(answer: &[u8]) -> &[u8] {
    match answer.windows(4).position(|w| w == b"\r\n\r\n") {
        Some(at) => answer.get(..at + 4).unwrap_or(answer),
        None => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Framing, Method, RequestFacts, Version, parse_response};
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
            assert_eq!(without_body(bytes), &bytes[..head.len]);
        }
        assert_eq!(answer(503).get(9..12), Some(&b"503"[..]));
        assert_eq!(answer(999), answer(500));
    }
}
