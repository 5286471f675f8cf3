//! What only a network of the test's own can show: few local ports, and addresses of others on both sides. Each end has
//! a network namespace, in which a thread of this process lives.

use crate::privileges;
use crate::support::client::Client;
use crate::support::process::{Gateway, Starter, folder};
use crate::support::program::{Program, installed};
use crate::support::{eventually, ms};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace.
struct Network {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// The thread that lives there.
    id: String,
}

impl Network {
    /// One with nothing but a loopback interface.
    fn new() -> Self {
        let (jobs, todo) = channel::<Job>();
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: a thread of its own, which takes nothing along that belongs to another network.
            unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.unwrap();
            tell.send(rustix::thread::gettid().as_raw_nonzero().to_string()).unwrap();
            todo.into_iter().for_each(|job| job());
        });
        let network = Self { jobs: Some(jobs), thread: Some(thread), id: told.recv().unwrap() };
        network.ip("link set lo up");
        network
    }

    /// Does something there.
    fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = channel();
        let job = Box::new(move || drop(tell.send(job())));
        self.jobs.as_ref().unwrap().send(job).unwrap();
        told.recv().expect("the job is done")
    }

    fn ip(&self, words: &str) {
        let mut command = Command::new(installed("ip", "iproute2"));
        command.args(words.split(' '));
        let words = words.to_owned();
        self.run(move || assert!(command.status().unwrap().success(), "ip {words}"));
    }

    /// Writes a value of the kernel's, below /proc/sys.
    fn set(&self, name: &'static str, value: &'static str) {
        // Not through /proc/sys, which is the process's: the shell is a child of the thread.
        let script = format!("echo '{value}' > /proc/sys/{name}");
        self.run(move || assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success()));
    }

    /// A server there that answers each line with where its connection comes from.
    fn mirror(&self, address: &'static str) {
        self.run(move || {
            let listener = TcpListener::bind(address).unwrap();
            std::thread::spawn(move || {
                while let Ok((mut stream, from)) = listener.accept() {
                    std::thread::spawn(move || {
                        let mut bytes = [0; 100];
                        while matches!(stream.read(&mut bytes), Ok(len) if len > 0) {
                            if stream.write_all(format!("{from}\n").as_bytes()).is_err() {
                                return;
                            }
                        }
                    });
                }
            });
        });
    }

    /// The program there; it listens on this path, too.
    fn gateway(&self, program: Program, ready: &Path, lines: &str) -> Gateway {
        let bind = format!("bind unix@{}", ready.display());
        let config = format!("{}listen l\n    mode tcp\n    {bind}\n{lines}", crate::rig::DEFAULTS);
        let ready = ready.to_owned();
        self.run(move || Starter::of(program).ready_path(&ready).start(&config))
    }

    /// What a client there is told.
    fn told(&self, address: &'static str) -> String {
        self.run(move || {
            // Nobody says no where nobody listens: the answer would come from a foreign address.
            let connected = TcpStream::connect_timeout(&address.parse().unwrap(), ms(2_000));
            let Ok(mut stream) = connected else { return "no connection".to_owned() };
            stream.write_all(b"who\n").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))) || std::thread::panicking());
    }
}

/// Two local ports, two servers, and three connections to each: without `IP_BIND_ADDRESS_NO_PORT` an address that is
/// bound takes one of the two for itself, whatever the server.
#[test]
fn local_ports_are_enough_for_each_server() {
    if privileges::left_out() {
        return;
    }
    for program in [Program::Oneport, Program::Haproxy] {
        let network = Network::new();
        network.set("net/ipv4/ip_local_port_range", "40000 40001");
        let servers = ["127.0.0.1:20001", "127.0.0.1:20002", "127.0.0.1:20003"];
        for address in servers {
            network.mirror(address);
        }
        let lines: String =
            (0..3).map(|at| format!("    server s{at} {} source 127.0.0.9\n", servers[at])).collect();
        let dir = folder();
        let path = dir.path().join("socket");
        let _gateway = network.gateway(program, &path, &lines);
        let mut clients: Vec<Client> = (0..6).map(|_| Client::to_path(&path)).collect();
        for client in &mut clients {
            client.send("who\n");
            assert!(client.read_exact(16).starts_with(b"127.0.0.9:4000"), "{program:?}");
        }
    }
}

/// From the second connection on, the first bytes go with the first packet, on both sides.
#[test]
fn fast_open_is_used() {
    if privileges::left_out() {
        return;
    }
    let network = Network::new();
    network.set("net/ipv4/tcp_fastopen", "3");
    network.mirror("127.0.0.1:20001");
    // Only who waits for bytes has some to send when it connects.
    let waits = "    tcp-request inspect-delay 5s\n    tcp-request content accept if { req.len gt 0 }\n";
    let lines = format!(
        "{waits}    server s 127.0.0.1:20002 tfo\nlisten m\n    mode tcp\n    bind 127.0.0.1:20002 tfo\n{waits}    \
         server s 127.0.0.1:20001 source 127.0.0.9 tfo\n"
    );
    let dir = folder();
    let path = dir.path().join("socket");
    let _gateway = network.gateway(Program::Oneport, &path, &lines);
    for _ in 0..4 {
        let mut client = Client::to_path(&path);
        client.send("who\n");
        assert!(client.read_exact(10).starts_with(b"127.0.0.9:"));
    }
    let counted = network.run(|| std::fs::read_to_string("/proc/thread-self/net/netstat").unwrap());
    let [names, values] = [0, 1].map(|at| counted.lines().nth(at).unwrap().split(' '));
    let used = |name: &str| {
        let mut all = names.clone().zip(values.clone());
        all.find(|(known, _)| *known == name).unwrap().1.parse::<u32>().unwrap()
    };
    assert!(used("TCPFastOpenActive") > 0 && used("TCPFastOpenPassive") > 0, "{counted}");
}

/// A router between a client and a server, which takes every connection to itself and goes on to where the client wanted
/// to go, by the client's own address.
#[test]
fn a_transparent_gateway_is_seen_by_neither_side() {
    if privileges::left_out() {
        return;
    }
    for program in [Program::Oneport, Program::Haproxy] {
        let [client, router, server] = [(); 3].map(|()| Network::new());
        for (end, name, near, far) in
            [(&client, "c0", "10.8.0.1/24", "10.8.0.2/24"), (&server, "s0", "10.9.0.1/24", "10.9.0.2/24")]
        {
            router.ip(&format!("link add {name} type veth peer name eth0 netns {}", end.id));
            router.ip(&format!("addr add {near} dev {name}"));
            router.ip(&format!("link set {name} up"));
            end.ip(&format!("addr add {far} dev eth0"));
            end.ip("link set eth0 up");
            end.ip(&format!("route add default via {}", near.trim_end_matches("/24")));
            // What comes in there is for this machine, whatever its address.
            router.ip(&format!("rule add iif {name} lookup 100"));
        }
        router.ip("route add local default dev lo table 100");
        server.mirror("10.9.0.2:7000");
        let lines = "    bind *:7000 transparent\n    option transparent\n    source * usesrc clientip\n";
        let dir = folder();
        let gateway = router.gateway(program, &dir.path().join("socket"), lines);
        eventually("the client gets an answer", || client.told("10.9.0.2:7000").starts_with("10.8.0.2:"));
        drop(gateway);
        assert_eq!(client.told("10.9.0.2:7000"), "no connection", "{program:?}: it went through the gateway");
    }
}
