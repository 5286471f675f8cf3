//! The keeper: what a reload can do although the process has given up its privileges, and what nobody can make the
//! keeper do.

use crate::privileges::{ALL, NOBODY, config, four, keepers_of, left_out, served_by, started, status};
use crate::reload::become_pipe;
use crate::rig::http_config;
use crate::support::client::Client;
use crate::support::peers::Backend;
use crate::support::ports::{free_port, is_listening};
use crate::support::process::{Daemon, Signal, folder, is_alive, run_command, send_signal, written};
use crate::support::program::{Program, only_oneport};
use crate::support::{eventually, ms};
use std::process::Command;
use std::time::Duration;

const KEEPER: &str = "HAProxy reloads in a new process and has no keeper";

fn keeper_of(pid: i32) -> i32 {
    match keepers_of(pid).as_slice() {
        [keeper] => *keeper,
        other => panic!("one keeper expected: {other:?}"),
    }
}

/// The user that has made the socket which listens on a port.
fn owner_of_listener(port: u16) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_it = words[1].ends_with(&format!(":{port:04X}")) && words[3] == "0A";
        is_it.then(|| words[7].to_string())
    })
}

#[test]
fn a_reload_reads_the_file_and_opens_ports_as_root_would() {
    if left_out() || only_oneport(KEEPER) {
        return;
    }
    let (first, second, third) = (Backend::web("first"), Backend::web("second"), Backend::web("third"));
    let ports = [free_port(), free_port(), free_port()];
    let gateway = started(ports[0], ALL, &http_config(ports[0], first.port, ""));
    // Nobody but root may read it.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(gateway.config_path(), PermissionsExt::from_mode(0o600)).unwrap();
    let mut running = gateway.client();
    running.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    running.answer();

    // A name instead of an address: behind the chroot there is no /etc/hosts.
    let by_name = http_config(ports[0], second.port, &format!("bind 127.0.0.1:{}", ports[1]));
    gateway.reload(&by_name.replace("s1 127.0.0.1", "s1 localhost"));
    eventually("the new port listens", || is_listening(ports[1]));
    assert_eq!((served_by(ports[0]), served_by(ports[1])), ("second".into(), "second".into()));
    for port in &ports[..2] {
        assert_eq!(owner_of_listener(*port).as_deref(), Some("0"), "opened by the keeper");
    }

    let socket = gateway.dir.path().join("socket");
    gateway.reload(&http_config(
        ports[2],
        third.port,
        &format!("bind unix@{} mode 600\nbind localhost:{}", socket.display(), ports[1]),
    ));
    eventually("the third port listens", || is_listening(ports[2]));
    eventually("the first does not", || !is_listening(ports[0]));
    assert_eq!((served_by(ports[1]), served_by(ports[2])), ("third".into(), "third".into()));
    let mut client = Client::to_path(&socket);
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().header("x-backend"), Some("third"));
    assert_eq!(status(gateway.pid(), "Uid"), four(NOBODY));
}

#[test]
fn a_reload_that_fails_leaves_the_old_file_in_force() {
    if left_out() || only_oneport(KEEPER) {
        return;
    }
    let (web, port) = (Backend::web("a"), free_port());
    let gateway = started(port, ALL, &http_config(port, web.port, ""));
    let good = std::fs::read_to_string(gateway.config_path()).unwrap();
    let lines = good.lines().count();
    gateway.rewrite_config(&format!("{good} nonsense here\n"));
    gateway.signal(Signal::USR2);
    gateway.wait_stderr(&format!("gateway.cfg:{}", lines + 1));
    gateway.wait_stderr("stays in force");

    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().port();
    gateway.reload(&http_config(port, web.port, &format!("bind 127.0.0.1:{taken}")));
    gateway.wait_stderr("the address is in use by another process");

    std::fs::remove_file(gateway.config_path()).unwrap();
    gateway.signal(Signal::USR2);
    gateway.wait_stderr("cannot read the configuration");
    assert_eq!(served_by(port), "a");

    gateway.rewrite_config(&good.replace("user nobody", "user daemon"));
    gateway.signal(Signal::USR2);
    gateway.wait_stderr("change only when the program is started anew");
    gateway.wait_stderr("is in force");
    assert_eq!(served_by(port), "a");
    assert_eq!(status(gateway.pid(), "Uid"), four(NOBODY));
}

#[test]
fn the_keeper_is_small_and_holds_nothing() {
    if left_out() || only_oneport(KEEPER) {
        return;
    }
    let (web, ports) = (Backend::web("a"), [free_port(), free_port()]);
    let gateway = started(ports[0], ALL, &http_config(ports[0], web.port, ""));
    gateway.reload(&http_config(ports[0], web.port, &format!("bind 127.0.0.1:{}", ports[1])));
    eventually("the new port listens", || is_listening(ports[1]));
    let keeper = keeper_of(gateway.pid());
    assert_eq!(status(keeper, "Name"), "oneport-keeper");
    assert_eq!(status(keeper, "NoNewPrivs"), "1");
    assert_eq!(status(keeper, "Threads"), "1");
    let links = std::fs::read_dir(format!("/proc/{keeper}/fd")).unwrap();
    let mut open: Vec<String> = links
        .map(|link| std::fs::read_link(link.unwrap().path()).unwrap().display().to_string())
        .map(|target| target.split(':').next().unwrap().to_string())
        .collect();
    open.sort();
    assert_eq!(open, ["/dev/null", "/dev/null", "/dev/null", "socket"]);
    let memory = std::fs::read_to_string(format!("/proc/{keeper}/smaps_rollup")).unwrap();
    let private_kib: u64 = memory
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap())
        .sum();
    assert!(private_kib < 300, "{private_kib} KiB of its own");
}

/// Scripts signal whatever has the program's name; a terminal the whole group.
#[test]
fn the_keeper_ends_with_its_worker_and_only_then() {
    if left_out() || only_oneport(KEEPER) {
        return;
    }
    for last in [Signal::TERM, Signal::KILL] {
        let (web, port) = (Backend::web("a"), free_port());
        let mut gateway = started(port, ALL, &http_config(port, web.port, ""));
        let keeper = keeper_of(gateway.pid());
        for signal in [Signal::HUP, Signal::INT, Signal::TERM, Signal::USR1, Signal::USR2] {
            send_signal(keeper, signal);
        }
        std::thread::sleep(ms(200));
        assert!(is_alive(keeper));
        assert_eq!(served_by(port), "a");
        gateway.signal(last);
        gateway.wait_exit(Duration::from_secs(10));
        eventually("the keeper ends", || !is_alive(keeper));
    }
}

#[test]
fn a_worker_without_its_keeper_serves_on_and_says_why_it_cannot_reload() {
    if left_out() || only_oneport(KEEPER) {
        return;
    }
    let (web, port) = (Backend::web("a"), free_port());
    let mut gateway = started(port, ALL, &http_config(port, web.port, ""));
    // The start still asks the keeper something after the port is open.
    assert_eq!(served_by(port), "a");
    send_signal(keeper_of(gateway.pid()), Signal::KILL);
    for _ in 0..2 {
        gateway.signal(Signal::USR2);
        gateway.wait_stderr("the keeper process has ended");
        assert_eq!(served_by(port), "a");
    }
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_exit(Duration::from_secs(10)).code(), Some(0));
}

/// A wish to end that came while a reload took its time was forgotten when another reload was asked for, and waited
/// for the one under way: with a keeper that hangs, for ever.
#[test]
fn a_wish_to_end_is_heard_while_a_reload_hangs() {
    if left_out() || only_oneport(KEEPER) {
        return;
    }
    for last in [Signal::USR1, Signal::TERM] {
        let (web, port) = (Backend::web("a"), free_port());
        let mut gateway = started(port, ALL, &http_config(port, web.port, ""));
        // The start still asks the keeper something after the port is open.
        assert_eq!(served_by(port), "a");
        let keeper = keeper_of(gateway.pid());
        send_signal(keeper, Signal::STOP);
        gateway.signal(Signal::USR2);
        std::thread::sleep(ms(100));
        assert_eq!(served_by(port), "a");
        gateway.signal(last);
        std::thread::sleep(ms(50));
        gateway.signal(Signal::HUP);
        assert_eq!(gateway.wait_exit(Duration::from_secs(10)).code(), Some(0));
        send_signal(keeper, Signal::CONT);
        eventually("the keeper ends", || !is_alive(keeper));
    }
}

/// A keeper that waited for a pipe stayed behind for ever, with root's rights.
#[test]
fn a_configuration_that_became_a_pipe_does_not_hold_the_keeper() {
    if left_out() || only_oneport(KEEPER) {
        return;
    }
    let (web, port) = (Backend::web("a"), free_port());
    let mut gateway = started(port, ALL, &http_config(port, web.port, ""));
    let keeper = keeper_of(gateway.pid());
    become_pipe(&gateway.config_path());
    gateway.signal(Signal::USR2);
    gateway.wait_stderr("a pipe cannot be read a second time");
    assert_eq!(served_by(port), "a");
    gateway.signal(Signal::TERM);
    gateway.wait_exit(Duration::from_secs(10));
    eventually("the keeper ends", || !is_alive(keeper));
}

/// As somebody would who has taken over the worker: its end of the channel, and requests of one's own.
#[test]
fn the_keeper_does_nothing_for_strangers() {
    if left_out() || only_oneport(KEEPER) {
        return;
    }
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
    let listen = |frontend: u8, bind: u8| [2, 0, 0, 0, frontend, 0, 0, 0, bind, 0, 0, 0, 1, 0, 0, 0];
    let requests = [*b"GET / HTTP/1.0\r\n", [0; 16], listen(0, 0), listen(0, 1), listen(200, 0)];
    for (number, request) in requests.into_iter().enumerate() {
        let (web, port) = (Backend::web("a"), free_port());
        let gateway = started(port, ALL, &http_config(port, web.port, ""));
        let keeper = keeper_of(gateway.pid());
        let theirs = std::fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap();
        let number_of = |name: std::ffi::OsString| name.to_str().unwrap().parse::<i32>().unwrap();
        let mut descriptors: Vec<i32> = theirs.map(|link| number_of(link.unwrap().file_name())).collect();
        descriptors.retain(|number| *number > 2);
        let worker = pidfd_open(Pid::from_raw(gateway.pid()).unwrap(), PidfdFlags::empty()).unwrap();
        descriptors.sort_unstable();
        // The channel was made before the pair that carries signals, so its number is lower.
        let channel = descriptors.into_iter().find_map(|number| {
            let copy = pidfd_getfd(&worker, number, PidfdGetfdFlags::empty()).ok()?;
            let family = rustix::net::sockopt::socket_domain(&copy).ok()?;
            (family == rustix::net::AddressFamily::UNIX).then_some(copy)
        });
        rustix::io::write(channel.expect("the worker has a channel"), &request).unwrap();
        eventually(&format!("the keeper ends at request {number}"), || !is_alive(keeper));
        assert_eq!(served_by(port), "a");
    }
}

#[test]
fn a_daemon_has_its_pidfile_removed_by_the_keeper() {
    if left_out() || only_oneport(KEEPER) {
        return;
    }
    for last in [Signal::TERM, Signal::KILL] {
        let (web, port, dir) = (Backend::web("a"), free_port(), folder());
        let (jail, file, pidfile) =
            (dir.path().join("jail"), dir.path().join("d.cfg"), dir.path().join("d.pid"));
        std::fs::create_dir(&jail).unwrap();
        std::fs::write(&file, config(&jail, ALL, &http_config(port, web.port, ""))).unwrap();
        let mut command = Command::new(Program::subject().path());
        // Relative, as nothing that begins with / is the same behind the chroot.
        command.args(["-D", "-p", "d.pid", "-f", "d.cfg"]).current_dir(dir.path());
        let output = run_command(command);
        assert_eq!(output.status.code(), Some(0), "{}", written(&output));
        let pid: i32 = std::fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap();
        let daemon = Daemon(pid);
        assert_eq!(status(daemon.0, "Uid"), four(NOBODY));
        assert_eq!(served_by(port), "a");
        let other = free_port();
        std::fs::write(&file, config(&jail, ALL, &http_config(other, web.port, ""))).unwrap();
        send_signal(pid, Signal::HUP);
        eventually("the reload opens the new port", || is_listening(other));
        assert_eq!(served_by(other), "a");
        send_signal(pid, last);
        eventually("the daemon ends", || !is_alive(pid));
        eventually("the pidfile is gone", || !pidfile.exists());
    }
}

/// Behind the folder there is neither the page nor the list: the keeper reads them, as root may.
#[test]
fn a_reload_reads_the_files_that_the_configuration_names() {
    if left_out() || only_oneport(KEEPER) {
        return;
    }
    let (web, port) = (Backend::web("a"), free_port());
    let gateway = started(port, ALL, &http_config(port, web.port, ""));
    let named = |name: &str| gateway.dir.path().join(name);
    let write = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(named(name), text).unwrap();
        std::fs::set_permissions(named(name), PermissionsExt::from_mode(0o600)).unwrap();
    };
    let page = |text: &str| format!("HTTP/1.1 403 Mine\r\nX-Page: {text}\r\n\r\n{text}\n");
    let lines = format!(
        "errorfile 403 {}\n http-request deny if {{ path -f {} }}\n \
         http-request return status 200 content-type text/plain file {} if {{ path,map({}) one }}",
        named("403.http").display(),
        named("paths").display(),
        named("text").display(),
        named("map").display()
    );
    let answer = |path: &str| {
        let mut client = gateway.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let answer = client.answer();
        (answer.status, answer.header("x-page").unwrap_or_default().to_owned(), answer.text())
    };
    write("403.http", &page("first"));
    write("paths", "/secret\n");
    write("text", "a text\n");
    write("map", "/text one\n");
    gateway.reload(&http_config(port, web.port, &lines));
    eventually("the list is in force", || answer("/secret").0 == 403);
    assert_eq!(answer("/secret"), (403, "first".into(), "first\n".into()));
    assert_eq!(answer("/text").2, "a text\n");
    assert_eq!(served_by(port), "a");

    // The next reload reads them anew.
    write("403.http", &page("second"));
    write("paths", "/hidden\n");
    gateway.reload(&http_config(port, web.port, &lines));
    eventually("the new list is in force", || answer("/hidden").0 == 403);
    assert_eq!((answer("/hidden").1.as_str(), answer("/secret").0), ("second", 200));

    // What is missing is told with its line, and what was in force stays so.
    let line = 1 + std::fs::read_to_string(gateway.config_path())
        .unwrap()
        .lines()
        .position(|line| line.contains("paths"))
        .unwrap();
    std::fs::remove_file(named("paths")).unwrap();
    gateway.signal(Signal::USR2);
    gateway.wait_stderr(&format!("gateway.cfg:{line}: error: cannot read the file"));
    gateway.wait_stderr("stays in force");
    assert_eq!(answer("/hidden").0, 403);
    assert_eq!(status(gateway.pid(), "Uid"), four(NOBODY));
}
