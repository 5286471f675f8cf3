//! The flags in HAProxy's spelling and in the long one, what follows each, and the help.

use crate::config::suggest::nearest;
use std::ffi::OsString;

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

/// Every flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    File,
    Check,
    Condition,
    ZeroWarning,
    Daemon,
    Foreground,
    Pidfile,
    Quiet,
    Verbose,
    Debug,
    Version,
    BuildInfo,
    Maxconn,
    Memory,
    Directory,
    LocalName,
    Finish,
    Terminate,
    Worker,
    Notify,
    WaitBind,
    Listen,
    Web,
    Ws,
    Socket,
    PrintConfig,
    Demo,
    Help,
}

/// A flag: HAProxy's spelling (empty where it has none), the long one, what follows, and its lines of the help.
pub(super) struct Spelling(pub Flag, pub &'static str, pub &'static str, pub Takes, pub &'static str);

pub(super) const SPELLINGS: &[Spelling] = &[
    Spelling(
        Flag::File,
        "-f",
        "--file",
        Takes::One,
        "configuration file, or folder whose *.cfg are read in order;\nmay be repeated",
    ),
    Spelling(Flag::Check, "-c", "--check", Takes::Nothing, "check the configuration and exit with 0 or 1"),
    Spelling(
        Flag::Condition,
        "-cc",
        "--condition",
        Takes::One,
        "evaluate a condition as of `.if` and exit with 0 (true), 1\n(false) or 2 (an error)",
    ),
    Spelling(
        Flag::ZeroWarning,
        "-dW",
        "--zero-warning",
        Takes::Nothing,
        "refuse a configuration with warnings",
    ),
    Spelling(Flag::Daemon, "-D", "--daemon", Takes::Nothing, "go to the background"),
    Spelling(
        Flag::Foreground,
        "-db",
        "--foreground",
        Takes::Nothing,
        "stay in the foreground, whatever the configuration says",
    ),
    Spelling(Flag::Pidfile, "-p", "--pidfile", Takes::One, "write the process id to this file"),
    Spelling(Flag::Quiet, "-q", "--quiet", Takes::Nothing, "print errors only"),
    Spelling(Flag::Verbose, "-V", "--verbose", Takes::Nothing, "print more"),
    Spelling(Flag::Debug, "-d", "--debug", Takes::Nothing, "print everything, and stay in the foreground"),
    Spelling(Flag::Version, "-v", "--version", Takes::Nothing, "print the version and exit"),
    Spelling(
        Flag::BuildInfo,
        "-vv",
        "--build-info",
        Takes::Nothing,
        "print version, build and limits and exit",
    ),
    Spelling(
        Flag::Maxconn,
        "-n",
        "--maxconn",
        Takes::One,
        "concurrent client connections at most; wins over the\nconfiguration",
    ),
    Spelling(
        Flag::Memory,
        "-m",
        "--memory",
        Takes::One,
        "memory to make do with, MiB: bounds maxconn, or sets it\nwhere nothing else does",
    ),
    Spelling(Flag::Directory, "-C", "--directory", Takes::One, "change to this folder first"),
    Spelling(Flag::LocalName, "-L", "--local-name", Takes::One, "name of this instance among its peers"),
    Spelling(
        Flag::Finish,
        "-sf",
        "--finish",
        Takes::Pids,
        "older process to finish its connections and go, once this\none serves; may be a list",
    ),
    Spelling(
        Flag::Terminate,
        "-st",
        "--terminate",
        Takes::Pids,
        "older process to stop at once, when this one serves; may be\na list",
    ),
    Spelling(
        Flag::Worker,
        "-W",
        "--worker",
        Takes::Nothing,
        "accepted for HAProxy's scripts: the process stays the single\nworker it is",
    ),
    Spelling(
        Flag::Notify,
        "-Ws",
        "--notify",
        Takes::Nothing,
        "the same in the foreground, for systemd's Type=notify",
    ),
    Spelling(
        Flag::WaitBind,
        "",
        "--wait-bind",
        Takes::OneOr(FOREVER),
        "wait for addresses that are not there yet: without end, or\n=seconds",
    ),
    Spelling(Flag::Listen, "", "--listen", Takes::One, "preset: listen here (default *:80)"),
    Spelling(Flag::Web, "", "--web", Takes::One, "preset: the web server (default 127.0.0.1:8100)"),
    Spelling(Flag::Ws, "", "--ws", Takes::One, "preset: the WebSocket server (default 127.0.0.1:2200)"),
    Spelling(
        Flag::Socket,
        "",
        "--socket",
        Takes::One,
        "preset: the raw socket process (default 127.0.0.1:2100)",
    ),
    Spelling(
        Flag::PrintConfig,
        "",
        "--print-config",
        Takes::Nothing,
        "print the configuration as text and exit",
    ),
    Spelling(
        Flag::Demo,
        "",
        "--demo",
        Takes::Nothing,
        "serve three small backends of its own (only in builds with\nthe demo)",
    ),
    Spelling(Flag::Help, "-h", "--help", Takes::Nothing, "display usage information"),
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

/// The beginning of the help.
const HELP_BEGINS: &str = "\
Usage: oneport [-f <file>]... [flags] [-- <file>...]

The single-port gateway for appliances: HTTP, WebSocket and raw sockets on one port,
steered by HAProxy's configuration language. Without -f the built-in preset runs.

Options:
";

/// Its end.
const HELP_ENDS: &str = "
Notes:
  Signals: TERM and INT stop; USR1 finishes the connections and stops; HUP and USR2
  read the configuration again.
";
#[cfg(feature = "explain")]
const HELP_OF_EXPLAIN: &str =
    "  `oneport explain --help`: what a file does, rule by rule, without opening a socket.\n";
#[cfg(not(feature = "explain"))]
const HELP_OF_EXPLAIN: &str = "";

/// A flag that was given, its long spelling, and its value.
pub(super) type Given = (Flag, &'static str, String);

/// Every flag with its value, which is empty for those without: `--flag=value` split, pid lists spread, `--` turned into
/// files.
pub(super) fn translate(args: impl Iterator<Item = OsString>) -> Result<Vec<Given>, Exit> {
    let mut args = args.map(into_text).peekable();
    let mut given = Vec::new();
    while let Some(arg) = args.next().transpose()? {
        if arg == "--" {
            for file in args.by_ref() {
                given.push((Flag::File, "--file", file?));
            }
            break;
        }
        if !arg.starts_with('-') || arg == "-" {
            return Err(mistake(&format!("unexpected '{arg}': a configuration file follows -f or --")));
        }
        if arg == "-dD" {
            // HAProxy's way to ask for `.diag`, which is a detail here.
            given.push((Flag::Verbose, "--verbose", String::new()));
            continue;
        }
        if arg.get(..3).is_some_and(|flag| IDLE.split('|').any(|idle| idle == flag)) {
            continue;
        }
        let (flag, value) = match arg.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (arg.as_str(), None),
        };
        let Some(&Spelling(which, _, name, takes, _)) =
            SPELLINGS.iter().find(|Spelling(_, short, name, ..)| flag == *name || flag == *short)
        else {
            return Err(unknown(flag));
        };
        let value = match (takes, value) {
            (Takes::Nothing, Some(_)) => return Err(mistake(&format!("{flag} takes no value"))),
            (Takes::Nothing, None) => String::new(),
            (Takes::One | Takes::OneOr(_), Some(value)) => value,
            (Takes::OneOr(default), None) => default.to_owned(),
            (Takes::One, None) => {
                args.next().transpose()?.ok_or_else(|| mistake(&format!("{flag}: a value must follow")))?
            }
            (Takes::Pids, value) => {
                let mut lists = value.unwrap_or_default();
                while let Some(list) = args.next_if(|next| next.as_ref().is_ok_and(|a| !a.starts_with('-'))) {
                    lists.push(' ');
                    lists.push_str(&list?);
                }
                // "$(cat pidfile)" in quotes is one argument with several numbers, or an empty one.
                given.extend(lists.split_whitespace().map(|pid| (which, name, pid.to_owned())));
                continue;
            }
        };
        given.push((which, name, value));
    }
    Ok(given)
}

fn into_text(arg: OsString) -> Result<String, Exit> {
    arg.into_string().map_err(|arg| mistake(&format!("argument {arg:?} is not UTF-8")))
}

fn unknown(flag: &str) -> Exit {
    if let Some((_, instead)) = FOREIGN.iter().find(|(name, _)| *name == flag) {
        return mistake(&format!("{flag}: this flag of HAProxy has no counterpart here: {instead}"));
    }
    if flag.strip_prefix("-d").is_some_and(|rest| rest.starts_with(['C', 'K', 'L', 'r', 't'])) {
        return mistake(&format!("{flag}: this debugging flag of HAProxy has no counterpart here"));
    }
    let names = SPELLINGS
        .iter()
        .flat_map(|Spelling(_, short, name, ..)| [*short, *name])
        .filter(|name| !name.is_empty());
    match nearest(flag, names) {
        Some(name) => mistake(&format!("unknown flag '{flag}': did you mean '{name}'?")),
        None => mistake(&format!("unknown flag '{flag}': --help lists all")),
    }
}

/// The text of `--help`.
pub(super) fn help() -> String {
    let mut text = HELP_BEGINS.to_owned();
    for Spelling(_, short, long, _, what) in SPELLINGS {
        let names = if short.is_empty() { (*long).to_owned() } else { format!("{short}, {long}") };
        let what = what.replace('\n', "\n                    ");
        text.push_str(&format!("  {names:<17} {what}\n"));
    }
    text.push_str(HELP_ENDS);
    text.push_str(HELP_OF_EXPLAIN);
    text
}
