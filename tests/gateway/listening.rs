//! Where the gateway listens: addresses, ranges, unix sockets, inherited sockets, and what is in the way.

use crate::rig::{DEFAULTS, tcp_config};
use crate::support::client::Client;
use crate::support::peers::Backend;
use crate::support::ports::{free_port, free_port_range};
use crate::support::process::{Starter, folder, run, run_command, written};
use crate::support::program::{Program, inheriting, installed, only_oneport};
use std::net::TcpListener;
use std::process::Command;

#[track_caller]
fn expect_echo(mut client: Client, what: &str) {
    client.send("hello");
    assert_eq!(client.read_exact(5), b"hello", "{what}");
}

fn config(bind: &str, backend: &Backend) -> String {
    format!("{DEFAULTS}listen raw\n mode tcp\n {bind}\n server s1 127.0.0.1:{}\n", backend.port)
}

#[test]
fn every_form_of_address() {
    let backend = Backend::echo();
    for (bind, address) in [
        ("*:PORT", "127.0.0.1"),
        (":PORT", "127.0.0.1"),
        ("0.0.0.0:PORT", "127.0.0.1"),
        ("127.0.0.2:PORT", "127.0.0.2"),
        ("localhost:PORT", "127.0.0.1"),
        ("[::1]:PORT", "::1"),
        ("[::]:PORT v6only", "::1"),
        (":::PORT v4v6", "127.0.0.1"),
        ("ipv4@127.0.0.1:PORT", "127.0.0.1"),
    ] {
        let port = free_port();
        let text = config(&format!("bind {}", bind.replace("PORT", &port.to_string())), &backend);
        let _gateway = Starter::new().ready_port(port).start(&text);
        let address: std::net::IpAddr = address.parse().unwrap();
        expect_echo(Client::to_address((address, port)), bind);
    }
}

#[test]
fn several_addresses_and_port_ranges() {
    let backend = Backend::echo();
    let (range, other, third) = (free_port_range(4), free_port(), free_port());
    let text = config(
        &format!(
            "bind 127.0.0.1:{range}-{},127.0.0.1:{other}\n bind 127.0.0.1:{third} name third",
            range + 3
        ),
        &backend,
    );
    let _gateway = Starter::new().ready_port(range).ready_port(third).start(&text);
    for port in [range, range + 1, range + 2, range + 3, other, third] {
        expect_echo(Client::to(port), "a port of the list");
    }
}

#[test]
fn a_unix_socket() {
    let backend = Backend::echo();
    let dir = folder();
    for prefix in ["unix@", ""] {
        let path = dir.path().join(format!("front{}.sock", prefix.len()));
        let text = config(&format!("bind {prefix}{} mode 600", path.display()), &backend);
        let _gateway = Starter::new().ready_path(&path).start(&text);
        expect_echo(Client::to_path(&path), prefix);
    }
}

/// `user`, `group` and `unix-bind` need root, and HAProxy does the same with them.
#[test]
fn a_unix_socket_has_its_owner() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let backend = Backend::echo();
    if !rustix::process::geteuid().is_root() {
        return refused_without_root(&backend);
    }
    let dir = folder();
    for (nth, (common, own, wanted)) in [
        ("", "mode 640 user nobody gid 12345", (0o640, 65_534, 12_345)),
        ("mode 600 uid 4321 group daemon", "", (0o600, 4_321, 1)),
        ("mode 600 uid 4321 gid 77", "mode 666 uid 0", (0o666, 0, 77)),
    ]
    .into_iter()
    .enumerate()
    {
        for program in [Program::Oneport, Program::Haproxy] {
            let name = format!("{nth}{program:?}.sock");
            let path = dir.path().join(&name);
            let text = format!(
                "global\n unix-bind prefix {} {common}\n{}",
                dir.path().display(),
                config(&format!("bind unix@/{name} {own}"), &backend)
            );
            let _gateway = Starter::of(program).ready_path(&path).start(&text);
            let found = std::fs::metadata(&path).unwrap();
            let found = (found.permissions().mode() & 0o7777, found.uid(), found.gid());
            assert_eq!(found, wanted, "{program:?} `{common}` `{own}`");
            expect_echo(Client::to_path(&path), &name);
        }
    }
    let path = dir.path().join("nobody.sock");
    let text = config(&format!("bind unix@{} user no_such_user", path.display()), &backend);
    let file = dir.path().join("test.cfg");
    std::fs::write(&file, text).unwrap();
    let output = run(&["-db", "-f", file.to_str().unwrap()]);
    assert!(written(&output).contains("no_such_user"), "{}", written(&output));
    assert_eq!(output.status.code(), Some(1));
}

/// Who is not root cannot give a file away, and is told of it.
fn refused_without_root(backend: &Backend) {
    let dir = folder();
    let file = dir.path().join("test.cfg");
    let text = config(&format!("bind unix@{} uid 0", dir.path().join("s").display()), backend);
    std::fs::write(&file, text).unwrap();
    let output = run(&["-db", "-f", file.to_str().unwrap()]);
    assert!(written(&output).contains("cannot be given to user 0"), "{}", written(&output));
}

/// A socket file that a killed process left behind is no obstacle.
#[test]
fn a_stale_unix_socket_is_replaced() {
    let backend = Backend::echo();
    let dir = folder();
    let path = dir.path().join("front.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let text = config(&format!("bind unix@{}", path.display()), &backend);
    let _gateway = Starter::new().start(&text);
    crate::support::eventually("the new socket accepts", || {
        std::os::unix::net::UnixStream::connect(&path).is_ok()
    });
}

/// The shell moves the listener from its stdin to descriptor 7 and becomes the gateway.
#[test]
fn an_inherited_listener() {
    let backend = Backend::echo();
    for (bind, with_name) in [("bind fd@7", false), ("bind \"fd@${LISTENER}\"", true)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let dir = folder();
        let file = dir.path().join("gateway.cfg");
        std::fs::write(&file, config(bind, &backend)).unwrap();
        let mut command = inheriting(listener, &file);
        if with_name {
            command.env("LISTENER", "7");
        }
        let gateway = Starter::new().ready_port(port).spawn(command, dir);
        expect_echo(gateway.client(), bind);
    }
}

#[test]
fn a_port_in_use() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let dir = folder();
    let file = dir.path().join("test.cfg");
    std::fs::write(&file, tcp_config(port, "127.0.0.1:1", "")).unwrap();
    let output = run(&["-db", "-f", file.to_str().unwrap()]);
    let text = written(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&port.to_string()), "{text}");
    if !only_oneport("HAProxy writes more lines") {
        assert_eq!(text.trim_end().lines().count(), 1, "one clear line:\n{text}");
        assert!(text.to_lowercase().contains("in use"), "{text}");
    }
}

#[test]
fn no_permission() {
    let dir = folder();
    // Somebody who is not root can run neither a program nor read a file in root's own folders.
    let program = dir.path().join("gateway");
    // By a process of its own: a child that another test starts meanwhile would inherit the copy, open for writing,
    // and "text file busy" be the answer to whoever runs it.
    let mut copy = Command::new(installed("cp", "coreutils"));
    copy.arg(Program::subject().path()).arg(&program);
    assert!(run_command(copy).status.success());
    let file = dir.path().join("test.cfg");
    let unprivileged =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    let mut binds = vec![format!("bind unix@{}/front.sock", dir.path().display())];
    if unprivileged.trim().parse::<u32>().unwrap_or(1_024) > 80 {
        binds.push("bind 127.0.0.1:80".into());
    }
    if !rustix::process::getuid().is_root() {
        binds = vec!["bind unix@/proc/front.sock".into()];
    }
    for bind in binds {
        std::fs::write(&file, format!("{DEFAULTS}listen l\n mode tcp\n {bind}\n server s 127.0.0.1:1\n"))
            .unwrap();
        let mut command = if rustix::process::getuid().is_root() {
            let mut command = Command::new(installed("setpriv", "util-linux"));
            command.args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "--inh-caps=-all",
                "--bounding-set=-all",
            ]);
            command.arg(&program);
            command
        } else {
            Command::new(&program)
        };
        command.args(["-db", "-f"]).arg(&file);
        let output = run_command(command);
        let text = written(&output);
        assert_eq!(output.status.code(), Some(1), "{bind}: {text}");
        if !only_oneport("HAProxy writes more lines") {
            assert_eq!(text.trim_end().lines().count(), 1, "one clear line:\n{text}");
            assert!(text.to_lowercase().contains("permission"), "{text}");
        }
    }
}
