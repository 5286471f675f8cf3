//! Root given up: system calls that every processor numbers and widens in its own way (`docs/privileges.md`).

use crate::inside::Context;
use crate::rig::http_config;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::peers::Backend;
use crate::support::process::{Signal, Starter, folder};
use crate::support::program::Program;
use std::process::Command;

/// `nobody` of Debian, and of most.
const NOBODY: u32 = 65_534;
/// Two ports that only root can listen on, free in this network namespace.
const FIRST_PORT: u16 = 90;
const SECOND_PORT: u16 = 91;

/// `chroot`, `user` and `group`; then a reload with another port for which rights are needed, which the keeper has.
pub fn given_up(_: &Context) {
    if !has_user(NOBODY) {
        println!("  NOT TESTED: privileges: this is a user namespace with one user; as root they are tested");
        return;
    }
    let (old, new, dir) = (Backend::web("old"), Backend::web("new"), folder());
    let (file, jail) = (dir.path().join("gateway.cfg"), dir.path().join("jail"));
    std::fs::create_dir(&jail).unwrap();
    let config = |port, server| {
        format!(
            "global\n chroot {}\n uid {NOBODY}\n gid {NOBODY}\n{}",
            jail.display(),
            http_config(port, server, "")
        )
    };
    std::fs::write(&file, config(FIRST_PORT, old.port)).unwrap();
    let mut command = Command::new(Program::subject().path());
    command.args(["-db", "-f"]).arg(&file);
    let gateway = Starter::new().ready_port(FIRST_PORT).spawn(command, dir);
    let status = || std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap_or_default();
    eventually("it is nobody, in every way", || {
        let four =
            [NOBODY.to_string(), NOBODY.to_string(), NOBODY.to_string(), NOBODY.to_string()].join("\t");
        [format!("Uid:\t{four}\n"), format!("Gid:\t{four}\n"), "NoNewPrivs:\t1\n".into()]
            .iter()
            .all(|line| status().contains(line))
    });
    let root = std::fs::read_link(format!("/proc/{}/root", gateway.pid())).unwrap();
    assert_eq!(root, jail.canonicalize().unwrap());
    assert_eq!(served_by(FIRST_PORT), Some("old".into()));

    gateway.rewrite_config(&config(SECOND_PORT, new.port));
    gateway.signal(Signal::USR2);
    gateway.wait_stderr("the configuration was read again");
    assert_eq!(served_by(SECOND_PORT), Some("new".into()));
}

/// Whether this user is one of our user namespace's.
fn has_user(id: u32) -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    map.lines().any(|line| {
        let words: Vec<u32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        matches!(words[..], [first, _, count] if id >= first && id - first < count)
    })
}

fn served_by(port: u16) -> Option<String> {
    let mut client = Client::to(port);
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    client.answer().header("x-backend").map(str::to_string)
}
