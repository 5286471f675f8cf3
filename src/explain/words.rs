//! Parts of a configuration in words.

use std::fmt::Write;

use crate::config::{
    Acl, AclTest, Algorithm, Balance, Condition, HttpAction, Key, LineWork, MatchKind, Matcher, Mode,
    Patterns, Place, Server, ServerAddress, ServerPort, TargetPart,
};
use crate::rules::{Sample, Scratch};

/// So many patterns of a test are shown.
const PATTERNS_SHOWN: usize = 4;
/// So many bytes of a text are shown.
const BYTES_SHOWN: usize = 80;

pub(super) fn mistake(message: &str) -> String {
    ["oneport: ", message, "\n"].concat()
}

pub(super) fn number(out: &mut String, number: i64) {
    // A String takes everything.
    let _ = write!(out, "{number}");
}

pub(super) fn count(out: &mut String, len: usize) {
    number(out, i64::try_from(len).unwrap_or(i64::MAX));
}

pub(super) fn place(out: &mut String, place: &Place) {
    out.push_str(&place.file);
    out.push(':');
    number(out, place.line.into());
}

/// Text of the configuration: control characters never reach the terminal.
pub(super) fn text(out: &mut String, bytes: &[u8]) {
    out.extend(String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { ' ' } else { c }));
}

/// Bytes in quotes, at most [`BYTES_SHOWN`] of them.
pub(super) fn bytes(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for byte in bytes.iter().take(BYTES_SHOWN) {
        let _ = write!(out, "{}", byte.escape_ascii());
    }
    out.push_str(if bytes.len() > BYTES_SHOWN { "…\"" } else { "\"" });
}

pub(super) fn sample(out: &mut String, sample: &Sample<'_>) {
    match sample {
        Sample::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Sample::Bytes(value) => bytes(out, value),
        other => text(out, other.bytes(&mut Scratch::new())),
    }
}

pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Tcp => "mode tcp",
        Mode::Http => "mode http",
    }
}

/// `if a and not b, or c`.
pub(super) fn condition(out: &mut String, condition: Option<&Condition>, acls: &[Acl]) {
    let Some(condition) = condition else { return out.push_str("always") };
    out.push_str(if condition.unless { "unless " } else { "if " });
    for (at, group) in condition.any_of.iter().enumerate() {
        out.push_str(if at > 0 { ", or " } else { "" });
        for (at, term) in group.iter().enumerate() {
            out.push_str(if at > 0 { " and " } else { "" });
            out.push_str(if term.negated { "not " } else { "" });
            if let Some(acl) = acls.get(term.acl.0) {
                out.push_str(&acl.name);
            }
        }
    }
}

/// What a rule for HTTP does.
pub(super) fn action(out: &mut String, action: &HttpAction) {
    let (does, what): (&str, &str) = match action {
        HttpAction::Allow => ("no further rules of this kind", ""),
        HttpAction::Deny(reply) | HttpAction::Return(reply) => return answer(out, reply.status, ""),
        HttpAction::Tarpit(reply) => return answer(out, reply.status, ", after timeout tarpit"),
        HttpAction::Auth(_) => return answer(out, 401, ", which asks for a name and a password"),
        HttpAction::Redirect(redirect) => {
            let note = if redirect.ignore_empty { ", where the address is not empty" } else { "" };
            return answer(out, redirect.status, note);
        }
        HttpAction::AddHeader { name, alone: true, .. } => ("sets the header ", name),
        HttpAction::AddHeader { name, .. } => ("adds the header ", name),
        HttpAction::DelHeader(_) => ("removes headers", ""),
        HttpAction::ReplaceHeader { name, .. } => ("changes the header ", name),
        HttpAction::SetTarget(part, _) | HttpAction::ReplaceTarget(part, ..) => {
            ("changes the ", target_part(*part))
        }
        HttpAction::SetMethod(_) => ("changes the method", ""),
        HttpAction::SetStatus(..) => ("changes the status", ""),
        HttpAction::SetVar(..) | HttpAction::SetVarFormat(..) => ("sets a variable", ""),
        HttpAction::UnsetVar(_) => ("removes a variable", ""),
        HttpAction::Capture(..) => ("keeps a value for the log line", ""),
        HttpAction::SetPriority { .. } => ("sets the place in queues", ""),
        HttpAction::SendOnce => ("is not sent twice", ""),
        HttpAction::SetLogLevel(None) => ("no log line", ""),
        HttpAction::SetLogLevel(Some(_)) => ("sets the level of the log line", ""),
        HttpAction::WaitForBody { .. } => ("waits for the body", ""),
        HttpAction::SilentDrop => ("the connection is reset without an answer", ""),
        HttpAction::Reject => ("the connection is closed without an answer", ""),
        HttpAction::Close => ("the server's connection is closed", ""),
        HttpAction::ExpectProxy => ("a PROXY protocol header must come first", ""),
        HttpAction::Lines(rule) => match &rule.work {
            LineWork::Remove => ("removes lines", ""),
            LineWork::Replace(_) => ("changes lines", ""),
            LineWork::End(end) => {
                self::action(out, end);
                (", where a line matches", "")
            }
        },
        HttpAction::StrictMode(on) => ("strict mode is ", if *on { "on" } else { "off" }),
    };
    out.push_str(does);
    text(out, what.as_bytes());
}

fn answer(out: &mut String, status: u16, note: &str) {
    out.push_str("the answer is ");
    number(out, status.into());
    out.push_str(note);
}

fn target_part(part: TargetPart) -> &'static str {
    match part {
        TargetPart::Path => "path",
        TargetPart::PathAndQuery => "path and the query",
        TargetPart::Query => "query",
        TargetPart::Uri => "whole target",
    }
}

/// `hdr(host) begins with "www." or "web."`.
pub(super) fn test(out: &mut String, test: &AclTest) {
    out.push_str(&test.expr.text);
    out.push_str(match test.matcher.kind {
        MatchKind::Found => " exists",
        MatchKind::Bool => " is true",
        MatchKind::Int | MatchKind::Str | MatchKind::Bin => " is ",
        MatchKind::Ip => " is in ",
        MatchKind::Len => " has the length ",
        MatchKind::Beg => " begins with ",
        MatchKind::End => " ends with ",
        MatchKind::Sub => " contains ",
        MatchKind::Dir => " has the path component ",
        MatchKind::Dom => " has the domain component ",
        MatchKind::Reg => " matches ",
    });
    patterns(out, &test.matcher);
    out.push_str(if test.matcher.ignore_case { " (in upper or lower case)" } else { "" });
}

fn patterns(out: &mut String, matcher: &Matcher) {
    let mut shown = 0;
    let mut begin = |out: &mut String| {
        shown += 1;
        out.push_str(if shown > 1 && shown <= PATTERNS_SHOWN { " or " } else { "" });
        shown <= PATTERNS_SHOWN
    };
    match &matcher.patterns {
        Patterns::None => {}
        Patterns::Bytes(list) | Patterns::Sorted(list) => {
            list.iter().for_each(|pattern| {
                if begin(out) {
                    bytes(out, pattern)
                }
            });
        }
        Patterns::Ints(list) => list.iter().for_each(|range| {
            if begin(out) {
                self::range(out, *range)
            }
        }),
        Patterns::Nets(list) => list.iter().for_each(|net| {
            if begin(out) {
                let _ = write!(out, "{}/{}", net.address, net.bits);
            }
        }),
        Patterns::Regexes(list) => {
            list.iter().for_each(|regex| {
                if begin(out) {
                    text(out, regex.text.as_bytes())
                }
            });
        }
    }
    if shown > PATTERNS_SHOWN {
        let _ = write!(out, " or one of {} more", shown - PATTERNS_SHOWN);
    }
}

fn range(out: &mut String, (low, high): (i64, i64)) {
    match (low, high) {
        (low, high) if low == high => number(out, low),
        (low, i64::MAX) => {
            number(out, low);
            out.push_str(" or more");
        }
        (low, high) => {
            if low != i64::MIN {
                number(out, low);
                out.push_str(" to ");
            }
            number(out, high);
            out.push_str(if low == i64::MIN { " or less" } else { "" });
        }
    }
}

fn server_port(out: &mut String, port: ServerPort) {
    match port {
        ServerPort::Fixed(port) => {
            out.push(':');
            number(out, i64::from(port));
        }
        ServerPort::FromClient(offset) => {
            out.push_str(", the port the client came to plus ");
            number(out, i64::from(offset));
        }
    }
}

/// A server's name, address, and what its share depends on.
pub(super) fn server(out: &mut String, server: &Server) {
    out.push_str("server ");
    out.push_str(&server.name);
    out.push_str(" at ");
    match &server.address {
        ServerAddress::Inet(host, port) => {
            let is_v6 = host.contains(':');
            out.push_str(if is_v6 { "[" } else { "" });
            out.push_str(host);
            out.push_str(if is_v6 { "]" } else { "" });
            server_port(out, *port);
        }
        ServerAddress::FromClient(port) => {
            out.push_str("the address the client came to");
            server_port(out, *port);
        }
        ServerAddress::Unix(path) => text(out, path.as_os_str().as_encoded_bytes()),
        ServerAddress::Abstract(name) => {
            out.push_str("abns@");
            text(out, name);
        }
    }
    out.push_str(", weight ");
    number(out, server.weight.into());
    for (on, note) in [
        (server.backup, ", backup: only when no other server is up"),
        (server.disabled, ", disabled"),
        (server.check.is_some(), ", checked"),
    ] {
        out.push_str(if on { note } else { "" });
    }
}

/// How a backend chooses among its servers.
pub(super) fn balance(out: &mut String, balance: &Balance) {
    let (first, name, last) = match &balance.algorithm {
        Algorithm::RoundRobin | Algorithm::StaticRr => ("servers take turns by weight", "", ""),
        Algorithm::LeastConn => ("the server with the fewest connections for its weight is next", "", ""),
        Algorithm::First => ("the first server that has room is next", "", ""),
        Algorithm::Random(_) => ("the least loaded of some servers drawn at random is next", "", ""),
        Algorithm::Hash(Key::Source) => ("the client's address leads to the server", "", ""),
        Algorithm::Hash(Key::Uri { .. }) => ("the request's target leads to the server", "", ""),
        Algorithm::Hash(Key::UrlParam(name)) => ("the parameter `", &**name, "` leads to the server"),
        Algorithm::Hash(Key::Header { name, .. }) => ("the header `", &**name, "` leads to the server"),
        Algorithm::Hash(Key::Sample(expr)) => ("the value of `", &*expr.text, "` leads to the server"),
    };
    for part in [", ", first] {
        out.push_str(part);
    }
    if !name.is_empty() {
        text(out, name.as_bytes());
    }
    out.push_str(last);
}
