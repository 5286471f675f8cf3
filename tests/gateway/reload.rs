//! SIGHUP and SIGUSR2: the configuration is read again in the same process.

use crate::rig::{http_config, tcp_gateway};
use crate::support::client::Client;
use crate::support::peers::Backend;
use crate::support::ports::{free_port, is_listening};
use crate::support::process::{Gateway, Signal};
use crate::support::program::only_oneport;
use crate::support::{eventually, ms};

const REASON: &str = "HAProxy reloads in a new process";

fn served_by(port: u16) -> String {
    let mut client = Client::to(port);
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    client.answer().header("x-backend").unwrap_or_default().to_string()
}

#[test]
fn a_good_file_serves_new_connections_and_leaves_running_ones() {
    if only_oneport(REASON) {
        return;
    }
    for signal in [Signal::HUP, Signal::USR2] {
        let (echo, web) = (Backend::echo(), Backend::web("new"));
        let mut gateway = tcp_gateway(&echo, "");
        let port = gateway.port;
        let mut running = gateway.client();
        running.send("x");
        running.read_exact(1);
        let inode = listener_inodes(port);
        gateway.rewrite_config(&http_config(port, web.port, ""));
        gateway.signal(signal);
        eventually("new connections are served by the new file", || {
            let mut client = Client::to(port);
            client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            client.read_until_quiet(ms(300)).0.windows(3).any(|three| three == b"new")
        });
        running.send("still the old way");
        assert_eq!(running.read_exact(17), b"still the old way");
        assert_eq!(listener_inodes(port), inode, "the listener that stays is the same socket");
        assert!(gateway.is_running());
        running.finish();
        running.read_to_end();
    }
}

/// Puts a pipe into which nobody writes in the place of a file.
pub fn become_pipe(path: &std::path::Path) {
    std::fs::remove_file(path).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap();
}

/// Opening the pipe once waited for somebody to write into it, and with it everybody, SIGTERM included. `-f <(…)` is
/// such a pipe too.
#[test]
fn a_configuration_that_became_a_pipe_stops_nobody() {
    if only_oneport(REASON) {
        return;
    }
    let web = Backend::web("old");
    let mut gateway = Gateway::start(|port| http_config(port, web.port, ""));
    become_pipe(&gateway.config_path());
    gateway.signal(Signal::HUP);
    gateway.wait_stderr("a pipe cannot be read a second time");
    assert_eq!(served_by(gateway.port), "old");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_exit(std::time::Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn a_bad_file_is_reported_and_the_old_one_stays() {
    if only_oneport(REASON) {
        return;
    }
    let web = Backend::web("old");
    let mut gateway = Gateway::start(|port| http_config(port, web.port, ""));
    let good = std::fs::read_to_string(gateway.config_path()).unwrap();
    let lines = good.lines().count();
    gateway.rewrite_config(&format!("{good} nonsense here\n"));
    gateway.signal(Signal::USR2);
    gateway.wait_stderr("nonsense");
    assert!(gateway.stderr().contains(&format!("gateway.cfg:{}", lines + 1)), "{}", gateway.stderr());
    assert_eq!(served_by(gateway.port), "old");
    std::fs::remove_file(gateway.config_path()).unwrap();
    gateway.signal(Signal::USR2);
    std::thread::sleep(ms(300));
    assert!(gateway.is_running());
    assert_eq!(served_by(gateway.port), "old");
    gateway.rewrite_config(&good);
    gateway.signal(Signal::USR2);
    std::thread::sleep(ms(300));
    assert_eq!(served_by(gateway.port), "old");
}

#[test]
fn listeners_come_and_go() {
    if only_oneport(REASON) {
        return;
    }
    let (first, second) = (Backend::web("first"), Backend::web("second"));
    let gateway = Gateway::start(|port| http_config(port, first.port, ""));
    let other = free_port();
    gateway.rewrite_config(&http_config(other, second.port, ""));
    gateway.signal(Signal::USR2);
    eventually("the new port listens", || is_listening(other));
    let port = gateway.port;
    eventually("the old port does not", || !is_listening(port));
    assert_eq!(served_by(other), "second");
}

/// A port that cannot be bound makes the whole reload fail, not half of it succeed.
#[test]
fn a_port_that_is_taken_leaves_the_old_file_in_force() {
    if only_oneport(REASON) {
        return;
    }
    let (old, new) = (Backend::web("old"), Backend::web("new"));
    let gateway = Gateway::start(|port| http_config(port, old.port, ""));
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().port();
    let text = http_config(gateway.port, new.port, &format!("bind 127.0.0.1:{taken}"));
    gateway.rewrite_config(&text);
    gateway.signal(Signal::USR2);
    gateway.wait_stderr(&taken.to_string());
    assert_eq!(served_by(gateway.port), "old");
}

#[test]
fn idle_kept_alive_clients_move_over_and_nothing_is_left_behind() {
    if only_oneport(REASON) {
        return;
    }
    let web = Backend::web("a");
    let gateway = Gateway::start(|port| http_config(port, web.port, ""));
    served_by(gateway.port);
    for _ in 0..3 {
        gateway.signal(Signal::USR2);
        std::thread::sleep(ms(150));
        served_by(gateway.port);
    }
    let before = gateway.settled_descriptors();
    let memory = gateway.resident_kib();
    for _ in 0..20 {
        gateway.signal(Signal::USR2);
        std::thread::sleep(ms(50));
        assert_eq!(served_by(gateway.port), "a");
    }
    gateway.wait_descriptors(before);
    let grown = gateway.resident_kib().saturating_sub(memory);
    assert!(grown < 1_024, "{grown} KiB more after twenty reloads");
}

/// The kernel's numbers of the sockets that listen on this port.
fn listener_inodes(port: u16) -> Vec<String> {
    let wanted = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.len() > 9 && words[1].ends_with(&wanted) && words[3] == "0A")
        .map(|words| words[9].to_string())
        .collect()
}

/// `maxconn 2` was still in force after a reload said 50, without a word.
#[test]
fn a_raised_maxconn_counts_after_a_reload() {
    if only_oneport(REASON) {
        return;
    }
    let echo = Backend::echo();
    let text = |port: u16, maxconn: u32| {
        format!(
            "global\n maxconn {maxconn}\ndefaults\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
             listen l\n mode tcp\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{}\n",
            echo.port
        )
    };
    let gateway = Gateway::start(|port| text(port, 2));
    let mut clients: Vec<Client> = (0..5).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send("x");
    }
    let served = |clients: &mut Vec<Client>| {
        clients.iter_mut().filter_map(|client| client.read_until_quiet(ms(200)).0.first().copied()).count()
    };
    assert_eq!(served(&mut clients), 2);
    gateway.rewrite_config(&text(gateway.port, 50));
    gateway.signal(Signal::USR2);
    gateway.wait_stderr("in force");
    assert_eq!(served(&mut clients), 3, "the three that waited in the kernel's queue");
}

/// A changed `mode` of a unix socket was refused: the socket in the way was our own.
#[test]
fn a_unix_socket_gets_its_new_mode() {
    use std::os::unix::fs::PermissionsExt;
    if only_oneport(REASON) {
        return;
    }
    let echo = Backend::echo();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let text = |port: u16, mode: &str| {
        format!(
            "defaults\n timeout connect 5s\n timeout client 20s\n timeout server 20s\nlisten l\n mode tcp\n \
             bind 127.0.0.1:{port}\n bind unix@{} mode {mode}\n server s 127.0.0.1:{}\n",
            path.display(),
            echo.port
        )
    };
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let gateway = Gateway::start(|port| text(port, "600"));
    assert_eq!(mode(), 0o600);
    gateway.rewrite_config(&text(gateway.port, "666"));
    gateway.signal(Signal::USR2);
    eventually("the new mode", || mode() == 0o666);
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let mut answer = [0; 4];
    std::io::Write::write_all(&mut client, b"echo").unwrap();
    std::io::Read::read_exact(&mut client, &mut answer).unwrap();
    assert_eq!(&answer, b"echo");
}

/// A supervisor that had closed its end of stderr took the whole gateway down at the next reload.
#[test]
fn a_dead_stderr_is_no_reason_to_die() {
    if only_oneport(REASON) {
        return;
    }
    let web = Backend::web("old");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.cfg");
    let port = free_port();
    std::fs::write(&file, http_config(port, web.port, "")).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_oneport"))
        .args(["-db", "-f"])
        .arg(&file)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    eventually("it listens", || is_listening(port));
    // It hears signals before it serves, but not yet while it opens its ports.
    assert_eq!(served_by(port), "old");
    std::fs::write(&file, "nonsense\n").unwrap();
    crate::support::process::send_signal(child.id() as i32, Signal::USR2);
    std::thread::sleep(ms(300));
    let served = served_by(port);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(served, "old", "{status}");
}
