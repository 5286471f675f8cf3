//! Telling the service manager how far this process is: systemd's notifications (sd_notify(3)), which others
//! understand as well.

use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

/// The way to the service manager. Without one every message goes nowhere, which is no fault, and none is ever
/// waited for: a manager that does not read loses messages, and traffic goes on.
pub struct Notify {
    socket: Option<UnixDatagram>,
}

impl Notify {
    /// Connects to what `$NOTIFY_SOCKET` names; says in a warning why that failed. To be called before a chroot
    /// and a change of user: the socket that is open then works in there too.
    pub fn from_env() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()).and_then(|name| {
            connect(name.as_bytes())
                .inspect_err(|error| log::warn!("cannot use $NOTIFY_SOCKET ({}): {error}", name.display()))
                .ok()
        });
        Self { socket }
    }

    /// The start or a reload is over, and this process is the one to watch.
    pub fn ready(&self, status: &str) {
        self.send(format!("READY=1\nMAINPID={}\n{}", std::process::id(), status_line(status)));
    }

    /// The configuration is being read again; [`ready`](Self::ready) must follow.
    #[allow(clippy::unnecessary_cast, reason = "the type of nanoseconds differs between the targets")]
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        // A moment of which `Type=notify-reload` knows that it lies after the signal it sent.
        let usec = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec as i64 / 1_000);
        self.send(format!(
            "RELOADING=1\nMONOTONIC_USEC={usec}\n{}",
            status_line("Reading the configuration")
        ));
    }

    /// What `systemctl status` shows, without a change of state.
    pub fn status(&self, status: &str) {
        self.send(status_line(status));
    }

    /// The end has begun.
    pub fn stopping(&self, status: &str) {
        self.send(format!("STOPPING=1\n{}", status_line(status)));
    }

    fn send(&self, message: String) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(message.as_bytes()) {
            log::debug!("the service manager was not told '{}': {error}", message.escape_debug());
        }
    }
}

/// A path, or a name of the abstract namespace behind an `@`.
fn connect(name: &[u8]) -> io::Result<UnixDatagram> {
    let address = match name {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(Path::new(std::ffi::OsStr::from_bytes(name)))?,
        _ => {
            let why = "neither an absolute path nor an abstract name (@…)";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// One line, whatever `status` holds: the next one would be a message of its own.
fn status_line(status: &str) -> String {
    let mut line = String::from("STATUS=");
    for c in status.chars() {
        // A String takes everything.
        let _ = line.write_char(if c.is_control() { ' ' } else { c });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 1_024];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_reached() {
        let folder = std::env::temp_dir().join(format!("oneport-notify-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("manager");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let notify = Notify { socket: Some(connect(path.as_os_str().as_bytes()).unwrap()) };
        notify.ready("one\nREADY=0");
        let pid = std::process::id();
        assert_eq!(received(&by_path), format!("READY=1\nMAINPID={pid}\nSTATUS=one READY=0"));
        notify.status("two");
        assert_eq!(received(&by_path), "STATUS=two");
        std::fs::remove_dir_all(&folder).unwrap();

        let name = format!("oneport-notify-{pid}");
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        let notify = Notify { socket: Some(connect(format!("@{name}").as_bytes()).unwrap()) };
        notify.stopping("bye");
        assert_eq!(received(&by_name), "STOPPING=1\nSTATUS=bye");
        notify.reloading();
        let text = received(&by_name);
        let usec = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().split('\n').next().unwrap();
        assert!(usec.parse::<u64>().unwrap() > 0, "{text}");
    }

    #[test]
    fn a_manager_that_does_not_read_or_is_gone_is_no_trouble() {
        let name = format!("oneport-notify-full-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notify = Notify { socket: Some(connect(format!("@{name}").as_bytes()).unwrap()) };
        for _ in 0..10_000 {
            notify.status("much too much");
        }
        drop(manager);
        notify.ready("nobody hears this");
        Notify { socket: None }.ready("nor this");
    }

    #[test]
    fn what_is_no_socket_says_why() {
        for name in ["relative", "/nonexistent/manager", "@nobody-listens-here", "/dev/null"] {
            assert!(connect(name.as_bytes()).is_err(), "{name}");
        }
        assert!(connect(b"vsock:2:1").unwrap_err().to_string().contains("neither an absolute path"));
    }
}
