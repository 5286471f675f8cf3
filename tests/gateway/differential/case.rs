//! Reading a case file; `tests/differential/README.md` describes its form.

use super::Segments;
use std::path::Path;
use std::time::Duration;

/// One file of `tests/differential`.
pub struct Case {
    /// The file's name without its extension.
    pub name: String,
    /// Why the two programs are meant to differ.
    pub differs: Option<String>,
    /// The configuration, with `@listen@` and the backends' names as placeholders.
    pub config: String,
    /// Files that the configuration names, as `@file:NAME@`.
    pub files: Vec<(String, String)>,
    /// What the client does.
    pub steps: Vec<Step>,
    /// The backends by name.
    pub backends: Vec<(String, Vec<Reply>)>,
    /// How the client's bytes are cut up.
    pub segments: Vec<Segments>,
    /// How many log lines are waited for.
    pub lines: usize,
}

/// One thing that the client does.
pub enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Reads until these bytes have come (or nothing comes any more).
    Await(Vec<u8>),
    /// Does nothing.
    Pause(Duration),
    /// Half-closes.
    Finish,
    /// Goes without reading on, with a close or a reset; the last step.
    Leave { reset: bool },
}

/// What a backend does with one request.
#[derive(Clone)]
pub enum Reply {
    /// Reads a request with its body, sends these bytes.
    Request { bytes: Vec<u8>, then_close: bool },
    /// Echoes everything.
    Echo,
    /// Reads and says nothing.
    Silence,
    /// Reads a request and resets the connection.
    Reset,
    /// Reads a request, sends these bytes, and resets the connection once they have arrived.
    ThenReset { bytes: Vec<u8> },
    /// Ends the connection as soon as it is accepted, with a close or a reset.
    Leave { reset: bool },
    /// Sends these bytes without having been asked, and reads on.
    Greet { bytes: Vec<u8> },
    /// Answers with a head of so many bytes, as long as anybody takes them.
    HeadOf { len: usize },
}

impl Case {
    /// Reads a file; fails the test with file and line where it is wrong.
    pub fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut case = Self {
            name,
            differs: None,
            config: String::new(),
            files: Vec::new(),
            steps: Vec::new(),
            backends: Vec::new(),
            segments: vec![Segments::Whole, Segments::Halves, Segments::Bytes],
            lines: 0,
        };
        let mut section = "";
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{}:{}: `{line}`", path.display(), number + 1);
            let in_file = section.starts_with("file ") && line.starts_with("  ");
            if !in_file && (line.trim().is_empty() || line.starts_with('#')) {
                continue;
            }
            if let Some(inner) = line.strip_prefix("  ") {
                case.inner(section, inner).unwrap_or_else(|what| panic!("{}: {what}", place()));
            } else {
                section = line;
                case.outer(line).unwrap_or_else(|what| panic!("{}: {what}", place()));
            }
        }
        assert!(!case.steps.is_empty(), "{}: no client", path.display());
        assert!(case.lines == 0 || case.is_logged(), "{}: no `@log@` in the configuration", path.display());
        case
    }

    /// Whether the log lines are compared as well.
    pub fn is_logged(&self) -> bool {
        self.config.contains("@log@")
    }

    fn outer(&mut self, line: &str) -> Result<(), &'static str> {
        if let Some(reason) = line.strip_prefix("differs: ") {
            self.differs = Some(reason.trim().to_string());
        } else if let Some(words) = line.strip_prefix("segments: ") {
            self.segments = words.split_whitespace().map(segments).collect::<Result<_, _>>()?;
        } else if let Some(count) = line.strip_prefix("log: ") {
            self.lines = count.trim().parse().map_err(|_| "log: and the number of lines expected")?;
        } else if let Some(name) = line.strip_prefix("file ") {
            self.files.push((name.trim_end_matches(':').to_string(), String::new()));
        } else if let Some(name) = line.strip_prefix("backend ") {
            self.backends.push((name.trim_end_matches(':').to_string(), Vec::new()));
        } else if line != "config:" && line != "client:" {
            return Err("config:, client:, file NAME:, backend NAME:, segments:, log: or differs: expected");
        }
        Ok(())
    }

    fn inner(&mut self, section: &str, line: &str) -> Result<(), &'static str> {
        if section == "config:" {
            self.config.push_str(line);
            self.config.push('\n');
            return Ok(());
        }
        if section.starts_with("file ") {
            let (_, text) = self.files.last_mut().ok_or("nothing to belong to")?;
            text.push_str(line);
            text.push('\n');
            return Ok(());
        }
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        if section == "client:" {
            let step = match word {
                "send" => Step::Send(bytes(rest)?),
                "await" => Step::Await(bytes(rest)?),
                "pause" => {
                    Step::Pause(Duration::from_millis(rest.parse().map_err(|_| "milliseconds expected")?))
                }
                "finish" => Step::Finish,
                "close" => Step::Leave { reset: false },
                "reset" => Step::Leave { reset: true },
                _ => return Err("send, await, pause, finish, close or reset expected"),
            };
            self.steps.push(step);
            return Ok(());
        }
        let (_, replies) = self.backends.last_mut().ok_or("nothing to belong to")?;
        replies.push(match word {
            "answer" => Reply::Request { bytes: bytes(rest)?, then_close: false },
            "answer-and-close" => Reply::Request { bytes: bytes(rest)?, then_close: true },
            "echo" => Reply::Echo,
            "silence" => Reply::Silence,
            "reset" => Reply::Reset,
            "answer-and-reset" => Reply::ThenReset { bytes: bytes(rest)? },
            "close-at-once" => Reply::Leave { reset: false },
            "reset-at-once" => Reply::Leave { reset: true },
            "greet" => Reply::Greet { bytes: bytes(rest)? },
            "head-of" => Reply::HeadOf { len: rest.parse().map_err(|_| "a number of bytes expected")? },
            _ => {
                return Err(
                    "answer, answer-and-close, answer-and-reset, echo, silence, reset, close-at-once, \
                            reset-at-once, greet or head-of expected",
                );
            }
        });
        Ok(())
    }
}

fn segments(word: &str) -> Result<Segments, &'static str> {
    match word {
        "whole" => Ok(Segments::Whole),
        "halves" => Ok(Segments::Halves),
        "bytes" => Ok(Segments::Bytes),
        _ => Err("whole, halves or bytes expected"),
    }
}

/// Quoted strings side by side: `"GET / HTTP/1.1\r\n" "x"*100 "\r\n"`. Escapes: \r \n \t \0 \\ \" \xHH.
fn bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let inner = rest.strip_prefix('"').ok_or("a quoted string expected")?;
        let (piece, after) = unquote(inner)?;
        let mut times = 1;
        rest = after;
        if let Some(number) = rest.strip_prefix('*') {
            let (digits, after) = number.split_once(' ').unwrap_or((number, ""));
            times = digits.parse().map_err(|_| "a number expected after *")?;
            rest = after;
        }
        out.extend(piece.repeat(times));
        rest = rest.trim_start();
    }
    Ok(out)
}

fn unquote(text: &str) -> Result<(Vec<u8>, &str), &'static str> {
    let mut out = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, &text[at + 1..])),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('r') => out.push(b'\r'),
                Some('n') => out.push(b'\n'),
                Some('t') => out.push(b'\t'),
                Some('0') => out.push(0),
                Some('x') => {
                    let digits: String = chars.by_ref().take(2).map(|(_, c)| c).collect();
                    out.push(u8::from_str_radix(&digits, 16).map_err(|_| "two hexadecimal digits expected")?);
                }
                Some(c @ ('\\' | '"')) => out.push(c as u8),
                _ => return Err("an unknown escape"),
            },
            c => out.extend(c.to_string().as_bytes()),
        }
    }
    Err("a closing quote is missing")
}
