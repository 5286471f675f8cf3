//! Messages of the program itself, through the `log` facade.
//!
//! While it starts they go to stderr: `oneport: warning: …`. Once it runs ([`set_running`]) they go to the log
//! targets of the `global` section too, and in the background there only.
//!
//! Levels: `error` stops something from working, `warn` wants a human, `info` tells changes of state (syslog's
//! notice, so that the usual `log … notice` shows them and leaves out session lines), `debug` and `trace` are
//! for those who look for faults.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Poll, Waker};

use log::{Level, LevelFilter, Log, Metadata};
use rustix::stdio::{stderr, stdout};

use super::line::LogLine;
use super::logger::Logger;
use super::outlet::{write_at_once, write_patiently};
use super::repeats::Repeats;
use crate::config::{Diagnostic, Severity};
use crate::process::wall_ms;

/// How much goes to the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// `-q`: errors.
    Quiet,
    /// Errors, warnings and changes of state.
    #[default]
    Normal,
    /// `-V`: details too.
    Verbose,
    /// `-d`: everything.
    Debug,
}

impl Verbosity {
    /// The same when the configuration says `quiet`: as with -q, which -V and -d take back.
    #[must_use]
    pub fn told_by(self, is_quiet: bool) -> Self {
        match self {
            Self::Normal if is_quiet => Self::Quiet,
            verbosity => verbosity,
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Quiet => LevelFilter::Error,
            Self::Normal => LevelFilter::Info,
            Self::Verbose => LevelFilter::Debug,
            Self::Debug => LevelFilter::Trace,
        }
    }
}

/// Installs the facade; a second call changes the verbosity only.
pub fn init(verbosity: Verbosity) {
    // Fails only where it is installed already.
    let _ = log::set_logger(&FACADE);
    TERMINAL.store(verbosity.filter() as u8, Ordering::Relaxed);
    log::set_max_level(verbosity.filter());
}

/// From now on the process serves: messages go to `logger`'s targets too and never wait for a reader of
/// stderr; `in_background` there is no stderr at all. Called again after a reload with the new logger. It must
/// be the thread that runs everything: messages of other threads go to stderr only.
pub fn set_running(logger: Rc<Logger>, in_background: bool) {
    PHASE.store(if in_background { BACKGROUND } else { FOREGROUND }, Ordering::Relaxed);
    // Targets hear of changes of state whatever the terminal does (`-q`). Not of details: a plain `log` line
    // takes all levels, and nobody wants to pay for debugging text that was not asked for.
    let wanted =
        [Level::Info, Level::Warn, Level::Error].into_iter().find(|level| logger.takes(severity_of(*level)));
    let wanted = wanted.map_or(LevelFilter::Off, |level| level.to_level_filter());
    log::set_max_level(terminal_filter().max(wanted));
    RUNNING.with(|running| *running.borrow_mut() = Some(logger));
}

/// Tells those who watch a proxy's log, and whoever looks at the terminal, of a change that they are to see each time.
pub fn tell(logger: &Logger, severity: u8, text: &str) {
    let level = if severity == 0 { Level::Error } else { Level::Warn };
    let mut line = LogLine::new();
    line.push_text(text.as_bytes());
    if level <= terminal_filter() {
        to_terminal(level, &line);
    }
    logger.message_line(severity, &line, wall_ms());
}

/// Writes text of several lines to stderr as it is: what is wrong with a configuration. While serving it never
/// waits for a reader, and a stderr that is gone is no matter.
pub fn print(text: &str) {
    match PHASE.load(Ordering::Relaxed) {
        STARTING => write_patiently(stderr(), text.as_bytes()),
        FOREGROUND => {
            let _ = write_at_once(stderr(), text.as_bytes());
        }
        _ => {}
    }
}

/// Says what is wrong with a configuration, as loud as it is wanted.
pub fn show(verbosity: Verbosity, diagnostics: &[Diagnostic]) {
    let (mut errors, mut told) = (0, 0);
    for diagnostic in diagnostics {
        let least = match diagnostic.severity {
            Severity::Error => Verbosity::Quiet,
            Severity::Warning | Severity::Note => Verbosity::Normal,
            Severity::Detail => Verbosity::Verbose,
        };
        errors += u32::from(diagnostic.severity == Severity::Error);
        if verbosity >= least {
            told += 1;
            // As it is: several lines, with the place in front where editors look for it.
            print(&format!("{diagnostic}\n"));
        }
    }
    if errors > 0 && told > 1 {
        print(&format!("{errors} error(s) in the configuration\n"));
    }
}

/// Answers on stdout.
pub fn say(text: &str) {
    write_patiently(stdout(), text.as_bytes());
}

thread_local! {
    static RUNNING: RefCell<Option<Rc<Logger>>> = const { RefCell::new(None) };
    static REPEATS: RefCell<Repeats> = RefCell::default();
    static WAITING: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// Waits until a message is held back because there were many like it.
pub async fn held_back() {
    poll_fn(|context| {
        if REPEATS.with_borrow(Repeats::holds) {
            return Poll::Ready(());
        }
        WAITING.set(Some(context.waker().clone()));
        Poll::Pending
    })
    .await;
}

/// Tells what was held back of floods that are over, of `all` at the end.
pub fn tell_held_back(all: bool) {
    let now_ms = wall_ms();
    // No borrow is held while writing: a target that loses lines reports that through the facade.
    while let Ok(Some((level, line))) = REPEATS.try_with(|repeats| repeats.borrow_mut().due(now_ms, all)) {
        write(level, &line, now_ms);
    }
}

/// Whether a message is one too many of its kind, which is counted.
fn is_held_back(level: Level, text: &LogLine) -> bool {
    tell_held_back(false);
    let takes = REPEATS.try_with(|repeats| repeats.borrow_mut().takes(level, text.as_bytes(), wall_ms()));
    let held = takes == Ok(false);
    if held && let Some(waker) = WAITING.take() {
        waker.wake();
    }
    held
}

static FACADE: Facade = Facade;
/// The terminal's `LevelFilter`, as a number.
static TERMINAL: AtomicU8 = AtomicU8::new(LevelFilter::Info as u8);
static PHASE: AtomicU8 = AtomicU8::new(STARTING);
const STARTING: u8 = 0;
const FOREGROUND: u8 = 1;
const BACKGROUND: u8 = 2;

struct Facade;

impl Log for Facade {
    fn enabled(&self, metadata: &Metadata) -> bool {
        // Libraries are heard when they have something to complain about.
        metadata.level() <= Level::Warn || metadata.target().starts_with(env!("CARGO_PKG_NAME"))
    }

    fn log(&self, record: &log::Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut text = LogLine::new();
        match record.args().as_str() {
            Some(literal) => text.push_text(literal.as_bytes()),
            None => text.push_text(record.args().to_string().as_bytes()),
        }
        let is_counted = record.level() <= Level::Info && PHASE.load(Ordering::Relaxed) != STARTING;
        if !is_counted || !is_held_back(record.level(), &text) {
            write(record.level(), &text, wall_ms());
        }
    }

    fn flush(&self) {}
}

fn write(level: Level, text: &LogLine, now_ms: i64) {
    if level <= terminal_filter() {
        to_terminal(level, text);
    }
    // The logger is taken out for the call: a target that loses lines reports that through here again.
    let logger = RUNNING.try_with(|running| running.try_borrow().ok().and_then(|running| running.clone()));
    if let Ok(Some(logger)) = logger {
        logger.message_line(severity_of(level), text, now_ms);
    }
}

fn to_terminal(level: Level, text: &LogLine) {
    let mut line = LogLine::new();
    line.push_bytes(concat!(env!("CARGO_PKG_NAME"), ": ").as_bytes());
    line.push_bytes(match level {
        Level::Error => b"error: ",
        Level::Warn => b"warning: ",
        Level::Info => b"",
        Level::Debug | Level::Trace => b"debug: ",
    });
    line.push_bytes(text.as_bytes());
    line.truncate(super::line::LINE_BYTES_MAX - 1);
    line.push(b'\n');
    match PHASE.load(Ordering::Relaxed) {
        STARTING => write_patiently(stderr(), line.as_bytes()),
        FOREGROUND => {
            // A terminal that is stuck must not stop the gateway.
            let _ = write_at_once(stderr(), line.as_bytes());
        }
        _ => {}
    }
}

fn severity_of(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 5,
        Level::Debug | Level::Trace => 7,
    }
}

fn terminal_filter() -> LevelFilter {
    let number = TERMINAL.load(Ordering::Relaxed);
    LevelFilter::iter().find(|filter| *filter as u8 == number).unwrap_or(LevelFilter::Info)
}

#[cfg(test)]
mod tests {
    use super::super::target::Sinks;
    use super::super::zone::Zone;
    use super::*;
    use crate::config::{LogAddress, LogTarget, LogWire};
    use std::os::unix::net::UnixDatagram;

    fn target(path: &std::path::Path) -> LogTarget {
        let address = LogAddress::Unix(path.to_owned());
        LogTarget {
            address,
            len_bytes: 1024,
            format: LogWire::Short,
            facility: 16,
            level: 5,
            min_level: 0,
            sample: None,
        }
    }

    /// One test for all, since the facade is one for the process.
    #[test]
    fn messages_go_to_the_global_targets() {
        let path = std::env::temp_dir().join(format!("oneport-facade-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let daemon = UnixDatagram::bind(&path).unwrap();
        daemon.set_nonblocking(true).unwrap();
        let received = || {
            let mut buffer = [0; 8192];
            let length = daemon.recv(&mut buffer).unwrap_or(0);
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        init(Verbosity::Quiet);
        assert_eq!(log::max_level(), LevelFilter::Error);
        let sinks = Sinks::new(Zone::utc());
        let logger = Logger::new(&[target(&path)], "oneport", &sinks, &mut |_, _| unreachable!()).unwrap();
        set_running(Rc::new(logger), true);
        assert_eq!(log::max_level(), LevelFilter::Info);
        log::info!("server {}/{} is\nUP", "web", "s1");
        assert_eq!(received(), "<5>server web/s1 is#0AUP\n");
        log::debug!("too much");
        log::info!(target: "somebody", "else");
        assert_eq!(received(), "");
        log::warn!(target: "somebody", "complains");
        assert_eq!(received(), "<4>complains\n");

        // A full socket: the report of the loss comes through the facade to the same socket, and ends there.
        sinks.in_background();
        for n in 0..5000 {
            log::info!("flood {n} {}", "x".repeat(1000));
        }
        assert!(sinks.dropped() > 0);
        let mut lines = Vec::new();
        while let Some(line) = Some(received()).filter(|line| !line.is_empty()) {
            lines.push(line);
        }
        assert!(lines.iter().all(|line| line.starts_with("<5>flood")));

        // Many of one kind: the first are written, the others counted, and told when that is asked for.
        REPEATS.take();
        for n in 0..30 {
            log::warn!("the same, with detail {n}");
        }
        assert!(received().starts_with("<4>the same, with detail 0"));
        assert_eq!((1..30).filter(|_| received().starts_with("<4>the same")).count(), 9);
        tell_held_back(true);
        assert!(received().starts_with("<4>the same: 20 more such messages in the last "));
        RUNNING.with(|running| *running.borrow_mut() = None);
        let _ = std::fs::remove_file(&path);
    }
}
