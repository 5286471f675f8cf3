//! Session lines as the tools read them that people have for HAProxy's: halog and goaccess count what was sent.

use crate::support::client::Client;
use crate::support::peers::{Backend, Request, ok};
use crate::support::ports::free_port;
use crate::support::process::{Gateway, folder, run_command};
use crate::support::program::installed;
use crate::support::syslog::Syslog;
use crate::support::{eventually, ms};
use std::path::PathBuf;
use std::process::Command;

/// What was sent: target, status, how often.
const SENT: [(&str, u16, usize); 6] = [
    ("/page", 200, 7),
    ("/page?with=query", 200, 2),
    ("/gone", 404, 3),
    ("/deny", 403, 4),
    ("/down", 503, 2),
    ("/text%20with%22quotes", 200, 1),
];

fn sent() -> usize {
    SENT.iter().map(|(.., count)| count).sum()
}

fn with_status(status: u16) -> usize {
    SENT.iter().filter(|(_, known, _)| *known == status).map(|(.., count)| count).sum()
}

/// The lines of these requests as a log daemon writes them into a file: without the priority.
fn logged(option: &str, dir: &tempfile::TempDir) -> PathBuf {
    let (syslog, dead) = (Syslog::udp(), free_port());
    let web = Backend::answering(|request: &Request| match request.target.as_str() {
        "/gone" => b"HTTP/1.1 404 Gone\r\nContent-Length: 4\r\n\r\ngone".to_vec(),
        _ => ok("hello"),
    });
    let gateway = Gateway::start(|port| {
        format!(
            "global\n log 127.0.0.1:{} local0\n log-send-hostname gatehouse\n\
             defaults\n log global\n mode http\n {option}\n retries 0\n timeout connect 5s\n timeout client 20s\n \
             timeout server 20s\n\
             frontend front\n bind 127.0.0.1:{port}\n http-request deny if {{ path /deny }}\n \
             use_backend down if {{ path /down }}\n default_backend web\n\
             backend web\n server s1 127.0.0.1:{}\n\
             backend down\n server s2 127.0.0.1:{dead}\n",
            syslog.port, web.port
        )
    });
    for (target, status, count) in SENT {
        for _ in 0..count {
            let mut client: Client = gateway.client();
            client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
            assert_eq!(client.answer().status, status, "{target}");
        }
    }
    // At local0.info; what the program says of itself is local0.notice.
    let session_lines =
        || -> Vec<String> { syslog.lines().into_iter().filter(|line| line.starts_with("<134>")).collect() };
    eventually("every request has its line", || session_lines().len() >= sent());
    std::thread::sleep(ms(200));
    let lines = session_lines();
    assert_eq!(lines.len(), sent(), "{lines:?}");
    let without_priority = |line: &String| line.split_once('>').map(|(_, rest)| rest.to_owned()).unwrap();
    let file = dir.path().join("log");
    std::fs::write(&file, lines.iter().map(without_priority).collect::<String>()).unwrap();
    file
}

fn halog(arguments: &[&str], file: &PathBuf) -> Vec<Vec<String>> {
    let mut command = Command::new(installed("sh", "dash"));
    command.args(["-c", "exec \"$0\" -q \"$@\" <\"$LOG\""]).env("LOG", file);
    command.arg(installed("halog", "haproxy")).args(arguments);
    let output = run_command(command);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

#[test]
fn halog_counts_what_was_sent() {
    let dir = folder();
    let file = logged("option httplog", &dir);
    assert_eq!(halog(&["-c"], &file), [[sent().to_string()]]);
    let mut by_status = halog(&["-st"], &file);
    by_status.sort();
    let expected =
        [200, 403, 404, 503].map(|status| vec![status.to_string(), with_status(status).to_string()]);
    assert_eq!(by_status, expected);
    let mut endings = halog(&["-tc"], &file);
    endings.sort();
    let fine = with_status(200) + with_status(404);
    let expected = [("--", fine), ("PR", with_status(403)), ("SC", with_status(503))];
    assert_eq!(endings, expected.map(|(state, count)| vec![state.to_owned(), count.to_string()]));
    // By address, without the query: its columns begin with the number of requests and that of errors.
    for (target, count, errors) in
        [("/page", 9, 0), ("/gone", 3, 0), ("/deny", 4, 4), ("/down", 2, 2), ("/text%20with%22quotes", 1, 0)]
    {
        let all = halog(&["-u"], &file);
        let line = all.iter().find(|line| line.last().is_some_and(|word| word == target));
        let line = line.unwrap_or_else(|| panic!("no {target} in {all:?}"));
        assert_eq!(
            (line[0].as_str(), line[1].as_str()),
            (&*count.to_string(), &*errors.to_string()),
            "{line:?}"
        );
    }
    // Servers: name, answers by hundreds, all.
    let servers = halog(&["-srv"], &file);
    let total = |name: &str| {
        let line = servers.iter().find(|line| line[0] == name);
        line.unwrap_or_else(|| panic!("no {name} in {servers:?}"))[7].clone()
    };
    assert_eq!(total("web/s1"), fine.to_string());
    assert_eq!(total("down/s2"), with_status(503).to_string());
}

/// goaccess' report of a file: the rows of its CSV.
fn goaccess(arguments: &[&str], dir: &tempfile::TempDir, file: &PathBuf) -> Vec<Vec<String>> {
    let report = dir.path().join("report.csv");
    let mut command = Command::new(installed("goaccess", "goaccess"));
    command.arg(file).args(arguments).args(["--no-global-config", "--no-progress", "-o"]).arg(&report);
    let output = run_command(command);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&report).unwrap();
    let words = |line: &str| line.split(',').map(|word| word.trim_matches('"').to_owned()).collect();
    text.lines().map(words).collect()
}

fn check_goaccess(report: &[Vec<String>]) {
    let general = |name: &str| {
        let row =
            report.iter().find(|row| row[2] == "general" && row.last().is_some_and(|word| word == name));
        row.unwrap_or_else(|| panic!("no {name} in {report:?}"))[10].clone()
    };
    assert_eq!(general("total_requests"), sent().to_string());
    assert_eq!(general("valid_requests"), sent().to_string(), "{report:?}");
    assert_eq!(general("failed_requests"), "0");
    // The rows of a panel: their hits are in the fourth column, what was counted in the last.
    let hits = |panel: &str, what: &str| {
        let found =
            report.iter().find(|row| row[2] == panel && row.last().is_some_and(|w| w.starts_with(what)));
        found.unwrap_or_else(|| panic!("no {what} in {report:?}"))[3].clone()
    };
    for status in [200, 403, 404, 503] {
        assert_eq!(hits("status_codes", &format!("{status} - ")), with_status(status).to_string());
    }
    for (panel, target, count) in
        [("requests", "/page?with=query", 2), ("requests", "/deny", 4), ("not_found", "/gone", 3)]
    {
        assert_eq!(hits(panel, target), count.to_string(), "{target}");
    }
}

#[test]
fn goaccess_counts_what_was_sent() {
    let dir = folder();
    let file = logged("option httplog", &dir);
    let format = "--log-format=%^]: %h:%^ [%d:%t.%^] %^ %^ %^/%^/%^/%^/%L %s %b %^ %^ %^ %^ %^ \"%r\"";
    check_goaccess(&goaccess(&[format, "--date-format=%d/%b/%Y", "--time-format=%H:%M:%S"], &dir, &file));
}

/// `clf` lines are those of web servers, once the log daemon's own words before them are gone.
#[test]
fn goaccess_knows_clf_lines_by_itself() {
    let dir = folder();
    let file = logged("option httplog clf", &dir);
    let text = std::fs::read_to_string(&file).unwrap();
    let lines = text.lines().map(|line| line.split_once("]: ").unwrap().1);
    std::fs::write(&file, lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    for format in ["--log-format=COMBINED", "--log-format=COMMON"] {
        check_goaccess(&goaccess(&[format], &dir, &file));
    }
}
