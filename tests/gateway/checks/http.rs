//! `option httpchk`, and servers that answer it in all ways.

use super::Act::{Close, Flood, Hold, Read, ReadHead, Refuse, Reset, Say};
use super::Case;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: a, b\r\n\r\nhello";
const GONE: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n1\r\nb\r\n";

pub const CASES: &[Case] = &[
    ("option httpchk GET /x", &[Read, Say(OK), Close]),
    ("option httpchk GET /x", &[Read, Say(GONE), Close]),
    ("option httpchk GET /x", &[Read, Say(b"HTTP/1.0 500\r\n\r\n"), Close]),
    ("option httpchk GET /x", &[Read, Say(b"garbage\r\n"), Close]),
    ("option httpchk GET /x", &[Read, Say(b"HTTP/1.1 200 O"), Close]),
    ("option httpchk GET /x", &[Read, Say(b"HTTP/1.1 200 O"), Hold]),
    ("option httpchk GET /x", &[Read, Hold]),
    ("option httpchk GET /x", &[Read, Close]),
    ("option httpchk GET /x", &[Read, Reset]),
    ("option httpchk GET /x", &[Read, Flood]),
    ("option httpchk GET /x", &[Refuse]),
    ("option httpchk GET /x", &[Read, Say(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), Close]),
    ("option httpchk GET /x", &[Read, Say(b"HTTP/1.1 200 OK\n\nhello"), Close]),
    ("option httpchk GET /x", &[Read, Say(b"HTTP/1.1 200 OK\r\nBad Header: 1\r\n\r\nhello"), Close]),
    (
        "option httpchk GET /x",
        &[Read, Say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhello"), Close],
    ),
    ("option httpchk GET /x", &[Read, Say(b"HTTP/1.1 302 Found here\r\nLocation: /\r\n\r\n"), Hold]),
    ("option httpchk GET /x", &[Read, Say(b"HTTP/1.1 500 Oh \"no\" \xc3\xa4\r\n\r\n"), Close]),
    ("option httpchk GET /x; http-check disable-on-404", &[Read, Say(GONE), Close]),
    (
        "option httpchk GET /x; http-check disable-on-404; http-check expect string world",
        &[Read, Say(GONE), Hold],
    ),
    ("option httpchk GET /x; http-check expect status 200,300-310", &[Read, Say(GONE), Close]),
    ("option httpchk GET /x; http-check expect ! status 404", &[Read, Say(GONE), Close]),
    ("option httpchk GET /x; http-check expect !status 404", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect rstatus ^5", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect ! rstatus ^2", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect string hell", &[Read, Say(OK), Hold]),
    ("option httpchk GET /x; http-check expect string helm", &[Read, Say(OK), Hold]),
    ("option httpchk GET /x; http-check expect ! string hell", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect rstring ^h.*o$", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect comment nope rstring ^h.*x$", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check comment abc; http-check expect string hellx", &[Read, Say(OK), Hold]),
    ("option httpchk GET /x; http-check expect string x", &[Read, Say(b"HTTP/1.1 204 No\r\n\r\n"), Close]),
    (
        "option httpchk GET /x; http-check expect string helm",
        &[Read, Say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), Close],
    ),
    (
        "option httpchk GET /x; http-check expect string helm",
        &[Read, Say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), Hold],
    ),
    (
        "option httpchk GET /x; http-check expect min-recv 3 string helm",
        &[Read, Say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), Hold],
    ),
    ("option httpchk GET /x; http-check expect string halb", &[Read, Say(CHUNKED), Hold]),
    ("option httpchk GET /x; http-check expect rstring hal$", &[Read, Say(CHUNKED), Hold]),
    (
        "option httpchk GET /x; http-check expect string halb",
        &[Read, Say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\nx"), Hold],
    ),
    ("option httpchk GET /x; http-check expect string nothing", &[Read, Say(&[b'y'; 40_000]), Hold]),
    ("option httpchk GET /x; http-check expect hdr name x-a value b", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect fhdr name x-a value b", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect hdr name -m beg x- value -m end b", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect hdr name -m reg ^X-.$ value -m sub b", &[Read, Say(OK), Hold]),
    ("option httpchk GET /x; http-check expect ! hdr name X-A", &[Read, Say(OK), Hold]),
    ("option httpchk GET /x; http-check expect hdr name-lf x-a%% value-lf b", &[Read, Say(OK), Hold]),
    ("option httpchk GET /x; http-check expect on-error \"bad %% x\" status 201", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect on-success \"fine\" status 200", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect error-status L7OKC status 201", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect error-status L4CON status 201", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect ok-status L6OK status 200", &[Read, Say(OK), Close]),
    ("option httpchk GET /x; http-check expect tout-status L4TOUT status 200", &[Read, Hold]),
    (
        "option httpchk GET /x; http-check expect status 200; http-check expect string hello; http-check expect hdr name x-b",
        &[Read, Say(OK), Hold],
    ),
    (
        "option httpchk GET /x; http-check send hdr Host a.b hdr X-Y z body \"some text\"",
        &[Read, Say(OK), Close],
    ),
    ("option httpchk", &[Read, Say(OK), Close]),
    ("option httpchk /only", &[Read, Say(OK), Close]),
    ("option httpchk HEAD /y HTTP/1.1\\r\\nHost:\\ www.x.org\\r\\nX-Q:\\ 1", &[Read, Say(OK), Close]),
    ("option httpchk GET / HTTP/1.1\\r\\nHost:\\ a\\r\\n\\r\\nbody", &[Read, Say(OK), Close]),
    (
        "option httpchk GET / HTTP/1.1\\r\\nHost:\\ a; http-check send hdr Host x hdr b c",
        &[Read, Say(OK), Close],
    ),
    (
        "http-check send hdr Host x hdr b c uri /q; option httpchk GET /p HTTP/1.1\\r\\nHost:\\ a",
        &[Read, Say(OK), Close],
    ),
    (
        "option httpchk; http-check send meth POST uri /p ver HTTP/1.1 hdr Host h body abc",
        &[Read, Say(OK), Close],
    ),
    ("option httpchk PATCH / http/1.1", &[Read, Say(OK), Close]),
    ("option httpchk DELETE /", &[Read, Say(OK), Close]),
    (
        "option httpchk; http-check send uri-lf /a%%b hdr content-length 77 hdr Transfer-Encoding chunked body-lf 50%%",
        &[Read, Say(OK), Close],
    ),
    (
        "option httpchk OPTIONS * HTTP/1.1; http-check send hdr Host www; http-check send-state",
        &[Read, Say(OK), Close],
    ),
    (
        "option httpchk GET /x; http-check connect; http-check send uri /1; http-check expect status 200; http-check connect linger; http-check send uri /2; http-check expect status 201",
        &[Read, Say(OK), Close],
    ),
    ("option httpchk GET /x; http-check connect port 1", &[Refuse]),
    (
        "option httpchk; http-check expect status 404 comment \"no more\" error-status L7RSP",
        &[Read, Say(OK), Close],
    ),
    ("option httpchk GET /x; http-check connect send-proxy", &[ReadHead, Say(OK), Close]),
    ("option httpchk GET /xserver check-proto h1 send-proxy", &[ReadHead, Say(OK), Close]),
    ("option httpchk GET /x; option tcp-check; tcp-check send y; option httpchk", &[Read, Say(OK), Close]),
    ("option httpchk GET /version", &[Read, Say(b"HTTP/2.0 200 OK\r\nA: 1\r\n\r\nhello"), Close]),
];

/// What a session would not take for an answer either.
pub const DIFFERS: &[(&str, &str)] = &[("option httpchk GET /version", "Layer7 invalid response")];
