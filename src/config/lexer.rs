//! Lines to words: quotes, escapes, comments and environment variables (configuration §2.2, §2.3).

use super::diagnostics::{Fault, Quoted, Span, quoted};

/// The longest line, in bytes without its end.
pub const LINE_BYTES_MAX: usize = 2_048;
/// The most words of a line.
pub const LINE_WORDS_MAX: usize = 64;
/// The longest word after expansion, in bytes: an environment variable may be longer than a line.
const WORD_BYTES_MAX: usize = 8_192;

/// Looks up an environment variable; the loader adds the pseudo-variables (`.LINE`, …).
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One word, with quotes and escapes resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// What it says. No NUL.
    pub bytes: Vec<u8>,
    /// Where it stands in the line, quotes included.
    pub span: Span,
}

impl Word {
    /// The word as text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn text(&self) -> Result<&str, Fault> {
        std::str::from_utf8(&self.bytes)
            .map_err(|_| Fault::at(self.span, format_args!("{} is not valid UTF-8", quoted(&self.bytes))))
    }

    /// The word, to be compared with those that are known: what is not UTF-8 is none of them, and empty here.
    #[inline(never)]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// Whether it says exactly this.
    pub fn is(&self, text: &str) -> bool {
        self.bytes == text.as_bytes()
    }

    /// A message about it, which begins with it: `why` goes on, as in ` is no number`.
    #[cold]
    #[inline(never)]
    pub fn wrong(&self, why: &str) -> Fault {
        Fault::at(self.span, format_args!("{}{why}", self.quoted()))
    }

    /// For use in messages.
    pub fn quoted(&self) -> Quoted<'_> {
        quoted(&self.bytes)
    }
}

/// The lines of a text, without their ends (`\n`, `\r\n`) and without a byte-order mark.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// The first word as it is written, with nothing resolved; a comment is none.
pub(crate) fn first_word(line: &[u8]) -> (Span, &[u8]) {
    first_word_from(line, 0)
}

/// The same, from this place on.
pub(crate) fn first_word_from(line: &[u8], from: usize) -> (Span, &[u8]) {
    let rest = line.get(from..).unwrap_or_default();
    let blank = rest.iter().take_while(|&&byte| is_space(byte)).count();
    let rest = rest.get(blank..).unwrap_or_default();
    let len = rest.iter().take_while(|&&byte| !is_space(byte) && byte != b'#').count();
    let start = from + blank;
    (Span { start, end: start + len }, rest.get(..len).unwrap_or_default())
}

/// Cuts a line into words.
///
/// # Errors
/// A line or word that is too long, too many words, a NUL, an open quote, a bad `\xHH`, a malformed variable.
pub(crate) fn split(line: &[u8], env: Env<'_>) -> Result<Vec<Word>, Fault> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Fault::line(format_args!(
            "this line has {} bytes, at most {LINE_BYTES_MAX} are possible",
            line.len()
        )));
    }
    if let Some(at) = memchr::memchr(0, line) {
        return Err(Fault::at(Span { start: at, end: at + 1 }, "a NUL byte cannot stand in a configuration"));
    }
    Splitter { line, at: 0, env, words: Vec::new(), word: None, start: 0 }.run()
}

/// Expands `$NAME`, `${NAME}` and `${NAME-default}` in a text that stood outside of quotes: addresses allow
/// that (configuration §2.3 shows `fd@${FD_APP1}`).
///
/// # Errors
/// A malformed variable, with `span` as the place.
pub(crate) fn expand(text: &[u8], span: Span, env: Env<'_>) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte != b'$' {
            out.push(byte);
            at += 1;
            continue;
        }
        let variable = Variable::parse(text, at).map_err(|fault| Fault::at(span, fault.into_message()))?;
        out.extend_from_slice(&variable.value(env));
        at = variable.end;
        if out.len() > WORD_BYTES_MAX {
            return Err(Fault::at(span, format_args!("longer than {WORD_BYTES_MAX} bytes after expansion")));
        }
    }
    if out.contains(&0) {
        return Err(Fault::at(span, "a NUL byte cannot stand in a configuration"));
    }
    Ok(out)
}

struct Splitter<'a> {
    line: &'a [u8],
    at: usize,
    env: Env<'a>,
    words: Vec<Word>,
    /// The word being read; `None` between words, so that `''` is an empty word.
    word: Option<Vec<u8>>,
    start: usize,
}

impl Splitter<'_> {
    fn run(mut self) -> Result<Vec<Word>, Fault> {
        while let Some(&byte) = self.line.get(self.at) {
            match byte {
                b'#' => break,
                byte if is_space(byte) => {
                    self.end_word(self.at)?;
                    self.at += 1;
                }
                b'\'' => self.strong()?,
                b'"' => self.weak()?,
                b'\\' => self.escape(false)?,
                byte => {
                    self.push(byte)?;
                    self.at += 1;
                }
            }
        }
        self.end_word(self.at)?;
        Ok(self.words)
    }

    /// `'…'`: nothing is interpreted.
    fn strong(&mut self) -> Result<(), Fault> {
        let open = self.at;
        self.begin_word();
        self.at += 1;
        while let Some(&byte) = self.line.get(self.at) {
            self.at += 1;
            if byte == b'\'' {
                return Ok(());
            }
            self.push(byte)?;
        }
        Err(Fault::at(Span { start: open, end: open + 1 }, "this quote is never closed"))
    }

    /// `"…"`: escapes and variables are interpreted.
    fn weak(&mut self) -> Result<(), Fault> {
        let open = self.at;
        self.begin_word();
        self.at += 1;
        while let Some(&byte) = self.line.get(self.at) {
            match byte {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape(true)?,
                b'$' => self.variable()?,
                byte => {
                    self.push(byte)?;
                    self.at += 1;
                }
            }
        }
        Err(Fault::at(Span { start: open, end: open + 1 }, "this quote is never closed"))
    }

    /// A backslash. Before a character that needs no escape it stands for itself, as in HAProxy: a dollar sign
    /// needs one only inside of weak quotes.
    fn escape(&mut self, weak: bool) -> Result<(), Fault> {
        let start = self.at;
        let (byte, len) = match self.line.get(start + 1) {
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b't') => (b'\t', 2),
            Some(&byte @ (b' ' | b'#' | b'\\' | b'\'' | b'"')) => (byte, 2),
            Some(b'$') if weak => (b'$', 2),
            Some(b'x') => {
                let digit = |at: usize| self.line.get(at).and_then(|&b| (b as char).to_digit(16));
                let (Some(high), Some(low)) = (digit(start + 2), digit(start + 3)) else {
                    let end = self.line.len().min(start + 4);
                    return Err(Fault::at(Span { start, end }, "`\\x` needs two hexadecimal digits"));
                };
                // Two hexadecimal digits are at most 255.
                ((high * 16 + low) as u8, 4)
            }
            _ => (b'\\', 1),
        };
        if byte == 0 {
            let span = Span { start, end: start + len };
            return Err(Fault::at(span, "a NUL byte cannot stand in a configuration"));
        }
        self.push(byte)?;
        self.at += len;
        Ok(())
    }

    /// A variable inside weak quotes.
    fn variable(&mut self) -> Result<(), Fault> {
        let variable = Variable::parse(self.line, self.at)?;
        let value = variable.value(self.env);
        if value.contains(&0) {
            let span = Span { start: self.at, end: variable.end };
            return Err(Fault::at(span, "the value of this variable has a NUL byte"));
        }
        for byte in value {
            // `[*]`: each blank-separated piece of the value is a word of its own.
            if variable.words && is_space(byte) {
                self.end_word(variable.end)?;
            } else {
                self.push(byte)?;
            }
        }
        self.at = variable.end;
        Ok(())
    }

    fn begin_word(&mut self) {
        if self.word.is_none() {
            self.word = Some(Vec::new());
            self.start = self.at;
        }
    }

    fn push(&mut self, byte: u8) -> Result<(), Fault> {
        self.begin_word();
        let span = Span { start: self.start, end: self.at + 1 };
        if let Some(word) = &mut self.word {
            if word.len() >= WORD_BYTES_MAX {
                return Err(Fault::at(
                    span,
                    format_args!("this word is longer than {WORD_BYTES_MAX} bytes after expansion"),
                ));
            }
            word.push(byte);
        }
        Ok(())
    }

    fn end_word(&mut self, end: usize) -> Result<(), Fault> {
        let Some(bytes) = self.word.take() else { return Ok(()) };
        let span = Span { start: self.start, end };
        if self.words.len() == LINE_WORDS_MAX {
            return Err(Fault::at(span, format_args!("a line has at most {LINE_WORDS_MAX} words")));
        }
        self.words.push(Word { bytes, span });
        Ok(())
    }
}

/// `$NAME`, `${NAME}`, `${NAME-default}`, `${NAME[*]}`.
struct Variable<'a> {
    name: &'a str,
    default: Option<&'a [u8]>,
    words: bool,
    /// The first byte after it.
    end: usize,
}

impl<'a> Variable<'a> {
    /// Parses the variable whose `$` is at `dollar`.
    fn parse(line: &'a [u8], dollar: usize) -> Result<Self, Fault> {
        let fault = |end: usize, message: &str| {
            Err(Fault::at(Span { start: dollar, end: end.min(line.len()) }, message))
        };
        let braces = line.get(dollar + 1) == Some(&b'{');
        let start = dollar + 1 + usize::from(braces);
        let first = line.get(start).copied().unwrap_or(0);
        if !(first.is_ascii_alphabetic() || first == b'_' || first == b'.') {
            return fault(
                start + 1,
                "a variable name begins with a letter or `_`; write `\\$` for a dollar sign in double quotes",
            );
        }
        let rest = line.get(start + 1..).unwrap_or_default();
        let name_len = 1 + rest.iter().take_while(|&&b| b.is_ascii_alphanumeric() || b == b'_').count();
        let mut end = start + name_len;
        // Only ASCII letters, digits, `_` and `.` were taken.
        let name = line.get(start..end).and_then(|n| std::str::from_utf8(n).ok()).unwrap_or_default();
        let mut variable = Self { name, default: None, words: false, end };
        if !braces {
            return Ok(variable);
        }
        if line.get(end..).is_some_and(|rest| rest.starts_with(b"[*]")) {
            variable.words = true;
            end += 3;
        }
        if line.get(end) == Some(&b'-') {
            let rest = line.get(end + 1..).unwrap_or_default();
            let Some(len) = memchr::memchr(b'}', rest) else {
                return fault(line.len(), "the brace of this variable is never closed");
            };
            variable.default = rest.get(..len);
            end += 1 + len;
        }
        match line.get(end) {
            Some(b'}') => variable.end = end + 1,
            _ => return fault(end + 1, "the brace of this variable is never closed"),
        }
        Ok(variable)
    }

    /// Its value; what is not set and has no default is empty.
    fn value(&self, env: Env<'_>) -> Vec<u8> {
        match env(self.name) {
            Some(value) => value.into_bytes(),
            None => self.default.unwrap_or_default().to_vec(),
        }
    }
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("x y".to_owned()),
            "EMPTY" => Some(String::new()),
            ".LINE" => Some("15".to_owned()),
            _ => None,
        }
    }

    fn words(line: &str) -> Vec<String> {
        split(line.as_bytes(), &env)
            .unwrap()
            .into_iter()
            .map(|w| String::from_utf8(w.bytes).unwrap())
            .collect()
    }

    fn error(line: &str) -> (usize, String) {
        let fault = split(line.as_bytes(), &env).unwrap_err();
        (fault.span().map_or(0, |s| s.start), fault.into_message())
    }

    #[test]
    fn words_keep_their_columns() {
        let words = split(b"  mode\t 'a b'c # x", &env).unwrap();
        assert_eq!(words[0].span, Span { start: 2, end: 6 });
        assert_eq!(words[1].span, Span { start: 8, end: 14 });
        assert_eq!(words[1].bytes, b"a bc");
    }

    // Each line and its first word as HAProxy 2.6 reads them.
    #[test]
    fn quotes_and_escapes_as_haproxy() {
        for (line, first) in [
            (r"foo\ bar x", "foo bar"),
            (r"foo\qbar", r"foo\qbar"),
            (r#""foo\qb\nar\"""#, "foo\\qb\nar\""),
            (r"'foo\n'x", r"foo\nx"),
            (r#""a$A""#, "ax y"),
            (r#""a${A[*]}""#, "ax"),
            (r#""a${B-dflt x}""#, "adflt x"),
            (r#""a${B}z""#, "az"),
            (r#""a${EMPTY-dflt}z""#, "az"),
            (r#""${.LINE}""#, "15"),
            ("a$A", "a$A"),
            (r"a\$A", r"a\$A"),
            ("foo\\", "foo\\"),
            (r"\x4a\#b#c", "J#b"),
            (r#""foo'b#ar"'q"q'"#, "foo'b#arq\"q"),
            (r#""\$A""#, "$A"),
            ("a\\", "a\\"),
        ] {
            assert_eq!(words(line)[0], first, "{line}");
        }
        assert_eq!(words(r#"a "${A[*]}" b"#), ["a", "x", "y", "b"]);
        assert_eq!(words("'' \"\""), ["", ""]);
        assert_eq!(words("   # only a comment"), [""; 0]);
    }

    #[test]
    fn what_is_malformed_has_a_place() {
        for (line, at, part) in [
            ("a 'abc", 2, "never closed"),
            ("a \"abc", 2, "never closed"),
            ("\"$(x)\"", 1, "variable name"),
            ("\"$\"", 1, "variable name"),
            ("\"$1\"", 1, "variable name"),
            ("\"${A\"", 1, "brace"),
            ("\"${A-b", 1, "brace"),
            ("ab\\xZZ", 2, "hexadecimal"),
            ("ab\\x4", 2, "hexadecimal"),
            ("\\x00", 0, "NUL"),
            ("a\0", 1, "NUL"),
        ] {
            let (start, message) = error(line);
            assert_eq!(start, at, "{line}");
            assert!(message.contains(part), "{line}: {message}");
        }
    }

    #[test]
    fn limits_hold() {
        assert_eq!(words(&"a ".repeat(LINE_WORDS_MAX)).len(), LINE_WORDS_MAX);
        assert!(error(&"a ".repeat(LINE_WORDS_MAX + 1)).1.contains("64 words"));
        assert_eq!(words(&"a".repeat(LINE_BYTES_MAX)).len(), 1);
        assert!(error(&"a".repeat(LINE_BYTES_MAX + 1)).1.contains("2049 bytes"));
        let long = |_: &str| Some("z".repeat(1 << 20));
        assert!(split(b"\"$A\"", &long).is_err());
        assert!(expand(b"$A", Span::default(), &long).is_err());
    }

    #[test]
    fn line_ends_and_byte_order_mark() {
        let text = b"\xef\xbb\xbfglobal\r\n daemon\n\nlast";
        let all: Vec<&[u8]> = lines(text).collect();
        assert_eq!(all, [&b"global"[..], b" daemon", b"", b"last"]);
    }

    #[test]
    fn addresses_expand_outside_of_quotes() {
        let expand = |text: &str| expand(text.as_bytes(), Span::default(), &env);
        assert_eq!(expand("fd@${B-7}:$EMPTY!").unwrap(), b"fd@7:!");
        assert!(expand("$").is_err());
    }
}
