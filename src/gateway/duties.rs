//! What a gateway that has given up its privileges leaves to its keeper: to read the configuration and the files that
//! it names again, to look up the names in it, to open its addresses, and to signal older processes. Requests name nothing but a number in
//! what the keeper has read itself, so a gateway in strange hands can make it open no file and no port beside.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use rustix::io::Errno;

use super::Names;
use super::files::{Files, put_files, recording, take_files};
use super::listen::{Missing, Sockets, open_one};
use crate::config::{self, BindAddress, Config, Source};
use crate::process::keeper::{ANSWER_BYTES_MAX, Answer, DESCRIPTORS_MAX, Duties, Keeper, REQUEST_BYTES};
use crate::process::pidfile::PidFile;
use crate::reactor::off_loop;

/// A request's first byte.
const READ: u8 = 1;
const LISTEN: u8 = 2;
const FAREWELL: u8 = 3;

/// Looks up environment variables.
type Env = Box<dyn Fn(&str) -> Option<String>>;

/// The keeper's side. Everything it can be made to do is fixed here at the start.
pub struct GatewayDuties {
    /// Reads the texts of the configuration.
    pub sources: Box<dyn Fn() -> Result<Vec<Source>, String>>,
    /// The environment that they are loaded with.
    pub env: Env,
    /// Signals the older processes; done once.
    pub farewell: Option<Box<dyn FnOnce() -> Result<(), String>>>,
    /// Removed at the end.
    pub pidfile: Option<PidFile>,
    /// Whether addresses are opened that the machine does not have yet (`--wait-bind`).
    pub listens_before: bool,
    /// What was read last, and its names.
    pub read: Option<(Config, Names)>,
}

impl Duties for GatewayDuties {
    fn answer(&mut self, request: &[u8; REQUEST_BYTES]) -> Option<Answer> {
        match Request::decode(request)? {
            Request::Read => Some(self.read().unwrap_or_else(|message| refusal(0, &message))),
            Request::Listen(missing) => Some(self.listen(&missing)?.unwrap_or_else(|error| {
                let code = match error.kind() {
                    io::ErrorKind::AddrInUse => Errno::ADDRINUSE.raw_os_error(),
                    _ => error.raw_os_error().unwrap_or(0),
                };
                refusal(code, &error.to_string())
            })),
            Request::Farewell => {
                let signalled = self.farewell.take()?();
                Some(signalled.map_or_else(|message| refusal(0, &message), |()| success(Vec::new())))
            }
        }
    }

    fn at_end(&mut self) {
        if let Some(pidfile) = &self.pidfile {
            pidfile.remove();
        }
    }
}

impl GatewayDuties {
    /// Reads everything again; faults in it are the gateway's to tell, who gets the texts all the same.
    fn read(&mut self) -> Result<Answer, String> {
        self.read = None;
        let sources = (self.sources)()?;
        let mut bytes = Vec::new();
        put_number(&mut bytes, sources.len());
        for source in &sources {
            put(&mut bytes, source.name.as_bytes());
            put(&mut bytes, &source.text);
        }
        let files = Rc::new(RefCell::new(Files::default()));
        let loaded = config::load_with(&sources, &self.env, Some(recording(files.clone())));
        // Also where there are faults: the gateway is to find the same ones.
        put_files(&mut bytes, &files.take());
        if let Some(mut config) = loaded.config {
            drop(sources);
            let names = Names::look_up(Names::wanted(&config));
            put_names(&mut bytes, &names);
            // What only sessions need is not kept.
            config.backends.clear();
            self.read = Some((config, names));
        } else {
            put_number(&mut bytes, 0);
        }
        if bytes.len() > ANSWER_BYTES_MAX {
            let mib = ANSWER_BYTES_MAX >> 20;
            return Err(format!("the configuration and the files that it names are longer than {mib} MiB"));
        }
        Ok(success(bytes))
    }

    /// Opens an address of what was read last. `None` where there is no such address, or one that is not opened
    /// but inherited: the gateway, which has read the same, knows that.
    fn listen(&self, missing: &Missing) -> Option<io::Result<Answer>> {
        let (config, names) = self.read.as_ref()?;
        let frontend = config.frontends.get(missing.which.0)?;
        let bind = frontend.binds.get(missing.which.1)?;
        if matches!(bind.address, BindAddress::Fd(_)) {
            return None;
        }
        let opened = open_one(frontend, bind, names, missing, self.listens_before);
        Some(opened.and_then(|descriptors| {
            if descriptors.len() > DESCRIPTORS_MAX {
                return Err(io::Error::other(format!("the name has more than {DESCRIPTORS_MAX} addresses")));
            }
            Ok(Answer { done: true, bytes: Vec::new(), descriptors })
        }))
    }
}

/// The gateway's side: asks the keeper, on a helper thread where that can take long.
#[derive(Debug, Clone)]
pub struct GatewayKeeper(Keeper);

impl GatewayKeeper {
    /// Forks the keeper ([`Keeper::fork`]).
    ///
    /// # Errors
    /// A message.
    pub fn fork(duties: GatewayDuties) -> Result<Self, String> {
        Keeper::fork(duties).map(Self).map_err(|error| format!("cannot start the keeper process: {error}"))
    }

    /// The texts of the configuration, read again, the files that they name, and the addresses of the names in them.
    ///
    /// # Errors
    /// A message: they cannot be read, or the keeper has ended.
    pub async fn read(&self) -> Result<(Vec<Source>, Files, Names), String> {
        let keeper = self.0.clone();
        let answer = off_loop(move || keeper.ask(&Request::Read.encode())).await;
        let answer = answer.ok_or("the keeper was not asked")?.map_err(|error| error.to_string())?;
        if !answer.done {
            return Err(refused(&answer.bytes).to_string());
        }
        decode_read(&answer.bytes).ok_or_else(|| "the keeper's answer makes no sense".to_owned())
    }

    /// The listening sockets that are missing. What could not be opened is told when it is used.
    pub async fn listen(&self, missing: Vec<Missing>) -> Sockets {
        if missing.is_empty() {
            return Sockets::Brought(Vec::new());
        }
        let keeper = self.0.clone();
        let ask = move || {
            let one = |missing: Missing| {
                let answer = keeper.ask(&Request::Listen(missing).encode()).and_then(|answer| {
                    if answer.done { Ok(answer.descriptors) } else { Err(refused(&answer.bytes)) }
                });
                (missing.which, answer)
            };
            missing.into_iter().map(one).collect()
        };
        Sockets::Brought(off_loop(ask).await.unwrap_or_default())
    }

    /// Signals the older processes that the flags named. Waits; to be called once.
    ///
    /// # Errors
    /// A message about those that could not be signalled.
    pub fn farewell(&self) -> Result<(), String> {
        let answer = self.0.ask(&Request::Farewell.encode()).map_err(|error| error.to_string())?;
        if answer.done { Ok(()) } else { Err(refused(&answer.bytes).to_string()) }
    }

    /// Lets the keeper go; it removes the pidfile.
    pub fn dismiss(self) {
        self.0.dismiss();
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    Read,
    Listen(Missing),
    Farewell,
}

impl Request {
    /// The kind, whether to take over, two zeros, three numbers.
    fn encode(&self) -> [u8; REQUEST_BYTES] {
        let (kind, take_over, numbers) = match self {
            Self::Read => (READ, false, [0; 3]),
            Self::Farewell => (FAREWELL, false, [0; 3]),
            Self::Listen(missing) => {
                // What does not fit is refused by the keeper, which has no such number either.
                let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                let (frontend, bind) = missing.which;
                (LISTEN, missing.take_over, [number(frontend), number(bind), missing.maxconn])
            }
        };
        let mut bytes = [0; REQUEST_BYTES];
        let head = [kind, u8::from(take_over), 0, 0];
        let all = head.into_iter().chain(numbers.into_iter().flat_map(u32::to_le_bytes));
        for (to, from) in bytes.iter_mut().zip(all) {
            *to = from;
        }
        bytes
    }

    /// `None` for what [`encode`](Self::encode) does not write.
    fn decode(bytes: &[u8; REQUEST_BYTES]) -> Option<Self> {
        let &[kind, flag, _, _, a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3] = bytes;
        let [frontend, bind, maxconn] =
            [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3]].map(u32::from_le_bytes);
        let request = match kind {
            READ => Self::Read,
            FAREWELL => Self::Farewell,
            LISTEN => Self::Listen(Missing {
                which: (frontend as usize, bind as usize),
                maxconn,
                take_over: flag == 1,
            }),
            _ => return None,
        };
        (request.encode() == *bytes).then_some(request)
    }
}

fn success(bytes: Vec<u8>) -> Answer {
    Answer { done: true, bytes, descriptors: Vec::new() }
}

/// The kernel's number of an error, 0 where it has none, and words.
fn refusal(code: i32, message: &str) -> Answer {
    let mut bytes = code.to_le_bytes().to_vec();
    bytes.extend_from_slice(message.as_bytes());
    Answer { done: false, bytes, descriptors: Vec::new() }
}

/// The error that [`refusal`] has written.
fn refused(bytes: &[u8]) -> io::Error {
    match bytes.split_first_chunk() {
        Some((code, message)) => match i32::from_le_bytes(*code) {
            0 => io::Error::other(String::from_utf8_lossy(message).into_owned()),
            code => io::Error::from_raw_os_error(code),
        },
        None => io::ErrorKind::InvalidData.into(),
    }
}

pub(super) fn put_number(to: &mut Vec<u8>, number: usize) {
    // More than a configuration can have makes the reader stop at the end of the bytes.
    to.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

pub(super) fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    put_number(to, bytes.len());
    to.extend_from_slice(bytes);
}

/// How many names; each, in their order, then how many addresses it has, and these, or why it has none.
fn put_names(to: &mut Vec<u8>, names: &Names) {
    put_number(to, names.found.len());
    for (host, found) in &names.found {
        put(to, host.as_bytes());
        match found {
            Ok(addresses) => {
                put_number(to, addresses.len());
                for address in addresses {
                    put(to, address.ip().to_string().as_bytes());
                }
            }
            Err(reason) => {
                put_number(to, 0);
                put(to, reason.as_bytes());
            }
        }
    }
}

pub(super) fn take_number(from: &mut &[u8]) -> Option<usize> {
    let (number, rest) = from.split_first_chunk()?;
    *from = rest;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

pub(super) fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_number(from)?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

pub(super) fn take_text(from: &mut &[u8]) -> Option<String> {
    take(from).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn decode_read(mut bytes: &[u8]) -> Option<(Vec<Source>, Files, Names)> {
    let from = &mut bytes;
    let mut sources = Vec::new();
    for _ in 0..take_number(from)? {
        let name = take_text(from)?;
        sources.push(Source::new(&name, take(from)?));
    }
    let files = take_files(from)?;
    let mut found = Vec::new();
    for _ in 0..take_number(from)? {
        let host = take_text(from)?;
        let addresses = match take_number(from)? {
            0 => Err(take_text(from)?),
            count => {
                let mut addresses = Vec::new();
                for _ in 0..count {
                    let ip: IpAddr = take_text(from)?.parse().ok()?;
                    addresses.push(SocketAddr::new(ip, 0));
                }
                Ok(addresses)
            }
        };
        found.push((host, addresses));
    }
    from.is_empty().then_some((sources, files, Names { found }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsFd;
    use std::path::Path;

    fn duties(text: &str) -> GatewayDuties {
        let text = text.to_owned();
        GatewayDuties {
            sources: Box::new(move || Ok(vec![Source::new("k.cfg", text.clone())])),
            env: Box::new(|_| None),
            farewell: None,
            pidfile: None,
            listens_before: false,
            read: None,
        }
    }

    fn listen(frontend: usize, bind: usize) -> [u8; REQUEST_BYTES] {
        Request::Listen(Missing { which: (frontend, bind), maxconn: 10, take_over: false }).encode()
    }

    /// With an abstract name that no other test process has.
    fn one() -> String {
        let pid = std::process::id();
        format!("listen l\n bind abns@oneport-duties-{pid}\n bind fd@9\n server s localhost:1\n")
    }

    #[test]
    fn texts_and_names_come_as_they_are_read() {
        let file = std::env::temp_dir().join(format!("oneport-duties-{}.http", std::process::id()));
        std::fs::write(&file, "HTTP/1.0 503 Later\r\n\r\nlater").unwrap();
        let text = format!("{} errorfile 503 {}\n errorfile 500 /no/such/file\n", one(), file.display());
        let mut duties = duties(&text);
        let answer = duties.answer(&Request::Read.encode()).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(answer.done);
        let (sources, files, _) = decode_read(&answer.bytes).unwrap();
        assert_eq!((&*sources[0].name, sources[0].text.as_slice()), ("k.cfg", text.as_bytes()));
        let loaded = config::load_with(&sources, &|_| None, Some(files.reader()));
        let said: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
        let errors: Vec<&String> = said.iter().filter(|said| said.contains("error:")).collect();
        assert_eq!(errors.len(), 1, "{said:?}");
        assert!(errors[0].contains("k.cfg:6") && errors[0].contains("/no/such/file"), "{said:?}");

        duties = self::duties(&one());
        let answer = duties.answer(&Request::Read.encode()).unwrap();
        let (_, files, names) = decode_read(&answer.bytes).unwrap();
        assert!((files.reader())(Path::new("/etc/passwd"), 1_000).unwrap_err().contains("has not read"));
        assert_eq!(names.addresses("localhost", 80).unwrap()[0], "127.0.0.1:80".parse().unwrap());
        for cut in 0..answer.bytes.len() {
            assert!(decode_read(&answer.bytes[..cut]).is_none(), "{cut}");
        }
    }

    #[test]
    fn only_what_the_configuration_says_is_opened() {
        let mut duties = duties(&one());
        assert!(duties.answer(&listen(0, 0)).is_none(), "nothing was read yet");
        duties.answer(&Request::Read.encode()).unwrap();
        let answer = duties.answer(&listen(0, 0)).unwrap();
        assert!(answer.done && answer.descriptors.len() == 1);
        assert!(rustix::net::sockopt::socket_acceptconn(answer.descriptors[0].as_fd()).unwrap());
        for (frontend, bind) in [(0, 1), (0, 2), (1, 0), (usize::MAX, 0), (0, u32::MAX as usize)] {
            assert!(duties.answer(&listen(frontend, bind)).is_none(), "{frontend} {bind}");
        }
    }

    #[test]
    fn what_is_no_request_ends_the_keeper() {
        let mut duties = duties(&one());
        let mut flagged = Request::Read.encode();
        flagged[1] = 1;
        let mut tailed = Request::Farewell.encode();
        tailed[15] = 1;
        let mut two = listen(0, 0);
        two[1] = 2;
        for request in [[0; 16], [255; 16], *b"GET / HTTP/1.1\r\n", flagged, tailed, two] {
            assert!(duties.answer(&request).is_none(), "{request:?}");
        }
        assert!(duties.answer(&Request::Farewell.encode()).is_none(), "there is nobody to signal");
    }

    #[test]
    fn faults_reach_the_gateway_in_words() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let text = format!("listen l\n bind {}\n bind unix@/no/such/folder\n", taken.local_addr().unwrap());
        let mut occupied = duties(&text);
        occupied.answer(&Request::Read.encode()).unwrap();
        let answer = occupied.answer(&listen(0, 0)).unwrap();
        assert_eq!(refused(&answer.bytes).kind(), io::ErrorKind::AddrInUse);
        let answer = occupied.answer(&listen(0, 1)).unwrap();
        assert_eq!(refused(&answer.bytes).kind(), io::ErrorKind::NotFound);

        // The texts come in any case: the gateway says what is wrong with them.
        let mut faulty = duties("nonsense\n");
        let answer = faulty.answer(&Request::Read.encode()).unwrap();
        assert_eq!(decode_read(&answer.bytes).unwrap().0.len(), 1);
        let mut missing = GatewayDuties { sources: Box::new(|| Err("k.cfg: gone".into())), ..duties("") };
        let answer = missing.answer(&Request::Read.encode()).unwrap();
        assert!(!answer.done);
        assert_eq!(refused(&answer.bytes).to_string(), "k.cfg: gone");
    }

    #[test]
    fn older_processes_are_signalled_once() {
        let mut duties = GatewayDuties { farewell: Some(Box::new(|| Ok(()))), ..duties(&one()) };
        assert!(duties.answer(&Request::Farewell.encode()).unwrap().done);
        assert!(duties.answer(&Request::Farewell.encode()).is_none());
    }
}
