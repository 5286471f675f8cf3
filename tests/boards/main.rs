//! `make test-boards`: every board's binary at work, under `qemu-user-static` and, where this machine's own
//! processor runs it, without it too.
//!
//! `ONEPORT_BOARDS="a b"` names the boards. Each is tried in a process of its own, in namespaces of its own
//! (network, mounts, processes), so that it has port 53 and `/etc/resolv.conf` to itself and leaves no process
//! behind. Function is proven here, not speed. What qemu-user cannot show is shown by `make test-boot` on
//! emulated boards with kernels of their own: a clock past 2038 (qemu-user hands out this machine's clock, and
//! a static binary takes no preloaded other one), memory at rest, and the init script on the device.

#[allow(dead_code, reason = "what the gateway's own tests use of it is more")]
#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "what the gateway's own tests use of it is more")]
#[path = "../gateway/rig.rs"]
mod rig;

mod board;
mod bulk;
mod cases;
mod commands;
mod dns;
mod elf;
mod init;
mod inside;
mod matrix;
mod names;
mod privileges;
mod results;
mod root;
mod running;
mod timers;
mod traffic;
mod wide;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["inside", name, how] => inside::run(name, how),
        _ => matrix::run(),
    }
}
