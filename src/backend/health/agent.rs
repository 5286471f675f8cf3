//! `agent-check`: somebody beside the server says, when asked, how it is (configuration §5.2, "agent-check").

use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Instant;

use super::super::Backend;
use super::script::of_failure;
use super::spread_ms;
use super::state::{Admin, Op};
use super::verdict::{Status, Verdict};
use crate::config::Agent;
use crate::net::{Buffer, ConnectOptions, Stream, Target};
use crate::reactor::{Deadline, Handle};

/// Asks an agent for as long as the backend lives.
pub(crate) async fn attend(backend: Weak<Backend>, index: usize, agent: Agent, first_delay_ms: u64) {
    let Some(deadline) = backend.upgrade().map(|backend| Deadline::new(backend.reactor)) else { return };
    let mut pause_ms = first_delay_ms;
    let born = Instant::now();
    loop {
        // Nobody is in such a hurry.
        deadline.set_after(pause_ms.max(1));
        deadline.expired().await;
        let Some((reactor, target, timeout_ms)) = whom_to_ask(&backend, index, &agent) else { return };
        let begin = Instant::now();
        let heard = match target {
            Some(target) => ask(reactor, &target, &agent.send, timeout_ms).await,
            None => Ok(None),
        };
        let took_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Some(backend) = backend.upgrade() else { return };
        match heard {
            Ok(Some(line)) => backend.heed(index, &line, took_ms),
            Ok(None) => {}
            Err((status, info)) => {
                let verdict = Verdict { status, code: None, info, took_ms };
                backend.judge_agent(index, &verdict);
            }
        }
        let percent =
            backend.servers.get(index).and_then(|s| s.config.check.as_ref()).map_or(0, |c| c.spread_percent);
        pause_ms = spread_ms(agent.inter_ms, percent, born.elapsed().subsec_nanos()).max(1);
    }
}

/// The agent's address; `None` where the server has none, or is a unix socket.
fn whom_to_ask(
    backend: &Weak<Backend>,
    index: usize,
    agent: &Agent,
) -> Option<(Handle, Option<Target>, u64)> {
    let backend = backend.upgrade()?;
    let server = backend.servers.get(index)?;
    let address = agent.address.or_else(|| server.address().map(|address| address.ip()));
    let target = address.map(|ip| Target::Inet(SocketAddr::new(ip, agent.port)));
    let limit_ms = backend.config.timeouts.check_ms.filter(|&ms| ms > 0);
    let timeout_ms = limit_ms.map_or(agent.inter_ms, |ms| ms.min(agent.inter_ms));
    Some((backend.reactor, target, timeout_ms))
}

/// A check's end before there was anything to be understood.
type Silence = (Status, Option<Box<str>>);

/// What the agent says in its first line; `None` = a line without an end.
async fn ask(
    reactor: Handle,
    target: &Target,
    send: &[u8],
    timeout_ms: u64,
) -> Result<Option<Vec<u8>>, Silence> {
    let deadline = Deadline::new(reactor);
    deadline.set_after(timeout_ms);
    let stream = Stream::connect(reactor, target, ConnectOptions::default()).map_err(|e| of_failure(&e))?;
    match deadline.guard(stream.connected()).await {
        Err(_) => return Err((Status::L4Tout, None)),
        Ok(Err(error)) => return Err(of_failure(&error)),
        Ok(Ok(())) => {}
    }
    let mut heard: Option<Buffer> = None;
    let talk = async {
        // Whoever does not listen may have spoken already.
        let _ = stream.write_all(send).await;
        loop {
            let len = stream.fill(&mut heard).await?;
            let Some(buffer) = &mut heard else { return Ok(None) };
            if let Some(end) = buffer.bytes().iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                return Ok(buffer.bytes().get(..end).map(<[u8]>::to_vec));
            }
            if len == 0 || buffer.room().is_empty() {
                return Ok(None);
            }
        }
    };
    let result: Result<std::io::Result<Option<Vec<u8>>>, _> = deadline.guard(talk).await;
    match result {
        Err(_) => Err((Status::L7Tout, None)),
        Ok(Err(error)) => Err(of_failure(&error)),
        Ok(Ok(None)) if heard.is_none() => {
            Err((Status::L7Rsp, Some("TCPCHK got an empty response at step 2".into())))
        }
        Ok(Ok(line)) => Ok(line),
    }
}

/// An agent's line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer<'a> {
    /// Its word on the server's health, and whether that is good.
    health: Option<(&'a str, bool)>,
    /// What an operator would set, and clear.
    marks: Option<(Admin, Admin)>,
    /// Percent of the configured weight.
    weight_percent: Option<u32>,
    maxconn: Option<u32>,
    /// What it says beside: the text after `#`, else the first word that it should not have said.
    remark: &'a str,
}

/// Words are separated by blanks and commas, in any order and case; the last one of a kind counts.
fn understand(line: &str) -> Answer<'_> {
    const MARKS: Admin = Admin::MAINT.with(Admin::DRAIN);
    let mut answer = Answer::default();
    let mut unknown = "";
    let (words, remark) = match line.split_once('#') {
        Some((words, remark)) => (words, remark.trim_matches([' ', '\t'])),
        None => (line, ""),
    };
    for word in words.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
        let is = |known: &str| word.eq_ignore_ascii_case(known);
        if is("up") {
            answer.health = Some((word, true));
        } else if is("down") || is("stopped") || is("fail") {
            answer.health = Some((word, false));
        } else if is("ready") {
            answer.marks = Some((Admin::default(), MARKS));
        } else if is("drain") {
            answer.marks = Some((Admin::DRAIN, Admin::MAINT));
        } else if is("maint") {
            answer.marks = Some((Admin::MAINT, Admin::DRAIN));
        } else if let Some(Ok(percent)) = word.strip_suffix('%').map(str::parse) {
            answer.weight_percent = Some(percent);
        } else if let Some(Ok(maxconn)) = word
            .get(..8)
            .filter(|name| name.eq_ignore_ascii_case("maxconn:"))
            .and_then(|_| word.get(8..))
            .map(str::parse)
        {
            answer.maxconn = Some(maxconn);
        } else if unknown.is_empty() {
            unknown = word;
        }
    }
    // A reason for being down is not pushed aside by a slip of the tongue.
    let is_down = matches!(answer.health, Some((_, false)));
    answer.remark = if remark.is_empty() || !is_down && !unknown.is_empty() { unknown } else { remark };
    answer
}

impl Backend {
    /// Does what an agent says.
    fn heed(self: &Rc<Self>, index: usize, line: &[u8], took_ms: u64) {
        let Some(server) = self.servers.get(index) else { return };
        let line = String::from_utf8_lossy(line);
        let answer = understand(&line);
        if let Some((set, clear)) = answer.marks {
            self.mark(index, set, clear, "");
        }
        if let Some(percent) = answer.weight_percent {
            let weight = (server.config.weight.saturating_mul(percent) / 100).min(256);
            if weight != server.weight() {
                // A static algorithm knows only all of it and nothing, as in HAProxy.
                let _ = self.set_weight(index, weight);
            }
        }
        if let Some(maxconn) = answer.maxconn {
            server.set_maxconn(maxconn);
            self.servers_changed();
        }
        let Some((word, is_up)) = answer.health else {
            server.state.last_agent.set(None);
            return;
        };
        let mut counter = server.state.agent.get();
        counter.health = if is_up { counter.top() } else { 0 };
        server.state.agent.set(counter);
        let mut info = format!("via agent : {word}");
        if !answer.remark.is_empty() {
            info.push_str(" (");
            info.push_str(answer.remark);
            info.push(')');
        }
        let status = if is_up { Status::L7Ok } else { Status::L7Sts };
        self.judge_agent(index, &Verdict { status, code: Some(0), info: Some(info.into()), took_ms });
    }

    /// Takes how asking an agent ended. One that cannot be asked says nothing about its server.
    fn judge_agent(self: &Rc<Self>, index: usize, verdict: &Verdict) {
        let Some(server) = self.servers.get(index) else { return };
        let state = &server.state;
        let before = state.last_agent.replace(Some(verdict.status));
        if self.config.log_checks && before != Some(verdict.status) {
            self.tell_check(server, "Agent", verdict, state.agent.get());
        }
        let why = Some(verdict).filter(|_| !self.config.log_checks);
        let checks_are_up = server.config.check.is_none() || state.check.get().is_up();
        match verdict.status {
            Status::L7Ok if checks_are_up && state.op.get() != Op::Stopping => {
                self.set_state(index, Op::Running, why);
            }
            Status::L7Sts => self.set_state(index, Op::Stopped, why),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_agents() {
        let ready = Admin::MAINT.with(Admin::DRAIN);
        let all = understand("ready 75%, UP\tmaxconn:30 # fine");
        assert_eq!(all.health, Some(("UP", true)));
        assert_eq!(all.marks, Some((Admin::default(), ready)));
        assert_eq!((all.weight_percent, all.maxconn, all.remark), (Some(75), Some(30), "fine"));
        assert_eq!(understand("").health, None);
        assert_eq!(understand("drain down").marks, Some((Admin::DRAIN, Admin::MAINT)));
        for word in ["down", "stopped", "fail"] {
            assert_eq!(understand(word).health, Some((word, false)));
        }
        assert_eq!(understand("failed").health, None);
        assert_eq!(understand("down # no disk").remark, "no disk");
        assert_eq!(understand("down odd # no disk").remark, "no disk");
        assert_eq!(understand("up odd # fine").remark, "odd");
        assert_eq!(understand("up bar").remark, "bar");
        for nonsense in ["%", "x%", "-1%", "maxconn:", "maxconn:x", "99999999999%", "maxconn:é", "éééé%"]
        {
            let answer = understand(nonsense);
            assert_eq!((answer.weight_percent, answer.maxconn, answer.remark), (None, None, nonsense));
        }
    }
}
