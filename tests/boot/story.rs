//! What happens to a board, from its boot in 1970 to its shutdown past 2038.

use crate::guest::Guest;
use crate::support::client::Client;
use crate::support::ms;
use crate::support::peers::Backend;
use crate::support::ports::free_port;
use crate::support::syslog::Syslog;
use crate::support::websocket::WsEcho;
use crate::{clock, control, dns, image, privileges, traffic};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A board that runs, and the servers on this machine that its gateway carries connections to.
pub struct Story {
    /// Its name.
    pub board: &'static str,
    /// The board.
    pub guest: Guest,
    /// The board's ports 8080, 8081 and 8082, as ports of this machine's 127.0.0.1.
    pub ports: Ports,
    /// Where the configuration's `named` goes at first.
    pub web: Backend,
    /// Where it goes after a reload.
    pub other_web: Backend,
    /// Gets the gateway's log lines.
    pub syslog: Syslog,
    /// From the emulator's start to the first answer.
    pub first_answer: Duration,
    _ws: WsEcho,
    _socket: Backend,
    _folder: tempfile::TempDir,
    since: Instant,
}

/// Ports of this machine that lead to the board's.
#[derive(Clone, Copy)]
pub struct Ports {
    /// The single port.
    pub all: u16,
    /// The server that is known by name.
    pub named: u16,
    /// Two seconds of idleness end a connection.
    pub impatient: u16,
}

/// How long a board may take to its first answer.
const BOOT: Duration = Duration::from_secs(120);

/// Everything that is tested on one board.
pub fn tell(board: &'static str) {
    let result = image::made(board).join("boot.result");
    // A failure leaves no older success behind; mostly there is none.
    let _ = std::fs::remove_file(&result);

    let mut story = Story::begin(board);
    story.proved(&format!("first answer after {:.1} s", story.first_answer.as_secs_f64()));
    let at_rest = control::memory(&mut story);
    traffic::all(&mut story);
    dns::all(&mut story);
    control::all(&mut story);
    privileges::all(&mut story);
    clock::all(&mut story);
    control::memory(&mut story);
    let first_answer = story.first_answer;
    control::switch_off(story);

    record(&result, board, first_answer, &at_rest);
}

impl Story {
    /// Boots the board and waits for its first answer.
    fn begin(board: &'static str) -> Self {
        let (web, other_web) = (Backend::web("first"), Backend::web("second"));
        let (ws, socket, syslog) = (WsEcho::start(), Backend::echo(), Syslog::udp());
        let configuration = include_str!("guest.cfg")
            .replace("@SYSLOG@", &syslog.port.to_string())
            .replace("@WEB@", &web.port.to_string())
            .replace("@WS@", &ws.port.to_string())
            .replace("@SOCKET@", &socket.port.to_string());
        let folder = crate::support::process::folder();
        let file = folder.path().join("image");
        std::fs::write(&file, image::build(board, &configuration)).unwrap();

        let ports = Ports { all: free_port(), named: free_port(), impatient: free_port() };
        let forwards = [(ports.all, 8080), (ports.named, 8081), (ports.impatient, 8082)];
        let since = Instant::now();
        let guest = Guest::boot(board, &file, &forwards, "1970-01-02T00:00:00");
        let mut story = Self {
            board,
            guest,
            ports,
            web,
            other_web,
            syslog,
            first_answer: Duration::ZERO,
            _ws: ws,
            _socket: socket,
            _folder: folder,
            since,
        };
        story.wait_answer(BOOT);
        story.first_answer = since.elapsed();
        story.guest.wait_shell();
        story
    }

    /// Says what has just been shown, and how long that took.
    pub fn proved(&mut self, what: &str) {
        println!("{}: {what} [{:.1} s]", self.board, self.since.elapsed().as_secs_f64());
        self.since = Instant::now();
    }

    /// Waits until the gateway answers a request with the board's own page.
    #[track_caller]
    pub fn wait_answer(&mut self, limit: Duration) {
        let started = Instant::now();
        while !self.answers() {
            assert!(self.guest.is_running(), "the board has gone");
            assert!(started.elapsed() < limit, "no answer from the board within {limit:?}");
            std::thread::sleep(ms(100));
        }
    }

    /// Whether the gateway answers. The emulator accepts connections for a board that does not, so only bytes count.
    pub fn answers(&self) -> bool {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", self.ports.all)) else { return false };
        let mut client = Client::over(crate::support::socket::Socket::tcp(stream));
        client.send("GET /up HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n");
        !client.read_until_quiet(ms(2_000)).0.is_empty()
    }
}

/// Leaves the figures for the table of boards (boards/record).
fn record(file: &Path, board: &str, first_answer: Duration, at_rest: &control::Memory) {
    let text = format!(
        "first answer after {:.0} s, {} KiB resident ({} its own), Linux {}\n",
        first_answer.as_secs_f64(),
        at_rest.resident_kib,
        at_rest.private_kib,
        image::kernel(board).trim_start_matches("linux-image-"),
    );
    std::fs::write(file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
