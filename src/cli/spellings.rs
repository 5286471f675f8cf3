//! HAProxy's spellings of the flags, translated to the long ones that argh parses.

use crate::config::suggest::nearest;

use super::{Exit, mistake};

/// What follows a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    One,
    /// A value behind `=`, or none: then this one.
    OneOr(&'static str),
    /// Process ids, none or many, up to the next flag (management §3, `-sf`).
    Pids,
}

/// HAProxy's spelling (empty where it has none), the long one, and what follows.
pub(super) const SPELLINGS: &[(&str, &str, Takes)] = &[
    ("-f", "--file", Takes::One),
    ("-c", "--check", Takes::Nothing),
    ("-cc", "--condition", Takes::One),
    ("-dW", "--zero-warning", Takes::Nothing),
    ("-D", "--daemon", Takes::Nothing),
    ("-db", "--foreground", Takes::Nothing),
    ("-p", "--pidfile", Takes::One),
    ("-q", "--quiet", Takes::Nothing),
    ("-V", "--verbose", Takes::Nothing),
    ("-d", "--debug", Takes::Nothing),
    ("-v", "--version", Takes::Nothing),
    ("-vv", "--build-info", Takes::Nothing),
    ("-n", "--maxconn", Takes::One),
    ("-m", "--memory", Takes::One),
    ("-C", "--directory", Takes::One),
    ("-L", "--local-name", Takes::One),
    ("-sf", "--finish", Takes::Pids),
    ("-st", "--terminate", Takes::Pids),
    ("-W", "--worker", Takes::Nothing),
    ("-Ws", "--notify", Takes::Nothing),
    ("", "--wait-bind", Takes::OneOr(FOREVER)),
    ("", "--listen", Takes::One),
    ("", "--web", Takes::One),
    ("", "--ws", Takes::One),
    ("", "--socket", Takes::One),
    ("", "--print-config", Takes::Nothing),
    ("", "--demo", Takes::Nothing),
    ("-h", "--help", Takes::Nothing),
];

/// HAProxy's flags that have no counterpart, and what to do instead.
const FOREIGN: &[(&str, &str)] = &[
    ("-x", "a reload by SIGUSR2 keeps the listening sockets"),
    ("-S", "there is no master process"),
    ("-N", "write maxconn into the defaults section"),
];

/// HAProxy's flags for those who look for faults in HAProxy: they change nothing that is served, so scripts may keep
/// them. Text may follow each.
const IDLE: &str = "-dF|-dG|-dI|-dM|-dR|-dS|-dV|-dZ|-de|-dk|-dp";

/// `--wait-bind` without a value.
pub(super) const FOREVER: &str = "forever";

/// Every flag in its long spelling, `--flag=value` split, pid lists spread, `--` turned into files.
pub(super) fn translate(args: Vec<String>) -> Result<Vec<String>, Exit> {
    let mut args = args.into_iter().peekable();
    let mut long = Vec::new();
    while let Some(arg) = args.next() {
        if arg == "--" {
            for file in args.by_ref() {
                long.extend(["--file".to_owned(), file]);
            }
            break;
        }
        if !arg.starts_with('-') || arg == "-" {
            return Err(mistake(&format!("unexpected '{arg}': a configuration file follows -f or --")));
        }
        if arg == "-dD" {
            // HAProxy's way to ask for `.diag`, which is a detail here.
            long.push("--verbose".to_owned());
            continue;
        }
        if arg.get(..3).is_some_and(|flag| IDLE.split('|').any(|idle| idle == flag)) {
            continue;
        }
        let (flag, value) = match arg.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (arg.as_str(), None),
        };
        let Some(&(_, name, takes)) =
            SPELLINGS.iter().find(|(short, name, _)| flag == *name || flag == *short)
        else {
            return Err(unknown(flag));
        };
        match (takes, value) {
            (Takes::Nothing, Some(_)) => return Err(mistake(&format!("{flag} takes no value"))),
            (Takes::Nothing, None) => long.push(name.to_owned()),
            (Takes::OneOr(default), value) => {
                long.extend([name.to_owned(), value.unwrap_or_else(|| default.to_owned())]);
            }
            (Takes::One, value) => {
                let value = match value {
                    Some(value) => value,
                    None => args.next().ok_or_else(|| mistake(&format!("{flag}: a value must follow")))?,
                };
                long.extend([name.to_owned(), value]);
            }
            (Takes::Pids, value) => {
                let mut lists = value.unwrap_or_default();
                while let Some(list) = args.next_if(|next| !next.starts_with('-')) {
                    lists.push(' ');
                    lists.push_str(&list);
                }
                // "$(cat pidfile)" in quotes is one argument with several numbers, or an empty one.
                for pid in lists.split_whitespace() {
                    long.extend([name.to_owned(), pid.to_owned()]);
                }
            }
        }
    }
    Ok(long)
}

fn unknown(flag: &str) -> Exit {
    if let Some((_, instead)) = FOREIGN.iter().find(|(name, _)| *name == flag) {
        return mistake(&format!("{flag}: this flag of HAProxy has no counterpart here: {instead}"));
    }
    if flag.strip_prefix("-d").is_some_and(|rest| rest.starts_with(['C', 'K', 'L', 'r', 't'])) {
        return mistake(&format!("{flag}: this debugging flag of HAProxy has no counterpart here"));
    }
    let names = SPELLINGS.iter().flat_map(|(short, name, _)| [*short, *name]).filter(|name| !name.is_empty());
    match nearest(flag, names) {
        Some(name) => mistake(&format!("unknown flag '{flag}': did you mean '{name}'?")),
        None => mistake(&format!("unknown flag '{flag}': --help lists all")),
    }
}

/// argh knows long names only: puts HAProxy's before them, in the width of the first column.
pub(super) fn with_spellings(help: &str) -> String {
    let mut text = String::with_capacity(help.len() + 512);
    for line in help.lines() {
        let name = line.split_whitespace().next().unwrap_or("");
        let known = SPELLINGS.iter().find(|(short, long, _)| *long == name && !short.is_empty());
        match (known, line.strip_prefix("  --")) {
            (Some((short, long, _)), Some(_)) => {
                let description = line.trim_start().strip_prefix(long).unwrap_or("").trim_start();
                let names = format!("  {short}, {long}");
                text.push_str(format!("{names:<19} {description}").trim_end());
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}
