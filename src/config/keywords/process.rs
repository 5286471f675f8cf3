//! Keywords of the `global` section that are about the start, the end and the environment of the process
//! (configuration §3.1, §3.3).

use super::global::switch;
use super::{Keyword, Sections};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::patterns::BasePath;
use crate::config::values::{positive_time_ms, time_ms};

const GLOBAL: Sections = Sections::GLOBAL;

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "hard-stop-after",
        GLOBAL,
        "1.7",
        "<time>",
        "how long connections may go on after SIGUSR1 or a reload; then they are cut",
        |b, st| {
            b.global.hard_stop_after_ms = Some(positive_time_ms(st.one("a time")?)?);
            Ok(())
        },
    ),
    Keyword::new("quiet", GLOBAL, "1.3", "", "print errors only, as -q", |b, st| {
        switch(b, st, |g| &mut g.quiet)
    }),
    Keyword::new(
        "zero-warning",
        GLOBAL,
        "2.4",
        "",
        "a configuration with warnings is not used, as -dW",
        |b, st| switch(b, st, |g| &mut g.zero_warning),
    ),
    Keyword::new("setenv", GLOBAL, "1.5", "<name> <value>", "set a variable for the lines below", |b, st| {
        let (name, value) = variable(st)?;
        set(b, name, Some(value))
    }),
    Keyword::new(
        "presetenv",
        GLOBAL,
        "1.5",
        "<name> <value>",
        "set a variable for the lines below unless it is there",
        |b, st| {
            let (name, value) = variable(st)?;
            if b.environment.get(name.text()?).is_some() {
                return Ok(());
            }
            set(b, name, Some(value))
        },
    ),
    Keyword::new(
        "unsetenv",
        GLOBAL,
        "1.5",
        "<name>…",
        "take variables away from the lines below",
        |b, st| {
            if st.args().is_empty() {
                return Err(st.wrong("expected `unsetenv NAME…`"));
            }
            st.args().iter().try_for_each(|name| set(b, name, None))
        },
    ),
    Keyword::new(
        "resetenv",
        GLOBAL,
        "1.5",
        "[<name>…]",
        "take all variables but these away from the lines below",
        |b, st| {
            let mut names = Vec::new();
            for word in st.args() {
                names.push(word.text()?.to_owned());
            }
            b.environment.keep_only(names);
            Ok(())
        },
    ),
    Keyword::new(
        "localpeer",
        GLOBAL,
        "2.3",
        "<name>",
        "the value of `HAPROXY_LOCALPEER` for the lines below; -L wins",
        |b, st| {
            let word = st.one("a name")?;
            if b.environment.get(LOCALPEER).is_some() {
                return Ok(());
            }
            b.environment.set(LOCALPEER, Some(word.text()?.to_owned()));
            Ok(())
        },
    ),
    Keyword::new("node", GLOBAL, "1.4", "<name>", "a name of this instance for people", |_, st| {
        let word = st.one("a name")?;
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        match !word.bytes.is_empty() && word.bytes.iter().all(is_plain) {
            true => Ok(()),
            false => Err(word.wrong(": expected letters, digits, hyphens and underscores")),
        }
    }),
    Keyword::new(
        "default-path",
        GLOBAL,
        "2.5",
        "current|config|parent|origin <folder>",
        "where relative paths of files begin: at the program's start, the configuration's folder, its parent, or there",
        default_path,
    ),
    Keyword::new(
        "grace",
        Sections::GLOBAL.or(Sections::PROXIES),
        "1.3",
        "<time>",
        "keep accepting for a while after SIGUSR1",
        |_, st| time_ms(st.one("a time")?).map(drop),
    )
    .status(super::Status::AcceptedIgnored(
        "a stop closes the listeners at once; whoever watches them is to be told before it",
    )),
];

fn default_path(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    const EXPECTED: &str = "expected current, config, parent or origin FOLDER";
    let [word, rest @ ..] = st.args() else { return Err(st.wrong(EXPECTED)) };
    let (base, rest) = match (word.as_str(), rest) {
        ("current", rest) => (BasePath::Current, rest),
        ("config", rest) => (BasePath::Config(false), rest),
        ("parent", rest) => (BasePath::Config(true), rest),
        ("origin", [folder, rest @ ..]) => (BasePath::Origin(folder.text()?.into()), rest),
        _ => return Err(Fault::at(word.span, format_args!("{}: {EXPECTED}", word.quoted()))),
    };
    st.end(rest)?;
    b.shared.files.base = base;
    Ok(())
}

const LOCALPEER: &str = "HAPROXY_LOCALPEER";

/// A name and its value.
fn variable<'a>(st: &Statement<'a>) -> Result<(&'a Word, String), Fault> {
    let [name, value, rest @ ..] = st.args() else {
        return Err(st.wrong(format_args!("expected `{} NAME VALUE`", st.keyword.name)));
    };
    st.end(rest)?;
    Ok((name, value.text()?.to_owned()))
}

fn set(b: &Builder<'_>, name: &Word, value: Option<String>) -> Result<(), Fault> {
    let text = name.text()?;
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(name.wrong(" is no name of a variable"));
    }
    match b.environment.set(text, value) {
        true => Ok(()),
        false => Err(Fault::at(name.span, "a configuration can change at most 1024 variables")),
    }
}
