//! Patterns of ACLs and maps: text, numbers, networks, regular expressions, from a line or a file.

use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::diagnostics::quoted;
use super::model::{MatchKind, Net, Patterns, Regex};

/// `-m` methods.
pub(crate) const METHODS: [(&str, MatchKind); 13] = [
    ("found", MatchKind::Found),
    ("bool", MatchKind::Bool),
    ("int", MatchKind::Int),
    ("ip", MatchKind::Ip),
    ("str", MatchKind::Str),
    ("beg", MatchKind::Beg),
    ("end", MatchKind::End),
    ("sub", MatchKind::Sub),
    ("dir", MatchKind::Dir),
    ("dom", MatchKind::Dom),
    ("reg", MatchKind::Reg),
    ("bin", MatchKind::Bin),
    ("len", MatchKind::Len),
];

/// The longest pattern of a file; longer lines are an error.
const LINE_BYTES_MAX: usize = 4_096;
/// The longest regular expression.
const REGEX_BYTES_MAX: usize = 2_048;
/// What a compiled regular expression may take.
const REGEX_SIZE_MAX: usize = 256 * 1_024;
/// The largest file of patterns.
const FILE_BYTES_MAX: u64 = 8 * 1_024 * 1_024;
/// From so many texts on they are sorted.
const SORTED_FROM: usize = 16;

/// Reads a file that a configuration names, at most so many bytes of it, or says why it cannot.
pub type ReadFile = Rc<dyn Fn(&Path, u64) -> Result<Vec<u8>, String>>;

/// How the files are read that the configuration names.
#[derive(Clone, Default)]
pub(crate) struct Files {
    /// `None` = from this machine.
    pub read: Option<ReadFile>,
    /// `default-path`.
    pub base: BasePath,
    /// The name of the text that is being read.
    pub source: Rc<str>,
}

/// Where relative paths begin: `default-path` (configuration §3.1).
#[derive(Clone, Default)]
pub(crate) enum BasePath {
    /// Where the program was started.
    #[default]
    Current,
    /// The folder of the configuration file; then `..`, if true.
    Config(bool),
    /// This one.
    Origin(Rc<str>),
}

impl Files {
    /// A whole file.
    ///
    /// # Errors
    /// As [`read_file`].
    pub fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        let path = self.located(path);
        match &self.read {
            Some(read) => read(&path, bytes_max),
            None => read_file(&path, bytes_max),
        }
    }

    /// The path from where the program was started.
    fn located(&self, path: &str) -> PathBuf {
        let base = match &self.base {
            BasePath::Current => PathBuf::new(),
            BasePath::Origin(folder) => PathBuf::from(&**folder),
            BasePath::Config(parent) => {
                let folder = self.source.rsplit_once('/').map_or("", |(folder, _)| folder);
                // The root has no name before its slash.
                let folder = if folder.is_empty() && self.source.starts_with('/') { "/" } else { folder };
                Path::new(folder).join(if *parent { ".." } else { "" })
            }
        };
        base.join(path)
    }
}

/// An empty list for a method.
pub(crate) fn empty(kind: MatchKind) -> Patterns {
    match kind {
        MatchKind::Found | MatchKind::Bool => Patterns::None,
        MatchKind::Int | MatchKind::Len => Patterns::Ints(Vec::new()),
        MatchKind::Ip => Patterns::Nets(Vec::new()),
        MatchKind::Reg => Patterns::Regexes(Vec::new()),
        _ => Patterns::Bytes(Vec::new()),
    }
}

/// Adds one pattern.
///
/// # Errors
/// It is none of this kind.
pub(crate) fn add(
    list: &mut Patterns,
    kind: MatchKind,
    ignore_case: bool,
    text: &[u8],
) -> Result<(), String> {
    let utf8 = || std::str::from_utf8(text).map_err(|_| format!("{} is not UTF-8", quoted(text)));
    match list {
        // Patterns of booleans are accepted and mean nothing (configuration §7.1.1).
        Patterns::None | Patterns::Sorted(_) => {}
        Patterns::Ints(list) => list.push(range(utf8()?)?),
        Patterns::Nets(list) => list.push(net(utf8()?)?),
        Patterns::Regexes(list) => list.push(regex(utf8()?, ignore_case)?),
        Patterns::Bytes(list) if kind == MatchKind::Bin => list.push(hexadecimal(text)?),
        Patterns::Bytes(list) => {
            let mut pattern = text.to_vec();
            if ignore_case {
                pattern.make_ascii_lowercase();
            }
            list.push(pattern);
        }
    }
    Ok(())
}

/// Many texts that are compared as a whole are sorted, to be found by halving.
pub(super) fn sort(list: &mut Patterns, kind: MatchKind) {
    if let Patterns::Bytes(texts) = list
        && matches!(kind, MatchKind::Str | MatchKind::Bin)
        && texts.len() >= SORTED_FROM
    {
        let mut texts = std::mem::take(texts);
        texts.sort_unstable();
        texts.dedup();
        *list = Patterns::Sorted(texts);
    }
}

/// The lines of a file of patterns, numbered from 1, without comments and leading blanks. Trailing blanks belong
/// to the pattern, and a blank before a `#` makes it one (configuration §7.1, "-f").
///
/// # Errors
/// It cannot be read, is too large, or is no text.
pub(super) fn file_lines(files: &Files, path: &str) -> Result<Vec<(usize, Vec<u8>)>, String> {
    let text = files.read(path, FILE_BYTES_MAX)?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return Err(format!("`{path}` is UTF-16; save it as UTF-8"));
    }
    let mut lines = Vec::new();
    for (at, line) in text.split(|&b| b == b'\n').enumerate() {
        if line.first() == Some(&b'#') {
            continue;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
        if line.is_empty() {
            continue;
        }
        if line.len() > LINE_BYTES_MAX {
            return Err(format!("`{path}`, line {}: longer than {LINE_BYTES_MAX} bytes", at + 1));
        }
        if std::str::from_utf8(line).is_err() {
            return Err(format!("`{path}`, line {}: not UTF-8", at + 1));
        }
        lines.push((at + 1, line.to_vec()));
    }
    Ok(lines)
}

/// A whole file that the configuration names.
///
/// # Errors
/// It is missing, no plain file, or larger than `bytes_max`.
pub fn read_file(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("cannot read the file `{shown}`: {error}");
    // Looked at before it is opened: opening a pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(format!("`{shown}` is no plain file"));
    }
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(bytes_max + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > bytes_max {
        return Err(format!("`{shown}` is larger than {bytes_max} bytes"));
    }
    Ok(text)
}

/// Compiles a regular expression.
///
/// # Errors
/// It is malformed, too large, or needs what a linear engine cannot do.
pub(crate) fn regex(text: &str, ignore_case: bool) -> Result<Regex, String> {
    if text.len() > REGEX_BYTES_MAX {
        return Err(format!("a regular expression has at most {REGEX_BYTES_MAX} bytes"));
    }
    let built =
        regex_lite::RegexBuilder::new(text).case_insensitive(ignore_case).size_limit(REGEX_SIZE_MAX).build();
    match built {
        Ok(engine) => Ok(Regex { text: text.into(), engine }),
        Err(error) => {
            let look = ["(?=", "(?!", "(?<=", "(?<!", "(?>"].iter().any(|part| text.contains(part));
            let back = text.as_bytes().windows(2).any(|pair| matches!(pair, [b'\\', b'1'..=b'9']));
            let why = if look || back {
                "; look-around, atomic groups and back references are not built: the engine takes linear time"
            } else {
                ""
            };
            Err(format!(
                "{} is no regular expression that can be used: {error}{why}",
                quoted(text.as_bytes())
            ))
        }
    }
}

/// `5`, `1:5`, `:5`, `5:`.
fn range(text: &str) -> Result<(i64, i64), String> {
    let number = |text: &str, default: i64| match text {
        "" => Ok(default),
        text => text
            .parse::<i64>()
            .map_err(|_| format!("{} is no number or range such as 10:20", quoted(text.as_bytes()))),
    };
    match text.split_once(':') {
        None if text.is_empty() => Err("an empty number".to_owned()),
        None => number(text, 0).map(|n| (n, n)),
        Some((low, high)) => {
            let (low, high) = (number(low, i64::MIN)?, number(high, i64::MAX)?);
            if low > high { Err(format!("the range `{text}` is empty")) } else { Ok((low, high)) }
        }
    }
}

/// The range that an operator and a number stand for.
///
/// # Errors
/// No number.
pub(super) fn compare(operator: &[u8], text: &str) -> Result<(i64, i64), String> {
    let (low, high) = range(text)?;
    Ok(match operator {
        b"eq" => (low, high),
        b"ge" => (low, i64::MAX),
        b"gt" => (high.saturating_add(1), i64::MAX),
        b"le" => (i64::MIN, high),
        _ => (i64::MIN, low.saturating_sub(1)),
    })
}

/// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `2001:db8::/32`, an address alone.
pub(crate) fn net(text: &str) -> Result<Net, String> {
    let wrong = || format!("{} is no address or network such as 192.0.2.0/24", quoted(text.as_bytes()));
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    let address: IpAddr = match address.parse() {
        Ok(address) => address,
        // `10.1` is 10.0.0.1, as inet_aton reads it.
        Err(_) => short_ipv4(address).ok_or_else(wrong)?,
    };
    let all: u8 = if address.is_ipv4() { 32 } else { 128 };
    let bits = match mask {
        None => all,
        Some(mask) => match (mask.parse::<u8>(), mask.parse::<std::net::Ipv4Addr>()) {
            (Ok(bits), _) if bits <= all => bits,
            (_, Ok(mask)) if all == 32 => {
                let mask = u32::from(mask);
                if mask.count_ones() != mask.leading_ones() {
                    return Err(wrong());
                }
                mask.leading_ones() as u8
            }
            _ => return Err(wrong()),
        },
    };
    Ok(Net { address, bits })
}

fn short_ipv4(text: &str) -> Option<IpAddr> {
    let (before, last) = text.rsplit_once('.').unwrap_or(("", text));
    let mut address = 0u32;
    let mut free_bits = 32u32;
    for part in before.split('.').filter(|_| !before.is_empty()) {
        free_bits = free_bits.checked_sub(8).filter(|bits| *bits > 0)?;
        address |= u32::from(part.parse::<u8>().ok()?) << free_bits;
    }
    // The last part fills what is left.
    let last: u32 = last.parse().ok()?;
    (u64::from(last) < 1u64 << free_bits).then(|| IpAddr::V4((address | last).into()))
}

pub(crate) fn hexadecimal(text: &[u8]) -> Result<Vec<u8>, String> {
    let digit = |byte: &u8| (*byte as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut out = Vec::with_capacity(text.len() / 2);
    for pair in text.chunks(2) {
        let [high, low] = pair else {
            return Err(format!("{} has an odd number of hexadecimal digits", quoted(text)));
        };
        let (Some(high), Some(low)) = (digit(high), digit(low)) else {
            return Err(format!("{} is not hexadecimal", quoted(text)));
        };
        out.push(high << 4 | low);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_ranges() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/255.0.0.0", "::ffff:10.1.1.1", "9.9.9.9"),
            ("10.1", "10.0.0.1", "10.1.0.0"),
            ("10.1.2/24", "10.1.0.9", "10.1.2.0"),
            ("192.168.16.2/32", "192.168.16.2", "192.168.16.3"),
            ("0.0.0.0/0", "1.2.3.4", "::1"),
            ("2001:db8::/32", "2001:db8:1::", "2001:db9::"),
            ("::/0", "1.2.3.4", "none"),
        ] {
            let net = net(text).unwrap();
            assert!(net.contains(inside.parse().unwrap()), "{text}");
            assert!(outside == "none" || !net.contains(outside.parse().unwrap()), "{text}");
        }
        for text in ["", "a", "1.2.3.4/33", "1.2.3.4/255.0.255.0", "::1/129", "1.2.3.4.5", "300.1"] {
            assert!(net(text).is_err(), "{text}");
        }
        assert_eq!(range("1:5"), Ok((1, 5)));
        assert_eq!(range(":5"), Ok((i64::MIN, 5)));
        assert_eq!(compare(b"gt", "5"), Ok((6, i64::MAX)));
        assert_eq!(compare(b"lt", "5"), Ok((i64::MIN, 4)));
        for text in ["", "x", "5:1", "1.5"] {
            assert!(range(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_linear_engine_cannot_do_is_said() {
        assert!(regex("^(www.a.cn|ww1.a.cn)$", true).unwrap().engine.is_match("WWW.a.cn"));
        for text in ["(?=a)b", r"(a)\1"] {
            assert!(regex(text, false).unwrap_err().contains("linear time"), "{text}");
        }
        assert!(regex("(", false).is_err());
        assert!(regex(&"(a{1000}){1000}".repeat(3), false).is_err());
    }
}
