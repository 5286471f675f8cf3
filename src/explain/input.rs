//! The words behind `explain`, and the bytes they stand for.

use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::words::mistake;
use crate::config;

/// What was asked.
pub(super) struct Wish {
    pub files: Vec<PathBuf>,
    pub listen_on: Option<String>,
    pub from: SocketAddr,
    get: Option<String>,
    headers: Vec<String>,
    hex: Option<String>,
    cut: Option<usize>,
    is_final: bool,
}

/// The bytes to explain.
pub(super) struct Given {
    pub bytes: Vec<u8>,
    pub is_final: bool,
}

const FLAGS: [&str; 9] =
    ["-f", "--listen-on", "--get", "--header", "--hex", "--from", "--cut", "--final", "--help"];

/// `None`: the help was asked for.
pub(super) fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Option<Wish>, String> {
    let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 40_000);
    let mut wish = Wish {
        files: Vec::new(),
        listen_on: None,
        from,
        get: None,
        headers: Vec::new(),
        hex: None,
        cut: None,
        is_final: false,
    };
    while let Some(arg) = args.next() {
        let arg = text(arg)?;
        let flag = match arg.as_str() {
            "-h" | "--help" => return Ok(None),
            "--final" => {
                wish.is_final = true;
                continue;
            }
            flag if FLAGS.contains(&flag) => flag,
            other => {
                let hint = config::hint(other, FLAGS.into_iter());
                return Err(mistake(&format!("explain: unknown flag `{other}`{hint}; --help lists all")));
            }
        };
        let value = args.next().ok_or_else(|| mistake(&format!("explain: a value must follow {flag}")))?;
        if flag == "-f" {
            wish.files.push(value.into());
            continue;
        }
        let value = text(value)?;
        match flag {
            "--listen-on" => wish.listen_on = Some(value),
            "--get" => wish.get = Some(value),
            "--header" => wish.headers.push(value),
            "--hex" => wish.hex = Some(value),
            "--cut" => {
                wish.cut = Some(value.parse().map_err(|_| mistake("--cut: a number of bytes was expected"))?);
            }
            _ => wish.from = address(&value)?,
        }
    }
    if wish.get.is_some() && wish.hex.is_some() {
        return Err(mistake("explain: --get and --hex exclude each other"));
    }
    if wish.get.is_none() && !wish.headers.is_empty() {
        return Err(mistake("explain: --header belongs to --get"));
    }
    Ok(Some(wish))
}

impl Wish {
    /// The bytes; `None` where there are none, so that the whole file is meant.
    pub fn given(&self, bytes_max: usize) -> Result<Option<Given>, String> {
        let mut bytes = match (&self.get, &self.hex) {
            (Some(url), _) => request(url, &self.headers)?,
            (None, Some(digits)) => from_hex(digits)?,
            (None, None) => {
                let bytes = stdin(bytes_max)?;
                if bytes.is_empty() {
                    return Ok(None);
                }
                bytes
            }
        };
        bytes.truncate(self.cut.unwrap_or(bytes_max).min(bytes_max));
        // A full buffer cannot wait for more.
        let is_final = self.is_final || bytes.len() == bytes_max;
        Ok(Some(Given { bytes, is_final }))
    }
}

fn text(arg: OsString) -> Result<String, String> {
    arg.into_string().map_err(|_| mistake("explain: an argument is not UTF-8"))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse().map(|ip| SocketAddr::new(ip, 40_000));
    alone
        .or_else(|_| text.parse())
        .map_err(|_| mistake("--from: expected an address such as 192.0.2.1:40000"))
}

/// A GET request.
fn request(url: &str, headers: &[String]) -> Result<Vec<u8>, String> {
    let strange = |c: char| c.is_ascii_control();
    if url.contains(|c: char| strange(c) || c == ' ') || headers.iter().any(|header| header.contains(strange))
    {
        return Err(mistake("explain: --get and --header take no control characters, --get no blanks"));
    }
    let (host, target) = match url.split_once("://") {
        None if url.starts_with('/') => ("localhost", url),
        Some(("http", rest)) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
        _ => return Err(mistake("--get: expected a path such as /a?b or an address such as http://host/a")),
    };
    let slash = if target.starts_with('/') { "" } else { "/" };
    let mut text = ["GET ", slash, target, " HTTP/1.1\r\n"].concat();
    let is_host =
        |header: &String| header.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case("host"));
    if !headers.iter().any(is_host) {
        text.push_str(&["Host: ", host, "\r\n"].concat());
    }
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    Ok(text.into_bytes())
}

/// The bytes behind `--hex`. Blanks and colons between the digits do not matter.
///
/// # Errors
/// A message: another character, or an odd number of digits.
pub fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut high = None;
    for c in text.chars().filter(|c| !c.is_whitespace() && *c != ':') {
        let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digit = digit.ok_or_else(|| mistake("--hex: expected hexadecimal digits"))?;
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    if high.is_some() {
        return Err(mistake("--hex: an odd number of digits"));
    }
    Ok(bytes)
}

fn stdin(bytes_max: usize) -> Result<Vec<u8>, String> {
    let stdin = std::io::stdin();
    let mut bytes = Vec::new();
    if stdin.is_terminal() {
        return Ok(bytes);
    }
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let read = stdin.lock().take(limit).read_to_end(&mut bytes);
    read.map_err(|error| mistake(&format!("cannot read standard input: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_hexadecimal() {
        let get = |url: &str, headers: &[&str]| {
            let headers: Vec<String> = headers.iter().map(ToString::to_string).collect();
            request(url, &headers).map(|bytes| String::from_utf8(bytes).unwrap())
        };
        assert_eq!(get("/a", &[]).unwrap(), "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(get("http://h:1?x", &[]).unwrap(), "GET /?x HTTP/1.1\r\nHost: h:1\r\n\r\n");
        assert_eq!(get("http://h/a", &["hOst: b"]).unwrap(), "GET /a HTTP/1.1\r\nhOst: b\r\n\r\n");
        for (url, header) in [("ftp://h/", "A: b"), ("/a b", "A: b"), ("/", "A: b\r\nC: d"), ("a", "A: b")] {
            assert!(get(url, &[header]).is_err(), "{url}");
        }
        assert_eq!(from_hex("00 fF:0a").unwrap(), [0, 255, 10]);
        assert!(from_hex("000").is_err() && from_hex("0g").is_err());
        assert_eq!(address("::1").unwrap(), address("[::1]:40000").unwrap());
        assert!(address("here").is_err());
    }

    #[test]
    fn mistakes_of_the_command_line() {
        let parse = |words: &[&str]| parse(words.iter().map(OsString::from));
        for (words, part) in [
            (&["--gett", "/"][..], "did you mean `--get`"),
            (&["--get"], "must follow"),
            (&["--cut", "x"], "number"),
            (&["--get", "/", "--hex", "00"], "exclude"),
            (&["--header", "A: b"], "belongs to --get"),
        ] {
            let message = parse(words).err().unwrap();
            assert!(message.contains(part), "{message}");
        }
        assert!(parse(&["--help"]).unwrap().is_none());
    }
}
