//! Driven as VTest drives HAProxy: in the foreground with `-d`, listening sockets handed over under the names of their
//! frontends, addresses in the environment, syslog by UDP.

use crate::rig::DEFAULTS;
use crate::support::peers::Backend;
use crate::support::process::{Gateway, Starter, folder};
use crate::support::program::{Program, installed};
use crate::support::syslog::Syslog;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

/// The program as VTest starts it, with `fe1` as its descriptor 7 and these variables; `files` are written beside each
/// other, and `arguments` come before the last `-f`.
fn driven(
    program: Program,
    listener: TcpListener,
    arguments: &[&str],
    files: &[(&str, &str)],
    variables: &[(&str, &str)],
) -> Gateway {
    let port = listener.local_addr().unwrap().port();
    let dir = folder();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut command = Command::new(installed("sh", "dash"));
    command
        .current_dir(dir.path())
        .args(["-c", "exec \"$0\" \"$@\" 7<&0 </dev/null"])
        .arg(program.path())
        .arg("-d")
        .args(arguments)
        .args(["-f", files.last().unwrap().0])
        .env("fe1", "7")
        .envs(variables.iter().copied())
        .stdin(Stdio::from(OwnedFd::from(listener)));
    Starter::new().ready_port(port).spawn(command, dir)
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[test]
fn a_frontend_takes_the_descriptor_of_its_name() {
    let backend = Backend::web("a");
    // `daemon` shall not send it to the background.
    let text = format!(
        "global\n    daemon\n    log ${{S1_addr}}:${{S1_port}} daemon\n    log-tag \"${{HAPROXY_LOCALPEER}}\"\n{DEFAULTS}    \
         mode http\n    log global\n    option httplog\nfrontend fe1\n    bind \"fd@${{fe1}}\"\n    \
         default_backend \"${{BACKEND-web}}\"\nbackend web\n    server s \"${{s1_addr}}:${{s1_port}}\"\n"
    );
    for program in [Program::Oneport, Program::Haproxy] {
        let syslog = Syslog::udp();
        let mut gateway = driven(
            program,
            listener(),
            &["-L", "vtest", "-m", "512"],
            &[("h1.cfg", &text)],
            &[
                ("S1_addr", "127.0.0.1"),
                ("S1_port", &syslog.port.to_string()),
                ("s1_addr", "127.0.0.1"),
                ("s1_port", &backend.port.to_string()),
            ],
        );
        let mut client = gateway.client();
        for path in ["/one", "/two"] {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            assert_eq!(client.answer().status, 200, "{program:?}");
        }
        // One datagram a line, `<daemon.info>… tag[pid]: …`.
        let begin = format!(" vtest[{}]: ", gateway.pid());
        for path in ["/one", "/two"] {
            let line = syslog.wait_for(&format!("GET {path} "));
            assert!(line.starts_with("<30>"), "{program:?} {line:?}");
            assert!(line.contains(&begin), "{program:?} {line:?}");
            assert_eq!(line.trim_end_matches('\n').lines().count(), 1, "{program:?} {line:?}");
        }
        assert!(gateway.is_running(), "{program:?} stays in the foreground");
    }
}

#[test]
fn several_files_and_folders_are_one_configuration() {
    let backend = Backend::web("a");
    let front = "frontend fe1\n    mode http\n    bind \"fd@${fe1}\"\n    default_backend web\n";
    let back = format!("backend web\n    mode http\n    server s 127.0.0.1:{}\n", backend.port);
    let files = [
        ("first.cfg", DEFAULTS),
        ("more/20-back.cfg", back.as_str()),
        ("more/10-defaults.cfg", DEFAULTS),
        ("more/not-read.txt", "nonsense\n"),
        ("last.cfg", &format!("{DEFAULTS}{front}")),
    ];
    for program in [Program::Oneport, Program::Haproxy] {
        let gateway = driven(program, listener(), &["-f", "first.cfg", "-f", "more"], &files, &[]);
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.answer().status, 200, "{program:?}");
    }
}

#[test]
fn conditions_answer_alike() {
    for condition in [
        "version_atleast(2.6-dev0)",
        "version_atleast(2.4) && !version_atleast(9.9)",
        "feature(OPENSSL) || version_before(9)",
        "(defined(NO_SUCH_NAME) || streq(a,b)) && 1",
        "strneq(a,b)",
        "defined(PATH) && streq(\"$NO_SUCH_NAME\",)",
        "1 &&",
    ] {
        let code = |program: Program| {
            let mut command = Command::new(program.path());
            command.args(["-cc", condition]).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().unwrap().code().unwrap()
        };
        let (ours, theirs) = (code(Program::Oneport), code(Program::Haproxy));
        // 0 and 1 are answers, all else is a complaint.
        assert_eq!(ours.min(2), theirs.min(2), "{condition}");
    }
}
