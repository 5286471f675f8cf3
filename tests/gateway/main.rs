//! Behaviour tests: each starts the real binary and talks to it through real sockets, with real peers.
//!
//! `ONEPORT_SUBJECT=haproxy cargo test --test gateway` runs them against Debian's HAProxy instead (see
//! `support/program.rs`).

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod balance;
mod checks;
mod config_errors;
mod connections;
mod counters;
mod device;
mod differential;
mod errors;
mod explain;
mod faults;
mod found;
mod framing;
mod http;
mod http_options;
mod http_reuse;
mod keeper;
mod kill_and_revive;
mod listening;
mod load;
mod log_format;
mod log_readers;
mod logs;
mod memory;
mod namespaces;
mod notify;
mod peers_present;
mod preset;
mod privileges;
mod process;
mod proxy_protocol;
mod queue;
mod rates;
mod reference;
mod reload;
mod retries;
mod rig;
mod rules;
mod server_states;
mod servers;
mod sniff;
mod stick;
mod tcp_rules;
mod timeouts;
mod tunnel;
mod vtest;
mod wait_bind;
mod websocket;
