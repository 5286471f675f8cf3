//! Fetches whose arguments need reading.

use std::rc::Rc;

use crate::config::arguments::Args;
use crate::config::diagnostics::quoted;
use crate::config::model::{Fetch, Side};
use crate::config::sample::Reader;

/// The greatest end of `payload(offset,length)`, that of the greatest buffer.
const PAYLOAD_END_BYTES_MAX: usize = 65_535;

pub(super) fn constant_bool(_: &mut Reader<'_>, args: &Args) -> Result<Fetch, String> {
    match args.get(0)? {
        "true" | "1" => Ok(Fetch::Always(true)),
        "false" | "0" => Ok(Fetch::Always(false)),
        _ => Err("expected true or false".to_owned()),
    }
}

pub(super) fn environment(reader: &mut Reader<'_>, args: &Args) -> Result<Fetch, String> {
    let value = (reader.env)(args.get(0)?).unwrap_or_default();
    Ok(Fetch::Text(value.as_bytes().into()))
}

pub(super) fn payload(args: &Args, side: Side) -> Result<Fetch, String> {
    let wrong = || "expected two numbers, for example `payload(0,8)`".to_owned();
    if args.len() != 2 {
        return Err(wrong());
    }
    let (offset, len) = (args.size(0).map_err(|_| wrong())?, args.size(1).map_err(|_| wrong())?);
    if offset.checked_add(len).is_none_or(|end| end > PAYLOAD_END_BYTES_MAX) {
        return Err(format!("it ends after byte {PAYLOAD_END_BYTES_MAX}, beyond any buffer"));
    }
    Ok(Fetch::Payload { side, offset, len })
}

pub(super) fn payload_lv(args: &Args, side: Side) -> Result<Fetch, String> {
    let (offset, size) = (args.size(0)?, args.size(1)?);
    if !(1..=8).contains(&size) || offset > PAYLOAD_END_BYTES_MAX {
        return Err("the length has 1 to 8 bytes, within a buffer".to_owned());
    }
    let (mut at, mut relative) = (None, 0);
    if args.len() > 2 {
        let text = args.get(2)?;
        match text.starts_with(['+', '-']) {
            true => {
                relative = text.parse().map_err(|_| "the second offset is no number".to_owned())?;
            }
            false => at = Some(args.size(2)?),
        }
    }
    Ok(Fetch::PayloadLv { side, offset, size, at, relative })
}

pub(super) fn url_param(_: &mut Reader<'_>, args: &Args) -> Result<Fetch, String> {
    let delimiter = match args.get(1).unwrap_or_default().as_bytes() {
        [] => b'?',
        [one] => *one,
        _ => return Err("the delimiter is one character".to_owned()),
    };
    Ok(Fetch::UrlParam { name: args.get(0).unwrap_or_default().into(), delimiter })
}

/// The name of a header, in lower case; empty where none is given.
pub(super) fn header_name(args: &Args) -> Result<Rc<str>, String> {
    let name = args.get(0).unwrap_or_default().trim();
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.bytes().all(tchar) {
        return Err(format!("{} is no header name", quoted(name.as_bytes())));
    }
    Ok(name.to_ascii_lowercase().into())
}

pub(super) fn header(args: &Args, side: Side, whole: bool) -> Result<Fetch, String> {
    let name = header_name(args)?;
    if name.is_empty() {
        return Err("expected the name of a header, for example `hdr(host)`".to_owned());
    }
    let occurrence = match args.get(1).unwrap_or_default().trim() {
        "" => 0,
        text => text
            .parse::<i32>()
            .ok()
            .filter(|n| (-1_000..=1_000).contains(n))
            .ok_or_else(|| "the occurrence is a number: 1 = the first, -1 = the last".to_owned())?,
    };
    Ok(Fetch::Header { side, name, occurrence, whole })
}

pub(super) fn count(args: &Args, side: Side, whole: bool) -> Result<Fetch, String> {
    Ok(Fetch::HeaderCount { side, name: header_name(args)?, whole })
}

pub(super) fn names(args: &Args, side: Side) -> Result<Fetch, String> {
    let delimiter = args.get(0).unwrap_or_default().bytes().next().unwrap_or(b',');
    Ok(Fetch::HeaderNames(side, delimiter))
}

pub(super) fn cookie(args: &Args, side: Side) -> Result<Fetch, String> {
    Ok(Fetch::Cookie(side, args.get(0).unwrap_or_default().into()))
}

pub(super) fn cookies(args: &Args, side: Side) -> Result<Fetch, String> {
    Ok(Fetch::CookieCount(side, args.get(0).unwrap_or_default().into()))
}

pub(super) fn random(_: &mut Reader<'_>, args: &Args) -> Result<Fetch, String> {
    let range = args.int_or(0, 0)?;
    Ok(Fetch::Random(u32::try_from(range).map_err(|_| "the range is a positive number".to_owned())?))
}

pub(super) fn capture(args: &Args, side: Side) -> Result<Fetch, String> {
    Ok(Fetch::Capture(side, args.size(0)?))
}
