//! The busybox init script, run for real with busybox's shell (`boards/busybox/S50oneport`).

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

/// The script with everything in a folder of its own.
struct Script {
    dir: tempfile::TempDir,
    daemon: String,
}

impl Script {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n \
             listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:1\n"
        );
        fs::write(dir.path().join("oneport.cfg"), config).unwrap();
        Self { dir, daemon: env!("CARGO_BIN_EXE_oneport").into() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn call(&self, action: &str) -> (i32, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/busybox/S50oneport");
        let Output { status, stdout, stderr } = Command::new("busybox")
            .arg("sh")
            .arg(script)
            .arg(action)
            .env("DAEMON", &self.daemon)
            .env("CONFIG", self.path("oneport.cfg"))
            .env("PIDFILE", self.path("oneport.pid"))
            .output()
            .expect("busybox is needed: apt-get install busybox");
        let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        (status.code().unwrap_or(-1), text)
    }

    fn pid(&self) -> String {
        fs::read_to_string(self.path("oneport.pid")).unwrap_or_default().trim().to_owned()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.call("stop");
    }
}

#[test]
fn start_status_reload_restart_stop() {
    let script = Script::new();
    assert_eq!(script.call("status").0, 3);
    assert_eq!(script.call("start").0, 0);
    let first = script.pid();
    assert!(script.call("status").1.contains(&first));
    assert_eq!(script.call("start").0, 0, "a second start is no error");
    assert_eq!(script.pid(), first, "and starts no second process");
    assert_eq!(script.call("reload").0, 0);
    assert_eq!(script.pid(), first);
    assert_eq!(script.call("restart").0, 0);
    assert_ne!(script.pid(), first);
    assert_eq!(script.call("stop").0, 0);
    assert_eq!(script.call("status").0, 3);
    assert_eq!(script.call("stop").0, 0, "a second stop is no error");
}

#[test]
fn a_broken_file_is_not_reloaded() {
    let script = Script::new();
    assert_eq!(script.call("start").0, 0);
    fs::write(script.path("oneport.cfg"), "nonsense\n").unwrap();
    let (status, text) = script.call("reload");
    assert_ne!(status, 0);
    assert!(text.contains("oneport.cfg:1"), "{text}");
    assert_eq!(script.call("status").0, 0, "the running process is untouched");
}

#[test]
fn a_stale_pidfile_is_noticed() {
    let script = Script::new();
    // Alive, but not ours.
    fs::write(script.path("oneport.pid"), format!("{}\n", std::process::id())).unwrap();
    assert_eq!(script.call("status").0, 3);
    assert_eq!(script.call("start").0, 0);
    assert_eq!(script.call("status").0, 0);
}
