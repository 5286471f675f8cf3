//! A server whose name only DNS knows: musl's resolver, and the thread that it runs on, on a real 32-bit kernel.

use crate::control;
use crate::story::Story;
use crate::support::{eventually, ms};
use crate::traffic;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const NAME: &str = "by-dns.boot.test";
/// This machine, as the board sees it.
const ADDRESS: [u8; 4] = [10, 0, 2, 2];

/// The gateway is told a name by a reload, serves by it, and is told the old one again.
pub fn all(story: &mut Story) {
    let server = NameServer::start();
    let (first, second) = (story.web.port, story.other_web.port);
    let before = control::pid(story);
    story
        .guest
        .expect(&format!("(/lib/relay/serve {} >/dev/null 2>&1 & echo $! > /tmp/relay.pid)", server.port));
    story.guest.expect("cp /etc/oneport.cfg /tmp/kept.cfg");
    story.guest.expect(&format!("sed -i s/host.boot.test:{first}/{NAME}:{second}/ /etc/oneport.cfg"));
    control::reload(story);
    let named = story.ports.named;
    eventually("the server is found by its name", || {
        traffic::get(named, "/by-dns").text() == "second GET /by-dns\n"
    });
    assert!(server.asked().contains(&NAME.to_string()), "asked for: {:?}", server.asked());
    story.guest.expect("kill $(cat /tmp/relay.pid); killall ld; mv /tmp/kept.cfg /etc/oneport.cfg");
    control::reload(story);
    eventually("the server is the one of before", || traffic::get(named, "/").text() == "first GET /\n");
    assert_eq!(control::pid(story), before);
    story.proved("a server whose name only DNS knows");
}

/// A name server that knows one address of one name.
struct NameServer {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    stopping: Arc<AtomicBool>,
}

impl NameServer {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(ms(100))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let server = Self { port, asked: Arc::default(), stopping: Arc::default() };
        let (asked, stopping) = (server.asked.clone(), server.stopping.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while !stopping.load(Ordering::Relaxed) {
                let Ok((count, peer)) = socket.recv_from(&mut buffer) else { continue };
                if let Some((name, answer)) = answer(&buffer[..count]) {
                    asked.lock().unwrap().push(name);
                    // Lost like any datagram: who asked asks again.
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        server
    }

    /// The names it was asked for so far.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

/// The name that is asked for and the answer to it (RFC 1035 §4.1): the address to a question of type A, none to one
/// of another type, and "no such name" to another name.
fn answer(query: &[u8]) -> Option<(String, Vec<u8>)> {
    let (header, mut rest) = query.split_at_checked(12)?;
    let mut labels = Vec::new();
    loop {
        let (&length, after) = rest.split_first()?;
        let (label, after) = after.split_at_checked(usize::from(length))?;
        rest = after;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).into_owned());
    }
    let (kind, _) = rest.split_at_checked(4)?;
    let question = &query[12..query.len() - rest.len() + 4];
    let name = labels.join(".");
    let known = name == NAME;
    let is_address = known && kind == [0, 1, 0, 1];
    // The flags of an answer by a server that recurses; 3 is "no such name".
    let mut bytes = vec![header[0], header[1], 0x81, if known { 0x80 } else { 0x83 }];
    bytes.extend([0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    bytes.extend(question);
    if is_address {
        // The name by a pointer to the question, type A, class IN, a minute, four bytes.
        bytes.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        bytes.extend(ADDRESS);
    }
    Some((name, bytes))
}
