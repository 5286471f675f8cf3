//! The flags: HAProxy's spellings (`-db`, `-sf 12 13`, `-- a.cfg b.cfg`) are translated to long ones first,
//! which argh then parses.

mod spellings;

use std::ffi::OsString;
use std::path::PathBuf;

use argh::FromArgs;

use crate::config::{COMPATIBLE_WITH, Global};
use crate::observe::facade::Verbosity;
use crate::process::limits;
use spellings::{FOREVER, translate, with_spellings};

/// `*:80`: where the built-in preset listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "*:80";
/// The preset's web server.
pub const DEFAULT_WEB: &str = "127.0.0.1:8100";
/// The preset's WebSocket server.
pub const DEFAULT_WS: &str = "127.0.0.1:2200";
/// The preset's raw socket process.
pub const DEFAULT_SOCKET: &str = "127.0.0.1:2100";

/// The command line, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cli {
    /// Configuration files and folders in order; none = the built-in preset.
    pub files: Vec<PathBuf>,
    /// `-c`: check the configuration and exit.
    pub check: bool,
    /// `-cc`: a condition to evaluate instead of serving; the exit status is the answer.
    pub condition: Option<String>,
    /// `-dW`: a configuration with warnings is not used.
    pub zero_warning: bool,
    /// How much goes to the terminal: `-q`, `-V`, `-d`.
    pub verbosity: Verbosity,
    /// `-p`; wins over `pidfile` of the configuration.
    pub pidfile: Option<PathBuf>,
    /// `-n`; wins over the global `maxconn`.
    pub maxconn: Option<u32>,
    /// `-m`: what the process may take, MiB; what it takes besides connections comes off first.
    pub memory_mib: Option<u32>,
    /// `-C`: change to this folder before anything else.
    pub directory: Option<PathBuf>,
    /// `-L`: the local peer's name; for `${HAPROXY_LOCALPEER}`.
    pub local_name: Option<String>,
    /// `-sf`: processes that are to finish once we serve.
    pub finish: Vec<i32>,
    /// `-st`: processes that are to stop once we serve.
    pub terminate: Vec<i32>,
    /// `--wait-bind`: wait for addresses that the machine does not have yet.
    pub wait_bind: Option<WaitBind>,
    /// The values of the built-in preset.
    pub preset: Preset,
    /// `--print-config`: print the configuration in force as text and exit.
    pub print_config: bool,
    /// `--demo`: serve three small backends too. Only where it was built in.
    pub demo: bool,
    daemon: bool,
    foreground: bool,
}

/// How long an address that the machine does not have yet is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitBind {
    /// Until it comes.
    Forever,
    /// At the start the process ends after this time; after a reload it goes on without the address.
    Seconds(u32),
}

/// The addresses of the built-in preset; without spaces, quotes and the like, so that each is one word of the
/// configuration language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// `--listen`.
    pub listen: String,
    /// `--web`.
    pub web: String,
    /// `--ws`.
    pub ws: String,
    /// `--socket`.
    pub socket: String,
}

impl Default for Preset {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN.to_owned(),
            web: DEFAULT_WEB.to_owned(),
            ws: DEFAULT_WS.to_owned(),
            socket: DEFAULT_SOCKET.to_owned(),
        }
    }
}

/// Nothing is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// 0: `text` is an answer, for stdout. 1: an error message, for stderr.
    pub code: i32,
    /// With its line end.
    pub text: String,
}

impl Cli {
    /// Parses the arguments, without the program's name.
    ///
    /// # Errors
    /// [`Exit`] for `--help` and `-v`, and for every mistake.
    pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Self, Exit> {
        let mut words = Vec::new();
        for arg in args {
            words.push(arg.into_string().map_err(|arg| mistake(&format!("argument {arg:?} is not UTF-8")))?);
        }
        let long = translate(words)?;
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        let flags = Flags::from_args(&["oneport"], &long).map_err(|early| match early.status {
            Ok(()) => Exit { code: 0, text: with_spellings(&early.output) },
            Err(()) => mistake(early.output.trim_end()),
        })?;
        flags.check()
    }

    /// Whether to go to the background, where the configuration says `daemon` or not. `-db`, `-d` and `-c` keep
    /// in the foreground whatever else was said.
    pub fn goes_to_background(&self, configured: bool) -> bool {
        let stays = self.foreground || self.check || self.verbosity == Verbosity::Debug;
        (self.daemon || configured) && !stays
    }
}

#[derive(FromArgs, Debug)]
#[argh(
    description = "The single-port gateway for appliances: HTTP, WebSocket and raw sockets on one port,\nsteered by HAProxy's configuration language. Without -f the built-in preset runs.",
    usage = "[-f <file>]... [flags] [-- <file>...]",
    help_triggers("-h", "--help"),
    note = "Signals: TERM and INT stop; USR1 finishes the connections and stops; HUP and USR2\nread the configuration again."
)]
#[cfg_attr(
    feature = "explain",
    argh(
        note = "`{command_name} explain --help`: what a file does, rule by rule, without opening a socket."
    )
)]
struct Flags {
    /// configuration file, or folder whose *.cfg are read in order; may be repeated
    #[argh(option, long = "file", arg_name = "file")]
    files: Vec<PathBuf>,
    /// check the configuration and exit with 0 or 1
    #[argh(switch)]
    check: bool,
    /// evaluate a condition as of `.if` and exit with 0 (true), 1 (false) or 2 (an error)
    #[argh(option, arg_name = "condition")]
    condition: Option<String>,
    /// refuse a configuration with warnings
    #[argh(switch)]
    zero_warning: bool,
    /// go to the background
    #[argh(switch)]
    daemon: bool,
    /// stay in the foreground, whatever the configuration says
    #[argh(switch)]
    foreground: bool,
    /// write the process id to this file
    #[argh(option, arg_name = "file")]
    pidfile: Option<PathBuf>,
    /// print errors only
    #[argh(switch)]
    quiet: bool,
    /// print more
    #[argh(switch)]
    verbose: bool,
    /// print everything, and stay in the foreground
    #[argh(switch)]
    debug: bool,
    /// print the version and exit
    #[argh(switch)]
    version: bool,
    /// print version, build and limits and exit
    #[argh(switch)]
    build_info: bool,
    /// concurrent client connections at most; wins over the configuration
    #[argh(option, from_str_fn(positive), arg_name = "number")]
    maxconn: Option<u32>,
    /// memory to make do with, MiB: bounds maxconn, or sets it where nothing else does
    #[argh(option, from_str_fn(positive), arg_name = "MB")]
    memory: Option<u32>,
    /// change to this folder first
    #[argh(option, arg_name = "folder")]
    directory: Option<PathBuf>,
    /// name of this instance among its peers
    #[argh(option, arg_name = "name")]
    local_name: Option<String>,
    /// older process to finish its connections and go, once this one serves; may be a list
    #[argh(option, from_str_fn(pid), arg_name = "pid")]
    finish: Vec<i32>,
    /// older process to stop at once, when this one serves; may be a list
    #[argh(option, from_str_fn(pid), arg_name = "pid")]
    terminate: Vec<i32>,
    /// accepted for HAProxy's scripts: the process stays the single worker it is
    #[argh(switch)]
    #[expect(dead_code, reason = "there is nothing else to be")]
    worker: bool,
    /// the same in the foreground, for systemd's Type=notify
    #[argh(switch)]
    notify: bool,
    /// wait for addresses that are not there yet: without end, or =seconds
    #[argh(option, from_str_fn(wait_bind), arg_name = "seconds")]
    wait_bind: Option<WaitBind>,
    /// preset: listen here (default *:80)
    #[argh(option, from_str_fn(address), arg_name = "address")]
    listen: Option<String>,
    /// preset: the web server (default 127.0.0.1:8100)
    #[argh(option, from_str_fn(address), arg_name = "address")]
    web: Option<String>,
    /// preset: the WebSocket server (default 127.0.0.1:2200)
    #[argh(option, from_str_fn(address), arg_name = "address")]
    ws: Option<String>,
    /// preset: the raw socket process (default 127.0.0.1:2100)
    #[argh(option, from_str_fn(address), arg_name = "address")]
    socket: Option<String>,
    /// print the configuration as text and exit
    #[argh(switch)]
    print_config: bool,
    /// serve three small backends of its own (only in builds with the demo)
    #[argh(switch)]
    demo: bool,
}

impl Flags {
    fn check(self) -> Result<Cli, Exit> {
        if self.build_info {
            return Err(Exit { code: 0, text: build_info() });
        }
        if self.version {
            return Err(Exit { code: 0, text: version() });
        }
        if self.demo && !cfg!(feature = "demo") {
            return Err(mistake("--demo: this build has no demo (it was built without the feature 'demo')"));
        }
        if !self.files.is_empty() {
            let of_preset = [
                ("--listen", self.listen.is_some()),
                ("--web", self.web.is_some()),
                ("--ws", self.ws.is_some()),
                ("--socket", self.socket.is_some()),
                ("--demo", self.demo),
            ];
            if let Some((flag, _)) = of_preset.into_iter().find(|(_, given)| *given) {
                let why = "belongs to the built-in preset, and -f replaces that: write it into the file";
                return Err(mistake(&format!("{flag} {why}")));
            }
        }
        let verbosity = match (self.debug, self.verbose, self.quiet) {
            (true, _, _) => Verbosity::Debug,
            // As HAProxy: -V takes -q back.
            (_, true, _) => Verbosity::Verbose,
            (_, _, true) => Verbosity::Quiet,
            _ => Verbosity::Normal,
        };
        let default = Preset::default();
        Ok(Cli {
            files: self.files,
            check: self.check,
            condition: self.condition,
            zero_warning: self.zero_warning,
            verbosity,
            pidfile: self.pidfile,
            maxconn: self.maxconn,
            memory_mib: self.memory,
            directory: self.directory,
            local_name: self.local_name,
            finish: self.finish,
            terminate: self.terminate,
            wait_bind: self.wait_bind,
            preset: Preset {
                listen: self.listen.unwrap_or(default.listen),
                web: self.web.unwrap_or(default.web),
                ws: self.ws.unwrap_or(default.ws),
                socket: self.socket.unwrap_or(default.socket),
            },
            print_config: self.print_config,
            demo: self.demo,
            daemon: self.daemon,
            // As HAProxy's -Ws: systemd watches the process that it started, whatever the file says.
            foreground: self.foreground || self.notify,
        })
    }
}

fn positive(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("a whole number from 1 on was expected".to_owned()),
    }
}

fn wait_bind(text: &str) -> Result<WaitBind, String> {
    match text {
        FOREVER => Ok(WaitBind::Forever),
        _ => positive(text).map(WaitBind::Seconds),
    }
}

fn pid(text: &str) -> Result<i32, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("a process id was expected".to_owned()),
    }
}

fn address(text: &str) -> Result<String, String> {
    let strange = |c: char| c.is_whitespace() || c.is_control() || "\"'\\#$".contains(c);
    if text.is_empty() || text.contains(strange) {
        return Err("an address was expected, such as 127.0.0.1:8080 or *:80".to_owned());
    }
    Ok(text.to_owned())
}

fn mistake(text: &str) -> Exit {
    // Arguments come from scripts too: one message, one line.
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Exit { code: 1, text: format!("oneport: {line}\n") }
}

fn version() -> String {
    format!("oneport version {}\n", env!("CARGO_PKG_VERSION"))
}

fn build_info() -> String {
    let libc = match () {
        () if cfg!(target_env = "musl") => "-musl",
        () if cfg!(target_env = "gnu") => "-gnu",
        () => "",
    };
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    let bits = usize::BITS;
    let endian = if cfg!(target_endian = "big") { "big" } else { "little" };
    let demo = if cfg!(feature = "demo") { "+demo" } else { "-demo" };
    let (bufsize_bytes, maxrewrite_bytes) = (Global::BUFSIZE_BYTES, Global::MAXREWRITE_BYTES);
    let (soft, hard) = limits::nofile();
    let maxconn = limits::maxconn_for(hard, limits::Fixed::default());
    let log_line = crate::observe::line::LINE_BYTES_MAX;
    format!(
        "{}\
         Target: {arch}-{os}{libc}, {bits} bits, {endian}-endian\n\
         Features: {demo}\n\
         Language: HAProxy {COMPATIBLE_WITH}, for version_atleast()\n\
         Buffers: {bufsize_bytes} bytes, of which {maxrewrite_bytes} are kept for added headers\n\
         Log line: {log_line} bytes at most\n\
         File descriptors: {soft} now, {hard} at most, enough for some {maxconn} connections\n",
        version()
    )
}

#[cfg(test)]
mod tests;
