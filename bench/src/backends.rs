//! What stands behind every gateway: nginx, two echo servers, a bulk server; all on the cores of the load.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::child::Child;
use crate::host::{find_program, free_port};
use crate::load::dialogue::BODY;
use crate::template::fill;

/// The length of the bulk answer and of the bulk tunnel.
pub const BULK_BYTES: u64 = 1 << 30;

/// A server's address, over TCP and as a unix socket.
pub struct Address {
    pub tcp: SocketAddr,
    pub unix: PathBuf,
}

/// The running servers; dropping this ends them.
pub struct Backends {
    pub www: Address,
    pub websocket: Address,
    pub raw: Address,
    pub bulk: SocketAddr,
    _children: Vec<Child>,
}

impl Backends {
    /// Starts all of them and waits until they listen.
    pub fn start(dir: &Path) -> Result<Self> {
        let address =
            |name: &str| -> Result<Address> { Ok(Address { tcp: free_port()?, unix: dir.join(name) }) };
        let (www, websocket, raw) = (address("www.sock")?, address("ws.sock")?, address("raw.sock")?);
        let bulk = free_port()?;
        // Sparse: it takes no room on the disk.
        File::create(dir.join("bulk"))?.set_len(BULK_BYTES)?;
        let mut children = vec![
            start_nginx(dir, &www)?,
            start_echo("raw", &raw)?,
            start_echo("websocket", &websocket)?,
            start_bulk(bulk)?,
        ];
        for address in [www.tcp, websocket.tcp, raw.tcp, bulk] {
            wait_listening(address, &mut children)?;
        }
        Ok(Self { www, websocket, raw, bulk, _children: children })
    }
}

fn start_nginx(dir: &Path, www: &Address) -> Result<Child> {
    let config = dir.join("nginx-backend.conf");
    let values = [
        ("dir", dir.display().to_string()),
        ("www", www.tcp.to_string()),
        ("www_unix", www.unix.display().to_string()),
        ("body", BODY.to_string()),
    ];
    fs::write(&config, fill(include_str!("../templates/nginx-backend.conf"), &values)?)?;
    Child::start("nginx (web server)", nginx(dir, &config)?.stdin(Stdio::null()))
}

/// nginx with this configuration, in the foreground.
pub fn nginx(dir: &Path, config: &Path) -> Result<Command> {
    let mut command = Command::new(find_program(&["nginx"])?);
    command.arg("-p").arg(dir).arg("-e").arg("stderr").arg("-c").arg(config);
    Ok(command)
}

/// This program again, as an echo server. It ends with its standard input, which ends with us.
fn start_echo(protocol: &str, address: &Address) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["serve-echo", "--protocol", protocol, "--listen", &address.tcp.to_string(), "--unix"]);
    Child::start(&format!("{protocol} echo server"), command.arg(&address.unix).stdin(Stdio::piped()))
}

fn start_bulk(address: SocketAddr) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["serve-bulk", "--listen", &address.to_string()]);
    Child::start("bulk server", command.stdin(Stdio::piped()))
}

/// Waits until somebody listens on `address`, by the kernel's table: no connection disturbs whoever does.
pub fn wait_listening(address: SocketAddr, children: &mut [Child]) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        children.iter_mut().try_for_each(Child::check_alive)?;
        let table = fs::read_to_string("/proc/net/tcp").context("/proc/net/tcp")?;
        if table.lines().any(|line| is_listener(line, address.port())) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("nobody listens on {address}")
}

/// Lines read "sl local_address rem_address st …"; state 0A is LISTEN.
fn is_listener(line: &str, port: u16) -> bool {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = fields.next().unwrap_or_default();
    local.ends_with(&format!(":{port:04X}")) && fields.nth(1) == Some("0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_by_port_and_state() {
        let line =
            "   0: 0100007F:4E20 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 1 1 0 100 0";
        assert!(is_listener(line, 20_000));
        assert!(!is_listener(line, 20_001));
        assert!(!is_listener(&line.replace(" 0A ", " 01 "), 20_000));
    }
}
