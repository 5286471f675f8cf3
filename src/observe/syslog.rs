//! The syslog header before a message.

use std::io::Write;

use syslog::{Facility, LogFormat, Severity};

use super::line::LogLine;
use super::timestamp;
use super::zone::Zone;
use crate::config::{LogTarget, LogWire};

/// What a line says, and when.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// Printable text without a line end.
    pub text: &'a [u8],
    /// Unix time, milliseconds.
    pub now_ms: i64,
    /// For the time in the header.
    pub zone: &'a Zone,
    /// Structured data of RFC 5424; empty = none.
    pub structured: &'a [u8],
    /// The machine's name, and the one to be told in RFC 3164 (`log-send-hostname`).
    pub host: Host<'a>,
}

/// The machine's name.
#[derive(Clone, Copy, Default)]
pub struct Host<'a> {
    /// As the kernel knows it.
    pub name: &'a str,
    /// `log-send-hostname`; empty = not told.
    pub told: &'a str,
}

/// `<134>Nov 21 01:55:23 name[pid]: message`, HAProxy's `format rfc3164` and `local` without a host name.
///
/// The syslog crate's own `Formatter3164` is no use here: it writes UTC in local clothes, takes the time by
/// itself (a system call a line, and not the session's clock), parses its format description anew for each
/// line and allocates on the way.
pub struct Rfc3164<'a> {
    /// The facility.
    pub facility: Facility,
    /// The program's name (`log-tag`).
    pub tag: &'a str,
    /// The process.
    pub pid: u32,
}

impl LogFormat<Message<'_>> for Rfc3164<'_> {
    fn format<W: Write>(&self, out: &mut W, severity: Severity, message: Message<'_>) -> syslog::Result<()> {
        let mut head = LogLine::new();
        head.push(b'<');
        // A Facility's number is already shifted past the three bits of the severity (RFC 3164 §4.1.1).
        head.push_u64(u64::from(self.facility as u8 | severity as u8));
        head.push(b'>');
        timestamp::syslog(&mut head, message.now_ms, message.zone);
        head.push(b' ');
        if !message.host.told.is_empty() {
            head.push_bytes(message.host.told.as_bytes());
            head.push(b' ');
        }
        head.push_bytes(self.tag.as_bytes());
        head.push(b'[');
        head.push_u64(u64::from(self.pid));
        head.push_bytes(b"]: ");
        out.write_all(head.as_bytes())
            .and_then(|()| out.write_all(message.text))
            .map_err(syslog::Error::Write)
    }
}

/// HAProxy's `format short`: `<6>message`, the severity alone, as systemd's journal takes it.
pub struct Short;

impl LogFormat<Message<'_>> for Short {
    fn format<W: Write>(&self, out: &mut W, severity: Severity, message: Message<'_>) -> syslog::Result<()> {
        out.write_all(&[b'<', b'0' + severity as u8, b'>'])
            .and_then(|()| out.write_all(message.text))
            .map_err(syslog::Error::Write)
    }
}

/// Writes the whole line for one target: header, message cut at the target's `len`, and a line end, which
/// comes on top of `len` as HAProxy counts it (measured).
pub fn frame(
    line: &mut LogLine,
    target: &LogTarget,
    severity: u8,
    tag: &str,
    pid: u32,
    message: Message<'_>,
) {
    // More urgent lines than `minlevel` are sent as `minlevel` (configuration §4.2, "log").
    let severity = severity_of(severity.max(target.min_level));
    line.clear();
    // Writing to a line never fails, it cuts.
    let _ = match target.format {
        LogWire::Rfc3164 | LogWire::Local => {
            let told = if target.format == LogWire::Local { "" } else { message.host.told };
            let message = Message { host: Host { told, ..message.host }, ..message };
            Rfc3164 { facility: facility_of(target.facility), tag, pid }.format(line, severity, message)
        }
        LogWire::Short => Short.format(line, severity, message),
        LogWire::Rfc5424 | LogWire::Priority | LogWire::Timed | LogWire::Iso => {
            head(line, target, severity, tag, pid, message);
            line.push_bytes(message.text);
            Ok(())
        }
        LogWire::Raw => {
            line.push_bytes(message.text);
            Ok(())
        }
    };
    line.truncate(target.len_bytes.min(super::line::LINE_BYTES_MAX - 1));
    line.push(b'\n');
}

/// What stands before a message in the newer formats.
fn head(
    line: &mut LogLine,
    target: &LogTarget,
    severity: Severity,
    tag: &str,
    pid: u32,
    message: Message<'_>,
) {
    let facility = if target.format == LogWire::Timed { 0 } else { facility_of(target.facility) as u8 };
    if target.format != LogWire::Iso {
        line.push(b'<');
        line.push_u64(u64::from(facility | severity as u8));
        line.push(b'>');
    }
    if target.format == LogWire::Priority {
        return;
    }
    if target.format == LogWire::Rfc5424 {
        line.push_bytes(b"1 ");
    }
    timestamp::iso(line, message.now_ms, message.zone);
    line.push(b' ');
    if target.format == LogWire::Rfc5424 {
        let told = message.host.told;
        line.push_bytes(if told.is_empty() { "-" } else { told }.as_bytes());
        line.push(b' ');
        line.push_bytes(tag.as_bytes());
        line.push(b' ');
        line.push_u64(pid.into());
        line.push_bytes(b" - ");
        line.push_bytes(if message.structured.is_empty() { b"-" } else { message.structured });
        line.push(b' ');
    }
}

/// The severity of a number from 0 (emerg) to 7 (debug); greater ones are debug.
fn severity_of(number: u8) -> Severity {
    match number {
        0 => Severity::LOG_EMERG,
        1 => Severity::LOG_ALERT,
        2 => Severity::LOG_CRIT,
        3 => Severity::LOG_ERR,
        4 => Severity::LOG_WARNING,
        5 => Severity::LOG_NOTICE,
        6 => Severity::LOG_INFO,
        _ => Severity::LOG_DEBUG,
    }
}

/// The facility of a number from 0 (kern) to 23 (local7); greater ones are local7.
fn facility_of(number: u8) -> Facility {
    match number {
        0 => Facility::LOG_KERN,
        1 => Facility::LOG_USER,
        2 => Facility::LOG_MAIL,
        3 => Facility::LOG_DAEMON,
        4 => Facility::LOG_AUTH,
        5 => Facility::LOG_SYSLOG,
        6 => Facility::LOG_LPR,
        7 => Facility::LOG_NEWS,
        8 => Facility::LOG_UUCP,
        9 => Facility::LOG_CRON,
        10 => Facility::LOG_AUTHPRIV,
        11 => Facility::LOG_FTP,
        12 => Facility::LOG_NTP,
        13 => Facility::LOG_AUDIT,
        14 => Facility::LOG_ALERT,
        15 => Facility::LOG_CLOCK_DAEMON,
        16 => Facility::LOG_LOCAL0,
        17 => Facility::LOG_LOCAL1,
        18 => Facility::LOG_LOCAL2,
        19 => Facility::LOG_LOCAL3,
        20 => Facility::LOG_LOCAL4,
        21 => Facility::LOG_LOCAL5,
        22 => Facility::LOG_LOCAL6,
        _ => Facility::LOG_LOCAL7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogAddress;

    /// 21 Nov 2026 03:42:27.926 UTC.
    const NOW_MS: i64 = 1_795_232_547_926;
    const TEXT: &[u8] = b"127.0.0.1:51160 [21/Nov/2026:03:42:27.926] tcpf b1/s1 1/0/1 59 -- 1/1/0/0/0 0/0";

    fn target(format: LogWire, facility: u8, len_bytes: usize) -> LogTarget {
        let address = LogAddress::Udp("127.0.0.1".into(), 514);
        LogTarget { address, len_bytes, format, facility, level: 7, min_level: 0, sample: None }
    }

    fn framed(target: &LogTarget, severity: u8) -> String {
        let mut line = LogLine::new();
        let (structured, host) = (&b""[..], Host::default());
        let message = Message { text: TEXT, structured, now_ms: NOW_MS, zone: &Zone::utc(), host };
        frame(&mut line, target, severity, "haproxy", 12005, message);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    /// What HAProxy 2.6.12 sent over UDP and to a unix datagram socket for one session, with four `log` lines.
    #[test]
    fn on_the_wire_as_haproxy() {
        let text = std::str::from_utf8(TEXT).unwrap();
        let header = "Nov 21 03:42:27 haproxy[12005]:";
        assert_eq!(framed(&target(LogWire::Rfc3164, 16, 1024), 6), format!("<134>{header} {text}\n"));
        assert_eq!(framed(&target(LogWire::Rfc3164, 17, 1024), 6), format!("<142>{header} {text}\n"));
        assert_eq!(framed(&target(LogWire::Short, 3, 100), 6), format!("<6>{text}\n"));
        assert_eq!(framed(&target(LogWire::Raw, 3, 100), 6), format!("{text}\n"));
        let cut = framed(&target(LogWire::Rfc3164, 3, 100), 6);
        assert_eq!(
            cut,
            "<30>Nov 21 03:42:27 haproxy[12005]: 127.0.0.1:51160 [21/Nov/2026:03:42:27.926] tcpf b1/s1 1/0/1 59 -\n"
        );
        assert_eq!(cut.len(), 101);
    }

    #[test]
    fn facilities_and_severities_keep_their_numbers() {
        for number in 0..=30u8 {
            assert_eq!(facility_of(number) as u8, number.min(23) << 3);
            assert_eq!(severity_of(number) as u8, number.min(7));
        }
    }

    #[test]
    fn min_level_caps_urgency() {
        let target = LogTarget { min_level: 5, ..target(LogWire::Short, 16, 1024) };
        assert!(framed(&target, 1).starts_with("<5>"));
        assert!(framed(&target, 6).starts_with("<6>"));
    }
}
