//! Where logs go: a UDP port that is drained and counted.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

/// A thread on the cores of the load; it ends with the process.
pub struct LogSink {
    pub address: SocketAddr,
    lines: Arc<AtomicU64>,
}

impl LogSink {
    pub fn start() -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("the UDP port for logs")?;
        // As much as the kernel gives: what does not fit is lost, and shows in the count.
        socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20)?;
        let address = socket.local_addr()?;
        let lines = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut line = [0; 8192];
            while socket.recv(&mut line).is_ok() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Self { address, lines })
    }

    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// The count once no more lines come.
    pub fn settled_lines(&self) -> u64 {
        let mut last = self.lines();
        loop {
            std::thread::sleep(Duration::from_millis(50));
            let now = self.lines();
            if now == last {
                return now;
            }
            last = now;
        }
    }
}
