//! Session lines in HAProxy's formats, written into a bounded line.

use super::line::LogLine;
use super::record::{Peer, Record, Refused};
use super::timestamp;
use super::zone::Zone;
use crate::config::Mode;

/// The line of `option tcplog` (configuration §8.2.2):
/// `%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq`.
pub fn tcplog(line: &mut LogLine, record: &Record, zone: &Zone) {
    push_origin(line, record, zone);
    push_timers(line, &[record.timers.wait, record.timers.connect]);
    push_so_far(line, b'/', record);
    line.push_i32(record.timers.total);
    push_so_far(line, b' ', record);
    line.push_u64(record.bytes_to_client);
    line.push(b' ');
    line.push_bytes(&record.termination[..2]);
    push_counts(line, record);
}

/// The line of `option httplog` (configuration §8.2.3):
/// `%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r`.
pub fn httplog(line: &mut LogLine, record: &Record, zone: &Zone) {
    let t = &record.timers;
    push_origin(line, record, zone);
    push_timers(line, &[t.request, t.wait, t.connect, t.response]);
    push_so_far(line, b'/', record);
    line.push_i32(t.total);
    line.push(b' ');
    line.push_i32(i32::from(record.status));
    push_so_far(line, b' ', record);
    line.push_u64(record.bytes_to_client);
    for cookie in record.cookies {
        line.push(b' ');
        line.push_text(cookie.unwrap_or(b"-"));
    }
    line.push(b' ');
    line.push_bytes(&record.termination);
    push_counts(line, record);
    for headers in record.headers.iter().filter(|headers| !headers.is_empty()) {
        line.push(b' ');
        push_captured(line, headers);
    }
    line.push_bytes(b" \"");
    line.push_encoded(record.request);
    line.push(b'"');
}

/// The line of a frontend with neither option (configuration §8.2.1):
/// `Connect from 10.0.1.2:33312 to 10.0.3.31:8012 (www/HTTP)`, for unix sockets `Connect to unix:1 (www/HTTP)`.
pub fn connect(line: &mut LogLine, record: &Record) {
    line.push_bytes(b"Connect ");
    if let Peer::Inet(_) = record.client {
        line.push_bytes(b"from ");
        line.push_peer(record.client);
        line.push(b' ');
    }
    line.push_bytes(b"to ");
    line.push_peer(record.local);
    line.push_bytes(b" (");
    line.push_bytes(record.frontend.as_bytes());
    line.push_bytes(match record.mode {
        Mode::Tcp => b"/TCP)",
        Mode::Http => b"/HTTP)",
    });
}

/// The line of a connection that never became a session (configuration §8.2.5):
/// `127.0.0.1:44900 [21/Nov/2026:14:24:43.755] www/1: Received an invalid PROXY protocol header`.
pub fn refused(line: &mut LogLine, refused: &Refused, zone: &Zone) {
    push_arrival(line, refused.client, refused.accepted_ms, refused.frontend, zone);
    line.push(b'/');
    match refused.listener {
        Some(name) => line.push_bytes(name.as_bytes()),
        None => line.push_u64(u64::from(refused.listener_number)),
    }
    line.push_bytes(b": ");
    line.push_bytes(refused.reason.as_bytes());
}

/// At the end of such a line: so many were not written since the last one.
pub fn skipped(line: &mut LogLine, count: u32) {
    if count > 0 {
        line.push_bytes(b" (");
        line.push_u64(u64::from(count));
        line.push_bytes(b" more such connections were not logged)");
    }
}

/// A separator, and the sign that what follows is not the last word.
fn push_so_far(line: &mut LogLine, separator: u8, record: &Record) {
    line.push(separator);
    if record.unfinished {
        line.push(b'+');
    }
}

/// Captured headers as `{one|two}`.
pub fn push_captured(line: &mut LogLine, headers: &[Option<Box<[u8]>>]) {
    line.push(b'{');
    for (nth, header) in headers.iter().enumerate() {
        if nth > 0 {
            line.push(b'|');
        }
        line.push_captured(header.as_deref().unwrap_or_default());
    }
    line.push(b'}');
}

/// Who came when, and where: `client [time] frontend`.
fn push_arrival(line: &mut LogLine, client: Peer, accepted_ms: i64, frontend: &str, zone: &Zone) {
    line.push_peer(client);
    line.push_bytes(b" [");
    timestamp::haproxy(line, accepted_ms, zone);
    line.push_bytes(b"] ");
    line.push_bytes(frontend.as_bytes());
}

/// Client, time, frontend, backend and server, which `tcplog` and `httplog` share, with a space at the end.
fn push_origin(line: &mut LogLine, record: &Record, zone: &Zone) {
    push_arrival(line, record.client, record.accepted_ms, record.frontend, zone);
    line.push(b' ');
    line.push_bytes(record.backend.as_bytes());
    line.push(b'/');
    line.push_bytes(record.server.as_bytes());
    line.push(b' ');
}

fn push_timers(line: &mut LogLine, timers: &[i32]) {
    for (nth, &timer) in timers.iter().enumerate() {
        if nth > 0 {
            line.push(b'/');
        }
        line.push_i32(timer);
    }
}

/// Connections, retries and queues, with a space before.
fn push_counts(line: &mut LogLine, record: &Record) {
    for (separator, count) in
        [(b' ', record.actconn), (b'/', record.feconn), (b'/', record.beconn), (b'/', record.srvconn)]
    {
        line.push(separator);
        line.push_u64(u64::from(count));
    }
    line.push_bytes(if record.redispatched { b"/+" } else { b"/" });
    line.push_u64(u64::from(record.retries));
    line.push(b' ');
    line.push_u64(u64::from(record.srv_queue));
    line.push(b'/');
    line.push_u64(u64::from(record.backend_queue));
}

#[cfg(test)]
mod tests {
    use super::super::line::LINE_BYTES_MAX;
    use super::super::record::Timers;
    use super::*;

    /// 21 Nov 2026 03:41:11.084 UTC, the moment of the first captured line.
    const T0_MS: i64 = 1_795_232_471_084;

    fn peer(text: &str) -> Peer {
        Peer::Inet(text.parse().unwrap())
    }

    fn text(write: impl FnOnce(&mut LogLine)) -> String {
        let mut line = LogLine::new();
        write(&mut line);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    fn tcp(record: &Record) -> String {
        text(|line| tcplog(line, record, &Zone::utc()))
    }

    fn http(record: &Record) -> String {
        text(|line| httplog(line, record, &Zone::utc()))
    }

    /// What HAProxy 2.6.12 wrote for a session like this, without the syslog header.
    #[test]
    fn tcplog_is_haproxys() {
        let record = Record {
            client: peer("127.0.0.1:42336"),
            accepted_ms: T0_MS,
            frontend: "tcpf",
            backend: "b1",
            server: "s1",
            timers: Timers { wait: 1, connect: 0, total: 1, ..Timers::default() },
            bytes_to_client: 59,
            actconn: 1,
            feconn: 1,
            ..Record::default()
        };
        assert_eq!(
            tcp(&record),
            "127.0.0.1:42336 [21/Nov/2026:03:41:11.084] tcpf b1/s1 1/0/1 59 -- 1/1/0/0/0 0/0"
        );
        let record = Record { client: Peer::Unix(2), accepted_ms: T0_MS + 603, ..record };
        assert_eq!(
            tcp(&Record { timers: Timers { total: 0, ..record.timers }, ..record }),
            "unix:2 [21/Nov/2026:03:41:11.687] tcpf b1/s1 1/0/0 59 -- 1/1/0/0/0 0/0"
        );
    }

    /// redispatch.
    #[test]
    fn httplog_is_haproxys() {
        let good = Record {
            client: peer("[::1]:45630"),
            accepted_ms: T0_MS + 2_409,
            frontend: "httpf",
            backend: "b2",
            server: "s1",
            timers: Timers { request: 0, wait: 0, connect: 0, response: 0, total: 0 },
            bytes_to_client: 51,
            status: 200,
            actconn: 1,
            feconn: 1,
            request: b"GET /v6 HTTP/1.1",
            ..Record::default()
        };
        assert_eq!(
            http(&good),
            "::1:45630 [21/Nov/2026:03:41:13.493] httpf b2/s1 0/0/0/0/0 200 51 - - ---- 1/1/0/0/0 0/0 \
             \"GET /v6 HTTP/1.1\""
        );
        let partial = Record {
            client: peer("127.0.0.1:53096"),
            accepted_ms: T0_MS + 5_417,
            frontend: "httpf",
            backend: "httpf",
            timers: Timers { total: 1001, ..Timers::default() },
            status: 408,
            termination: *b"cR--",
            actconn: 1,
            feconn: 1,
            ..Record::default()
        };
        assert_eq!(
            http(&partial),
            "127.0.0.1:53096 [21/Nov/2026:03:41:16.501] httpf httpf/<NOSRV> -1/-1/-1/-1/1001 408 0 - - cR-- \
             1/1/0/0/0 0/0 \"<BADREQ>\""
        );
        let dead = Record {
            client: peer("127.0.0.1:38926"),
            accepted_ms: T0_MS + 79_250,
            frontend: "deadf",
            backend: "dead",
            server: "s2",
            timers: Timers { request: 0, wait: 0, total: 0, ..Timers::default() },
            status: 503,
            bytes_to_client: 217,
            termination: *b"SC--",
            actconn: 1,
            feconn: 1,
            retries: 3,
            redispatched: true,
            request: b"GET /dead HTTP/1.1",
            ..Record::default()
        };
        assert_eq!(
            http(&dead),
            "127.0.0.1:38926 [21/Nov/2026:03:42:30.334] deadf dead/s2 0/0/-1/-1/0 503 217 - - SC-- 1/1/0/0/+3 \
             0/0 \"GET /dead HTTP/1.1\""
        );
    }

    #[test]
    fn default_line_is_haproxys() {
        let record = Record {
            client: peer("127.0.0.1:51810"),
            local: peer("127.0.0.1:37629"),
            frontend: "deff",
            mode: Mode::Http,
            ..Record::default()
        };
        let written = text(|line| connect(line, &record));
        assert_eq!(written, "Connect from 127.0.0.1:51810 to 127.0.0.1:37629 (deff/HTTP)");
        let record = Record { client: Peer::Unix(2), local: Peer::Unix(2), mode: Mode::Tcp, ..record };
        assert_eq!(text(|line| connect(line, &record)), "Connect to unix:2 (deff/TCP)");
    }

    #[test]
    fn a_line_that_is_too_long_is_cut() {
        let request = [b'#'; LINE_BYTES_MAX];
        let mut line = LogLine::new();
        httplog(&mut line, &Record { request: &request, ..Record::default() }, &Zone::utc());
        assert!(line.as_bytes().len() <= LINE_BYTES_MAX);
    }
}
