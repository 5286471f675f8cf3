//! Converters behind a fetch (configuration §7.3.1).

use std::rc::Rc;

use super::arguments::Args;
use super::diagnostics::quoted;
use super::keywords::{known, listed};
use super::model::{Converter, Map, MapOutput, MatchKind, Matcher, Operand, Operation};
use super::patterns;
use super::sample::Reader;
use super::suggest;

/// What is known of a converter before its arguments are read.
struct Entry {
    name: &'static str,
    /// The matching method of an ACL that ends in it; `None` = that of what stands before.
    output: Option<MatchKind>,
    help: &'static str,
}

const fn entry(name: &'static str, output: Option<MatchKind>, help: &'static str) -> Entry {
    Entry { name, output, help }
}

use MatchKind::{Bin, Bool, Int, Ip, Str};

/// Every converter that is built.
static CONVERTERS: &[Entry] = &[
    entry("lower", Some(Str), "to lower case"),
    entry("upper", Some(Str), "to upper case"),
    entry("length", Some(Int), "how many bytes"),
    entry("bytes", Some(Bin), "`bytes(offset[,length])`: a part"),
    entry("base64", Some(Str), "encoded as base64"),
    entry("b64dec", Some(Bin), "decoded from base64"),
    entry("hex", Some(Str), "in hexadecimal"),
    entry("url_dec", Some(Str), "`%XX` decoded; `url_dec(1)`: `+` is a blank everywhere"),
    entry("field", Some(Str), "`field(index,delimiters[,count])`: empty ones count, negative from the end"),
    entry("word", Some(Str), "`word(index,delimiters[,count])`: the same without empty ones"),
    entry("ipmask", Some(Ip), "`ipmask(bits4[,bits6])`: the network of an address"),
    entry("concat", Some(Str), "`concat([start],[variable],[end])`: text behind it"),
    entry("strcmp", Some(Int), "`strcmp(variable)`: less than, equal to, greater than 0"),
    entry("regsub", Some(Str), "`regsub(regex,text[,flags])`: replaced; flags `g` (every one), `i`"),
    entry("add", Some(Int), "`add(n)`"),
    entry("sub", Some(Int), "`sub(n)`"),
    entry("mul", Some(Int), "`mul(n)`"),
    entry("div", Some(Int), "`div(n)`"),
    entry("mod", Some(Int), "`mod(n)`"),
    entry("and", Some(Int), "`and(n)`"),
    entry("or", Some(Int), "`or(n)`"),
    entry("xor", Some(Int), "`xor(n)`"),
    entry("bool", Some(Bool), "true unless 0"),
    entry("not", Some(Bool), "true if 0"),
    entry("iif", Some(Str), "`iif(true,false)`: one of two texts"),
    entry(
        "map",
        Some(Str),
        "`map(file[,default])`, `map_METHOD`, `map_METHOD_int`, `map_METHOD_ip`, `map_regm`: what stands behind the key",
    ),
];

/// The converters for the compatibility page.
#[cfg(test)]
pub(crate) fn converters() -> impl Iterator<Item = (&'static str, &'static str)> {
    CONVERTERS.iter().map(|entry| (entry.name, entry.help))
}

/// Makes a converter, and says what comes out of it.
///
/// # Errors
/// Unknown, or bad arguments.
pub(super) fn make(
    reader: &mut Reader<'_>,
    name: &str,
    args: &Args,
) -> Result<(Converter, Option<MatchKind>), String> {
    if let Some(method) = name.strip_prefix("map_") {
        return map(reader, method, args);
    }
    let Some(entry) = CONVERTERS.iter().find(|entry| entry.name == name) else {
        if listed(known::CONVERTERS, name) {
            return Err(format!("HAProxy has the converter `{name}`, oneport has not built it yet"));
        }
        let ours = CONVERTERS.iter().map(|entry| entry.name);
        let hint = suggest::hint(name, ours.chain(known::CONVERTERS.split('|')));
        return Err(format!("{} is no converter{hint}", quoted(name.as_bytes())));
    };
    if name == "map" {
        return map(reader, "str", args);
    }
    let converter = simple(reader, name, args).map_err(|why| format!("`{name}`: {why} ({})", entry.help))?;
    Ok((converter, entry.output))
}

fn simple(reader: &mut Reader<'_>, name: &str, args: &Args) -> Result<Converter, String> {
    let index = |at| {
        i32::try_from(args.int(at)?)
            .ok()
            .filter(|&n| n != 0)
            .ok_or_else(|| "the index is a number other than 0".to_owned())
    };
    let count = || i32::try_from(args.int_or(2, 1)?).map_err(|_| "the count is too large".to_owned());
    let bits = |at, default, max| {
        u8::try_from(args.int_or(at, default)?)
            .ok()
            .filter(|&n| n <= max)
            .ok_or_else(|| format!("expected a number of bits up to {max}"))
    };
    Ok(match name {
        "lower" | "upper" => Converter::Case { upper: name == "upper" },
        "length" => Converter::Length,
        "bytes" => Converter::Bytes(args.size(0)?, if args.len() > 1 { Some(args.size(1)?) } else { None }),
        "base64" => Converter::Base64,
        "b64dec" => Converter::FromBase64,
        "hex" => Converter::Hex,
        "url_dec" => Converter::UrlDecode { in_query: args.int_or(0, 0)? != 0 },
        "field" => Converter::Field(index(0)?, args.bytes(1)?, count()?),
        "word" => Converter::Word(index(0)?, args.bytes(1)?, count()?),
        "ipmask" => {
            let bits4 = match args.get(0)?.parse::<std::net::Ipv4Addr>() {
                Ok(_) => patterns::net(&format!("0.0.0.0/{}", args.get(0)?))?.bits,
                Err(_) => bits(0, 32, 32)?,
            };
            let bits6 = match args.get(1) {
                Err(_) => None,
                Ok(text) => Some(match text.parse::<std::net::Ipv6Addr>().map(u128::from) {
                    Ok(mask) if mask.count_ones() == mask.leading_ones() => {
                        u8::try_from(mask.leading_ones()).unwrap_or(128)
                    }
                    Ok(_) => return Err(format!("`{text}` is no mask: its bits do not stand together")),
                    Err(_) => bits(1, 128, 128)?,
                }),
            };
            Converter::IpMask(bits4, bits6)
        }
        "concat" => {
            let text = |at| Rc::from(args.get(at).unwrap_or_default().as_bytes());
            let variable = match args.get(1).unwrap_or_default().trim() {
                "" => None,
                name => Some(reader.variable(name)?),
            };
            Converter::Concat(text(0), variable, text(2))
        }
        "strcmp" => Converter::StrCmp(reader.variable(args.get(0)?)?),
        "regsub" => {
            let flags = args.get(2).unwrap_or_default();
            if let Some(bad) = flags.chars().find(|c| !"gi".contains(*c)) {
                return Err(format!("`{bad}` is no flag"));
            }
            let regex = patterns::regex(args.get(0)?, flags.contains('i'))?;
            Converter::RegSub { regex, text: args.bytes(1)?, all: flags.contains('g') }
        }
        "bool" => Converter::Bool { negated: false },
        "not" => Converter::Bool { negated: true },
        "iif" => Converter::Either(args.bytes(0)?, args.bytes(1)?),
        _ => {
            let operation = match name {
                "add" => Operation::Add,
                "sub" => Operation::Sub,
                "mul" => Operation::Mul,
                "div" => Operation::Div,
                "mod" => Operation::Mod,
                "and" => Operation::And,
                "or" => Operation::Or,
                _ => Operation::Xor,
            };
            let operand = match args.int(0) {
                Ok(number) => Operand::Int(number),
                Err(_) => Operand::Variable(reader.variable(args.get(0)?)?),
            };
            Converter::Arithmetic(operation, operand)
        }
    })
}

/// `map_METHOD[_OUTPUT](file[,default])`.
fn map(reader: &Reader<'_>, method: &str, args: &Args) -> Result<(Converter, Option<MatchKind>), String> {
    let (method, output) = match method.rsplit_once('_') {
        Some((method, "int")) => (method, MapOutput::Int),
        Some((method, "ip")) => (method, MapOutput::Ip),
        Some((method, "str")) => (method, MapOutput::Text),
        None if method == "regm" => ("reg", MapOutput::Groups),
        _ => (method, MapOutput::Text),
    };
    let known = patterns::METHODS.iter().find(|(name, _)| *name == method);
    let Some((_, kind)) = known.filter(|(_, kind)| !matches!(kind, MatchKind::Found | Bool)) else {
        return Err(format!("`{method}` is no matching method of a map"));
    };
    let path = args.get(0)?;
    let mut entries = Vec::new();
    for (number, line) in patterns::file_lines(&reader.shared.files, path)? {
        let (key, value) = match line.iter().position(|b| b.is_ascii_whitespace()) {
            Some(at) => line.split_at(at),
            None => return Err(format!("{path}:{number}: a key and a value were expected")),
        };
        let value = value.trim_ascii();
        let text = std::str::from_utf8(value).unwrap_or_default();
        let fits = match output {
            MapOutput::Text | MapOutput::Groups => true,
            MapOutput::Int => text.parse::<i64>().is_ok(),
            MapOutput::Ip => text.parse::<std::net::IpAddr>().is_ok(),
        };
        if !fits {
            return Err(format!(
                "{path}:{number}: {} is no {}",
                quoted(value),
                if output == MapOutput::Int { "number" } else { "address" }
            ));
        }
        let mut list = patterns::empty(*kind);
        patterns::add(&mut list, *kind, false, key).map_err(|why| format!("{path}:{number}: {why}"))?;
        let matcher = Matcher { kind: *kind, ignore_case: false, patterns: list };
        entries.push((matcher, value.into()));
    }
    let default = args.get(1).ok().map(|text| text.as_bytes().into());
    let of = match output {
        MapOutput::Text | MapOutput::Groups => Str,
        MapOutput::Int => Int,
        MapOutput::Ip => Ip,
    };
    Ok((Converter::Map(Rc::new(Map { entries, default, output })), Some(of)))
}
