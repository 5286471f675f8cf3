//! The flags, in HAProxy's spellings too (`-db`, `-sf 12 13`, `-- a.cfg b.cfg`).

mod spellings;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::{COMPATIBLE_WITH, Global};
use crate::observe::facade::Verbosity;
use crate::process::limits;
use spellings::{FOREVER, Flag, help, translate};

/// `*:80`: where the built-in preset listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "*:80";
/// The preset's web server.
pub const DEFAULT_WEB: &str = "127.0.0.1:8100";
/// The preset's WebSocket server.
pub const DEFAULT_WS: &str = "127.0.0.1:2200";
/// The preset's raw socket process.
pub const DEFAULT_SOCKET: &str = "127.0.0.1:2100";

/// The command line, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
        let mut flags = Flags::default();
        for (flag, name, value) in translate(args)? {
            if flags.help && flag != Flag::Help {
                return Err(mistake("Trailing arguments are not allowed after `help`."));
            }
            flags.take(flag, &value).map_err(|why| {
                mistake(&format!("Error parsing option '{name}' with value '{value}': {why}"))
            })?;
        }
        flags.check()
    }

    /// Whether to go to the background, where the configuration says `daemon` or not. `-db`, `-d` and `-c` keep
    /// in the foreground whatever else was said.
    pub fn goes_to_background(&self, configured: bool) -> bool {
        let stays = self.foreground || self.check || self.verbosity == Verbosity::Debug;
        (self.daemon || configured) && !stays
    }
}

/// What was given so far: what decides by itself stands in `cli` already.
#[derive(Default)]
struct Flags {
    cli: Cli,
    quiet: bool,
    verbose: bool,
    debug: bool,
    version: bool,
    build_info: bool,
    help: bool,
    /// A flag of the preset.
    of_preset: Option<&'static str>,
    listen: Option<String>,
    web: Option<String>,
    ws: Option<String>,
    socket: Option<String>,
}

impl Flags {
    fn take(&mut self, flag: Flag, text: &str) -> Result<(), String> {
        let cli = &mut self.cli;
        match flag {
            Flag::File => cli.files.push(text.into()),
            Flag::Check => cli.check = true,
            Flag::Condition => once(&mut cli.condition, text, any)?,
            Flag::ZeroWarning => cli.zero_warning = true,
            Flag::Daemon => cli.daemon = true,
            Flag::Foreground => cli.foreground = true,
            Flag::Pidfile => once(&mut cli.pidfile, text, path)?,
            Flag::Quiet => self.quiet = true,
            Flag::Verbose => self.verbose = true,
            Flag::Debug => self.debug = true,
            Flag::Version => self.version = true,
            Flag::BuildInfo => self.build_info = true,
            Flag::Maxconn => once(&mut cli.maxconn, text, positive)?,
            Flag::Memory => once(&mut cli.memory_mib, text, positive)?,
            Flag::Directory => once(&mut cli.directory, text, path)?,
            Flag::LocalName => once(&mut cli.local_name, text, any)?,
            Flag::Finish => cli.finish.push(pid(text)?),
            Flag::Terminate => cli.terminate.push(pid(text)?),
            // For HAProxy's scripts: the process is the single worker anyway.
            Flag::Worker => {}
            // As HAProxy's -Ws: systemd watches the process that it started, whatever the file says.
            Flag::Notify => cli.foreground = true,
            Flag::WaitBind => once(&mut cli.wait_bind, text, wait_bind)?,
            Flag::Listen => once(&mut self.listen, text, address)?,
            Flag::Web => once(&mut self.web, text, address)?,
            Flag::Ws => once(&mut self.ws, text, address)?,
            Flag::Socket => once(&mut self.socket, text, address)?,
            Flag::PrintConfig => cli.print_config = true,
            Flag::Demo => cli.demo = true,
            Flag::Help => self.help = true,
        }
        Ok(())
    }

    fn check(mut self) -> Result<Cli, Exit> {
        if self.help {
            return Err(Exit { code: 0, text: help() });
        }
        if self.build_info {
            return Err(Exit { code: 0, text: build_info() });
        }
        if self.version {
            return Err(Exit { code: 0, text: version() });
        }
        if self.cli.demo && !cfg!(feature = "demo") {
            return Err(mistake("--demo: this build has no demo (it was built without the feature 'demo')"));
        }
        let preset = &mut self.cli.preset;
        for (flag, given, value) in [
            ("--listen", self.listen, &mut preset.listen),
            ("--web", self.web, &mut preset.web),
            ("--ws", self.ws, &mut preset.ws),
            ("--socket", self.socket, &mut preset.socket),
        ] {
            if let Some(given) = given {
                *value = given;
                self.of_preset.get_or_insert(flag);
            }
        }
        let of_preset = self.of_preset.or(self.cli.demo.then_some("--demo"));
        if let Some(flag) = of_preset.filter(|_| !self.cli.files.is_empty()) {
            let why = "belongs to the built-in preset, and -f replaces that: write it into the file";
            return Err(mistake(&format!("{flag} {why}")));
        }
        self.cli.verbosity = match (self.debug, self.verbose, self.quiet) {
            (true, _, _) => Verbosity::Debug,
            // As HAProxy: -V takes -q back.
            (_, true, _) => Verbosity::Verbose,
            (_, _, true) => Verbosity::Quiet,
            _ => Verbosity::Normal,
        };
        Ok(self.cli)
    }
}

/// The value of a flag that can be given once.
fn once<T>(slot: &mut Option<T>, text: &str, read: fn(&str) -> Result<T, String>) -> Result<(), String> {
    if slot.is_some() {
        return Err("duplicate values provided".to_owned());
    }
    *slot = Some(read(text)?);
    Ok(())
}

fn any(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn path(text: &str) -> Result<PathBuf, String> {
    Ok(text.into())
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
