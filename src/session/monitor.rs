//! `monitor-net`: connections of those who only want to know whether the gateway is there (configuration 1.4 §4.2).

use super::Session;
use crate::config::Mode;
use crate::net::Buffer;

impl Session {
    /// Whether the connection comes from a network of `monitor-net`. Asked before a PROXY protocol header says
    /// something else: whoever monitors connects by itself.
    pub(super) fn is_of_monitor(&self) -> bool {
        let nets = &self.frontend.config.monitor_nets;
        !nets.is_empty() && self.peer.get().is_some_and(|peer| nets.iter().any(|net| net.contains(peer.ip())))
    }

    /// Says that all is well, where there is a way to, and closes. Nothing is forwarded and nothing logged.
    pub(super) async fn answer_monitor(&self) {
        const ANSWER: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";
        if self.frontend.config.mode == Mode::Tcp {
            return;
        }
        let mut out = Buffer::take();
        out.append(ANSWER);
        self.deadline.set_after(self.frontend.config.timeouts.client_ms);
        let flushed = self.deadline.within(|context| self.client.poll_flush(context, &mut out)).await;
        if matches!(flushed, Ok(Ok(()))) {
            self.close_gently().await;
        }
    }
}
