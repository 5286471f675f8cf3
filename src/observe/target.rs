//! Where log lines go. Nothing here ever waits: a line that cannot be sent at once is dropped and counted.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use rustix::stdio::stderr;

use super::outlet::{Destination, Outlet, write_at_once};
use super::syslog::Host;
use super::zone::Zone;
use crate::config::LogAddress;

/// Where the kernel tells the machine's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// Between two attempts to open a target that could not be opened, milliseconds.
const REOPEN_MS: u64 = 1000;

/// Lines must have gone out this long without a loss before the loss is reported as over, milliseconds: a
/// daemon that is now and then too slow does not make a report each time.
const CALM_MS: u64 = 10_000;

/// Turns a host name and port into an address. May block: for the start and for a reload.
pub type Resolver<'a> = &'a mut dyn FnMut(&str, u16) -> io::Result<SocketAddr>;

/// Every log target of the process, opened once however many proxies write there, and what their lines share.
pub struct Sinks {
    all: RefCell<Vec<Rc<Sink>>>,
    zone: RefCell<Rc<Zone>>,
    pid: Cell<u32>,
    has_stderr: Rc<Cell<bool>>,
    host: String,
    told_host: OnceCell<String>,
}

impl Sinks {
    /// No target yet; the zone is [`Zone::of_system`]'s or another.
    pub fn new(zone: Zone) -> Rc<Self> {
        Rc::new(Self {
            all: RefCell::default(),
            zone: RefCell::new(Rc::new(zone)),
            pid: Cell::new(std::process::id()),
            has_stderr: Rc::new(Cell::new(true)),
            // Read at the start: it may be out of reach behind a chroot.
            host: std::fs::read_to_string(HOST_NAME).unwrap_or_default().trim().to_owned(),
            told_host: OnceCell::new(),
        })
    }

    /// `log-send-hostname`: lines of RFC 3164 tell this name, where it is empty the machine's. The first one
    /// said is told until the end.
    pub fn tell_host(&self, name: &str) {
        let name = if name.is_empty() { &self.host } else { name };
        self.told_host.get_or_init(|| name.to_owned());
    }

    /// The machine's name.
    pub fn host(&self) -> Host<'_> {
        Host { name: &self.host, told: self.told_host.get().map_or("", String::as_str) }
    }

    /// To be called in the background process: lines bear its pid, and nothing is sent to a stderr that leads
    /// nowhere.
    pub fn in_background(&self) {
        self.pid.set(std::process::id());
        self.has_stderr.set(false);
    }

    /// Whether stderr leads to somebody: not in the background.
    pub fn has_stderr(&self) -> bool {
        self.has_stderr.get()
    }

    /// For a reload: the zone from now on.
    pub fn set_zone(&self, zone: Zone) {
        *self.zone.borrow_mut() = Rc::new(zone);
    }

    /// The zone in force.
    pub fn zone(&self) -> Rc<Zone> {
        self.zone.borrow().clone()
    }

    /// The process that lines name.
    pub fn pid(&self) -> u32 {
        self.pid.get()
    }

    /// Lines lost since the start, by all targets in use.
    pub fn dropped(&self) -> u64 {
        self.all.borrow().iter().map(|sink| sink.dropped()).fold(0, u64::saturating_add)
    }

    /// The sink of an address, opened when it is not yet.
    ///
    /// # Errors
    /// A host name that cannot be resolved, a descriptor that cannot be used. A log daemon that is not there
    /// is none: it may come.
    pub fn get(&self, address: &LogAddress, resolve: Resolver) -> Result<Rc<Sink>, String> {
        let to = Destination::of(address, resolve)?;
        // After a reload nobody but this list may be left to hold a sink.
        self.all.borrow_mut().retain(|sink| Rc::strong_count(sink) > 1);
        if let Some(sink) = self.all.borrow().iter().find(|sink| sink.to == to) {
            return Ok(sink.clone());
        }
        let sink = Rc::new(Sink {
            outlet: RefCell::new(Outlet::open(&to)),
            to,
            has_stderr: self.has_stderr.clone(),
            tried_ms: Cell::new(None),
            dropped: Cell::new(0),
            losing: Cell::new(None),
        });
        if let (Destination::Fd(_), Outlet::Closed(error)) = (&sink.to, &*sink.outlet.borrow()) {
            return Err(format!("log target {}: {error}", sink.to));
        }
        self.all.borrow_mut().push(sink.clone());
        Ok(sink)
    }
}

/// One log target.
pub struct Sink {
    to: Destination,
    outlet: RefCell<Outlet>,
    has_stderr: Rc<Cell<bool>>,
    /// When it was last opened anew.
    tried_ms: Cell<Option<i64>>,
    dropped: Cell<u64>,
    losing: Cell<Option<Losing>>,
}

/// Lines are being lost.
#[derive(Clone, Copy)]
struct Losing {
    dropped_before: u64,
    last_ms: i64,
}

impl Sink {
    /// Sends a whole line, or drops and counts it. At `now_ms` (unix time, milliseconds).
    pub fn send(&self, line: &[u8], now_ms: i64) {
        // No borrow is held while reporting: the report is itself a log line and may come back here.
        match self.try_send(line, now_ms) {
            Ok(()) => self.report_end(now_ms),
            Err(error) => {
                self.dropped.set(self.dropped.get().saturating_add(1));
                self.report_begin(&error, now_ms);
            }
        }
    }

    /// Lines lost since it was opened.
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    fn try_send(&self, line: &[u8], now_ms: i64) -> io::Result<()> {
        let mut outlet = self.outlet.borrow_mut();
        if matches!(*outlet, Outlet::Closed(_)) && self.may_reopen(now_ms) {
            *outlet = Outlet::open(&self.to);
        }
        let mut sent = outlet.send(line);
        if let Err(error) = &sent
            && !matches!(*outlet, Outlet::Closed(_))
            && self.to.is_gone(error)
        {
            // The log daemon was perhaps started anew: its new socket gets this very line.
            *outlet = if self.may_reopen(now_ms) {
                Outlet::open(&self.to)
            } else {
                Outlet::Closed(error.kind().into())
            };
            sent = outlet.send(line);
        }
        // A device without a log daemon: its console or supervisor gets the lines.
        if let Outlet::Closed(error) = &*outlet
            && error.kind() == io::ErrorKind::NotFound
            && self.has_stderr.get()
        {
            sent = write_at_once(stderr(), without_priority(line));
        }
        sent
    }

    /// Whether the last opening is long enough ago; if so, now counts as the next.
    fn may_reopen(&self, now_ms: i64) -> bool {
        // The clock may have been set back: any great difference will do.
        let due = self.tried_ms.get().is_none_or(|tried_ms| tried_ms.abs_diff(now_ms) >= REOPEN_MS);
        if due {
            self.tried_ms.set(Some(now_ms));
        }
        due
    }

    fn report_begin(&self, error: &io::Error, now_ms: i64) {
        let before = self.losing.get();
        let dropped_before =
            before.map_or(self.dropped.get().saturating_sub(1), |losing| losing.dropped_before);
        self.losing.set(Some(Losing { dropped_before, last_ms: now_ms }));
        if before.is_none() {
            log::warn!("log target {}: {error}; lines are dropped until it takes them again", self.to);
        }
    }

    fn report_end(&self, now_ms: i64) {
        let Some(losing) = self.losing.get() else {
            return;
        };
        if losing.last_ms.abs_diff(now_ms) >= CALM_MS {
            self.losing.set(None);
            let lost = self.dropped.get().saturating_sub(losing.dropped_before);
            log::warn!("log target {}: takes lines again, {lost} were dropped", self.to);
        }
    }
}

/// A syslog line as people read it: without the `<PRI>` in front.
fn without_priority(line: &[u8]) -> &[u8] {
    match (line.first(), memchr::memchr(b'>', line)) {
        (Some(b'<'), Some(end)) => line.get(end + 1..).unwrap_or_default(),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;
    use std::path::PathBuf;

    fn sinks() -> Rc<Sinks> {
        Sinks::new(Zone::utc())
    }

    fn no_names(_: &str, _: u16) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::NotFound.into())
    }

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("oneport-{name}-{}", std::process::id()));
            let _ = std::fs::remove_file(&path);
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn received(socket: &UnixDatagram) -> Vec<u8> {
        let mut buffer = [0; 8192];
        socket.set_nonblocking(true).unwrap();
        socket.recv(&mut buffer).map(|length| buffer[..length].to_vec()).unwrap_or_default()
    }

    #[test]
    fn udp_lines_arrive_and_nobody_waits_where_none_listens() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = LogAddress::Udp("127.0.0.1".into(), server.local_addr().unwrap().port());
        let sinks = sinks();
        let sink = sinks.get(&address, &mut no_names).unwrap();
        sink.send(b"one\n", 0);
        let mut buffer = [0; 100];
        assert_eq!(server.recv(&mut buffer).unwrap(), 4);
        drop(server);
        for _ in 0..100 {
            sink.send(b"two\n", 0);
        }
        assert_eq!(sink.dropped(), 0);
    }

    #[test]
    fn names_are_resolved_by_the_caller() {
        let sinks = sinks();
        let address = LogAddress::Udp("loghost".into(), 514);
        let Err(error) = sinks.get(&address, &mut no_names) else { panic!("resolved") };
        assert!(error.starts_with("log target loghost:514: cannot resolve 'loghost'"), "{error}");
        let mut resolve = |_: &str, port| Ok(SocketAddr::from(([127, 0, 0, 1], port)));
        let by_name = sinks.get(&address, &mut resolve).unwrap();
        let literal = sinks.get(&LogAddress::Udp("127.0.0.1".into(), 514), &mut no_names).unwrap();
        assert!(Rc::ptr_eq(&by_name, &literal), "one socket for one address");
    }

    #[test]
    fn a_unix_socket_that_comes_back_gets_the_next_line() {
        let path = Scratch::new("comes-back");
        let daemon = UnixDatagram::bind(&path.0).unwrap();
        let sinks = sinks();
        sinks.in_background();
        let sink = sinks.get(&LogAddress::Unix(path.0.clone()), &mut no_names).unwrap();
        sink.send(b"one\n", 0);
        assert_eq!(received(&daemon), b"one\n");
        drop(daemon);
        std::fs::remove_file(&path.0).unwrap();
        sink.send(b"lost\n", 10);
        sink.send(b"lost\n", 20);
        assert_eq!(sink.dropped(), 2);
        let daemon = UnixDatagram::bind(&path.0).unwrap();
        sink.send(b"lost\n", 30);
        assert_eq!((sink.dropped(), received(&daemon)), (3, vec![]), "tried at most once a second");
        sink.send(b"two\n", 1010);
        assert_eq!(received(&daemon), b"two\n");
        // Started anew without a gap: nothing is lost.
        std::fs::remove_file(&path.0).unwrap();
        drop(daemon);
        let daemon = UnixDatagram::bind(&path.0).unwrap();
        sink.send(b"three\n", 2020);
        assert_eq!((sink.dropped(), received(&daemon)), (3, b"three\n".to_vec()));
        assert_eq!(sinks.dropped(), 3);
    }

    #[test]
    fn a_stuck_daemon_costs_lines_not_time() {
        let path = Scratch::new("stuck");
        let daemon = UnixDatagram::bind(&path.0).unwrap();
        let sinks = sinks();
        let sink = sinks.get(&LogAddress::Unix(path.0.clone()), &mut no_names).unwrap();
        for _ in 0..5000 {
            sink.send(&[b'x'; 1000], 0);
        }
        let dropped = sink.dropped();
        assert!(dropped > 0 && sink.losing.get().is_some());
        while !received(&daemon).is_empty() {}
        sink.send(b"again\n", 500);
        assert_eq!((received(&daemon), sink.dropped()), (b"again\n".to_vec(), dropped));
        assert!(sink.losing.get().is_some(), "not yet calm");
        sink.send(b"again\n", 500 + CALM_MS as i64);
        assert!(sink.losing.get().is_none());
    }

    #[test]
    fn without_a_log_daemon_stderr_serves() {
        let path = Scratch::new("absent");
        let sinks = sinks();
        let sink = sinks.get(&LogAddress::Unix(path.0.clone()), &mut no_names).unwrap();
        let _ = sink.try_send(b"", 0);
        assert_eq!(sink.dropped(), 0);
        let daemon = UnixDatagram::bind(&path.0).unwrap();
        sink.send(b"found\n", 2000);
        assert_eq!(received(&daemon), b"found\n");
    }

    #[test]
    fn inherited_descriptors() {
        use std::os::fd::AsRawFd;
        let (mut reader, writer) = std::io::pipe().unwrap();
        let sinks = sinks();
        let sink = sinks.get(&LogAddress::Fd(writer.as_raw_fd()), &mut no_names).unwrap();
        sink.send(b"through a pipe\n", 0);
        let mut buffer = [0; 100];
        assert_eq!(reader.read(&mut buffer).unwrap(), 15);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let Err(error) = sinks.get(&LogAddress::Fd(socket.as_raw_fd()), &mut no_names) else {
            panic!("a socket was taken")
        };
        assert!(error.contains("is a socket"), "{error}");
        let Err(error) = sinks.get(&LogAddress::Fd(99_999), &mut no_names) else { panic!("opened") };
        assert!(error.starts_with("log target fd@99999: "), "{error}");
    }
}
