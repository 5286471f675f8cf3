//! The three protocols through the one port, bulk, names, timeouts, log lines.

use crate::image::{BLOB_LEN, BLOB_SEED};
use crate::story::Story;
use crate::support::client::{Answer, Client};
use crate::support::logline::{HttpLine, TcpLine, http_line, tcp_line};
use crate::support::pattern::{self, Pattern};
use crate::support::socket::{End, Socket};
use crate::support::{ms, websocket};
use std::net::TcpStream;
use std::time::Duration;
use tungstenite::Message;

/// What goes up and comes back through the raw socket.
const BULK_LEN: usize = 4 * 1024 * 1024;
/// What the raw socket's clients begin with.
const ZEROS: [u8; 8] = [0; 8];

/// All of it, one after the other.
pub fn all(story: &mut Story) {
    http(story);
    websocket_echo(story);
    raw_socket(story);
    bulk(story);
    name(story);
    idle_timeout(story);
    log_lines(story);
}

/// One request to one of the forwarded ports.
#[track_caller]
pub fn get(port: u16, target: &str) -> Answer {
    let mut client = Client::to(port);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: board\r\n\r\n"));
    client.answer()
}

fn http(story: &mut Story) {
    let page = get(story.ports.all, "/index.html");
    assert_eq!((page.status, page.text().as_str()), (200, "<h1>served on the board</h1>\n"));
    let blob = get(story.ports.all, "/blob");
    assert_eq!((blob.status, blob.body.len()), (200, BLOB_LEN));
    assert!(Pattern::new(BLOB_SEED).matches(&blob.body), "the blob arrives unchanged");
    story.proved("HTTP to the board's own web server: a page, and 1 MiB unchanged");
}

fn websocket_echo(story: &mut Story) {
    let mut socket = websocket::connect(story.ports.all, "/echo");
    for message in [Message::text("hello, board"), Message::binary(pattern::payload(7, 100_000))] {
        websocket::expect_echo(&mut socket, message);
    }
    socket.close(None).expect("a close can be sent");
    story.proved("WebSocket: text and 100 kB echoed");
}

fn raw_socket(story: &mut Story) {
    let mut client = Client::to(story.ports.all);
    client.send_pieces([&ZEROS[..5], &ZEROS[5..], b"hello"], ms(100));
    assert_eq!(client.read_exact(13), b"\0\0\0\0\0\0\0\0hello");
    // Half-closing reaches the server, whose own end then comes back.
    client.finish();
    assert_eq!(client.read_to_end(), (Vec::new(), End::Closed));
    story.proved("raw socket: echoed, and closed half by half");
}

fn bulk(story: &mut Story) {
    let stream = TcpStream::connect(("127.0.0.1", story.ports.all)).unwrap();
    let mut client = Client::over(Socket::tcp(stream.try_clone().unwrap()));
    client.send(ZEROS);
    assert_eq!(client.read_exact(ZEROS.len()), ZEROS);
    let writer = std::thread::spawn(move || {
        let mut socket = Socket::tcp(stream);
        let sent = socket.write(&pattern::payload(1, BULK_LEN));
        socket.finish();
        sent
    });
    let (back, end) = client.read_to_end();
    assert!(writer.join().expect("the writer ends"), "the gateway takes all of it");
    assert_eq!((back.len(), end), (BULK_LEN, End::Closed));
    assert!(Pattern::new(1).matches(&back), "bulk comes back unchanged");
    story.proved("raw socket: 4 MiB there and back at the same time, unchanged");
}

fn name(story: &mut Story) {
    let answer = get(story.ports.named, "/by-name");
    assert_eq!(answer.text(), "first GET /by-name\n");
    story.proved("a server known by its name only");
}

/// A connection that idles is closed after its two seconds: not at once, and not never.
#[track_caller]
pub fn idle_timeout(story: &mut Story) {
    let mut client = Client::to(story.ports.impatient);
    client.send("x");
    assert_eq!(client.read_exact(1), b"x");
    let (after, end) = client.time_to_end();
    assert_eq!(end, End::Closed);
    assert!(after > ms(1_500) && after < Duration::from_secs(15), "2 s of idleness ended it after {after:?}");
    story.proved(&format!("an idle connection was closed after {:.1} s", after.as_secs_f64()));
}

fn log_lines(story: &mut Story) {
    let pid = crate::control::pid(story);
    get(story.ports.all, "/logged");
    let line: HttpLine = http_line(&story.syslog.wait_for("/logged"));
    assert_eq!((line.header.priority, line.header.tag.as_str()), (16 * 8 + 6, "oneport"), "local0.info");
    assert_eq!(line.header.pid, pid);
    let way = [line.frontend.as_str(), &line.backend, &line.server];
    assert_eq!(way, ["all", "web", "httpd"]);
    assert_eq!((line.status, line.request.as_str()), (404, "GET /logged HTTP/1.1"));
    // The one of the idle connection.
    let line: TcpLine = tcp_line(&story.syslog.wait_for(" impatient impatient/host "));
    assert_eq!((line.header.pid, line.termination.as_str()), (pid, "cD"));
    assert!(line.timers[2] >= 1_900, "it lasted {} ms", line.timers[2]);
    // And through /dev/log, where busybox's own syslogd listens.
    let kept = story.guest.expect("grep 'oneport.*GET /logged HTTP' /var/log/messages");
    assert_eq!(kept.lines().count(), 1, "{kept}");
    story.proved("log lines over UDP and through /dev/log");
}
