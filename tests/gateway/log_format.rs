//! Captures and `log-format`: the same requests through oneport and HAProxy give the same lines, times apart.

use crate::support::peers::Backend;
use crate::support::ports::free_port;
use crate::support::process::Starter;
use crate::support::program::Program;
use crate::support::syslog::Syslog;

const REQUEST: &str = "GET /a/b?x=1 HTTP/1.1\r\nHost: h.example\r\nUser-Agent: one|two {x}\r\nX-Long: \
                       0123456789\r\nCookie: z=1; SID=abcdef; q=2\r\n\r\n";

/// The message of the one session line, its own ports masked.
fn logged(program: Program, lines: &str) -> String {
    let backend = Backend::start(|peer| {
        peer.read_request();
        peer.write(
            "HTTP/1.1 200 OK\r\nServer: s\"1\r\nSet-Cookie: SID=new; path=/\r\nContent-Length: 5\r\n\r\nhello",
        );
        peer.read_to_end();
    });
    let syslog = Syslog::udp();
    let port = free_port();
    let config = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
         frontend front\n bind 127.0.0.1:{port}\n log 127.0.0.1:{} format raw local0\n default_backend back\n{lines}\n\
         backend back\n server s1 127.0.0.1:{}\n",
        syslog.port, backend.port
    );
    let gateway = Starter::of(program).ready_port(port).start(&config);
    let mut client = gateway.client();
    client.send(REQUEST);
    client.answer();
    drop(client);
    let line = syslog.wait_for("@");
    let line = line.trim_end().replace(&port.to_string(), "FRONT");
    let line = line.replace(&backend.port.to_string(), "SERVER");
    // The client's port is the first number behind an address.
    match line.split_once("127.0.0.1:") {
        Some((before, rest)) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}127.0.0.1:CLIENT{rest}")
        }
        _ => line,
    }
}

#[track_caller]
fn same(lines: &str, expected: &str) {
    let ours = logged(Program::Oneport, lines);
    assert_eq!(ours, expected, "oneport");
    let theirs = logged(Program::Haproxy, lines);
    assert_eq!(ours, theirs, "haproxy wrote the second");
}

#[test]
fn captured_headers_stand_between_braces() {
    same(
        " capture request header User-Agent len 20\n capture request header X-Long len 4\n \
         capture request header X-None len 4\n capture response header Server len 9\n capture cookie SID= len 8\n \
         log-format \"@ %CC %CS %hr %hs %hrl %hsl %{+Q}r\"",
        "@ SID=abcd SID=new {one#7Ctwo #7Bx#7D|0123|} {s#221} one#7Ctwo #7Bx#7D 0123 - s#221 \"GET /a/b?x=1 HTTP/1.1\"",
    );
}

#[test]
fn captures_are_samples_too() {
    same(
        " capture request header Host len 20\n capture response header Server len 9\n log-format \"@ \
         %[capture.req.hdr(0)] %[capture.req.hdr(0),upper] %[capture.res.hdr(0)] %[capture.req.method] \
         %[capture.req.uri] %[capture.req.ver] %[capture.req.hdr(1)] %{+Q}[capture.req.hdr(0)] %[str(x)]\"",
        "@ h.example H.EXAMPLE s\"1 GET /a/b?x=1 HTTP/1.1 - \"h.example\" x",
    );
}

#[test]
fn variables_are_haproxys() {
    same(
        " log-format \"@ %ci:%cp %fi:%fp %si:%sp %bi %f %ft %b/%s %ST %ac/%fc/%bc/%sc/%rc %sq/%bq %ts %tsc %hr \
         %hs %HM %HP %HPO %HQ %HU %HV %CC %CS %Th %{+X}ci %{+X}fi %% %{+Q}HM %{+Q}b %{+Q}tsc %{+Q}ci %{+Q}ST end\"",
        "@ 127.0.0.1:CLIENT 127.0.0.1:FRONT 127.0.0.1:SERVER 127.0.0.1 front front back/s1 200 1/1/0/0/0 0/0 \
         -- ---- GET /a/b /a/b ?x=1 /a/b?x=1 HTTP/1.1 - - 0 7F000001 7F000001 % \"GET\" \"back\" ---- \"127.0.0.1\" \
         200 end",
    );
}

#[test]
fn flags_hold_for_all_that_follows() {
    same(
        " capture request header X-None len 4\n log-format \"%{+Q}o @ %f %{-Q}b %CC %hrl %hr %[str(a]b)] \
         %{+E}[str(a]b)] end\"",
        "@ \"front\" back \"\" \"\" \"{}\" \"a]b\" \"a\\]b\" end",
    );
}

/// HAProxy counts both in its own form of the messages.
#[test]
fn bytes_are_those_on_the_wire() {
    let line = logged(Program::Oneport, " log-format \"@ %U %B\"");
    assert_eq!(line, format!("@ {} 85", REQUEST.len()));
}
