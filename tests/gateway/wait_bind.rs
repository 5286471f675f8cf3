//! Addresses that the machine does not have yet (`--wait-bind`, `transparent`), in a network of the gateway's own:
//! 192.0.2.0/24 and 2001:db8::/32 are for documentation, and here they come and go as the test wants.

use crate::notify::Manager;
use crate::rig::DEFAULTS;
use crate::support::process::{
    Gateway, Signal, Starter, folder, is_alive, run_command, send_signal, written,
};
use crate::support::program::{Program, installed, only_oneport};
use crate::support::{eventually, ms};
use std::os::unix::net::SocketAddr;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const REASON: &str = "HAProxy does not wait";
/// Everything is in a network of its own, so no port is taken.
const PORT: u16 = 28_080;
const SECONDS_10: Duration = Duration::from_secs(10);

/// No server is there: whoever is answered 503 has reached the gateway.
fn config(binds: &[&str]) -> String {
    let binds: String = binds.iter().map(|bind| format!(" bind {bind}\n")).collect();
    format!("{DEFAULTS}listen l\n mode http\n{binds} server s 127.0.0.1:1\n")
}

/// The command in a network that has only `lo`, and that one up.
fn isolated(shell: &str) -> Command {
    let mut command = Command::new(installed("unshare", "util-linux"));
    command.args(["--map-root-user", "--net", installed("sh", "dash").to_str().unwrap(), "-c"]);
    command.arg(format!("ip link set lo up && {shell}")).arg(Program::subject().path());
    command
}

/// The gateway, and the way into its network.
struct Isolated(Gateway);

impl Isolated {
    #[track_caller]
    fn start(flags: &[&str], config: &str) -> Self {
        Self::start_notifying(flags, config, "")
    }

    #[track_caller]
    fn start_notifying(flags: &[&str], config: &str, notify: &str) -> Self {
        let dir = folder();
        let file = dir.path().join("gateway.cfg");
        std::fs::write(&file, config).unwrap();
        let mut command = isolated("exec \"$0\" -db \"$@\"");
        command.args(flags).arg("-f").arg(&file).env("NOTIFY_SOCKET", notify);
        let gateway = Self(Starter::new().spawn(command, dir));
        let exe = format!("/proc/{}/exe", gateway.0.pid());
        let program = std::fs::canonicalize(Program::subject().path()).unwrap();
        eventually("unshare has become the gateway", || {
            std::fs::read_link(&exe).is_ok_and(|runs| runs == program)
        });
        gateway
    }

    /// Whether it listens on an address of this family, in its own network.
    fn listens(&self, table: &str) -> bool {
        let table =
            std::fs::read_to_string(format!("/proc/{}/net/{table}", self.0.pid())).unwrap_or_default();
        table.contains(&format!(":{PORT:04X} "))
    }

    fn add(&self, address: &str) {
        add(self.0.pid(), address);
    }

    #[track_caller]
    fn wait_served(&self, address: &str) {
        eventually(&format!("{address} is served: {}", self.0.stderr()), || served(self.0.pid(), address));
    }
}

fn inside(pid: i32, program: &str) -> Command {
    let mut command = Command::new(installed("nsenter", "util-linux"));
    command.args(["--preserve-credentials", "--user", "--net", "--target", &pid.to_string(), program]);
    command
}

#[track_caller]
fn add(pid: i32, address: &str) {
    let mut ip = inside(pid, "ip");
    ip.args(["address", "add", address, "dev", "lo"]);
    let output = run_command(ip);
    assert!(output.status.success(), "{}", written(&output));
}

fn served(pid: i32, address: &str) -> bool {
    let mut curl = inside(pid, "curl");
    curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "5"])
        .arg(format!("http://{address}:{PORT}/"));
    run_command(curl).stdout == b"503"
}

#[test]
fn an_address_that_comes_later_is_served_then_and_the_others_before() {
    if only_oneport(REASON) {
        return;
    }
    for (address, prefix) in [("192.0.2.1", 32), ("[2001:db8::1]", 128)] {
        let late = format!("{address}:{PORT}");
        let mut gateway = Isolated::start(&["--wait-bind"], &config(&[&late, &format!("127.0.0.1:{PORT}")]));
        gateway.wait_served("127.0.0.1");
        let waits = format!("warning: '{late}' is not an address of this machine yet: waiting for it");
        gateway.0.wait_stderr(&waits);
        std::thread::sleep(ms(1_200));
        gateway.add(&format!("{}/{prefix}", address.trim_matches(['[', ']'])));
        gateway.wait_served(address);
        gateway.0.wait_stderr(&format!("oneport: '{late}' is there after "));
        assert_eq!(gateway.0.stderr().matches(&late).count(), 2, "two lines of it:\n{}", gateway.0.stderr());
        gateway.0.signal(Signal::TERM);
        assert_eq!(gateway.0.wait_exit(SECONDS_10).code(), Some(0));
    }
}

/// Whoever waits for READY=1 goes on at once, and `systemctl status` shows what is still missing.
#[test]
fn the_service_manager_hears_what_is_waited_for() {
    if only_oneport(REASON) {
        return;
    }
    let dir = folder();
    let path = dir.path().join("notify");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).unwrap());
    let (first, second) = (format!("192.0.2.1:{PORT}"), format!("192.0.2.2:{PORT}"));
    let gateway =
        Isolated::start_notifying(&["--wait-bind"], &config(&[&first, &second]), path.to_str().unwrap());
    let missing = format!("STATUS=Serving; waiting for the addresses {first}, {second}");
    assert!(manager.next().ends_with(&format!("\n{missing}")));
    gateway.add("192.0.2.2/32");
    assert_eq!(manager.next(), format!("STATUS=Serving; waiting for the addresses {first}"));
    gateway.add("192.0.2.1/32");
    assert_eq!(manager.next(), "STATUS=Serving");
    gateway.0.signal(Signal::USR2);
    assert!(manager.next().starts_with("RELOADING=1\n"));
    assert!(manager.next().ends_with("\nSTATUS=Serving"));
}

#[test]
fn without_the_flag_it_is_an_error_that_names_the_way_out() {
    if only_oneport(REASON) {
        return;
    }
    let dir = folder();
    let file = dir.path().join("gateway.cfg");
    std::fs::write(&file, config(&[&format!("192.0.2.1:{PORT}")])).unwrap();
    let mut command = isolated("exec \"$0\" -db \"$@\"");
    command.arg("-f").arg(&file);
    let output = run_command(command);
    assert_eq!(output.status.code(), Some(1));
    let text = written(&output);
    assert!(
        text.contains("192.0.2.1:28080': this machine has no such address: --wait-bind waits for it"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn transparent_listens_at_once() {
    // HAProxy as well.
    let config =
        config(&[&format!("192.0.2.1:{PORT} transparent"), &format!("[2001:db8::1]:{PORT} transparent")]);
    let gateway = Isolated::start(&[], &config);
    for (table, address, with_prefix) in
        [("tcp", "192.0.2.1", "192.0.2.1/32"), ("tcp6", "[2001:db8::1]", "2001:db8::1/128")]
    {
        eventually("it listens where there is no such address", || gateway.listens(table));
        gateway.add(with_prefix);
        gateway.wait_served(address);
    }
    assert!(!gateway.0.stderr().contains("waiting"), "{}", gateway.0.stderr());
}

#[test]
fn signals_end_a_wait() {
    if only_oneport(REASON) {
        return;
    }
    for (signal, flag) in
        [(Signal::TERM, "--wait-bind"), (Signal::INT, "--wait-bind=60"), (Signal::USR1, "--wait-bind")]
    {
        let mut gateway = Isolated::start(&[flag], &config(&[&format!("192.0.2.1:{PORT}")]));
        gateway.0.wait_stderr("waiting for it");
        let asked = Instant::now();
        gateway.0.signal(signal);
        assert_eq!(gateway.0.wait_exit(SECONDS_10).code(), Some(0), "{flag}");
        assert!(asked.elapsed() < Duration::from_secs(2), "{flag}: {:?}", asked.elapsed());
    }
}

#[test]
fn a_wait_with_an_end_ends_in_an_error() {
    if only_oneport(REASON) {
        return;
    }
    let late = format!("192.0.2.1:{PORT}");
    let began = Instant::now();
    let mut gateway = Isolated::start(&["--wait-bind=6"], &config(&[&late, &format!("127.0.0.1:{PORT}")]));
    gateway.wait_served("127.0.0.1");
    assert_eq!(gateway.0.wait_exit(SECONDS_10).code(), Some(1));
    assert!(began.elapsed() >= Duration::from_secs(6));
    gateway.0.wait_stderr(&format!(
        "error: gave up waiting for '{late}' after 6 s: this machine has no such address"
    ));
}

/// What serves is worth more than an address that a new file asks for.
#[test]
fn a_reload_waits_too_and_never_ends_the_process() {
    if only_oneport(REASON) {
        return;
    }
    let here = format!("127.0.0.1:{PORT}");
    let mut gateway = Isolated::start(&["--wait-bind=3"], &config(&[&here]));
    gateway.wait_served("127.0.0.1");
    gateway.0.rewrite_config(&config(&[&here, &format!("192.0.2.1:{PORT}")]));
    gateway.0.signal(Signal::USR2);
    gateway.0.wait_stderr("error: gave up waiting for");
    assert!(gateway.0.is_running());
    assert!(served(gateway.0.pid(), "127.0.0.1"));
    // The next reload tries again; the address comes while it waits, and a third one keeps what is open.
    gateway.0.signal(Signal::USR2);
    std::thread::sleep(ms(700));
    gateway.0.signal(Signal::USR2);
    gateway.add("192.0.2.1/32");
    gateway.wait_served("192.0.2.1");
    gateway.0.signal(Signal::USR2);
    std::thread::sleep(ms(300));
    gateway.wait_served("192.0.2.1");
    assert_eq!(gateway.0.stderr().matches("is there after").count(), 1, "{}", gateway.0.stderr());
    // A file without it closes what was waited for and came.
    gateway.0.rewrite_config(&config(&[&here]));
    gateway.0.signal(Signal::USR2);
    eventually("it is closed", || !served(gateway.0.pid(), "192.0.2.1"));
}

/// Whoever gives up root could not open a low port later, so it is opened ahead; by the keeper at a reload.
#[test]
fn with_a_chroot_nothing_has_to_be_opened_later() {
    if only_oneport(REASON) {
        return;
    }
    let root = folder();
    let chroot = format!("global\n chroot {}\n", root.path().display());
    let (first, second) = (format!("192.0.2.1:{PORT}"), format!("[2001:db8::1]:{PORT}"));
    let path = root.path().join("notify");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).unwrap());
    let gateway = Isolated::start_notifying(
        &["--wait-bind=3"],
        &format!("{chroot}{}", config(&[&first])),
        path.to_str().unwrap(),
    );
    gateway.0.wait_stderr(&format!("'{first}' is not an address of this machine yet: listening on it ahead"));
    assert!(manager.next().ends_with("\nSTATUS=Serving"));
    gateway.0.rewrite_config(&format!("{chroot}{}", config(&[&first, &second])));
    gateway.0.signal(Signal::USR2);
    assert!(manager.next().starts_with("RELOADING=1\n"), "the socket was opened before the chroot");
    assert!(manager.next().ends_with("\nSTATUS=Serving"));
    gateway.add("192.0.2.1/32");
    gateway.wait_served("192.0.2.1");
    gateway.add("2001:db8::1/128");
    gateway.wait_served("[2001:db8::1]");
}

/// A boot that starts it with `-D` goes on at once.
#[test]
fn a_daemon_waits_in_the_background() {
    if only_oneport(REASON) {
        return;
    }
    let dir = folder();
    let (file, pidfile) = (dir.path().join("gateway.cfg"), dir.path().join("pid"));
    std::fs::write(&file, config(&[&format!("192.0.2.1:{PORT}")])).unwrap();
    let mut command = isolated("exec \"$0\" \"$@\"");
    command.args(["-D", "--wait-bind", "-p"]).arg(&pidfile).arg("-f").arg(&file);
    let began = Instant::now();
    let output: Output = run_command(command);
    assert_eq!(output.status.code(), Some(0), "{}", written(&output));
    assert!(began.elapsed() < SECONDS_10);
    let pid = std::fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap();
    let _daemon = crate::support::process::Daemon(pid);
    std::thread::sleep(ms(300));
    assert!(is_alive(pid) && !served(pid, "192.0.2.1"));
    add(pid, "192.0.2.1/32");
    eventually("it is served", || served(pid, "192.0.2.1"));
    send_signal(pid, Signal::TERM);
    eventually("it ends", || !is_alive(pid));
}
