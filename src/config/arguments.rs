//! `name(argument,argument)` inside one word: the arguments of fetches and converters (configuration §2.2).

use std::rc::Rc;

/// Most arguments of one call.
const ARGUMENTS_MAX: usize = 16;

/// The arguments between the parentheses, quotes and backslashes taken away.
#[derive(Debug, Default)]
pub(crate) struct Args(Vec<String>);

impl Args {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(String::is_empty)
    }

    /// There are none.
    ///
    /// # Errors
    /// There are.
    pub fn none(&self, name: &str) -> Result<(), String> {
        if self.is_empty() { Ok(()) } else { Err(format!("`{name}` takes no arguments")) }
    }

    /// The argument at `index`.
    ///
    /// # Errors
    /// There are not so many.
    pub fn get(&self, index: usize) -> Result<&str, String> {
        self.0.get(index).map(String::as_str).ok_or_else(|| "an argument is missing".to_owned())
    }

    /// The argument as it is kept.
    ///
    /// # Errors
    /// There is none.
    pub fn bytes(&self, index: usize) -> Result<Rc<[u8]>, String> {
        Ok(self.get(index)?.as_bytes().into())
    }

    /// A number.
    ///
    /// # Errors
    /// It is none, or there is none.
    pub fn int(&self, index: usize) -> Result<i64, String> {
        let text = self.get(index)?.trim();
        text.parse().map_err(|_| format!("`{text}` is no number"))
    }

    /// A number, or `default` where it is left out.
    ///
    /// # Errors
    /// It is no number.
    pub fn int_or(&self, index: usize, default: i64) -> Result<i64, String> {
        match self.0.get(index).map(|text| text.trim()) {
            None | Some("") => Ok(default),
            Some(_) => self.int(index),
        }
    }

    /// A number of bytes.
    ///
    /// # Errors
    /// It is none, negative, or there is none.
    pub fn size(&self, index: usize) -> Result<usize, String> {
        let text = self.get(index)?.trim();
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| plain).ok_or_else(|| format!("`{text}` is no number"))
    }
}

/// Cuts `name(arguments)` off the start of a text: the name, the arguments, and what follows.
///
/// # Errors
/// No name, an open parenthesis or quote, too many arguments.
pub(crate) fn call(text: &str) -> Result<(&str, Args, &str), String> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let len = text.bytes().take_while(|&b| is_name(b)).count();
    let (name, rest) = text.split_at(len);
    if name.is_empty() {
        return Err("the name of a fetch or converter is missing here".to_owned());
    }
    let Some(inner) = rest.strip_prefix('(') else { return Ok((name, Args::default(), rest)) };
    let mut args = Args(vec![String::new()]);
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        let count = args.0.len();
        let Some(last) = args.0.last_mut() else { break };
        match c {
            _ if escaped => {
                last.push(match c {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    c => c,
                });
                escaped = false;
            }
            // Only what would else mean something here: the backslashes of regular expressions stay.
            '\\' if quote != Some('\'') => {
                let next = inner.as_bytes().get(at + 1);
                escaped = next.is_some_and(|b| b"\\ \"'nrt".contains(b));
                if !escaped {
                    last.push(c);
                }
            }
            _ if quote == Some(c) => quote = None,
            _ if quote.is_some() => last.push(c),
            '"' | '\'' => quote = Some(c),
            ',' if count == ARGUMENTS_MAX => {
                return Err(format!("`{name}` has more than {ARGUMENTS_MAX} arguments"));
            }
            ',' => args.0.push(String::new()),
            ')' => return Ok((name, args, inner.get(at + 1..).unwrap_or_default())),
            c => last.push(c),
        }
    }
    Err("the closing parenthesis is missing (no blanks inside)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_cut_as_haproxy_does() {
        for (text, name, args, rest) in [
            ("src", "src", &[][..], ""),
            ("hdr(host),lower", "hdr", &["host"], ",lower"),
            (r"field(1,\,)", "field", &["1", r"\", ""], ""),
            (r#"regsub(\.,"\,\\\"",a\ b\'\n)"#, "regsub", &[r"\.", r#"\,\""#, "a b'\n"], ""),
            (r#"field(1,",)")x"#, "field", &["1", ",)"], "x"),
            (r"str('a\,b')", "str", &[r"a\,b"], ""),
            ("a()", "a", &[""], ""),
            ("a(,)", "a", &["", ""], ""),
        ] {
            let (n, a, r) = call(text).unwrap();
            assert_eq!((n, r), (name, rest), "{text}");
            assert_eq!(a.0, args, "{text}");
        }
        for text in ["", "(a)", "a(", "a(\"b)", "a(b\\"] {
            assert!(call(text).is_err(), "{text}");
        }
        assert!(call(&format!("a({})", ",".repeat(99))).is_err());
    }
}
