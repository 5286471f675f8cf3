//! Cookies in heads, read as HAProxy reads them: `Cookie` of requests, `Set-Cookie` of answers, and the dates that
//! a cookie of its own may carry. Text in, text out.

/// One cookie, without the blanks around its name and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value, quotes included.
    pub value: &'a [u8],
}

/// What becomes of a cookie of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Keep,
    /// It goes.
    Remove,
    /// So many bytes at the front of its value go.
    Shorten(usize),
}

/// Lets `visit` see each cookie of a `Cookie` field, and does what it says. The field's new value; empty = it goes,
/// `None` = it stays as it is. Blanks around `=` go in any case. What has no `=` is no cookie and stays; what begins
/// with `$` belongs to the cookie before it and shares its fate.
pub fn edit_request(field: &[u8], visit: &mut dyn FnMut(Cookie<'_>) -> Fate) -> Option<Vec<u8>> {
    let mut edited = Edited { field, text: Vec::new(), from: 0 };
    // Where those begin that are to go, once one is.
    let mut going = None;
    // The nothing before a delimiter counts.
    let mut kept = field.first().is_some_and(|byte| is_delimiter(*byte));
    let mut at = 0;
    while let Some(byte) = field.get(at) {
        let Some(part) = Part::at(field, at + usize::from(is_delimiter(*byte)), b",;") else { break };
        let start = std::mem::replace(&mut at, part.end);
        if part.name_of(field).starts_with(b"$") {
            continue;
        }
        let fate = part.cookie(field).map_or(Fate::Keep, &mut *visit);
        if fate == Fate::Remove {
            going = going.or(Some(start));
            continue;
        }
        kept = true;
        if let Some(from) = going.take() {
            edited.remove(from, start);
        }
        if part.is_cookie {
            edited.skip(part.name.1, part.equals);
            edited.skip(part.equals + 1, part.value.0);
        }
        if let Fate::Shorten(len) = fate {
            edited.skip(part.value.0, (part.value.0 + len).min(part.value.1));
        }
    }
    match going {
        Some(_) if !kept => Some(Vec::new()),
        Some(from) => {
            edited.copy_to(from);
            Some(edited.text)
        }
        None if edited.from == 0 => None,
        None => {
            edited.copy_to(field.len());
            Some(edited.text)
        }
    }
}

/// The cookie of a `Set-Cookie` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// The cookie.
    pub cookie: Cookie<'a>,
    /// What stands behind its value.
    pub rest: &'a [u8],
    /// Whether no blanks stand around its `=`.
    pub is_tidy: bool,
}

impl<'a> SetCookie<'a> {
    /// Reads a field; `None` = it sets no cookie.
    #[must_use]
    pub fn of(field: &'a [u8]) -> Option<Self> {
        let part = Part::at(field, 0, b";")?;
        let is_tidy = part.name.1 == part.equals && part.equals + 1 == part.value.0;
        let rest = field.get(part.value.1..)?;
        Some(Self { cookie: part.cookie(field)?, rest, is_tidy })
    }

    /// The field with `before` in front of `value`.
    #[must_use]
    pub fn with(&self, before: &[u8], value: &[u8]) -> Vec<u8> {
        [self.cookie.name, b"=", before, value, self.rest].concat()
    }
}

/// A part of a field between two delimiters, its ends as offsets.
struct Part {
    name: (usize, usize),
    /// The `=`, where it is a cookie.
    equals: usize,
    is_cookie: bool,
    value: (usize, usize),
    /// The next delimiter, or the field's end.
    end: usize,
}

impl Part {
    /// The part that begins behind a delimiter; `ends` are the characters that end a name.
    fn at(field: &[u8], start: usize, ends: &[u8]) -> Option<Self> {
        let from = past_blanks(field, start);
        let rest = field.get(from..)?;
        let equals = from + rest.iter().position(|b| *b == b'=' || ends.contains(b)).unwrap_or(rest.len());
        let name = (from, before_blanks(field, from, equals));
        let is_cookie = field.get(equals) == Some(&b'=');
        if !is_cookie {
            return Some(Self { name, equals, is_cookie, value: (equals, equals), end: equals });
        }
        let begin = past_blanks(field, equals + 1);
        let end = begin + value_len(field.get(begin..).unwrap_or_default());
        Some(Self { name, equals, is_cookie, value: (begin, before_blanks(field, begin, end)), end })
    }

    fn name_of<'a>(&self, field: &'a [u8]) -> &'a [u8] {
        field.get(self.name.0..self.name.1).unwrap_or_default()
    }

    fn cookie<'a>(&self, field: &'a [u8]) -> Option<Cookie<'a>> {
        let value = field.get(self.value.0..self.value.1)?;
        self.is_cookie.then(|| Cookie { name: self.name_of(field), value })
    }
}

/// How long a cookie's value is: to the first `;` or `,` that stands in no quotes.
#[must_use]
pub fn value_len(text: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    let is_end = |byte: &u8| {
        let plain = !std::mem::take(&mut escaped);
        escaped = plain && quoted && *byte == b'\\';
        quoted ^= plain && *byte == b'"';
        !quoted && is_delimiter(*byte)
    };
    text.iter().position(is_end).unwrap_or(text.len())
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b';' | b',')
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn past_blanks(field: &[u8], from: usize) -> usize {
    let blanks = field.iter().skip(from).take_while(|byte| is_blank(**byte)).count();
    from + blanks
}

fn before_blanks(field: &[u8], from: usize, to: usize) -> usize {
    let part = field.get(from..to).unwrap_or_default();
    part.iter().rposition(|byte| !is_blank(*byte)).map_or(from, |last| from + last + 1)
}

/// A field of which pieces are left out.
struct Edited<'a> {
    field: &'a [u8],
    text: Vec<u8>,
    /// What stands before is in `text`, or left out.
    from: usize,
}

impl Edited<'_> {
    fn copy_to(&mut self, to: usize) {
        self.text.extend_from_slice(self.field.get(self.from..to).unwrap_or_default());
        self.from = to;
    }

    fn skip(&mut self, start: usize, end: usize) {
        if start < end {
            self.copy_to(start);
            self.from = end;
        }
    }

    /// Leaves out cookies between two delimiters; the latter one stays, a blank behind it, unless nothing is before.
    fn remove(&mut self, start: usize, end: usize) {
        self.copy_to(start);
        while self.text.last().is_some_and(|byte| is_blank(*byte)) {
            self.text.pop();
        }
        if !self.text.is_empty() {
            self.text.extend(self.field.get(end).copied());
            self.text.push(b' ');
        }
        self.from = past_blanks(self.field, end + 1);
    }
}

/// A cookie's value in parts: which server it means, and when it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated<'a> {
    /// What names the server.
    pub server: &'a [u8],
    /// When the client was last seen with it, in seconds of unix time; 0 = not told.
    pub last_s: u32,
    /// When the client was given it first; 0 = not told.
    pub first_s: u32,
}

/// Digits of dates: six bits each, five of them, in units of four seconds.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl<'a> Dated<'a> {
    /// Reads `server|last|first`; a date that is none is not told.
    #[must_use]
    pub fn of(value: &'a [u8]) -> Self {
        let mut parts = value.splitn(3, |byte| *byte == b'|');
        let server = parts.next().unwrap_or_default();
        // The last date is read even where the bar behind it is among its digits' places.
        let last = value.get(server.len() + 1..).unwrap_or_default();
        let first = parts.nth(1).unwrap_or_default();
        Self { server, last_s: seconds(last), first_s: seconds(first) }
    }
}

/// The date that a text begins with; 0 = none.
fn seconds(text: &[u8]) -> u32 {
    let Some(digits) = text.get(..5) else { return 0 };
    let mut units: u32 = 0;
    for digit in digits {
        let Some(value) = DIGITS.iter().position(|known| known == digit) else { return 0 };
        units = units << 6 | value as u32;
    }
    units << 2
}

/// Writes a date as [`Dated::of`] reads it, rounded up.
pub fn push_date(now_s: u32, out: &mut Vec<u8>) {
    let units = now_s.wrapping_add(3) >> 2;
    let digit = |shift: u32| DIGITS.get((units >> shift & 63) as usize).copied();
    out.extend([24, 18, 12, 6, 0].into_iter().filter_map(digit));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removes what is called `S`; `-` = unchanged.
    fn without_s(field: &str) -> String {
        let mut visit = |cookie: Cookie<'_>| if cookie.name == b"S" { Fate::Remove } else { Fate::Keep };
        let edited = edit_request(field.as_bytes(), &mut visit);
        edited.map_or("-".into(), |text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn cookies_are_removed_as_haproxy_removes_them() {
        // Each of these was sent through HAProxy 2.6.
        for (field, left) in [
            ("", "-"),
            ("S", "-"),
            ("s=A", "-"),
            ("S=A", ""),
            ("S = A", ""),
            ("S=\"A\"", ""),
            ("S=A; S=B", ""),
            ("x=1; S=B; y=2", "x=1; y=2"),
            ("a=1;S=B", "a=1"),
            ("a=1 ,S=B", "a=1 "),
            ("$Version=1; S=B; $Path=/; q=1", "$Version=1; q=1"),
            ("S=B;", ""),
            (";S=B", ""),
            (";$Path=x; S=B", ";$Path=x"),
            ("a=1;;S=B", "a=1;"),
            (",S=B", ""),
            (";", "-"),
            ("S=B;;", ";"),
            ("S=B; ", ""),
            ("a=1; S=B ;", "a=1; "),
            ("S ~ ; S=1 2 ;", "S ~; "),
            (";a=1; S=B", ";a=1"),
            (";S=B;c=1", "c=1"),
            ("; S=B ; c=1", "c=1"),
            (";;S=B", ";"),
            (";;S=B;c=1", ";; c=1"),
            (";;;a=1;S=B;c=1", ";;;a=1; c=1"),
            ("; ;a=1;S=B", "; ;a=1"),
            (";a;S=B", ";a"),
            ("S=B; ;S=B", ""),
            ("S=B; ;x=1", ";x=1"),
            ("a=1;S=B; ;x=1", "a=1; ;x=1"),
            ("a=1;S=B;;S=A;x=1", "a=1;; x=1"),
            (";a = 1", ";a=1"),
            ("a = 1 ; b =2", "a=1 ; b=2"),
        ] {
            assert_eq!(without_s(field), left, "{field}");
        }
    }

    #[test]
    fn values_are_shortened() {
        let mut visit = |cookie: Cookie<'_>| if cookie.name == b"S" { Fate::Shorten(2) } else { Fate::Keep };
        let mut edit = |field: &[u8]| edit_request(field, &mut visit).unwrap();
        assert_eq!(edit(b"a=1; S = A~x ; b=2"), b"a=1; S=x ; b=2");
        assert_eq!(edit(b"S=A; S=B~;c"), b"S=; S=;c");
    }

    #[test]
    fn set_cookies_are_read() {
        let read = |field: &'static [u8]| {
            SetCookie::of(field).map(|set| (set.cookie.name, set.cookie.value, set.rest, set.is_tidy))
        };
        assert_eq!(read(b"S=x; Path=/"), Some((&b"S"[..], &b"x"[..], &b"; Path=/"[..], true)));
        assert_eq!(read(b" S = \"x;y\" ; p"), Some((&b"S"[..], &b"\"x;y\""[..], &b" ; p"[..], false)));
        assert_eq!(read(b"S=x,y"), Some((&b"S"[..], &b"x"[..], &b",y"[..], true)));
        assert_eq!(read(b"a,b=x"), Some((&b"a,b"[..], &b"x"[..], &b""[..], true)));
        assert_eq!(read(b"S="), Some((&b"S"[..], &b""[..], &b""[..], true)));
        assert_eq!(read(b", S=x"), Some((&b", S"[..], &b"x"[..], &b""[..], true)));
        assert_eq!((read(b"S; a=b"), read(b""), read(b";S=x")), (None, None, None));
        let set = SetCookie::of(b"S = x ; p").unwrap();
        assert_eq!(set.with(b"A~", set.cookie.value), b"S=A~x ; p");
    }

    #[test]
    fn dates_are_read_and_written() {
        let mut text = b"A|".to_vec();
        push_date(1_795_290_000, &mut text);
        text.push(b'|');
        push_date(1_795_289_997, &mut text);
        let read = Dated::of(&text);
        assert_eq!((read.server, read.last_s, read.first_s), (&b"A"[..], 1_795_290_000, 1_795_290_000));
        // HAProxy wrote this one at that time.
        assert_eq!(Dated::of(b"A|awHzX").last_s, 1_795_289_948);
        for none in [&b"A"[..], b"A|", b"A|awHz", b"A|awH!X", b"A|AAAAA"] {
            assert_eq!((Dated::of(none).server, Dated::of(none).last_s), (&b"A"[..], 0));
        }
        assert_eq!(Dated::of(b"|awHzX|awHzX").server, b"");
    }
}
