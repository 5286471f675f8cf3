//! `oneport explain`: what a configuration does, in plain words; and, for given bytes, step by step why.
//!
//! [`table`] and [`trace`] turn a configuration into text without any I/O; [`main`] reads the file and the bytes.

mod input;
mod scene;
mod table;
#[cfg(test)]
mod tests;
mod ties;
mod trace;
mod words;

pub use input::from_hex;
pub use table::table;
pub use trace::{Connection, trace};

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use crate::cli::{DEFAULT_LISTEN, DEFAULT_SOCKET, DEFAULT_WEB, DEFAULT_WS};
use crate::config::{self, Config, Place, Reading, Severity, Source};
use input::{Given, Wish};

const HELP: &str = "\
Usage: oneport explain [-f <file>]... [--listen-on <name>] [< bytes]

Says what a configuration does, without opening a socket. Without bytes: who is sent where. With bytes, from
standard input or from --get or --hex: which rules are looked at (those for HTTP too), what they see, and which
server is chosen or which answer given. What rules for HTTP change in a request is told, not changed.

  -f <file>           configuration file or folder; without one the built-in preset
  --listen-on <name>  the frontend, by its name or by a name or address of its bind lines; else the first
  --get <url>         a GET request for a path or an http:// address
  --header 'H: v'     a header of that request; may be repeated
  --hex <digits>      the first bytes in hexadecimal
  --from <address>    the client, with or without a port; 192.0.2.1 unless told otherwise
  --cut <number>      only so many of the bytes have come
  --final             nothing more comes: decide now
";

/// The texts a configuration was read from: for showing a rule as it was written.
pub struct Texts<'a>(pub &'a [Source]);

impl Texts<'_> {
    /// `file:line: the line`.
    fn show(&self, out: &mut String, place: &Place) {
        words::place(out, place);
        let source = self.0.iter().find(|source| source.name == place.file);
        let at = usize::try_from(place.line).unwrap_or(0).saturating_sub(1);
        if let Some(line) = source.and_then(|source| source.text.split(|b| *b == b'\n').nth(at)) {
            out.push_str(": ");
            words::text(out, line.trim_ascii());
        }
        out.push('\n');
    }
}

/// Runs the subcommand with the words behind its name: 0, or 1 for a mistake or an invalid file.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let answer = input::parse(args).and_then(|wish| match wish {
        None => Ok(HELP.to_owned()),
        Some(wish) => answer(&wish),
    });
    let (text, code) = match answer {
        Ok(text) => {
            // That nobody reads any more (`| head`) is no fault.
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(text) => (text, ExitCode::FAILURE),
    };
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    code
}

fn answer(wish: &Wish) -> Result<String, String> {
    let sources = if wish.files.is_empty() {
        let text = config::preset(DEFAULT_LISTEN, DEFAULT_WEB, DEFAULT_WS, DEFAULT_SOCKET);
        vec![Source::new("<preset>", text)]
    } else {
        config::read_sources(&wish.files, Reading::First)
            .map_err(|error| words::mistake(&error.to_string()))?
    };
    let loaded = config::load(&sources, &|name| std::env::var(name).ok());
    let Some(config) = loaded.config else {
        let mut text = String::new();
        for fault in loaded.diagnostics.iter().filter(|fault| fault.severity == Severity::Error) {
            text.push_str(&fault.to_string());
            text.push('\n');
        }
        return Err(text);
    };
    let texts = Texts(&sources);
    let frontend = match &wish.listen_on {
        Some(name) => Some(named(&config, name)?),
        None => None,
    };
    let Given { bytes, is_final } = match wish.given(config.global.bufsize_bytes)? {
        Some(given) => given,
        None => return Ok(table(&config, &texts, frontend)),
    };
    let connection = Connection {
        bytes: &bytes,
        is_final,
        from: wish.from,
        wall_ms: std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0)),
    };
    Ok(trace(&config, &texts, frontend.unwrap_or(0), &connection))
}

/// The frontend of this name, or with a `bind` line of this name or address.
fn named(config: &Config, name: &str) -> Result<usize, String> {
    let list = &config.frontends;
    let listens = |bind: &config::Bind| bind.text == name || bind.name.as_deref() == Some(name);
    let by_name = list.iter().position(|frontend| frontend.name == name);
    by_name.or_else(|| list.iter().position(|frontend| frontend.binds.iter().any(listens))).ok_or_else(|| {
        let hint = config::hint(name, list.iter().map(|frontend| frontend.name.as_str()));
        words::mistake(&format!("--listen-on: no enabled frontend or bind line is called `{name}`{hint}"))
    })
}
