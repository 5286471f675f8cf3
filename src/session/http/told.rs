//! What servers are told of themselves, and what requests tell of their clients.

use std::net::IpAddr;

use crate::config::NO_SERVER;
use crate::http::{find, parse_request};
use crate::net::Buffer;

/// Writes the server's name into the field of a request that was made for it, the only one of this name, and with room
/// for the longest name of the backend (`http-send-name-header`).
pub(super) fn set_name(request: &mut Buffer, field: &str, server: &str) {
    let bytes = request.bytes();
    let head_len = find(bytes, b"\r\n\r\n").map_or(0, |at| at + 2);
    let mut start = 0;
    while let Some(line) = bytes.get(start..head_len).filter(|rest| !rest.is_empty()) {
        let end = start + memchr::memchr(b'\n', line).map_or(line.len(), |at| at + 1);
        let (name, rest) = line.split_at_checked(field.len()).unwrap_or_default();
        if name.eq_ignore_ascii_case(field.as_bytes()) && rest.first() == Some(&b':') {
            let mut named = Buffer::take();
            named.append(bytes.get(..start).unwrap_or_default());
            if server != NO_SERVER {
                for part in [field, ": ", server, "\r\n"] {
                    named.append(part.as_bytes());
                }
            }
            named.append(bytes.get(end..).unwrap_or_default());
            *request = named;
            return;
        }
        start = end;
    }
}

/// The address that stands in a field of this request (`usesrc hdr_ip`): `None` = there is no such value, `Some(None)` = it
/// is no address. An occurrence below 0 counts from the last.
pub(super) fn told_address(request: &[u8], field: &str, occurrence: i32) -> Option<Option<IpAddr>> {
    let head = parse_request(request).ok().flatten()?;
    let mut all: Vec<&[u8]> = Vec::new();
    for value in head.values(request, field) {
        all.extend(value.split(|&byte| byte == b','));
    }
    let distance = usize::try_from(occurrence.unsigned_abs()).ok()?;
    let at = if occurrence > 0 { distance.checked_sub(1)? } else { all.len().checked_sub(distance)? };
    let value = all.get(at)?;
    Some(std::str::from_utf8(value.trim_ascii()).ok().and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_the_place_that_was_kept_for_it() {
        let mut request = Buffer::take();
        request.append(
            b"GET / HTTP/1.1\r\nX-Srvs: 1\r\nX-Srv: longest-one\r\nHost: h\r\n\r\nX-Srv: body\r\n\r\n",
        );
        let with = |name: &str| {
            format!("GET / HTTP/1.1\r\nX-Srvs: 1\r\n{name}Host: h\r\n\r\nX-Srv: body\r\n\r\n").into_bytes()
        };
        for name in ["s", "longest-one", "other"] {
            set_name(&mut request, "x-srv", name);
            assert_eq!(request.bytes(), with(&format!("x-srv: {name}\r\n")));
        }
        set_name(&mut request, "X-Srv", NO_SERVER);
        assert_eq!(request.bytes(), with(""));
        set_name(&mut request, "X-Srv", "s");
        assert_eq!(request.bytes(), with(""));
    }

    #[test]
    fn an_address_is_found_by_its_place() {
        let request = b"GET / HTTP/1.1\r\nX-Ip: 10.0.0.1, 10.0.0.2\r\nHost: h\r\nx-ip: ::1,none\r\n\r\n";
        let told = |occurrence| told_address(request, "X-Ip", occurrence);
        let ip = |text: &str| Some(Some(text.parse().unwrap()));
        assert_eq!([told(1), told(2), told(3)], [ip("10.0.0.1"), ip("10.0.0.2"), ip("::1")]);
        assert_eq!([told(-1), told(4)], [Some(None); 2]);
        assert_eq!([told(-4), told(-5), told(5)], [ip("10.0.0.1"), None, None]);
        assert_eq!(told_address(request, "X-Other", -1), None);
    }
}
