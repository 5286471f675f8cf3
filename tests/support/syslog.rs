//! A syslog server: UDP or a unix datagram socket that keeps what it gets.

use super::{SOON, ms};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A receiver of log lines.
pub struct Syslog {
    /// Its UDP port on 127.0.0.1 (0 for a unix socket).
    pub port: u16,
    lines: Arc<Mutex<Vec<String>>>,
    stopping: Arc<AtomicBool>,
}

impl Syslog {
    /// Listens on a UDP port of its own.
    pub fn udp() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(ms(100))).unwrap();
        let port = socket.local_addr().unwrap().port();
        Self::run(port, move |buffer| socket.recv(buffer))
    }

    /// Listens on a unix datagram socket, as `/dev/log` is one.
    pub fn unix(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(ms(100))).unwrap();
        Self::run(0, move |buffer| socket.recv(buffer))
    }

    fn run(port: u16, receive: impl Fn(&mut [u8]) -> std::io::Result<usize> + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let (for_lines, for_stopping) = (lines.clone(), stopping.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while !for_stopping.load(Ordering::Relaxed) {
                if let Ok(count) = receive(&mut buffer) {
                    let line = String::from_utf8_lossy(&buffer[..count]).into_owned();
                    for_lines.lock().unwrap().push(line);
                }
            }
        });
        Self { port, lines, stopping }
    }

    /// Everything so far, one datagram each, as they came.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for a datagram that contains this text.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        let started = Instant::now();
        loop {
            if let Some(line) = self.lines().into_iter().find(|line| line.contains(text)) {
                return line;
            }
            assert!(started.elapsed() < SOON, "no log line with `{text}` in:\n{}", self.lines().join(""));
            std::thread::sleep(ms(10));
        }
    }

    /// Waits a while and fails when a datagram with this text has come.
    #[track_caller]
    pub fn expect_none(&self, text: &str, quiet: Duration) {
        std::thread::sleep(quiet);
        let found = self.lines().into_iter().find(|line| line.contains(text));
        assert_eq!(found, None, "a log line that should not be there");
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}
