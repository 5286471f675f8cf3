//! Free ports, chosen below the range that the kernel hands to outgoing connections.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddrV4, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port of 127.0.0.1 on which nothing listens. No other call in this process gets the same one, and the
/// kernel gives it to no outgoing connection (those come from 32768 upwards), so it stays free.
pub fn free_port() -> u16 {
    const FIRST: u32 = 20_100;
    const COUNT: u32 = 12_000;
    // Two test runs at the same time start at different places.
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = (FIRST + start.wrapping_add(step) % COUNT) as u16;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() && TcpListener::bind(("::", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

/// `count` free ports in a row.
pub fn free_port_range(count: u16) -> u16 {
    'search: for _ in 0..1_000 {
        let first = free_port();
        for offset in 1..count {
            if TcpListener::bind(("0.0.0.0", first + offset)).is_err() {
                continue 'search;
            }
        }
        // Nobody else may get the rest of the range either.
        NEXT.fetch_add(u32::from(count), Ordering::Relaxed);
        return first;
    }
    panic!("no {count} free ports in a row");
}

/// Whether somebody listens on this TCP port, read from the kernel: nothing connects, so the gateway under
/// test sees (and logs, and counts) no connection.
pub fn is_listening(port: u16) -> bool {
    has_listener(&format!(":{port:04X}"))
}

/// The same of one IPv4 address and port.
pub fn is_listening_on(address: SocketAddrV4) -> bool {
    // The address as the number that it is in the kernel's memory.
    let number = u32::from_ne_bytes(address.ip().octets());
    has_listener(&format!("{number:08X}:{:04X}", address.port()))
}

/// Whether the local address of a listening socket ends like this. The kernel lists those that listen first: what
/// follows them, thousands of connections that were, is not asked for.
fn has_listener(end: &str) -> bool {
    const LISTEN: &str = "0A";
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(|table| File::open(table).ok()).any(|table| {
        BufReader::new(table)
            .lines()
            .skip(1)
            .map_while(|line| {
                let line = line.ok()?;
                let mut words = line.split_whitespace().skip(1);
                let local = words.next()?;
                (words.nth(1) == Some(LISTEN)).then(|| local.ends_with(end))
            })
            .any(|is_it| is_it)
    })
}
