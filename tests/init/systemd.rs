//! `systemd/oneport.service`, as systemd's own tools read it, and its commands as systemd would run them.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use super::{Place, eventually, run, shipped};

fn unit() -> String {
    fs::read_to_string(shipped("systemd/oneport.service")).unwrap()
}

/// The values of a setting, with the variables of the unit put in.
fn settings(name: &str, place: &Place) -> Vec<String> {
    unit()
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .map(|value| {
            value
                .replace("/usr/sbin/oneport", place.path("oneport").to_str().unwrap())
                .replace("${CONFIG}", place.path("oneport.cfg").to_str().unwrap())
                .replace("$ARGS", "--wait-bind")
        })
        .collect()
}

/// A command line of the unit; its prefix (`+`) is systemd's business.
fn command(line: &str) -> Command {
    let mut words = line.trim_start_matches('+').split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    command
}

#[test]
fn systemd_understands_the_unit() {
    let place = Place::new();
    let here = unit().replace("/usr/sbin/oneport", place.path("oneport").to_str().unwrap());
    let file = place.path("oneport.service");
    fs::write(&file, here).unwrap();
    let (status, text) = run(Command::new("systemd-analyze").arg("verify").arg(&file));
    assert_eq!((status, text.as_str()), (0, ""), "systemd-analyze verify");
    // 3.0 of 10: what a service that may change its user, chroot and talk to the network can come to.
    let mut security = Command::new("systemd-analyze");
    let (status, text) = run(security.args(["security", "--offline=true", "--threshold=30"]).arg(&file));
    assert_eq!(status, 0, "{text}");
}

/// What a chroot, a change of user and low ports need must stay allowed.
#[test]
fn the_hardening_leaves_room_for_the_privileges_of_the_file() {
    let place = Place::new();
    let [capabilities] = settings("CapabilityBoundingSet", &place).try_into().unwrap();
    for needed in ["CAP_NET_BIND_SERVICE", "CAP_SETUID", "CAP_SETGID", "CAP_SYS_CHROOT"] {
        assert!(capabilities.split(' ').any(|one| one == needed), "{needed}");
    }
    let [calls] = settings("SystemCallFilter", &place).try_into().unwrap();
    let (status, service) = run(Command::new("systemd-analyze").args(["syscall-filter", "@system-service"]));
    assert_eq!(status, 0, "{service}");
    assert!(calls.contains("@system-service") && service.contains("@setuid"));
    assert!(calls.split(' ').any(|one| one == "chroot"));
}

#[test]
fn its_commands_start_check_reload_and_stop() {
    let place = Place::new();
    let manager = UnixDatagram::bind(place.path("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let next = || {
        let mut buffer = [0; 1_024];
        let length = manager.recv(&mut buffer).expect("a message to $NOTIFY_SOCKET");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    for line in settings("ExecStartPre", &place) {
        assert_eq!(run(&mut command(&line)), (0, String::new()), "{line}");
    }
    let [start] = settings("ExecStart", &place).try_into().unwrap();
    let mut gateway = command(&start).env("NOTIFY_SOCKET", place.path("notify")).spawn().unwrap();
    assert_eq!(next(), format!("READY=1\nMAINPID={}\nSTATUS=Serving", gateway.id()));
    assert!(place.serves(), "ready means that the port answers");

    let reload = || {
        let lines = settings("ExecReload", &place);
        let run_one = |line: String| run(&mut command(&line.replace("$MAINPID", &gateway.id().to_string())));
        // systemd stops at the first that fails.
        lines.into_iter().map(run_one).find(|(status, _)| *status != 0)
    };
    assert_eq!(reload(), None);
    assert!(next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(next().starts_with("READY=1\n"));
    fs::write(place.path("oneport.cfg"), "nonsense\n").unwrap();
    assert_eq!(reload().map(|(status, _)| status), Some(1), "a broken file fails the reload");

    run(Command::new("/bin/kill").args(["-TERM", &gateway.id().to_string()]));
    assert_eq!(next(), "STOPPING=1\nSTATUS=Stopping", "and the process never heard of it");
    assert!(gateway.wait().unwrap().success());
    eventually("it serves no more", || !place.serves());
}
