//! busybox init for real, with the files that the packaging put into the board's overlay.

use crate::inside::Context;
use crate::root::{Root, System, respawn_line};
use crate::support::client::Client;
use crate::support::peers::Backend;
use crate::support::ports::is_listening;
use crate::support::process::{Signal, is_alive, send_signal};
use crate::support::{eventually, within};
use crate::traffic::{FixedPeers, expect_three_protocols};
use std::time::Duration;

const SCRIPT: &str = "/etc/init.d/S50oneport";
/// From its death to its next answer: init waits a second before it starts anything again.
const RESPAWN: Duration = Duration::from_secs(8);

/// As Buildroot has it: everything in `/etc/init.d` is started at boot and stopped at shutdown.
pub fn started_by_script(context: &Context) {
    let _peers = FixedPeers::start();
    let root = Root::new(&context.board, "::sysinit:/etc/init.d/rcS\n::shutdown:/etc/init.d/rcK\n");
    root.script("etc/init.d/rcS", "for script in /etc/init.d/S??*; do $script start; done\n");
    root.script(
        "etc/init.d/rcK",
        &format!(
            "for script in /etc/init.d/S??*; do $script stop; done\n{SCRIPT} status\necho $? >/status\n"
        ),
    );
    let mut system = root.boot();
    eventually("oneport serves", || is_listening(80));
    expect_three_protocols(80);
    expect_logged(&system);

    let first = system.gateway();
    assert!(system.succeed(&format!("{SCRIPT} status")).contains("oneport runs as"));
    assert!(system.succeed(&format!("{SCRIPT} start")).contains("already runs"));
    assert_eq!(system.gateways(), [first], "a second start starts nothing");
    system.succeed(&format!("{SCRIPT} restart"));
    assert_ne!(system.gateway(), first);
    expect_three_protocols(80);

    changed_file(&system, || system.run(&format!("{SCRIPT} reload")).0);

    // Nobody starts it again here; the script sees that its pidfile is left over.
    let pid = system.gateway();
    send_signal(pid, Signal::KILL);
    eventually("it is gone", || system.gateways().is_empty());
    assert_eq!(system.run(&format!("{SCRIPT} status")).0, 3);
    system.succeed(&format!("{SCRIPT} start"));
    expect_three_protocols(80);

    system.power_off();
    assert!(!is_listening(80));
    assert_eq!(system.root().read("status").trim(), "3", "it was stopped before init killed what was left");
    assert_eq!(system.root().read("var/run/oneport.pid"), "", "and took its pidfile away");
}

/// As an appliance without init scripts has it: a line of inittab, and init starts it again whenever it ends.
pub fn respawned(context: &Context) {
    let _peers = FixedPeers::start();
    let mut system = Root::new(&context.board, &respawn_line()).boot();
    eventually("oneport serves", || is_listening(80));
    expect_three_protocols(80);
    for signal in [Signal::KILL, Signal::TERM] {
        let before = system.gateway();
        system.signal(signal);
        eventually("it ends", || !is_alive(before));
        within(RESPAWN, "init starts it again", || is_listening(80));
        assert_ne!(system.gateway(), before);
        expect_three_protocols(80);
    }
    // As the comments of inittab.example say.
    let reload = "oneport -q -c -f /etc/oneport.cfg && killall -USR2 oneport";
    changed_file(&system, || system.run(reload).0);
    system.power_off();
    assert!(!is_listening(80));
}

/// A changed file is put into force by the same process, a broken one never reaches it.
#[track_caller]
fn changed_file(system: &System, reload: impl Fn() -> i32) {
    let before = system.gateway();
    let other = Backend::web("other");
    let text = system.root().read("etc/oneport.cfg");
    system
        .root()
        .write("etc/oneport.cfg", &text.replace("127.0.0.1:8100", &format!("127.0.0.1:{}", other.port)));
    assert_eq!(reload(), 0);
    eventually("the changed file is in force", || server_of_port_80().as_deref() == Some("other"));
    system.root().write("etc/oneport.cfg", "nonsense\n");
    assert_ne!(reload(), 0, "a broken file is refused");
    assert_eq!(server_of_port_80().as_deref(), Some("other"));
    assert_eq!(system.gateway(), before, "the process is the same");
    system.root().write("etc/oneport.cfg", &text);
    assert_eq!(reload(), 0);
    eventually("the old file is in force again", || server_of_port_80().is_none());
}

fn server_of_port_80() -> Option<String> {
    let mut client = Client::to(80);
    client.send("GET / HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n");
    client.answer().header("x-backend").map(str::to_string)
}

/// The shipped file logs to /dev/log, where busybox's syslogd listens.
#[track_caller]
fn expect_logged(system: &System) {
    eventually("a session line is in /var/log/messages", || {
        let log = system.root().read("var/log/messages");
        log.lines().any(|line| line.contains("daemon.info oneport[") && line.contains("\"GET /a HTTP/1.1\""))
    });
}
