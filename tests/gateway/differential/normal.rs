//! HTTP bytes in a form in which two proxies can be compared.
//!
//! What is made equal, and why: names in lower case and fields sorted (case and order mean nothing, RFC 9110
//! §5.3); `Connection` and `Keep-Alive` dropped (they speak of one connection, and each proxy has its own
//! way of saying the same; whether the connection stays open is compared instead); dates in cookies that keep a client
//! with its server (those of two runs differ); chunk sizes (a proxy may cut anew, RFC 9112 §7.1; the beginning of one
//! that breaks off as well); reason phrases, and everything but the status of an answer that a proxy has
//! made itself (marked by the missing `X-Origin`, which all answers of our backends carry).

use crate::support::show;
use regex_lite::Regex;
use std::sync::LazyLock;

/// A backend's bytes: requests, or raw bytes as they are.
pub fn requests(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some(message) =
            Message::split(rest, |line| line.ends_with("HTTP/1.1") || line.ends_with("HTTP/1.0"))
        else {
            out.push_str(&format!("  raw {}\n", show(rest)));
            break;
        };
        rest = &rest[message.len..];
        out.push_str(&format!("  {}\n{}", message.first, message.fields_and_body()));
    }
    out
}

/// A client's bytes: answers, or raw bytes as they are.
pub fn answers(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some(message) = Message::split(rest, |line| line.starts_with("HTTP/1.")) else {
            out.push_str(&format!("  raw {}\n", show(rest)));
            break;
        };
        rest = &rest[message.len..];
        let status = message.first.split(' ').nth(1).unwrap_or_default();
        let own =
            !message.fields.iter().any(|field| field.starts_with("x-origin:")) && !status.starts_with('1');
        if own {
            out.push_str(&format!("  {status} made by the proxy\n"));
        } else {
            out.push_str(&format!("  {status}\n{}", message.fields_and_body()));
        }
    }
    out
}

/// Five digits behind a bar.
static DATES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\|[A-Za-z0-9+/]{5}").unwrap());

struct Message {
    first: String,
    fields: Vec<String>,
    body: Vec<u8>,
    len: usize,
}

impl Message {
    /// The first message of `bytes`, if they begin with one that is whole.
    fn split(bytes: &[u8], is_start: impl Fn(&str) -> bool) -> Option<Self> {
        let head_len = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        // One character a byte, so that bytes above 127 can be compared as well.
        let head: String = bytes[..head_len].iter().map(|byte| char::from(*byte)).collect();
        let mut lines = head.trim_end().split("\r\n");
        let first = lines.next().filter(|line| is_start(line))?.to_string();
        let mut fields: Vec<String> = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                let name = name.to_ascii_lowercase();
                let value =
                    if name.ends_with("cookie") { DATES.replace_all(value, "|DATE") } else { value.into() };
                format!("{name}: {}", value.trim())
            })
            .filter(|line| !line.starts_with("connection:") && !line.starts_with("keep-alive:"))
            .collect();
        fields.sort();
        let value = |name: &str| fields.iter().find_map(|field| field.strip_prefix(name));
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        let no_body = status.is_some_and(|code| code.starts_with('1') || code == "204" || code == "304")
            || fields.iter().any(|field| field == "x-origin: head");
        let rest = &bytes[head_len..];
        let (body, body_len) = if no_body {
            (Vec::new(), 0)
        } else if value("transfer-encoding: ").is_some_and(|coding| coding.ends_with("chunked")) {
            unchunk(rest).unwrap_or_else(|| (unfinished(rest), rest.len()))
        } else if let Some(length) = value("content-length: ") {
            let length = length.parse::<usize>().ok()?.min(rest.len());
            (rest[..length].to_vec(), length)
        } else if status.is_some() {
            (rest.to_vec(), rest.len())
        } else {
            (Vec::new(), 0)
        };
        Some(Self { first, fields, body, len: head_len + body_len })
    }

    fn fields_and_body(&self) -> String {
        let mut out: String = self.fields.iter().map(|field| format!("    {field}\n")).collect();
        if !self.body.is_empty() {
            out.push_str(&format!("    body {}\n", show(&self.body)));
        }
        out
    }
}

/// The same of a body that breaks off: what there is of it, and a word that it is not all. A proxy may pass half a
/// chunk on as a whole one.
fn unfinished(bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut rest = bytes;
    while let Some(line_len) = rest.windows(2).position(|two| two == b"\r\n") {
        let line = String::from_utf8_lossy(&rest[..line_len]);
        let Ok(size) = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16) else {
            break;
        };
        rest = &rest[line_len + 2..];
        let len = size.min(rest.len());
        body.extend(&rest[..len]);
        rest = rest.get(len + 2..).unwrap_or_default();
    }
    body.extend(b"|unfinished");
    body
}

/// A chunked body without its framing, its trailers behind it, and how long it was; `None` when it is not
/// whole.
fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line_len = bytes[at..].windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(&bytes[at..at + line_len]).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        at += line_len + 2;
        if size == 0 {
            break;
        }
        body.extend(bytes.get(at..at.checked_add(size)?)?);
        at += size + 2;
    }
    loop {
        let line_len = bytes.get(at..)?.windows(2).position(|two| two == b"\r\n")?;
        let line = &bytes[at..at + line_len];
        at += line_len + 2;
        if line.is_empty() {
            return Some((body, at));
        }
        body.extend(b"|trailer ");
        body.extend(line.to_ascii_lowercase());
    }
}
