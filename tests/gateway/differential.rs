//! The same bytes through oneport and through Debian's HAProxy, in several segmentations: what did the
//! backends get, what did the client get?
//!
//! The cases are the files of `tests/differential` (its README says how to write one). Where the two are
//! meant to differ the case says `differs: REASON`; the same reason stands in `docs/differences.md`, and a
//! case that says so and agrees fails, so that the list stays true.

#[path = "differential/case.rs"]
mod case;
#[path = "differential/coverage.rs"]
mod coverage;
#[path = "differential/lines.rs"]
mod lines;
#[path = "differential/normal.rs"]
mod normal;

use crate::support::client::Client;
use crate::support::peers::{Backend, BlackHole, Peer};
use crate::support::ports::free_port;
use crate::support::process::{Gateway, Starter};
use crate::support::program::Program;
use crate::support::syslog::Syslog;
use crate::support::{ignore, ms};
use case::{Case, Reply, Step};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[test]
fn oneport_and_haproxy_do_the_same() {
    let cases = load_all();
    assert!(cases.len() >= 20, "{} cases found", cases.len());
    let filter = std::env::var("ONEPORT_CASE").unwrap_or_default();
    let cases: Vec<Case> = cases.into_iter().filter(|case| case.name.contains(&filter)).collect();
    // Most of a case is waiting for silence, so several run at a time.
    let queue = std::sync::Mutex::new(cases.iter());
    let problems = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().next() else { return };
                    // A case that one of the two does not even start with is a problem like any other.
                    let found = std::panic::catch_unwind(|| compare(case)).unwrap_or_else(|panic| {
                        let what = panic.downcast_ref::<String>().map_or("panicked", String::as_str);
                        vec![format!("=== {}\n{what}", case.name)]
                    });
                    problems.lock().unwrap().extend(found);
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{} problems\n\n{}", problems.len(), problems.join("\n\n"));
}

#[test]
fn every_difference_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md");
    // Lines of the document are wrapped, those of the cases are not.
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let missing: Vec<String> = load_all()
        .into_iter()
        .filter_map(|case| case.differs.map(|reason| (case.name, reason)))
        .filter(|(_, reason)| !text.contains(reason.as_str()))
        .map(|(name, reason)| format!("{name}: {reason}"))
        .collect();
    assert!(missing.is_empty(), "not in docs/differences.md:\n{}", missing.join("\n"));
}

fn load_all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    // Those about servers have a folder of their own.
    let folders = [folder.join("servers"), folder];
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "case"))
        .collect();
    files.sort();
    files.iter().map(|path| Case::load(path)).collect()
}

/// How the bytes of a `send` are cut up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segments {
    /// As they are.
    Whole,
    /// Two halves with a pause.
    Halves,
    /// One byte at a time.
    Bytes,
}

/// Runs a case in all its segmentations through both programs; what is wrong, in words.
fn compare(case: &Case) -> Vec<String> {
    let mut problems = Vec::new();
    let mut agreed = true;
    for segments in &case.segments {
        let ours = run(case, Program::Oneport, *segments);
        let theirs = run(case, Program::Haproxy, *segments);
        if ours == theirs {
            continue;
        }
        agreed = false;
        if case.differs.is_none() {
            problems.push(format!(
                "=== {} ({segments:?})\n--- oneport ---\n{ours}\n--- haproxy ---\n{theirs}",
                case.name
            ));
        }
    }
    if agreed && let Some(reason) = &case.differs {
        problems.push(format!("=== {}\nno longer differs, but says: {reason}", case.name));
    }
    problems
}

/// One run: a picture of everything that was seen, in words that two runs can be compared by.
fn run(case: &Case, program: Program, segments: Segments) -> String {
    let backends: Vec<(String, Backend)> = case
        .backends
        .iter()
        .map(|(name, replies)| {
            let replies = replies.clone();
            (name.clone(), Backend::start(move |peer| play(peer, &replies)))
        })
        .collect();
    let port = free_port();
    let mut config =
        case.config.replace("@listen@", &port.to_string()).replace("@dead@", &free_port().to_string());
    let hole = config.contains("@hole@").then(BlackHole::new);
    if let Some(hole) = &hole {
        config = config.replace("@hole@", &hole.port.to_string());
    }
    for (name, backend) in &backends {
        config = config.replace(&format!("@{name}@"), &backend.port.to_string());
    }
    let syslog = case.is_logged().then(Syslog::udp);
    if let Some(syslog) = &syslog {
        config = config.replace("@log@", &syslog.port.to_string());
    }
    let folder = crate::support::process::folder();
    for (name, text) in &case.files {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        config = config.replace(&format!("@file:{name}@"), &path.display().to_string());
    }
    let gateway: Gateway = Starter::of(program).ready_port(port).start(&config);
    let client = gateway.client();
    let mut own = vec![("PID".to_string(), gateway.pid() as u32), ("LISTEN".to_string(), port.into())];
    own.push(("CLIENT".to_string(), client.local_port().into()));
    own.extend(backends.iter().map(|(name, backend)| (format!("PORT_{name}"), backend.port.into())));
    let seen_by_client = converse(client, &case.steps, segments);
    // What is still on its way to a backend arrives.
    std::thread::sleep(ms(100));
    let mut picture = format!("client got\n{seen_by_client}");
    for (name, backend) in &backends {
        picture.push_str(&format!("backend {name} got\n{}", normal::requests(&backend.received_all())));
    }
    if let Some(syslog) = &syslog {
        let lines = lines::normal(&logged(syslog, case.lines), &lines::Own { numbers: own });
        assert!(
            lines.len() >= case.lines,
            "{program:?} ({segments:?}): {} log lines expected, got {lines:#?}",
            case.lines
        );
        picture.push_str("logged\n");
        picture.extend(lines.iter().map(|line| format!("  {line}\n")));
    }
    picture
}

/// What came to the log: at least as many lines as the case says, and then until nothing comes any more.
fn logged(syslog: &Syslog, expected: usize) -> Vec<String> {
    let started = std::time::Instant::now();
    let mut before = usize::MAX;
    loop {
        let lines = syslog.lines();
        let late = started.elapsed() > crate::support::SOON;
        if late || lines.len() == before && lines.len() >= expected {
            return lines;
        }
        before = lines.len();
        std::thread::sleep(ms(250));
    }
}

/// The client's side of a case.
fn converse(mut client: Client, steps: &[Step], segments: Segments) -> String {
    let mut received = Vec::new();
    for step in steps {
        match step {
            Step::Send(bytes) => match segments {
                Segments::Whole => ignore(client.send(dated(bytes))),
                Segments::Halves => client.send_pieces(bytes.chunks(bytes.len().div_ceil(2).max(1)), ms(60)),
                Segments::Bytes => client.send_bytewise(bytes, Duration::from_micros(500)),
            },
            Step::Await(wanted) => {
                let started = std::time::Instant::now();
                while !wanted.is_empty() && !received.windows(wanted.len()).any(|part| part == wanted) {
                    let (bytes, end) = client.read_until_quiet(ms(20));
                    received.extend(bytes);
                    if end != crate::support::socket::End::Open || started.elapsed() > Duration::from_secs(4)
                    {
                        break;
                    }
                }
            }
            Step::Pause(time) => std::thread::sleep(*time),
            Step::Finish => client.finish(),
            Step::Leave { reset } => {
                if *reset {
                    client.reset();
                }
                return format!("{}  then it goes\n", normal::answers(&received));
            }
        }
    }
    // What has come, and whether the connection is then open or not. A close and a reset are the same
    // here: which of the two it is depends on what was unread at that moment.
    let (rest, end) = client.read_until_quiet(ms(700));
    received.extend(rest);
    let end = if end == crate::support::socket::End::Open { "open" } else { "closed" };
    format!("{}  then the connection is {end}\n", normal::answers(&received))
}

/// The bytes with `@ago:N@`, a moment N seconds ago, as the five digits that a cookie has it in.
fn dated(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const MARK: &[u8] = b"@ago:";
    let mut out = bytes.to_vec();
    while let Some(start) = out.windows(MARK.len()).position(|part| part == MARK) {
        let from = start + MARK.len();
        let end = from + out[from..].iter().position(|byte| *byte == b'@').expect("`@ago:N@`");
        let ago: i64 = std::str::from_utf8(&out[from..end]).unwrap().parse().expect("a number of seconds");
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
        let units = (now - ago) as usize >> 2;
        out.splice(start..=end, [24, 18, 12, 6, 0].map(|shift| DIGITS[units >> shift & 63]));
    }
    out
}

/// A backend's side of a case: one reply for each request, the last one again and again.
fn play(peer: &mut Peer, replies: &[Reply]) {
    let mut replies = replies.iter();
    let mut last = None;
    loop {
        let reply = match replies.next().or(last) {
            Some(reply) => reply,
            None => {
                peer.read_to_end();
                return;
            }
        };
        last = Some(reply);
        match reply {
            Reply::Echo => return crate::support::peers::echo(peer),
            Reply::Silence => {
                peer.read_to_end();
                return;
            }
            Reply::Request { bytes, then_close } => {
                if peer.read_request().is_none() {
                    return;
                }
                peer.write(bytes);
                if *then_close {
                    return;
                }
                if bytes.starts_with(b"HTTP/1.1 101") {
                    return crate::support::peers::echo(peer);
                }
            }
            Reply::Reset => {
                peer.read_request();
                peer.reset();
                return;
            }
            Reply::ThenReset { bytes } => {
                peer.read_request();
                peer.write(bytes);
                // What a reset overtakes would be lost.
                peer.pause(ms(150));
                peer.reset();
                return;
            }
            Reply::Leave { reset } => {
                if *reset {
                    // Not before it is known that the connection stood: that would be tried again.
                    peer.pause(ms(100));
                    peer.reset();
                }
                return;
            }
            Reply::Greet { bytes } => {
                peer.write(bytes);
                peer.read_to_end();
                return;
            }
            Reply::HeadOf { len } => return crate::support::peers::endless_head(peer, *len),
        }
    }
}
