//! The programs under test: how each is configured for the same work, started, and what it cannot do.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::backends::{Address, Backends, nginx, wait_listening};
use crate::child::Child;
use crate::host::{Cores, find_program, free_port};
use crate::load::dialogue::Dialogue;
use crate::template::fill;
use crate::tree::Tree;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Peer {
    Oneport,
    Haproxy,
    Sslh,
    Nginx,
}

/// What a case asks of a gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// More connections of this kind than `select` can watch.
    Many(Dialogue),
    BulkAnswer,
    BulkTunnel,
    UnixBackends,
}

/// What is set beside the rules that all have in common.
#[derive(Clone, Default)]
pub struct Settings {
    /// Backends over unix sockets.
    pub unix: bool,
    /// One line per session to this UDP port.
    pub log: Option<SocketAddr>,
    /// ACLs on the frontend, none of which matches.
    pub acls: usize,
    /// Servers of the web backend; 0 stands for 1.
    pub servers: usize,
    /// More lines for `global` and `defaults`: for what only HAProxy has.
    pub global: &'static str,
    pub defaults: &'static str,
}

/// The executables.
pub struct Binaries {
    pub oneport: PathBuf,
    haproxy: PathBuf,
    sslh: PathBuf,
    nginx: PathBuf,
}

impl Peer {
    pub const ALL: [Self; 4] = [Self::Oneport, Self::Haproxy, Self::Sslh, Self::Nginx];

    pub fn name(self) -> &'static str {
        match self {
            Self::Oneport => "oneport",
            Self::Haproxy => "HAProxy",
            Self::Sslh => "sslh",
            Self::Nginx => "nginx",
        }
    }

    /// Why this program cannot do this work, when it cannot.
    pub fn refuses(self, work: Work, binaries: &Binaries) -> Option<&'static str> {
        match (self, work) {
            (Self::Sslh, Work::BulkAnswer) => Some("sslh: an HTTP answer is a tunnel like any other to it"),
            (Self::Sslh, Work::UnixBackends) => Some("sslh: reaches servers over TCP only"),
            (Self::Sslh, Work::Many(_)) if binaries.sslh_selects() => {
                Some("sslh: sslh-select watches 1,024 descriptors at most")
            }
            _ => None,
        }
    }
}

impl Binaries {
    pub fn find(oneport: PathBuf) -> Result<Self> {
        Ok(Self {
            oneport,
            haproxy: find_program(&["haproxy"])?,
            // One process for all connections, as the others; the program called sslh forks for each.
            sslh: find_program(&["sslh-ev", "sslh-select"])?,
            nginx: find_program(&["nginx"])?,
        })
    }

    pub fn of(&self, peer: Peer) -> &Path {
        match peer {
            Peer::Oneport => &self.oneport,
            Peer::Haproxy => &self.haproxy,
            Peer::Sslh => &self.sslh,
            Peer::Nginx => &self.nginx,
        }
    }

    /// Name and version of each.
    pub fn versions(&self) -> Vec<(String, String)> {
        let of = |peer: Peer, argument| {
            let version = crate::host::first_line(&self.of(peer).display().to_string(), &[argument]);
            (peer.name().to_string(), version)
        };
        let mut versions = vec![
            of(Peer::Oneport, "-v"),
            of(Peer::Haproxy, "-v"),
            of(Peer::Sslh, "-V"),
            of(Peer::Nginx, "-v"),
        ];
        for (program, argument) in [("wrk", "-v"), ("strace", "-V")] {
            versions.push((program.into(), crate::host::first_line(program, &[argument])));
        }
        versions
    }

    fn sslh_selects(&self) -> bool {
        self.sslh.ends_with("sslh-select")
    }
}

/// What is needed to start a program under test.
pub struct Stage<'a> {
    pub dir: &'a Path,
    pub binaries: &'a Binaries,
    pub backends: &'a Backends,
    pub cores: &'a Cores,
}

/// A program under test that listens. Dropping it ends it.
pub struct Program {
    pub label: String,
    pub tree: Tree,
    /// The single port.
    pub front: SocketAddr,
    /// Where raw connections go: the single port, or a port of their own where the program needs one.
    pub raw_front: SocketAddr,
    pub bulk_front: SocketAddr,
    /// What it did wrong in this case, when it did. Only peers whose figure is for information may fail.
    pub failure: Option<String>,
    may_fail: bool,
    child: Child,
}

/// A program that is configured, and the command that starts it.
pub struct Ready {
    pub command: Command,
    pub front: SocketAddr,
    raw_front: SocketAddr,
    bulk_front: SocketAddr,
}

impl Program {
    /// Starts `peer` and waits until it listens.
    pub fn start(stage: &Stage, peer: Peer, settings: &Settings) -> Result<Self> {
        Self::start_as(stage, peer, peer.name(), settings)
    }

    /// The same under another name: a second HAProxy with other options.
    pub fn start_as(stage: &Stage, peer: Peer, label: &str, settings: &Settings) -> Result<Self> {
        let Ready { mut command, front, raw_front, bulk_front } = prepare(stage, peer, settings)?;
        let mut child = stage.cores.on_program_core(|| Child::start(label, &mut command))??;
        for address in [front, raw_front, bulk_front] {
            let said =
                || format!("{label}: {}", fs::read_to_string(messages(stage.dir, front)).unwrap_or_default());
            wait_listening(address, std::slice::from_mut(&mut child)).with_context(said)?;
        }
        // A worker process may still be on its way when its parent listens.
        std::thread::sleep(std::time::Duration::from_millis(100));
        let tree = Tree::of(child.pid())?;
        let may_fail = !matches!(peer, Peer::Oneport | Peer::Haproxy);
        Ok(Self {
            label: label.to_string(),
            tree,
            front,
            raw_front,
            bulk_front,
            failure: None,
            may_fail,
            child,
        })
    }

    pub fn address(&self, dialogue: Dialogue) -> SocketAddr {
        if dialogue == Dialogue::Raw { self.raw_front } else { self.front }
    }

    /// Passes on what a load came to, or notes that it failed. That is the end of the run for oneport and
    /// HAProxy; any other program is left out of the case, which is said.
    pub fn judge<T>(&mut self, outcome: Result<T>) -> Result<Option<T>> {
        match outcome.and_then(|done| self.child.check_alive().map(|()| done)) {
            Ok(done) => Ok(Some(done)),
            Err(error) if self.may_fail => {
                eprintln!("bench: {} FAILS and is left out of this case: {error:#}", self.label);
                self.failure = Some(error.root_cause().to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Writes the configuration of `peer`.
pub fn prepare(stage: &Stage, peer: Peer, settings: &Settings) -> Result<Ready> {
    let front = free_port()?;
    // The port is part of the name: several of a kind run side by side.
    let config = stage.dir.join(format!("{}-{}.cfg", peer.name(), front.port()));
    let single = |command, bulk_front| Ready { command, front, raw_front: front, bulk_front };
    let ready = match peer {
        Peer::Oneport | Peer::Haproxy => {
            let bulk_front = free_port()?;
            write(&config, &gateway_config(stage.backends, peer, settings, front, bulk_front)?)?;
            let mut command = Command::new(stage.binaries.of(peer));
            // Both keep quiet (-q) and in the foreground (-db).
            command.args(["-q", "-db", "-f"]).arg(&config);
            single(command, bulk_front)
        }
        Peer::Sslh => {
            write(&config, &sslh_config(stage.backends, front)?)?;
            let mut command = Command::new(stage.binaries.of(peer));
            command.arg("-F".to_string() + &config.display().to_string());
            single(command, front)
        }
        Peer::Nginx => {
            let (raw_front, bulk_front) = (free_port()?, free_port()?);
            let fronts = [("front", front), ("raw_front", raw_front), ("bulk_front", bulk_front)];
            write(&config, &nginx_config(stage, settings, &fronts)?)?;
            Ready { command: nginx(stage.dir, &config)?, front, raw_front, bulk_front }
        }
    };
    quiet(stage.dir, ready)
}

/// Input from nowhere, and messages to a file, which is shown when the program does not start.
fn quiet(dir: &Path, mut ready: Ready) -> Result<Ready> {
    let log = fs::File::create(messages(dir, ready.front))?;
    ready.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Ok(ready)
}

/// Where the program that listens on `front` writes its messages.
fn messages(dir: &Path, front: SocketAddr) -> PathBuf {
    dir.join(format!("messages-{}", front.port()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// How an address stands in a configuration of HAProxy's language.
fn server(address: &Address, unix: bool) -> String {
    if unix { format!("unix@{}", address.unix.display()) } else { address.tcp.to_string() }
}

fn gateway_config(
    backends: &Backends,
    peer: Peer,
    settings: &Settings,
    front: SocketAddr,
    bulk_front: SocketAddr,
) -> Result<String> {
    use std::fmt::Write;
    let mut global = settings.global.to_string();
    if peer == Peer::Haproxy {
        // oneport always has one thread, and says so when it is asked for a number.
        global.push_str("    nbthread 1\n");
    }
    let mut defaults = settings.defaults.to_string();
    if let Some(log) = settings.log {
        writeln!(global, "    log {log} local0")?;
        defaults.push_str("    log global\n    option httplog\n");
    }
    let mut acls = String::new();
    for number in 0..settings.acls {
        writeln!(
            acls,
            "    acl a{number} hdr(host) -i no-such-{number}.example\n    use_backend www if a{number}"
        )?;
    }
    let mut www = String::new();
    for number in 0..settings.servers.max(1) {
        writeln!(www, "    server s{number} {}", server(&backends.www, settings.unix))?;
    }
    let values = [
        ("global", global),
        ("defaults", defaults),
        ("front", front.to_string()),
        ("bulk_front", bulk_front.to_string()),
        ("acls", acls),
        ("www", www),
        ("ws", server(&backends.websocket, settings.unix)),
        ("raw", server(&backends.raw, settings.unix)),
        ("bulk", backends.bulk.to_string()),
    ];
    fill(include_str!("../templates/gateway.cfg"), &values)
}

fn sslh_config(backends: &Backends, front: SocketAddr) -> Result<String> {
    let port = |address: SocketAddr| address.port().to_string();
    let values = [
        ("front_port", port(front)),
        ("www_port", port(backends.www.tcp)),
        ("ws_port", port(backends.websocket.tcp)),
        ("raw_port", port(backends.raw.tcp)),
        ("bulk_port", port(backends.bulk)),
    ];
    fill(include_str!("../templates/sslh.cfg"), &values)
}

fn nginx_config(stage: &Stage, settings: &Settings, fronts: &[(&str, SocketAddr)]) -> Result<String> {
    let backends = stage.backends;
    let server = |address: &Address| match settings.unix {
        true => format!("unix:{}", address.unix.display()),
        false => address.tcp.to_string(),
    };
    let log = settings.log.map_or("off".into(), |log| format!("syslog:server={log},nohostname combined"));
    let mut values = vec![
        ("dir", stage.dir.display().to_string()),
        ("stream_module", stream_module()?.display().to_string()),
        ("access_log", log),
        ("www", server(&backends.www)),
        ("ws", server(&backends.websocket)),
        ("raw", server(&backends.raw)),
        ("bulk", backends.bulk.to_string()),
    ];
    values.extend(fronts.iter().map(|(name, address)| (*name, address.to_string())));
    fill(include_str!("../templates/nginx-proxy.conf"), &values)
}

/// nginx's module for carrying bytes, where Debian puts it.
fn stream_module() -> Result<PathBuf> {
    let path = Path::new("/usr/lib/nginx/modules/ngx_stream_module.so");
    path.is_file()
        .then(|| path.to_path_buf())
        .context("nginx's stream module is missing; bench/setup installs it")
}
