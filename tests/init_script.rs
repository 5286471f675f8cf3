//! The files of `boards/init`: the scripts run for real with busybox's shell, the others through what reads them.

#[path = "init/busybox.rs"]
mod busybox;
#[path = "init/procd.rs"]
mod procd;
#[path = "init/systemd.rs"]
mod systemd;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The binary, under a name of its own in a folder of its own, with a configuration beside it.
struct Place {
    dir: tempfile::TempDir,
    port: u16,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = Self { dir, port };
        place.install();
        place.write_config("");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts the binary there, as an update does: under a new inode.
    fn install(&self) {
        let (new, built) = (self.path("oneport.new"), env!("CARGO_BIN_EXE_oneport"));
        if fs::hard_link(built, &new).is_err() {
            copy_program(Path::new(built), &new);
        }
        // Two names of one file cannot be renamed onto each other.
        let _ = fs::remove_file(self.path("oneport"));
        fs::rename(new, self.path("oneport")).unwrap();
    }

    fn write_config(&self, more: &str) {
        let port = self.port;
        let config = format!(
            "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n \
             listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:1\n{more}"
        );
        fs::write(self.path("oneport.cfg"), config).unwrap();
    }

    fn serves(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// How many processes run this binary.
    fn processes(&self) -> usize {
        let ours = self.path("oneport").to_string_lossy().into_owned();
        let is_ours = |entry: fs::DirEntry| {
            fs::read_link(entry.path().join("exe"))
                .is_ok_and(|exe| exe.to_string_lossy().trim_end_matches(" (deleted)") == ours)
        };
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| is_ours(entry).then_some(())).count()
    }
}

/// A file of `boards/init`.
fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/init").join(name)
}

/// Copies a program that is to be run. Not in this process: what another test starts meanwhile would hold the copy open
/// for writing until its exec, and the kernel runs no such file ("text file busy").
fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").args([from, to]).status();
    assert!(copied.unwrap().success(), "{}", to.display());
}

/// Runs a command to its end: its status, and all it wrote.
#[track_caller]
fn run(command: &mut Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error} (`make test` installs what is missing)"));
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.code().unwrap_or(-1), text)
}

#[track_caller]
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(15), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Takes the gateway's own arguments out of a line that starts it, and lets it check them with this file.
#[track_caller]
fn flags_are_accepted(line: &str, place: &Place) {
    let (_, flags) = line.split_once("/usr/sbin/oneport ").expect("a command line");
    let flags = flags.replace("/etc/oneport.cfg", place.path("oneport.cfg").to_str().unwrap());
    let mut command = Command::new(place.path("oneport"));
    let (status, text) = run(command.arg("-c").args(flags.split_whitespace()));
    assert_eq!(status, 0, "{line}: {text}");
}
