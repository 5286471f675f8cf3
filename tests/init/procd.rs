//! `procd/oneport`, with `tests/support/rc.common` in place of OpenWrt: what the script asks of procd.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Place, eventually, flags_are_accepted, run, shipped};

struct Script(Place);

impl Script {
    fn new() -> Self {
        let place = Place::new();
        let mut text = fs::read_to_string(shipped("procd/oneport")).unwrap();
        for (shipped, here) in
            [("DAEMON=/usr/sbin/oneport\n", "oneport"), ("CONFIG=/etc/oneport.cfg\n", "oneport.cfg")]
        {
            assert!(text.contains(shipped));
            let name = shipped.split('=').next().unwrap();
            text = text.replace(shipped, &format!("{name}={}\n", place.path(here).display()));
        }
        fs::write(place.path("script"), text).unwrap();
        Self(place)
    }

    /// Status, output, and what was asked of procd.
    fn call(&self, action: &str, running: &str) -> (i32, String, String) {
        let record = self.0.path("record");
        let _ = fs::remove_file(&record);
        let (status, text) = run(Command::new("busybox")
            .arg("sh")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/rc.common"))
            .arg(self.0.path("script"))
            .arg(action)
            .env("RECORD", &record)
            .env("RUNNING", running));
        (status, text, fs::read_to_string(record).unwrap_or_default())
    }
}

#[test]
fn start_asks_for_one_watched_process() {
    let script = Script::new();
    let (status, text, record) = script.call("start", "");
    assert_eq!((status, text.as_str()), (0, ""));
    let (daemon, config) = (script.0.path("oneport"), script.0.path("oneport.cfg"));
    let (daemon, config) = (daemon.display(), config.display());
    let expected = format!(
        "[procd_open_instance]\n\
         [procd_set_param] [command] [{daemon}] [-q] [-W] [-db] [--wait-bind] [-f] [{config}]\n\
         [procd_set_param] [file] [{config}]\n\
         [procd_set_param] [reload_signal] [USR2]\n\
         [procd_set_param] [respawn] [3600] [5] [0]\n\
         [procd_set_param] [limits] [nofile=65536 65536]\n\
         [procd_set_param] [stderr] [1]\n\
         [procd_close_instance]\n\
         [procd_commit]\n"
    );
    assert_eq!(record, expected);
    let text = fs::read_to_string(shipped("procd/oneport")).unwrap();
    assert!(text.starts_with("#!/bin/sh /etc/rc.common\n") && text.contains("\nUSE_PROCD=1\n"));
    let (_, _, record) = script.call("boot", "");
    assert!(record.ends_with("[procd_commit]\n[procd_add_reload_trigger] [oneport]\n"), "{record}");
}

#[test]
fn check_is_a_command() {
    let script = Script::new();
    assert_eq!(script.call("check", ""), (0, "Configuration file is valid\n".into(), String::new()));
    fs::write(script.0.path("oneport.cfg"), "nonsense\n").unwrap();
    let (status, text, _) = script.call("check", "");
    assert_eq!(status, 1);
    assert!(text.contains("oneport.cfg:1"), "{text}");
}

#[test]
fn restart_stops_and_starts() {
    let (status, _, record) = Script::new().call("restart", "1");
    assert_eq!(status, 0);
    assert!(record.starts_with("[procd_kill]\n[procd_open_instance]"), "{record}");
}

#[test]
fn a_broken_file_reaches_nobody() {
    let script = Script::new();
    fs::write(script.0.path("oneport.cfg"), "nonsense\n").unwrap();
    for action in ["start", "reload", "restart"] {
        let (status, text, record) = script.call(action, "1");
        assert_eq!((status, record.as_str()), (1, ""), "{action}");
        assert!(text.contains("oneport.cfg:1"), "{action}: {text}");
    }
}

/// The process that procd would have started, with the flags the script asks for.
#[test]
fn reload_signals_the_running_process() {
    let script = Script::new();
    let mut gateway = Command::new(script.0.path("oneport"))
        .args(["-q", "-W", "-db", "--wait-bind", "-f"])
        .arg(script.0.path("oneport.cfg"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("it serves", || script.0.serves());
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    script.0.write_config(&format!(" bind 127.0.0.1:{other}\n"));
    // It listens before it hears signals: once it answers, it does.
    let answer = {
        use std::io::{Read, Write};
        let mut client = std::net::TcpStream::connect(("127.0.0.1", script.0.port)).unwrap();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let (status, _, record) = script.call("reload", &gateway.id().to_string());
    assert_eq!(status, 0);
    assert_eq!(record, "[procd_running] [oneport]\n[procd_send_signal] [oneport] [*] [USR2]\n");
    eventually("the new file is in force", || std::net::TcpStream::connect(("127.0.0.1", other)).is_ok());
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    let (_, _, record) = script.call("reload", "");
    assert!(record.starts_with("[procd_running] [oneport]\n[procd_open_instance]\n"), "{record}");
}

#[test]
fn the_flags_are_ours() {
    flags_are_accepted("/usr/sbin/oneport -q -W -db --wait-bind -f /etc/oneport.cfg", &Place::new());
}
