//! A proxy's way to its log targets.

use std::cell::Cell;
use std::rc::Rc;

use super::formats;
use super::line::LogLine;
use super::record::{Record, Refused};
use super::syslog::{self, Message};
use super::target::{Resolver, Sink, Sinks};
use crate::config::{LogFormat, LogTarget};

/// The severity of session lines, info (configuration §4.2, "log").
pub const SESSION_SEVERITY: u8 = 6;

/// Writes the lines of one proxy (or of the program itself) to each of its targets.
pub struct Logger {
    ways: Box<[Way]>,
    tag: Rc<str>,
    sinks: Rc<Sinks>,
    lines: Cell<u32>,
}

/// One target.
struct Way {
    target: LogTarget,
    sink: Rc<Sink>,
    /// Lines so far, for `sample`.
    seen: Cell<u32>,
}

impl Way {
    /// Whether it takes the next line, which counts as seen.
    fn is_sampled(&self) -> bool {
        let Some(sampling) = &self.target.sample else { return true };
        let number = self.seen.get() % sampling.of.max(1) + 1;
        self.seen.set(number);
        sampling.ranges.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }
}

impl Logger {
    /// A logger for the targets of a proxy; `tag` is the program name in the lines (`log-tag`).
    ///
    /// # Errors
    /// What [`Sinks::get`] says of the first target that cannot be used.
    pub fn new(
        targets: &[LogTarget],
        tag: &str,
        sinks: &Rc<Sinks>,
        resolve: Resolver,
    ) -> Result<Self, String> {
        let mut all = Vec::with_capacity(targets.len());
        for target in targets {
            let sink = sinks.get(&target.address, resolve)?;
            all.push(Way { target: target.clone(), sink, seen: Cell::new(0) });
        }
        Ok(Self { ways: all.into(), tag: tag.into(), sinks: sinks.clone(), lines: Cell::new(0) })
    }

    /// Whether a session line would go anywhere; where not, its [`Record`] need not be made.
    pub fn is_active(&self) -> bool {
        self.takes(SESSION_SEVERITY)
    }

    /// Writes a session line of a fixed format; `line` is left empty for [`LogFormat::Custom`].
    pub fn session_line(&self, line: &mut LogLine, record: &Record, format: LogFormat) {
        let zone = self.sinks.zone();
        match format {
            LogFormat::Default => formats::connect(line, record),
            LogFormat::Tcp => formats::tcplog(line, record, &zone),
            LogFormat::Http => formats::httplog(line, record, &zone),
            LogFormat::Custom => {}
        }
    }

    /// Sends a session line at `now_ms` (unix time, milliseconds); `structured` is the data of RFC 5424.
    pub fn send_session(&self, severity: u8, line: &LogLine, structured: &[u8], now_ms: i64) {
        self.lines.set(self.lines.get().wrapping_add(1));
        self.send(severity, line.as_bytes(), structured, now_ms);
    }

    /// Session lines so far.
    pub fn lines(&self) -> u32 {
        self.lines.get()
    }

    /// The zone of times in lines, and the process that they name.
    pub fn sinks(&self) -> &Sinks {
        &self.sinks
    }

    /// The line of a connection that never became a session.
    pub fn refused_line(&self, line: &mut LogLine, refused: &Refused) {
        formats::refused(line, refused, &self.sinks.zone());
    }

    /// Writes a message that is not a session line, such as a server's change of state. `severity` is 0
    /// (emerg) to 7 (debug). Control bytes in it are written as `#XX`.
    pub fn message(&self, severity: u8, text: &str, now_ms: i64) {
        if !self.takes(severity) {
            return;
        }
        let mut line = LogLine::new();
        line.push_text(text.as_bytes());
        self.message_line(severity, &line, now_ms);
    }

    /// As [`Logger::message`], with a text whose control bytes are dealt with already.
    pub(super) fn message_line(&self, severity: u8, text: &LogLine, now_ms: i64) {
        self.send(severity, text.as_bytes(), b"", now_ms);
    }

    /// Whether any target takes lines of this severity.
    pub fn takes(&self, severity: u8) -> bool {
        self.ways.iter().any(|way| severity <= way.target.level)
    }

    fn send(&self, severity: u8, text: &[u8], structured: &[u8], now_ms: i64) {
        let zone = self.sinks.zone();
        let mut whole = LogLine::new();
        for way in &self.ways {
            let Way { target, sink, .. } = way;
            if severity > target.level || !way.is_sampled() {
                continue;
            }
            let message = Message { text, structured, now_ms, zone: &zone, host: self.sinks.host() };
            syslog::frame(&mut whole, target, severity, &self.tag, self.sinks.pid(), message);
            sink.send(whole.as_bytes(), now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::zone::Zone;
    use super::*;
    use crate::config::{LogAddress, LogWire};
    use std::net::UdpSocket;

    fn receiver() -> (UdpSocket, LogTarget) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
        let address = LogAddress::Udp("127.0.0.1".into(), socket.local_addr().unwrap().port());
        let format = LogWire::Rfc3164;
        (
            socket,
            LogTarget {
                address,
                len_bytes: 1024,
                format,
                facility: 16,
                level: 7,
                min_level: 0,
                sample: None,
            },
        )
    }

    fn received(socket: &UdpSocket) -> String {
        let mut buffer = [0; 8192];
        let length = socket.recv(&mut buffer).unwrap_or(0);
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn logger(targets: &[LogTarget]) -> Logger {
        Logger::new(targets, "oneport", &Sinks::new(Zone::utc()), &mut |_, _| unreachable!()).unwrap()
    }

    #[test]
    fn a_session_goes_to_every_target_that_takes_it() {
        let (first, target) = receiver();
        let (second, notice) = receiver();
        let logger = logger(&[target, LogTarget { level: 5, ..notice }]);
        let record = Record { frontend: "web", backend: "web", accepted_ms: 0, ..Record::default() };
        let mut line = LogLine::new();
        logger.session_line(&mut line, &record, LogFormat::Tcp);
        logger.send_session(SESSION_SEVERITY, &line, b"", 1_795_232_547_926);
        logger.message(5, "Server web/s1 is DOWN\nfoo", 1_795_232_547_926);
        let pid = std::process::id();
        assert_eq!(
            received(&first),
            format!(
                "<134>Nov 21 03:42:27 oneport[{pid}]: unix:1 [01/Jan/1970:00:00:00.000] web web/<NOSRV> \
                 -1/-1/0 0 -- 0/0/0/0/0 0/0\n"
            )
        );
        let message = format!("<133>Nov 21 03:42:27 oneport[{pid}]: Server web/s1 is DOWN#0Afoo\n");
        assert_eq!(received(&first), message);
        assert_eq!(received(&second), message);
        assert_eq!(received(&second), "");
    }

    #[test]
    fn no_target_no_work() {
        assert!(!logger(&[]).is_active());
        let (_socket, target) = receiver();
        let only_errors = logger(&[LogTarget { level: 3, ..target }]);
        assert!(!only_errors.is_active() && only_errors.takes(3));
    }
}
