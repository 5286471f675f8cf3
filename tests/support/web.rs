//! A real web server: nginx, started with a configuration of its own in a folder of its own.

use super::ports::{free_port, is_listening};
use super::process::folder;
use super::program::installed;
use super::{eventually, pattern};
use std::process::{Child, Command, Stdio};

/// A running nginx, which tells its name in `X-Backend`. `/` is a page, `/blob` 256 KiB of [`BLOB_SEED`]'s pattern, `/port` says from where the
/// request came (`X-Forwarded-For`), `/real` the same by `X-Real-IP`, and anything may be POSTed to `/discard`. On a second port it wants the PROXY protocol, and
/// `/who` says what that told.
pub struct Nginx {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The port with the PROXY protocol.
    pub proxy_port: u16,
    child: Child,
    _dir: tempfile::TempDir,
}

/// The pattern of `/blob`.
pub const BLOB_SEED: u64 = 0xB10B;
/// The length of `/blob`.
pub const BLOB_LEN: usize = 256 * 1024;

impl Nginx {
    /// Starts one and waits until it listens.
    pub fn start() -> Self {
        Self::named("nginx")
    }

    /// The same with a name of its own.
    pub fn named(name: &str) -> Self {
        Self::on_port(name, free_port())
    }

    /// The same on a port of one that was there before.
    pub fn on_port(name: &str, port: u16) -> Self {
        let dir = folder();
        let proxy_port = free_port();
        let root = dir.path().display();
        std::fs::write(dir.path().join("index.html"), "<h1>served by nginx</h1>\n").unwrap();
        std::fs::write(dir.path().join("blob"), pattern::payload(BLOB_SEED, BLOB_LEN)).unwrap();
        let who = "$proxy_protocol_addr:$proxy_protocol_port to $proxy_protocol_server_addr:$proxy_protocol_server_port";
        let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
        let config = format!(
            "{user} worker_processes 1; daemon off; pid {root}/pid; error_log {root}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n\
               access_log off; keepalive_requests 1000000; client_max_body_size 0;\n\
               client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;\n\
               uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
               server {{\n\
                 listen 127.0.0.1:{port} backlog=4096; root {root}; add_header X-Backend {name};\n\
                 location = /from {{ return 200 \"$http_x_forwarded_for\"; }}\n\
                 location = /real {{ return 200 \"$http_x_real_ip\"; }}\n\
                 location = /discard {{ return 200 \"$content_length\"; }}\n\
               }}\n\
               server {{\n\
                 listen 127.0.0.1:{proxy_port} proxy_protocol;\n\
                 location = /who {{ return 200 \"{who}\"; }}\n\
               }}\n\
             }}\n"
        );
        let file = dir.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let child = Command::new(installed("nginx", "nginx"))
            .args(["-e", "stderr", "-p"])
            .arg(dir.path())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let nginx = Self { port, proxy_port, child, _dir: dir };
        eventually("nginx listens", || is_listening(port));
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master ends its workers on SIGTERM; SIGKILL would leave them behind.
        let pid = self.child.id() as i32;
        if matches!(self.child.try_wait(), Ok(None)) {
            super::process::send_signal(pid, super::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
