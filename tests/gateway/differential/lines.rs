//! Log lines in a form in which two proxies can be compared.
//!
//! What is made equal, and why: times and dates, process ids, ports (each run has its own); the program's name
//! in the header; timers, of which only "not reached" (-1) is the same in two runs; the bytes of an httplog line,
//! because HAProxy counts its own form of the messages, and none where it made the answer before there was a request
//! (docs/differences.md).

use regex_lite::{Captures, Regex};
use std::sync::LazyLock;

/// What a run knows of the numbers that are its own.
pub struct Own {
    /// Numbers by the names they get: ports, the process id.
    pub numbers: Vec<(String, u32)>,
}

/// A rule: what it finds, and what stands there instead (`$1` = the first group).
type Rule = (&'static str, &'static str);

/// In this order. A rule may count on what those before it have written.
const RULES: &[Rule] = &[
    // `Nov 21 01:55:23 name[pid]: ` behind the priority.
    (r"^(<\d+>)[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d ", "${1}DATE "),
    (r"^(<\d+>(?:1 )?)?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", "${1}DATE"),
    (r"( )(?:haproxy|oneport)(\[|:| PID )", "${1}TAG${2}"),
    // The times of `%t`, `%T` and the like, of `date` in seconds.
    (r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?:\.(?:\d{3}|PID))?(?: [+-]\d{4})?", "TIME"),
    (r"\b1[789]\d{8}(\.\d+)?\b", "SECONDS"),
    // A number that its writer calls milliseconds: `ms=%Tr`.
    (r"\bms=\+?\d+", "ms=N"),
    (r#"(127\.0\.0\.1"? |127\.0\.0\.1:|::1:)\d+"#, "${1}PORT"),
    // The bytes, milliseconds and timers of `option httplog clf`.
    (r#" (\d{3}) \d+ "" "" CLIENT \d{3} "#, r#" ${1} BYTES "" "" CLIENT MS "#),
    (
        r#"( "[^"]*" "[^"]*" "[^"]*") (?:\d+|(-1)) (?:\d+|(-1)) (?:\d+|(-1)) (?:\d+|(-1)) \d+ "#,
        "$1 T$2 T$3 T$4 T$5 T ",
    ),
];

/// The lines of a run, each without what is only this run's.
pub fn normal(datagrams: &[String], own: &Own) -> Vec<String> {
    let lines = datagrams.iter().flat_map(|datagram| datagram.lines());
    lines.map(|line| normal_line(line, own)).filter(|line| !is_proxys_own(line)).collect()
}

fn normal_line(line: &str, own: &Own) -> String {
    static COMPILED: LazyLock<Vec<(Regex, &str)>> =
        LazyLock::new(|| RULES.iter().map(|(found, put)| (Regex::new(found).unwrap(), *put)).collect());
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b\d+\b").unwrap());
    let named = NUMBER.replace_all(line, |found: &Captures<'_>| {
        let name = own.numbers.iter().find(|(_, number)| found[0] == number.to_string());
        name.map_or_else(|| found[0].to_string(), |(name, _)| name.clone())
    });
    let mut line = named.into_owned();
    for (found, put) in COMPILED.iter() {
        line = found.replace_all(&line, *put).into_owned();
    }
    without_timers(&line)
}

/// Timers of httplog and tcplog, and the bytes of httplog, which stand behind `backend/server`.
fn without_timers(line: &str) -> String {
    static HTTP: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r" (-?\d+)/(-?\d+)/(-?\d+)/(-?\d+)/(\+?)(-?\d+) (-?\d+) (\+?)(\d+) ").unwrap()
    });
    static TCP: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r" (-?\d+)/(-?\d+)/(\+?)(-?\d+) (\+?\d+) (\S\S) ").unwrap());
    let timer = |text: &str| if text.starts_with('-') { text.to_string() } else { "T".into() };
    if let Some(found) = HTTP.captures(line) {
        let timers: Vec<String> = [1, 2, 3, 4].iter().map(|group| timer(&found[*group])).collect();
        let total = timer(&found[6]);
        let bytes = if &found[9] == "0" && !line.contains("<BADREQ>") { "0" } else { "BYTES" };
        let put = format!(" {}/{}{total} {} {}{bytes} ", timers.join("/"), &found[5], &found[7], &found[8]);
        return line.replacen(&found[0], &put, 1);
    }
    if let Some(found) = TCP.captures(line) {
        let put = format!(
            " {}/{}/{}{} {} {} ",
            timer(&found[1]),
            timer(&found[2]),
            &found[3],
            timer(&found[4]),
            &found[5],
            &found[6]
        );
        return line.replacen(&found[0], &put, 1);
    }
    line.to_string()
}

/// What the two say of themselves where sessions are logged, each in words of its own.
fn is_proxys_own(line: &str) -> bool {
    let message = line.split_once("]: ").map_or(line, |(_, message)| message);
    ["Proxy ", "Server ", "Stopping ", "backend ", "at most "].iter().any(|start| message.starts_with(start))
}

#[test]
fn lines_lose_only_what_is_their_runs() {
    let own = Own { numbers: vec![("CLIENT".into(), 42_336), ("PID".into(), 77)] };
    let one = |line: &str| normal(&[line.to_string()], &own);
    assert_eq!(
        one(
            "<134>Nov 21 01:55:23 haproxy[77]: 127.0.0.1:42336 [21/Nov/2026:03:41:11.084] f b/s 0/0/-1/3/1001 \
             200 +59 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"\n"
        ),
        [
            "<134>DATE TAG[PID]: 127.0.0.1:CLIENT [TIME] f b/s T/T/-1/T/T 200 +BYTES - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\""
        ]
    );
    assert_eq!(
        one(
            "<134>Nov  1 01:55:23 oneport[77]: ::1:5 [21/Nov/2026:03:41:11.084] f b/s 1/-1/9 59 SC 1/1/0/0/0 0/0"
        ),
        ["<134>DATE TAG[PID]: ::1:PORT [TIME] f b/s T/-1/T 59 SC 1/1/0/0/0 0/0"]
    );
    assert_eq!(one("ms=17 ms=-1 at 1795232471 42336/x"), ["ms=N ms=-1 at SECONDS CLIENT/x"]);
    assert_eq!(one("<133>Nov 21 01:55:23 haproxy[77]: Proxy f started."), [""; 0]);
}

#[test]
fn milliseconds_that_happen_to_be_the_process_id_are_a_time() {
    let own = Own { numbers: vec![("PID".into(), 447)] };
    let line = "<134>Nov 21 01:55:23 haproxy[447]: 127.0.0.1:5 [21/Nov/2026:03:41:11.447] f b/s 1/-1/9 59 SC 1/1/0/0/0 0/0";
    let wanted = "<134>DATE TAG[PID]: 127.0.0.1:PORT [TIME] f b/s T/-1/T 59 SC 1/1/0/0/0 0/0";
    assert_eq!(normal(&[line.to_string()], &own), [wanted]);
}
