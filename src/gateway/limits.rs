//! How many connections there may be: what was asked for, as far as descriptors and memory allow it.

use std::fmt;

use crate::config::{Config, Mode};
use crate::net::{PIPE_BYTES, PIPES_MAX};
use crate::process::limits::{Fixed, descriptors_for, maxconn_for, raise_nofile};
use crate::process::memory::{Bytes, Needs, TooLittle};
use crate::session::{HTTP_BUFFERS_MAX, TCP_BUFFERS_MAX};

/// `maxconn` where neither the configuration nor the command line sets it or bounds the memory, if the descriptor
/// limit allows it.
const MAXCONN_DEFAULT: u32 = 4_096;

/// What the command line says of limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// `-n`.
    pub maxconn: Option<u32>,
    /// `-m`, MiB.
    pub memory_mib: Option<u32>,
}

/// The limits in force; as text, the line at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Client connections of the whole process.
    pub maxconn: u32,
    needs: Needs,
}

impl Limits {
    /// Settles them for a configuration whose text has `config_bytes`: raises the descriptor limit to what maxconn
    /// needs, or lowers maxconn to what the limit allows.
    ///
    /// # Errors
    /// [`TooLittle`] memory, as [`check`] says it; nothing is changed then.
    pub fn settle(wishes: &Wishes, config: &Config, config_bytes: usize) -> Result<Self, TooLittle> {
        let by_memory = check(wishes, config, config_bytes)?;
        let wanted = wishes.maxconn.or(config.global.maxconn);
        let maxconn = wanted.or(by_memory).unwrap_or(MAXCONN_DEFAULT);
        let maxconn = within_descriptors(maxconn, wanted.is_some(), config);
        Ok(Self { maxconn, needs: needs(config, config_bytes) })
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { maxconn, needs } = self;
        write!(
            f,
            "at most {maxconn} connections: up to {} of memory for them ({} each) and {} besides; in the kernel, the \
             buffers of their sockets and up to {} in pipes",
            Bytes(needs.connections_bytes(*maxconn)),
            Bytes(needs.connection_bytes()),
            Bytes(needs.besides_bytes()),
            Bytes(u64::from(PIPES_MAX) * PIPE_BYTES as u64),
        )
    }
}

/// How many connections the memory allows; `None` = it is not limited.
///
/// # Errors
/// [`TooLittle`]: fewer than the configuration or the command line asks for, or none at all.
pub fn check(wishes: &Wishes, config: &Config, config_bytes: usize) -> Result<Option<u32>, TooLittle> {
    let wanted = wishes.maxconn.or(config.global.maxconn);
    let fit = |memory_mib| needs(config, config_bytes).fit(wanted, memory_mib);
    wishes.memory_mib.map(fit).transpose()
}

fn needs(config: &Config, config_bytes: usize) -> Needs {
    let frontends = config.frontends.iter().map(|frontend| frontend.mode);
    let speaks_http =
        frontends.chain(config.backends.iter().map(|backend| backend.mode)).any(|mode| mode == Mode::Http);
    Needs {
        buffers: if speaks_http { HTTP_BUFFERS_MAX } else { TCP_BUFFERS_MAX },
        bufsize_bytes: config.global.bufsize_bytes,
        config_bytes,
        tables_bytes: config.tables.iter().fold(0, |sum, table| table.bytes_max().saturating_add(sum)),
    }
}

/// `maxconn`, or what there are descriptors for. Says so where it `was_asked_for`.
fn within_descriptors(maxconn: u32, was_asked_for: bool, config: &Config) -> u32 {
    let servers = config.backends.iter().flat_map(|backend| &backend.servers);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let fixed = Fixed {
        listeners: count(config.frontends.iter().map(|frontend| frontend.binds.len()).sum()),
        checked_servers: count(servers.filter(|server| server.check.is_some()).count()),
        splice_pipes: PIPES_MAX,
    };
    let needed = config.global.ulimit_n.map_or_else(|| descriptors_for(maxconn, fixed), u64::from);
    let effective = match raise_nofile(needed) {
        Ok(effective) => effective,
        Err(shortage) => {
            if was_asked_for || config.global.ulimit_n.is_some() {
                log::warn!("{shortage}");
            }
            shortage.effective
        }
    };
    let possible = maxconn_for(effective, fixed).max(1);
    if possible < maxconn && was_asked_for {
        log::warn!("maxconn is {possible} and not {maxconn}: {effective} file descriptors allow no more");
    }
    maxconn.min(possible)
}
