//! What the service manager is told ($NOTIFY_SOCKET), and HAProxy's flags that belong to it.

use crate::rig::{http_config, tcp_gateway};
use crate::support::client::Client;
use crate::support::peers::Backend;
use crate::support::ports::{free_port, is_listening};
use crate::support::process::{Daemon, Gateway, Signal, Starter, folder, run_command, send_signal, written};
use crate::support::program::{Program, only_oneport};
use crate::support::{eventually, ms};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Output};
use std::time::Duration;

const REASON: &str = "HAProxy notifies with -Ws only, and in other words";

/// The service manager's end of $NOTIFY_SOCKET.
pub struct Manager(UnixDatagram);

impl Manager {
    /// The socket at this address.
    pub fn at(address: &SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        Self(socket)
    }

    /// The next message.
    #[track_caller]
    pub fn next(&self) -> String {
        let mut buffer = [0; 1_024];
        let length = self.0.recv(&mut buffer).expect("a notification");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }
}

/// The gateway with this file and flags, and $NOTIFY_SOCKET.
fn notifying(flags: &[&str], config: &str, notify: &str) -> (Starter, Command, tempfile::TempDir) {
    let dir = folder();
    let file = dir.path().join("gateway.cfg");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(Program::subject().path());
    command.args(flags).arg("-f").arg(file).env("NOTIFY_SOCKET", notify);
    (Starter::new(), command, dir)
}

#[test]
fn ready_reloading_ready_stopping() {
    if only_oneport(REASON) {
        return;
    }
    let web = Backend::web("a");
    let places = folder();
    for (flags, is_abstract) in [(&["-Ws", "-q"][..], false), (&["-q", "-W", "-db"], true), (&["-db"], false)]
    {
        let path = places.path().join(format!("notify{}", flags.len()));
        let path = path.to_str().unwrap();
        let (manager, name) = match is_abstract {
            true => (Manager::at(&SocketAddr::from_abstract_name(path).unwrap()), format!("@{path}")),
            false => (Manager::at(&SocketAddr::from_pathname(path).unwrap()), path.to_owned()),
        };
        let port = free_port();
        // HAProxy's -Ws stays in the foreground whatever the file says.
        let daemon = if flags[0] == "-Ws" { "global\n daemon\n" } else { "" };
        let (starter, command, dir) =
            notifying(flags, &format!("{daemon}{}", http_config(port, web.port, "")), &name);
        let mut gateway = starter.spawn(command, dir);
        let ready = format!("READY=1\nMAINPID={}\nSTATUS=Serving", gateway.pid());
        assert_eq!(manager.next(), ready);
        let mut client = Client::to(port);
        client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        assert_eq!(client.answer().status, 200, "ready means that the port answers");

        for signal in [Signal::USR2, Signal::HUP] {
            gateway.signal(signal);
            let reloading = manager.next();
            let usec = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            assert!(usec.split('\n').next().unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
            assert_eq!(manager.next(), ready);
        }
        let good = std::fs::read_to_string(gateway.config_path()).unwrap();
        gateway.rewrite_config("nonsense\n");
        gateway.signal(Signal::USR2);
        assert!(manager.next().starts_with("RELOADING=1\n"));
        let failed = manager.next();
        assert!(failed.starts_with(&ready) && failed.contains("the last reload failed"), "{failed}");
        gateway.rewrite_config(&good);
        gateway.signal(Signal::TERM);
        assert_eq!(manager.next(), "STOPPING=1\nSTATUS=Stopping");
        assert_eq!(gateway.wait_exit(Duration::from_secs(10)).code(), Some(0));
    }
}

#[test]
fn a_soft_stop_is_a_stop() {
    if only_oneport(REASON) {
        return;
    }
    let echo = Backend::echo();
    let dir = folder();
    let path = dir.path().join("notify");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).unwrap());
    let port = free_port();
    let config = crate::rig::tcp_config(port, &format!("127.0.0.1:{}", echo.port), "");
    let (starter, command, dir) = notifying(&["-db"], &config, path.to_str().unwrap());
    let mut gateway = starter.ready_port(port).spawn(command, dir);
    assert!(manager.next().starts_with("READY=1\n"));
    let mut client = gateway.client();
    client.send("x");
    client.read_exact(1);
    gateway.signal(Signal::USR1);
    assert_eq!(manager.next(), "STOPPING=1\nSTATUS=finishing 1 connections, then stopping");
    drop(client);
    gateway.wait_exit(Duration::from_secs(10));
}

/// The process to watch is the one in the background.
#[test]
fn a_daemon_says_who_it_is() {
    if only_oneport(REASON) {
        return;
    }
    let web = Backend::web("a");
    let places = folder();
    let path = places.path().join("notify");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).unwrap());
    let port = free_port();
    let pidfile = places.path().join("pid");
    let (_, mut command, _dir) = notifying(
        &["-D", "-p", pidfile.to_str().unwrap()],
        &http_config(port, web.port, ""),
        path.to_str().unwrap(),
    );
    let output = run_command({
        command.env("PATH", std::env::var("PATH").unwrap());
        command
    });
    assert_eq!(output.status.code(), Some(0), "{}", written(&output));
    let pid = std::fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap();
    let _daemon = Daemon(pid);
    assert_eq!(manager.next(), format!("READY=1\nMAINPID={pid}\nSTATUS=Serving"));
    send_signal(pid, Signal::TERM);
    assert!(manager.next().starts_with("STOPPING=1\n"));
}

#[test]
fn a_broken_notify_socket_does_no_harm() {
    if only_oneport(REASON) {
        return;
    }
    let web = Backend::web("a");
    let dir = folder();
    let gone = dir.path().join("gone");
    let stuck = dir.path().join("stuck");
    // Nobody reads: it is full after a few messages.
    let _stuck = UnixDatagram::bind(&stuck).unwrap();
    for (name, complains) in [
        ("", false),
        (gone.to_str().unwrap(), true),
        ("relative", true),
        ("@oneport-nobody-is-there", true),
        (stuck.to_str().unwrap(), false),
    ] {
        let port = free_port();
        let (starter, command, dir) = notifying(&["-db"], &http_config(port, web.port, ""), name);
        let mut gateway = starter.ready_port(port).spawn(command, dir);
        if complains {
            gateway.wait_stderr("warning: cannot use $NOTIFY_SOCKET");
        }
        let asked = || {
            let mut client = Client::to(port);
            client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            client.answer().status
        };
        // It listens before it hears signals, and answers after.
        assert_eq!(asked(), 200, "{name:?}");
        for _ in 0..20 {
            gateway.signal(Signal::USR2);
            std::thread::sleep(ms(20));
        }
        assert_eq!(asked(), 200, "{name:?}");
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.wait_exit(Duration::from_secs(10)).code(), Some(0), "{name:?}");
    }
}

/// HAProxy's `-W` alone goes to the background where the file says so, `-W -db` and `-Ws` do not.
#[test]
fn worker_flags_and_the_background() {
    let web = Backend::web("a");
    for flags in [&["-q", "-W", "-db"][..], &["-Ws"]] {
        let port = free_port();
        let (starter, mut command, dir) =
            notifying(flags, &format!("global\n daemon\n{}", http_config(port, web.port, "")), "");
        command.env_remove("NOTIFY_SOCKET");
        let mut gateway: Gateway = starter.ready_port(port).spawn(command, dir);
        std::thread::sleep(ms(300));
        assert!(gateway.is_running(), "{flags:?}");
        gateway.signal(Signal::TERM);
        gateway.wait_exit(Duration::from_secs(10));
        eventually("nobody is left behind", || !is_listening(port));
    }
}

/// The set of flags by which OpenWrt's script checks a file, on both programs: output and status are equal.
#[test]
fn checking_as_openwrt_does() {
    let dir = folder();
    let (good, bad) = (dir.path().join("good.cfg"), dir.path().join("bad.cfg"));
    std::fs::write(&good, http_config(free_port(), 1, "")).unwrap();
    std::fs::write(&bad, http_config(free_port(), 1, "nonsense here")).unwrap();
    let check = |program: Program, flags: &[&str], file| {
        let mut command = Command::new(program.path());
        command.args(flags).arg("-f").arg(file);
        run_command(command)
    };
    for flags in [&["-c", "-q", "-V"][..], &["-c", "-q"], &["-c"], &["-c", "-V"]] {
        for file in [&good, &bad] {
            let [ours, theirs] =
                [Program::Oneport, Program::Haproxy].map(|program| -> Output { check(program, flags, file) });
            assert_eq!(ours.status.code(), theirs.status.code(), "{flags:?} {}", file.display());
            assert_eq!(
                String::from_utf8_lossy(&ours.stdout),
                String::from_utf8_lossy(&theirs.stdout),
                "{flags:?} {}",
                file.display()
            );
        }
    }
}

/// A file that names no service manager: nothing is said about one.
#[test]
fn without_a_manager_nothing_is_said() {
    let echo = Backend::echo();
    let gateway = tcp_gateway(&echo, "");
    assert!(!gateway.stderr().contains("NOTIFY"), "{}", gateway.stderr());
}
