//! The cookie in the first bytes of a Remote Desktop connection ([MS-RDPBCGR] §2.2.1.1): `Cookie: name=value` and
//! CR LF behind the headers of two outer protocols.

/// Bytes of those headers.
const HEADERS_BYTES: usize = 11;
const FIELD: &[u8] = b"Cookie:";

/// The value of the cookie of this name, of any for an empty one; `None` = more bytes would tell.
#[must_use]
pub fn rdp_cookie<'b>(bytes: &'b [u8], name: &[u8]) -> Option<Option<&'b [u8]>> {
    let (field, rest) = bytes.get(HEADERS_BYTES..)?.split_at_checked(FIELD.len())?;
    if !field.eq_ignore_ascii_case(FIELD) {
        return Some(None);
    }
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    let text = rest.get(blanks..)?;
    let len = match name {
        [] => text.iter().position(|byte| b"=\r\n".contains(byte))?,
        name => name.len(),
    };
    let (found, rest) = text.split_at_checked(len)?;
    let (sign, value) = rest.split_first()?;
    if *sign != b'=' || !name.is_empty() && !found.eq_ignore_ascii_case(name) {
        return Some(None);
    }
    let end = value.iter().position(|byte| *byte == b'\r')?;
    let is_ended = *value.get(end + 1)? == b'\n';
    Some(value.get(..end).filter(|_| is_ended))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &[u8] = b"\x03\0\0\x30\x2b\xe0\0\0\0\0\0";

    fn found(text: &str, name: &str) -> Option<Option<String>> {
        let bytes = [START, text.as_bytes()].concat();
        let value = rdp_cookie(&bytes, name.as_bytes())?;
        Some(value.map(|value| String::from_utf8_lossy(value).into_owned()))
    }

    #[test]
    fn a_cookie_is_found_by_its_name() {
        let value = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(found("Cookie: msts=1.2.0\r\n", "msts"), value("1.2.0"));
        assert_eq!(found("cookie:MSTS=1\r\nmore", "msts"), value("1"));
        assert_eq!(found("Cookie: mstshash=joe\r\n", ""), value("joe"));
        assert_eq!(found("Cookie: a=\r\n", "a"), value(""));
        for (text, name) in [
            ("Cookie: mstshash=joe\r\n", "msts"),
            ("Cookie: joe\r\n", ""),
            ("Cookies: a=1\r\n", "a"),
            ("Cookie: a=1\rx", "a"),
            ("GET / HTTP/1.1\r\n", ""),
        ] {
            assert_eq!(found(text, name), Some(None), "{text}");
        }
    }

    #[test]
    fn more_bytes_are_waited_for_and_change_no_answer() {
        let text = "Cookie: msts=12.3\r\n";
        for len in 0..text.len() {
            assert_eq!(found(&text[..len], "msts"), None, "{len}");
            assert_eq!(found(&text[..len], ""), None, "{len}");
        }
        assert_eq!(rdp_cookie(&START[..5], b""), None);
    }
}
