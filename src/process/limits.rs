//! How many descriptors there may be, and how many are needed.

use std::fmt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside connections, listeners, checks and pipes: stdio, the event loop and that of the control
/// plane with their wake-ups, signals, log targets, a configuration that is read again, and some to spare.
const RESERVED: u64 = 32;

/// What needs descriptors, apart from client connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fixed {
    /// Listening sockets.
    pub listeners: u32,
    /// Servers with health checks: a connection each.
    pub checked_servers: u32,
    /// Pipes for splice: two descriptors each.
    pub splice_pipes: u32,
}

impl Fixed {
    fn descriptors(self) -> u64 {
        RESERVED
            + u64::from(self.listeners)
            + u64::from(self.checked_servers)
            + 2 * u64::from(self.splice_pipes)
    }
}

/// Descriptors for `maxconn` client connections, each with one to a server.
pub fn descriptors_for(maxconn: u32, fixed: Fixed) -> u64 {
    2 * u64::from(maxconn) + fixed.descriptors()
}

/// How many client connections `descriptors` are enough for; 0 when not even the fixed ones are there.
pub fn maxconn_for(descriptors: u64, fixed: Fixed) -> u32 {
    u32::try_from(descriptors.saturating_sub(fixed.descriptors()) / 2).unwrap_or(u32::MAX)
}

/// The descriptor limit could not be raised as far as needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// What was asked for.
    pub needed: u64,
    /// The limit now in force.
    pub effective: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, effective } = self;
        write!(
            f,
            "{needed} file descriptors are needed, and this process may have {effective} (`ulimit -Hn`): raise \
             the limit or lower maxconn"
        )
    }
}

/// Raises the descriptor limit to at least `needed`: the soft limit first, then, where that is allowed, the
/// hard one. Returns the limit in force, which is never lowered; `u64::MAX` = none.
///
/// # Errors
/// [`Shortage`]: the soft limit stands at the hard one then, and says what there is to make do with.
pub fn raise_nofile(needed: u64) -> Result<u64, Shortage> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let soft = current.unwrap_or(u64::MAX);
    if soft >= needed {
        return Ok(soft);
    }
    let hard = maximum.unwrap_or(u64::MAX);
    // Above the hard limit root only may go, and no further than fs.nr_open.
    for (soft, hard) in [(needed, hard.max(needed)), (hard, hard)] {
        let limit = Rlimit { current: Some(soft), maximum: Some(hard).filter(|&hard| hard != u64::MAX) };
        if setrlimit(Resource::Nofile, limit).is_ok() {
            return if soft >= needed { Ok(soft) } else { Err(Shortage { needed, effective: soft }) };
        }
    }
    Err(Shortage { needed, effective: soft })
}

/// The soft and the hard descriptor limit; `u64::MAX` = none.
pub fn nofile() -> (u64, u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_and_its_inverse() {
        let fixed = Fixed { listeners: 3, checked_servers: 2, splice_pipes: 10 };
        assert_eq!(descriptors_for(1000, fixed), 2000 + 32 + 3 + 2 + 20);
        for maxconn in [0, 1, 2, 999, 100_000, u32::MAX] {
            let needed = descriptors_for(maxconn, fixed);
            assert_eq!(maxconn_for(needed, fixed), maxconn);
            assert_eq!(maxconn_for(needed + 1, fixed), maxconn);
        }
        assert_eq!((maxconn_for(0, fixed), maxconn_for(u64::MAX, fixed)), (0, u32::MAX));
        let most = Fixed { listeners: u32::MAX, checked_servers: u32::MAX, splice_pipes: u32::MAX };
        assert!(descriptors_for(u32::MAX, most) > u64::from(u32::MAX));
    }

    #[test]
    fn raised_as_far_as_allowed_and_never_lowered() {
        let (soft, hard) = nofile();
        assert_eq!(raise_nofile(1), Ok(soft));
        assert_eq!(raise_nofile(soft), Ok(soft));
        // fs.nr_open is at most 2^31 or so: nobody may have this many.
        let shortage = raise_nofile(1 << 40).unwrap_err();
        assert_eq!(shortage, Shortage { needed: 1 << 40, effective: hard });
        assert_eq!(nofile(), (hard, hard));
        assert!(shortage.to_string().contains("1099511627776 file descriptors are needed"));
    }
}
