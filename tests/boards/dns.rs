//! A name server of the test's own on 127.0.0.1:53, which only the namespaces of one board see.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const CLASS_IN: u16 = 1;
const NO_ERROR: u8 = 0;
const NAME_ERROR: u8 = 3;

/// The server: what it knows can be changed while it runs.
pub struct Dns {
    zone: Arc<Mutex<Zone>>,
}

#[derive(Default)]
struct Zone {
    addresses: BTreeMap<String, Ipv4Addr>,
    aliases: BTreeMap<String, String>,
    /// How many further questions about a name are lost on the way.
    to_lose: BTreeMap<String, u32>,
    /// Every question, the lost ones included.
    asked: Vec<String>,
}

impl Dns {
    /// Starts it; it knows nothing.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:53").expect("port 53 of a network namespace is free");
        let zone = Arc::new(Mutex::new(Zone::default()));
        let for_thread = zone.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 1_500];
            while let Ok((count, from)) = socket.recv_from(&mut buffer) {
                reply(&socket, from, &buffer[..count], &for_thread);
            }
        });
        Self { zone }
    }

    /// A name has this address from now on.
    pub fn set(&self, name: &str, address: [u8; 4]) {
        self.zone.lock().unwrap().addresses.insert(name.into(), address.into());
    }

    /// A name is another name of `of`.
    pub fn alias(&self, name: &str, of: &str) {
        self.zone.lock().unwrap().aliases.insert(name.into(), of.into());
    }

    /// The next `count` questions about a name get no answer.
    pub fn lose(&self, name: &str, count: u32) {
        self.zone.lock().unwrap().to_lose.insert(name.into(), count);
    }

    /// How often a name was asked for.
    pub fn asked(&self, name: &str) -> usize {
        self.zone.lock().unwrap().asked.iter().filter(|asked| *asked == name).count()
    }
}

fn reply(socket: &UdpSocket, from: SocketAddr, query: &[u8], zone: &Mutex<Zone>) {
    // Nobody but the C library asks here.
    let (name, question_end) = read_name(query).expect("a well-formed question");
    let mut zone = zone.lock().unwrap();
    zone.asked.push(name.clone());
    if let Some(left) = zone.to_lose.get_mut(&name).filter(|left| **left > 0) {
        *left -= 1;
        return;
    }
    let kind = u16::from_be_bytes([query[question_end - 4], query[question_end - 3]]);
    let answer = answer(query, question_end, kind, &name, &zone);
    socket.send_to(&answer, from).unwrap();
}

/// The name asked for in lower case, and where the question ends.
fn read_name(query: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let len = usize::from(*query.get(at)?);
        at += 1;
        if len == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + len)?).to_ascii_lowercase());
        at += len;
    }
    (at + 4 <= query.len()).then(|| (labels.join("."), at + 4))
}

fn answer(query: &[u8], question_end: usize, kind: u16, name: &str, zone: &Zone) -> Vec<u8> {
    let mut records = Vec::new();
    let real = zone.aliases.get(name).map_or(name, String::as_str);
    if real != name {
        records.push(record(name, TYPE_CNAME, &wire_name(real)));
    }
    let address = zone.addresses.get(real);
    if let (Some(address), TYPE_A) = (address, kind) {
        records.push(record(real, TYPE_A, &address.octets()));
    }
    let code = if address.is_some() { NO_ERROR } else { NAME_ERROR };
    let mut out = query[..2].to_vec();
    // An answer, recursion wanted and available; one question.
    out.extend([0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    out.extend(&query[12..question_end]);
    out.extend(records.concat());
    out
}

fn record(name: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let mut out = wire_name(name);
    out.extend(kind.to_be_bytes());
    out.extend(CLASS_IN.to_be_bytes());
    out.extend(60u32.to_be_bytes());
    out.extend((data.len() as u16).to_be_bytes());
    out.extend(data);
    out
}

fn wire_name(name: &str) -> Vec<u8> {
    let mut out: Vec<u8> =
        name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    out.push(0);
    out
}
