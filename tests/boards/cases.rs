//! What is proven of every board, the longest first: with several at a time the last one to end counts.

use crate::inside::Context;
use crate::{board::How, bulk, commands, elf, init, names, privileges, running, timers, traffic, wide};

/// One thing to prove.
pub struct Case {
    pub name: &'static str,
    pub run: fn(&Context),
}

const EVERYWHERE: &[Case] = &[
    Case { name: "tcp bulk, both ways at once, spliced", run: bulk::tcp_both_ways },
    Case { name: "http bulk with a length, spliced, both ways", run: bulk::http_with_a_length },
    Case { name: "http bulk in small chunks, copied, both ways", run: bulk::http_in_small_chunks },
    Case { name: "tcp in many small messages, copied", run: bulk::tcp_in_small_messages },
    Case { name: "a name whose first questions are lost", run: names::lost_questions },
    Case { name: "a check takes a dead server out and back", run: timers::checks },
    Case { name: "timeout connect", run: timers::connect },
    Case { name: "timeout client in a tunnel and in a body", run: timers::client },
    Case { name: "timeout server before an answer", run: timers::server },
    Case { name: "timeout http-request", run: timers::http_request },
    Case { name: "timeout http-keep-alive", run: timers::http_keep_alive },
    Case { name: "timeout tunnel of a WebSocket", run: timers::tunnel },
    Case { name: "inspect-delay with too few bytes", run: timers::inspect_delay },
    Case { name: "timeouts of many connections at once", run: timers::several },
    Case { name: "lengths beyond 32 bits, of requests", run: wide::request_bodies },
    Case { name: "lengths beyond 32 bits, of answers", run: wide::answer_bodies },
    Case { name: "timeouts of 24 days", run: wide::timeouts },
    Case { name: "the reference file as it stands, on port 80", run: traffic::reference_file },
    Case { name: "the example file as it stands, on port 80", run: traffic::example_file },
    Case { name: "the preset", run: traffic::preset },
    Case { name: "http: kept alive, methods, bodies", run: traffic::http },
    Case { name: "websocket: frames of every length field", run: traffic::websocket },
    Case { name: "raw socket: eight zero bytes in pieces", run: traffic::raw_pieces },
    Case { name: "half-close in both directions", run: traffic::half_close },
    Case { name: "SIGUSR1 finishes, SIGTERM stops", run: running::signals },
    Case { name: "SIGUSR2 reads a changed file, refuses a bad one", run: running::reload },
    Case { name: "-D: fork, pidfile, end", run: running::daemon },
    Case { name: "root given up, and a reload that needs it", run: privileges::given_up },
    Case { name: "log lines to syslog, dated in this zone and in others", run: running::log_lines },
    Case { name: "a name from /etc/hosts", run: names::hosts_file },
    Case { name: "names from a name server", run: names::name_server },
    Case { name: "a name that moves, at reload", run: names::moved_at_reload },
    Case { name: "a name that does not exist", run: names::unknown },
    Case { name: "-v, -vv, -c with its exit statuses, --print-config", run: commands::flags },
    Case { name: "static, stripped, small, for the right processor", run: elf::as_board_mk_says },
];

/// These run busybox, which is there for this machine's processor only.
const NATIVE: &[Case] = &[
    Case { name: "busybox init: /etc/init.d/S50oneport", run: init::started_by_script },
    Case { name: "busybox init: a respawn line of inittab", run: init::respawned },
];

/// The cases for this board run this way.
pub fn of(context: &Context) -> impl Iterator<Item = &'static Case> {
    let native = if context.how == How::Native { NATIVE } else { &[] };
    native.iter().chain(EVERYWHERE)
}
