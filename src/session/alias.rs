//! `%name` in texts: what each variable of `log-format` writes (configuration §8.2.6).

use super::Session;
use super::fill::write as write_flagged;
use super::trace::Trace;
use super::world::Scene;
use crate::config::{Alias, Flags, Format, LinePart, Piece};
use crate::http::find;
use crate::observe::formats::push_captured;
use crate::observe::{LogLine, Peer, Record, timestamp, zone::Zone};
use crate::rules::{Sample, Scratch, Seen, value};

/// What variables tell of.
pub(super) struct Facts<'a> {
    pub session: &'a Session,
    /// `None` while the session is under way: only what is known from its beginning is told.
    pub trace: Option<&'a Trace>,
    pub record: &'a Record<'a>,
}

/// A part of a request line as it was kept.
pub(super) fn line_part(line: &[u8], part: LinePart) -> Option<&[u8]> {
    let nth = match part {
        LinePart::Method => 0,
        LinePart::Uri => 1,
        LinePart::Version => 2,
    };
    line.split(|byte| *byte == b' ').nth(nth)
}

impl Facts<'_> {
    /// Writes a `log-format` line: what is empty becomes `-`, blanks beside nothing are one.
    pub(super) fn fill(&self, format: &Format, line: &mut LogLine) {
        let world = Scene {
            session: self.session,
            backend: self.trace.and_then(|trace| trace.backend.as_deref()),
            server: self.trace.and_then(Trace::server),
        };
        let view = Seen::new(&[], true).within(&world);
        let mut blank_before = true;
        for piece in &format.pieces {
            let before = line.as_bytes().len();
            match piece {
                Piece::Text(text) => {
                    let skip = usize::from(blank_before && text.starts_with(b" "));
                    line.push_bytes(text.get(skip..).unwrap_or_default());
                    blank_before = text.ends_with(b" ");
                    continue;
                }
                Piece::Alias(alias, flags) => self.write(*alias, *flags, line),
                Piece::Sample(expr, flags) => {
                    let mut text = Vec::new();
                    value(expr, &view, &mut |sample| {
                        text.extend_from_slice(sample.bytes(&mut Scratch::new()));
                    });
                    let mut out = Vec::new();
                    match text.as_slice() {
                        [] if !flags.quote => out.push(b'-'),
                        // Hexadecimal are numbers and addresses of variables only.
                        text => write_flagged(text, Flags { hex: false, ..*flags }, &mut out),
                    }
                    // One line it stays, whatever a header or a variable holds.
                    line.push_text(&out);
                }
            }
            blank_before &= line.as_bytes().len() == before;
        }
    }

    /// Writes one variable.
    pub(super) fn write(&self, alias: Alias, flags: Flags, line: &mut LogLine) {
        let record = self.record;
        match alias {
            Alias::Ac => number(record.actconn.into(), line),
            Alias::Fc => number(record.feconn.into(), line),
            Alias::Bc => number(record.beconn.into(), line),
            Alias::Sc => number(record.srvconn.into(), line),
            Alias::Bq => number(record.backend_queue.into(), line),
            Alias::Sq => number(record.srv_queue.into(), line),
            Alias::Rc => {
                if record.redispatched {
                    line.push(b'+');
                }
                number(record.retries.into(), line);
            }
            Alias::Bytes => {
                self.so_far(line);
                line.push_u64(record.bytes_to_client);
            }
            Alias::Up => line.push_u64(self.trace.map_or(0, |trace| trace.bytes_from_client)),
            Alias::B => text(record.backend.as_bytes(), flags, line),
            Alias::F => text(record.frontend.as_bytes(), flags, line),
            Alias::S => text(record.server.as_bytes(), flags, line),
            Alias::Host => text(self.session.frontend.logger.sinks().host().name.as_bytes(), flags, line),
            Alias::Id => text(&self.session.known_id().unwrap_or_default(), flags, line),
            Alias::Ci | Alias::Cp | Alias::Fi | Alias::Fp | Alias::Bi | Alias::Bp | Alias::Si | Alias::Sp => {
                self.address(alias, flags, line);
            }
            Alias::Status => line.push_i32(record.status.into()),
            Alias::Term => line.push_bytes(&record.termination[..2]),
            Alias::TermCookies => line.push_bytes(&record.termination),
            Alias::Cc | Alias::Cs => {
                let [client, server] = record.cookies;
                let cookie = if alias == Alias::Cc { client } else { server }.unwrap_or_default();
                match flags.escape || cookie.is_empty() {
                    true => text(cookie, flags, line),
                    // As it came: only what would end the line is encoded.
                    false => quoted(flags.quote, line, &|line| line.push_text(cookie)),
                }
            }
            Alias::Hr | Alias::Hrl | Alias::Hs | Alias::Hsl => self.headers(alias, flags, line),
            Alias::R if self.trace.is_some() => text(record.request, flags, line),
            Alias::R | Alias::Hm | Alias::Hp | Alias::Hpo | Alias::Hq | Alias::Hu | Alias::Hv => {
                self.request(alias, flags, line);
            }
            Alias::Lc => counter(self.session.frontend.logger.lines(), flags, line),
            Alias::Rt => {
                let number = self.trace.map_or_else(|| self.session.number(), |trace| trace.number);
                counter(number, flags, line);
            }
            Alias::Pid => counter(self.session.frontend.logger.sinks().pid(), flags, line),
            Alias::T
            | Alias::Gmt
            | Alias::Tl
            | Alias::TrDate
            | Alias::Trg
            | Alias::Trl
            | Alias::Ts
            | Alias::Ms => {
                self.date(alias, flags, line);
            }
            _ => self.timer(alias, line),
        }
    }

    fn so_far(&self, line: &mut LogLine) {
        if self.record.unfinished {
            line.push(b'+');
        }
    }

    fn address(&self, alias: Alias, flags: Flags, line: &mut LogLine) {
        let extra = self.session.extra.borrow();
        let [ours, servers] = extra.as_ref().map_or([None; 2], |extra| extra.server_addresses);
        let address = match alias {
            Alias::Ci | Alias::Cp => self.session.peer.get(),
            Alias::Fi | Alias::Fp => self.session.destination(),
            Alias::Bi | Alias::Bp => ours,
            _ => servers,
        };
        let is_port = matches!(alias, Alias::Cp | Alias::Fp | Alias::Bp | Alias::Sp);
        match (address, alias) {
            // A unix socket's client is named after its listener.
            (None, Alias::Ci) if self.record.client == Peer::Unix(1) => text(b"unix", flags, line),
            (None, Alias::Cp) => number(1, line),
            (None, _) => text(b"", flags, line),
            (Some(address), _) if is_port => match flags.hex {
                true => hex(&address.port().to_be_bytes(), line),
                false => number(address.port().into(), line),
            },
            (Some(address), _) => match (address.ip().to_canonical(), flags.hex) {
                (std::net::IpAddr::V4(ip), true) => hex(&ip.octets(), line),
                (std::net::IpAddr::V6(ip), true) => hex(&ip.octets(), line),
                (ip, false) => text(Sample::Ip(ip).bytes(&mut Scratch::new()), flags, line),
            },
        }
    }

    fn headers(&self, alias: Alias, flags: Flags, line: &mut LogLine) {
        let [request, response] = self.record.headers;
        let list = if matches!(alias, Alias::Hr | Alias::Hrl) { request } else { response };
        if list.is_empty() {
            return;
        }
        if matches!(alias, Alias::Hr | Alias::Hs) {
            quoted(flags.quote, line, &|line| push_captured(line, list));
            return;
        }
        for (nth, header) in list.iter().enumerate() {
            if nth > 0 {
                line.push(b' ');
            }
            quoted(flags.quote, line, &|line| match header {
                Some(header) => line.push_captured(header),
                None if !flags.quote => line.push(b'-'),
                None => {}
            });
        }
    }

    fn request(&self, alias: Alias, flags: Flags, line: &mut LogLine) {
        // While the request is under way, what is kept of it for rules.
        let extra = self.session.extra.borrow();
        let kept = || extra.as_ref()?.request_line.as_deref();
        let request = self.trace.map_or_else(kept, |trace| trace.request.as_deref());
        let Some(request) = request else { return text(b"<BADREQ>", flags, line) };
        let uri = line_part(request, LinePart::Uri).unwrap_or_default();
        let (path, query) =
            uri.split_at_checked(memchr::memchr(b'?', uri).unwrap_or(uri.len())).unwrap_or((uri, b""));
        let part = match alias {
            Alias::Hm => line_part(request, LinePart::Method).unwrap_or_default(),
            Alias::R => request,
            Alias::Hu => uri,
            Alias::Hp => path,
            Alias::Hpo => match find(path, b"://") {
                Some(at) => {
                    let rest = path.get(at + 3..).unwrap_or_default();
                    memchr::memchr(b'/', rest).and_then(|at| rest.get(at..)).unwrap_or(b"/")
                }
                None => path,
            },
            Alias::Hq if query.is_empty() => return quoted(flags.quote, line, &|_| ()),
            Alias::Hq => query,
            _ => request.rsplit(|byte| *byte == b' ').next().unwrap_or_default(),
        };
        text(part, flags, line);
    }

    fn date(&self, alias: Alias, flags: Flags, line: &mut LogLine) {
        let zone = self.session.frontend.logger.sinks().zone();
        let accepted_ms = match self.record.accepted_ms {
            request_ms if matches!(alias, Alias::TrDate | Alias::Trg | Alias::Trl) => request_ms,
            _ => i64::try_from(self.session.accepted_wall_ms).unwrap_or(i64::MAX),
        };
        match alias {
            Alias::T | Alias::TrDate => timestamp::haproxy(line, accepted_ms, &zone),
            Alias::Tl | Alias::Trl => timestamp::clf(line, accepted_ms, &zone),
            Alias::Gmt | Alias::Trg => timestamp::clf(line, accepted_ms, &Zone::utc()),
            Alias::Ts if flags.hex => hex(&((accepted_ms / 1000) as u32).to_be_bytes(), line),
            Alias::Ts => line.push_u64(accepted_ms.div_euclid(1000).unsigned_abs()),
            _ => {
                let ms = accepted_ms.rem_euclid(1000) as u32;
                if flags.hex {
                    hex(&(ms as u16).to_be_bytes(), line);
                } else {
                    line.push_padded(ms, 3, b'0');
                }
            }
        }
    }

    fn timer(&self, alias: Alias, line: &mut LogLine) {
        let timers = &self.record.timers;
        let idle = self.trace.map_or(0, |trace| self.idle_ms(trace));
        let sum = |parts: &[i32]| parts.iter().fold(0i32, |sum, part| sum.saturating_add((*part).max(0)));
        let whole = timers.total.saturating_add(idle);
        let until_request = if timers.request < 0 { -1 } else { timers.request.saturating_add(idle) };
        line_sign(matches!(alias, Alias::Ta | Alias::Tt | Alias::Tu) && self.record.unfinished, line);
        line.push_i32(match alias {
            Alias::TR => timers.request,
            Alias::Tw => timers.wait,
            Alias::Tc => timers.connect,
            Alias::Tr => timers.response,
            Alias::Th => 0,
            Alias::Ti => idle,
            Alias::Tq => until_request,
            Alias::Tt => whole,
            // In mode tcp data flow from the connect on.
            Alias::Td if timers.response < 0 && (timers.request >= 0 || timers.connect < 0) => -1,
            Alias::Td => {
                whole.saturating_sub(sum(&[until_request, timers.wait, timers.connect, timers.response]))
            }
            _ => timers.total,
        });
    }

    /// From the accept, or from the end of the request before, to the first byte.
    fn idle_ms(&self, trace: &Trace) -> i32 {
        let extra = self.session.extra.borrow();
        let since_ms = extra.as_ref().map_or(0, |extra| extra.idle_since_ms).max(self.session.accepted_ms);
        i32::try_from(trace.start_ms().saturating_sub(since_ms)).unwrap_or(i32::MAX)
    }
}

fn line_sign(unfinished: bool, line: &mut LogLine) {
    if unfinished {
        line.push(b'+');
    }
}

fn number(number: u64, line: &mut LogLine) {
    line.push_u64(number);
}

fn counter(number: u32, flags: Flags, line: &mut LogLine) {
    match flags.hex {
        // Four digits at least.
        true if number <= 0xffff => hex(&(number as u16).to_be_bytes(), line),
        true => hex(&number.to_be_bytes(), line),
        false => line.push_u64(number.into()),
    }
}

fn hex(bytes: &[u8], line: &mut LogLine) {
    let mut out = Vec::new();
    write_flagged(bytes, Flags { hex: true, ..Flags::default() }, &mut out);
    line.push_bytes(&out);
}

fn quoted(quote: bool, line: &mut LogLine, write: &dyn Fn(&mut LogLine)) {
    if quote {
        line.push(b'"');
    }
    write(line);
    if quote {
        line.push(b'"');
    }
}

/// A text; nothing becomes `-` where it is not quoted.
fn text(bytes: &[u8], flags: Flags, line: &mut LogLine) {
    quoted(flags.quote, line, &|line| {
        if bytes.is_empty() && !flags.quote {
            line.push(b'-');
        } else if flags.escape {
            // What is encoded needs no escape.
            for byte in bytes {
                if matches!(byte, b'\\' | b']') {
                    line.push(b'\\');
                }
                line.push_encoded(std::slice::from_ref(byte));
            }
        } else {
            line.push_encoded(bytes);
        }
    });
}
