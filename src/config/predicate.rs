//! Conditions over what is known before anything runs (configuration §2.4): `.if`, `.elif`, `-cc`.

use super::lexer::Env;

/// The HAProxy release whose language this is: what `version_atleast()` and `version_before()` compare with.
pub const COMPATIBLE_WITH: &str = "2.6.12";
/// What `feature()` answers yes to: HAProxy's names, and our own.
const FEATURES: &str = "ONEPORT|ACCEPT4|EPOLL|GETADDRINFO|LINUX_SPLICE|LINUX_TPROXY|PRCTL|SYSTEMD|TPROXY";
/// What `enabled()` answers yes to.
const ENABLED: &str = "EPOLL|FAST-FORWARD|GETADDRINFO|SPLICE";
/// Parentheses and exclamation marks inside each other.
const DEPTH_MAX: u32 = 64;
const EXPECTED: &str = "expected a number, `!`, `(` or one of defined() feature() enabled() streq() strneq() strstr() \
                        version_atleast() version_before()";

/// Whether a condition holds; an empty one does not.
///
/// # Errors
/// Where it cannot be understood, in bytes, and why.
pub(crate) fn holds(text: &str, env: Env<'_>) -> Result<bool, (usize, String)> {
    let mut reader = Reader { text, at: 0, depth: 0, env };
    let found = match reader.peek() {
        None => Ok(false),
        Some(_) => reader.any(),
    };
    let found = found.and_then(|value| match reader.peek() {
        None => Ok(value),
        Some(c) => Err(format!("unexpected `{}` after the condition", c.escape_debug())),
    });
    found.map_err(|message| (reader.at.min(text.len()), message))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    env: Env<'a>,
}

/// Everything is evaluated, what no longer matters too: a mistake shows at once and not on another machine.
impl<'a> Reader<'a> {
    /// `all || all …`
    fn any(&mut self) -> Result<bool, String> {
        let mut value = self.all()?;
        while self.eat("||") {
            value |= self.all()?;
        }
        Ok(value)
    }

    /// `term && term …`
    fn all(&mut self) -> Result<bool, String> {
        let mut value = self.term()?;
        while self.eat("&&") {
            value &= self.term()?;
        }
        Ok(value)
    }

    fn term(&mut self) -> Result<bool, String> {
        if self.depth == DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} levels inside each other"));
        }
        self.depth += 1;
        let value = match self.peek() {
            Some('!') => {
                self.at += 1;
                !self.term()?
            }
            Some('(') => {
                self.at += 1;
                let value = self.any()?;
                if !self.eat(")") {
                    return Err("this parenthesis is never closed: `)` was expected".to_owned());
                }
                value
            }
            Some(c) if c == '-' || c.is_ascii_digit() => self.number()?,
            _ => self.predicate()?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn number(&mut self) -> Result<bool, String> {
        let word = self.word(|c| c == '-' || c.is_ascii_digit());
        word.parse::<i64>().map(|number| number != 0).map_err(|_| format!("`{word}` is no number"))
    }

    fn predicate(&mut self) -> Result<bool, String> {
        let start = self.at;
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        let count = match name {
            "defined" | "feature" | "enabled" | "version_atleast" | "version_before" => 1,
            "streq" | "strneq" | "strstr" => 2,
            _ => {
                self.at = start;
                return Err(EXPECTED.to_owned());
            }
        };
        let args = self.args()?;
        let (first, second) = match args.as_slice() {
            [one] if count == 1 => (one.as_str(), ""),
            [one, two] if count == 2 => (one.as_str(), two.as_str()),
            _ => return Err(format!("`{name}` takes {count} argument(s) in parentheses")),
        };
        Ok(match name {
            "defined" => (self.env)(first).is_some(),
            "feature" => has(FEATURES, first),
            "enabled" => has(ENABLED, first),
            "streq" => first == second,
            "strneq" => first != second,
            "strstr" => first.contains(second),
            _ => {
                let wanted =
                    version(first).ok_or_else(|| format!("`{first}` is no version such as 2.6.12"))?;
                let ours = version(COMPATIBLE_WITH).unwrap_or_default();
                (ours >= wanted) == (name == "version_atleast")
            }
        })
    }

    /// `(one,two)`; quotes and backslashes as on any line, blanks count.
    fn args(&mut self) -> Result<Vec<String>, String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut chars = rest.char_indices();
        if !matches!(chars.next(), Some((_, '('))) {
            return Err("`(` was expected".to_owned());
        }
        let (mut args, mut arg) = (Vec::new(), String::new());
        let mut quote = None;
        while let Some((at, c)) = chars.next() {
            match (quote, c) {
                (Some(open), c) if open == c => quote = None,
                (None, '\'' | '"') => quote = Some(c),
                (None | Some('"'), '\\') => arg.extend(chars.next().map(|(_, c)| c)),
                (None, ',') => args.push(std::mem::take(&mut arg)),
                (None, ')') => {
                    args.push(arg);
                    self.at += at + 1;
                    return Ok(args);
                }
                (_, c) => arg.push(c),
            }
        }
        Err("the arguments never end: `)` was expected".to_owned())
    }

    /// The next character that is no blank; `at` then stands on it.
    fn peek(&mut self) -> Option<char> {
        let rest = self.text.get(self.at..)?;
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.peek();
        let is_next = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(token));
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    fn word(&mut self, takes: fn(char) -> bool) -> &'a str {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.find(|c| !takes(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }
}

fn has(list: &str, name: &str) -> bool {
    list.split('|').any(|one| one == name)
}

/// `X.Y.Z`, `X.Y-devN`, `X.Y`, and what distributions add after that, in an order that compares: what is missing is
/// 0, so `X.Y` comes before every `X.Y-dev1` and that before `X.Y.0`.
fn version(text: &str) -> Option<[u32; 4]> {
    let (base, added) = text.split_once('-').unwrap_or((text, ""));
    let mut numbers = base.split('.').map(|number| number.parse::<u32>().ok());
    let major = numbers.next()??;
    let minor = numbers.next().unwrap_or(Some(0))?;
    if let Some(patch) = numbers.next() {
        return Some([major, minor, 1, patch?]);
    }
    let dev = added.strip_prefix("dev").unwrap_or_default();
    let digits = dev.find(|c: char| !c.is_ascii_digit()).unwrap_or(dev.len());
    Some([major, minor, 0, dev.get(..digits)?.parse().unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        (name == "HOME").then(String::new)
    }

    #[test]
    fn conditions_as_haproxy_answers_them() {
        for (text, value) in [
            ("", false),
            ("0", false),
            ("  1  ", true),
            ("-1", true),
            ("! ! 1", true),
            ("1&&0", false),
            ("0 || 1 && 1", true),
            ("!(feature(EPOLL) && 0) || 0", true),
            ("(1 || 1) && 0", false),
            ("version_atleast(2.6)", true),
            ("version_atleast(2.6-dev3)", true),
            ("version_atleast(2.7)", false),
            ("version_atleast(2.7-dev0)", false),
            ("version_before(2.6.13)", true),
            ("version_before(2.6.12)", false),
            ("version_before(2.6.12-1+deb12u4)", false),
            ("streq(a,a)", true),
            ("streq(a, a)", false),
            ("streq(\"a b\",'a b')", true),
            ("streq('a,b',\"a,b\")", true),
            ("streq(,)", true),
            ("strneq(a,b)", true),
            ("defined(HOME)", true),
            ("defined()", false),
            ("feature(OPENSSL)", false),
            ("feature(ONEPORT)", true),
            ("feature()", false),
            ("strstr(abcd,bc)", true),
            ("enabled(SPLICE) && !enabled(KQUEUE)", true),
        ] {
            assert_eq!(holds(text, &env), Ok(value), "{text}");
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, at, part) in [
            ("x", 0, "expected a number"),
            ("1 1", 2, "unexpected `1`"),
            ("1 && nope(x)", 5, "expected a number"),
            ("1 &&", 4, "expected a number"),
            ("(1", 2, "never closed"),
            ("streq(a)", 8, "takes 2"),
            ("streq(a", 5, "never end"),
            ("defined", 7, "`(` was expected"),
            ("version_atleast(abc)", 20, "no version"),
            ("1-2", 3, "no number"),
            ("1 ü", 2, "unexpected"),
        ] {
            let (place, message) = holds(text, &env).unwrap_err();
            assert!(place == at && message.contains(part), "{text}: {place} {message}");
        }
        assert!(holds(&"!".repeat(5_000), &env).is_err());
        assert!(holds(&"(".repeat(5_000), &env).is_err());
    }

    #[test]
    fn versions_compare_in_haproxys_order() {
        let order = ["1.9", "2.6", "2.6-dev1", "2.6-dev10", "2.6.0", "2.6.12", "2.10"];
        assert!(order.windows(2).all(|pair| version(pair[0]) < version(pair[1])));
        for text in ["", "a", "2.", "2.x", "2.6.x"] {
            assert_eq!(version(text), None, "{text}");
        }
    }
}
