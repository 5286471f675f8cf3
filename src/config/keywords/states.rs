//! Parameters of `server` lines about its state, but for `check` (configuration §5.2).

use std::net::IpAddr;
use std::rc::Rc;

use super::Entry;
use super::server::{Parameters, ServerParse, parameter};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{Agent, FirstAddress, FirstState, Observe, OnError};
use crate::config::suggest;
use crate::config::values::{number, positive_time_ms, time_ms};

/// What these parameters set.
#[derive(Debug, Clone, Default)]
pub(crate) struct StateParameters {
    /// `[backend/]server`, as it was written.
    pub track: Option<String>,
    /// `layer7`, or `layer4`.
    observes_answers: Option<bool>,
    errors_max: Option<u32>,
    on_error: OnError,
    is_asked: bool,
    agent_port: Option<u16>,
    agent_address: Option<IpAddr>,
    agent_inter_ms: Option<u64>,
    agent_send: Option<Rc<[u8]>>,
}

/// Parameters about the state.
pub(crate) const PARAMETERS: &[Entry<ServerParse>] = &[
    parameter("track", "[<backend>/]<server>", "1.3", "go up and down with that server", |p, word| {
        p.state.track = Some(word.text()?.to_owned());
        Ok(())
    }),
    parameter(
        "slowstart",
        "<time>",
        "1.3",
        "until it gets its whole share when it is up again",
        |p, word| {
            p.server.state.slowstart_ms = time_ms(word)?;
            Ok(())
        },
    ),
    parameter("observe", "layer4|layer7|none", "1.4", "look at its traffic for errors", |p, word| {
        let at = one_of(word, &["layer4", "layer7", "none"])?;
        p.state.observes_answers = (at < 2).then_some(at == 1);
        Ok(())
    }),
    parameter(
        "error-limit",
        "<number>",
        "1.4",
        "errors in a row that `observe` takes; default 10",
        |p, word| {
            p.state.errors_max = Some(number(word, 1, u32::MAX)?);
            Ok(())
        },
    ),
    parameter(
        "on-error",
        "fastinter|fail-check|sudden-death|mark-down",
        "1.4",
        "what `error-limit` errors lead to; default fail-check",
        |p, word| {
            p.state.on_error = match one_of(word, &["fastinter", "fail-check", "sudden-death", "mark-down"])?
            {
                0 => OnError::FastInter,
                1 => OnError::FailCheck,
                2 => OnError::SuddenDeath,
                _ => OnError::MarkDown,
            };
            Ok(())
        },
    ),
    parameter(
        "on-marked-down",
        "shutdown-sessions",
        "1.5",
        "end its sessions when it goes down",
        |p, word| {
            one_of(word, &["shutdown-sessions"])?;
            p.server.state.ends_sessions = true;
            Ok(())
        },
    ),
    parameter(
        "on-marked-up",
        "shutdown-backup-sessions",
        "1.5",
        "end the sessions of the backup servers when it goes up",
        |p, word| {
            one_of(word, &["shutdown-backup-sessions"])?;
            p.server.state.ends_backup_sessions = true;
            Ok(())
        },
    ),
    parameter("agent-check", "", "1.5", "ask an agent how it is", |p, _| {
        p.state.is_asked = true;
        Ok(())
    }),
    parameter("no-agent-check", "", "1.8", "take `agent-check` back", |p, _| {
        p.state.is_asked = false;
        Ok(())
    }),
    parameter("agent-port", "<port>", "1.5", "the agent's port", |p, word| {
        p.state.agent_port = u16::try_from(number(word, 1, 65_535)?).ok();
        Ok(())
    }),
    parameter("agent-addr", "<ip>", "1.8", "the agent's address; default the server's", |p, word| {
        let address = word.text()?.parse();
        p.state.agent_address = Some(address.map_err(|_| word.wrong(" is no IPv4 or IPv6 address"))?);
        Ok(())
    }),
    parameter("agent-inter", "<time>", "1.5", "between two questions; default `inter`", |p, word| {
        p.state.agent_inter_ms = Some(positive_time_ms(word)?);
        Ok(())
    }),
    parameter("agent-send", "<text>", "1.7", "what the agent is told first", |p, word| {
        p.state.agent_send = Some(word.bytes.as_slice().into());
        Ok(())
    }),
    parameter(
        "init-state",
        "fully-up|up|down|fully-down",
        "3.1",
        "how a checked server begins, and how many checks change that: all (`fully-`) or one; default up",
        |p, word| {
            p.server.state.first_state = match one_of(word, &["up", "fully-up", "down", "fully-down"])? {
                0 => FirstState::Up,
                1 => FirstState::FullyUp,
                2 => FirstState::Down,
                _ => FirstState::FullyDown,
            };
            Ok(())
        },
    ),
    parameter(
        "init-addr",
        "last|libc|none|<ip>,…",
        "1.7",
        "where its first address comes from",
        |p, word| {
            let to = &mut p.server.state.first_address;
            to.clear();
            for one in word.text()?.split(',') {
                to.push(match one {
                    "last" => FirstAddress::Last,
                    "libc" => FirstAddress::System,
                    "none" => FirstAddress::None,
                    ip => ip.parse().map(FirstAddress::Fixed).map_err(|_| {
                        Fault::at(
                            word.span,
                            format_args!(
                                "`{one}` is no way to an address: expected last, libc, none or an IP"
                            ),
                        )
                    })?,
                });
            }
            Ok(())
        },
    ),
];

/// The position of a word among those that are known.
fn one_of(word: &Word, known: &[&str]) -> Result<usize, Fault> {
    let text = word.text()?;
    known.iter().position(|one| *one == text).ok_or_else(|| {
        let hint = suggest::hint_of(text, known);
        Fault::at(
            word.span,
            format_args!("{} is not known here, expected {}{hint}", word.quoted(), known.join(", ")),
        )
    })
}

impl Parameters {
    /// Fills in what the words of a line about the state add up to.
    ///
    /// # Errors
    /// An agent without a port.
    pub(super) fn complete_state(&mut self, at: &Word) -> Result<(), Fault> {
        let (state, to) = (&self.state, &mut self.server.state);
        to.observe = state.observes_answers.map(|answers| Observe {
            answers,
            errors_max: state.errors_max.unwrap_or(10),
            on_error: state.on_error,
        });
        if !state.is_asked {
            return Ok(());
        }
        let Some(port) = state.agent_port else {
            return Err(Fault::at(at.span, "`agent-check` needs `agent-port`"));
        };
        to.agent = Some(Agent {
            port,
            address: state.agent_address,
            inter_ms: state.agent_inter_ms.unwrap_or(self.check.inter_ms),
            send: state.agent_send.clone().unwrap_or_default(),
        });
        Ok(())
    }
}
