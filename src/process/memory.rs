//! How much memory the process may come to take: a model of what one connection can hold at most and of what there
//! is besides. docs/memory.md explains it, and `tests/gateway/memory.rs` holds it against what the kernel counts.

use std::fmt;

const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;

/// What a connection takes beside its buffers: its task with the phase it is in, its entries in the tables of
/// descriptors, timers and woken tasks (which double when they grow), a server's connection that is laid aside, the
/// request line for the log. Some 4 KiB in the worst case that is known.
const FRAME_BYTES: u64 = 6 * KIB;

/// What the program takes without a connection: its own pages, at most a MiB (`make size` holds that), and as much
/// again for its tables at rest, the thread of the control plane and what stays after a peak. A constant, and not
/// what `/proc` says at the start: that varies, and what has once started is to start again.
const PROGRAM_BYTES: u64 = 2 * MIB;

/// For each byte of the configuration's text. Twenty were measured, and a reload holds two configurations.
const PER_CONFIG_BYTE: u64 = 48;

/// What decides how much memory is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Buffers that one connection holds at most.
    pub buffers: u32,
    /// `tune.bufsize`.
    pub bufsize_bytes: usize,
    /// Length of the configuration's text.
    pub config_bytes: usize,
    /// What its stick tables take once they are full.
    pub tables_bytes: u64,
}

impl Needs {
    /// What one connection takes at most. An allocator may round a buffer up by a quarter: musl's gives one of
    /// 16 KiB up to five pages.
    pub fn connection_bytes(&self) -> u64 {
        let buffer_bytes = self.bufsize_bytes as u64 * 5 / 4;
        u64::from(self.buffers).saturating_mul(buffer_bytes).saturating_add(FRAME_BYTES)
    }

    /// What is taken without any connection.
    pub fn besides_bytes(&self) -> u64 {
        let config_bytes = (self.config_bytes as u64).saturating_mul(PER_CONFIG_BYTE);
        PROGRAM_BYTES.saturating_add(config_bytes).saturating_add(self.tables_bytes)
    }

    /// What `maxconn` connections take at most.
    pub fn connections_bytes(&self, maxconn: u32) -> u64 {
        self.connection_bytes().saturating_mul(u64::from(maxconn))
    }

    /// How many connections `limit_bytes` are enough for; 0 when not even what there is besides fits.
    pub fn maxconn_for(&self, limit_bytes: u64) -> u32 {
        let left_bytes = limit_bytes.saturating_sub(self.besides_bytes());
        u32::try_from(left_bytes / self.connection_bytes()).unwrap_or(u32::MAX)
    }

    /// How many connections a limit of `limit_mib` allows. `wanted` = a number that was asked for, which must fit.
    ///
    /// # Errors
    /// [`TooLittle`]: it does not, or not even one does.
    pub fn fit(&self, wanted: Option<u32>, limit_mib: u32) -> Result<u32, TooLittle> {
        let fitting = self.maxconn_for(u64::from(limit_mib) * MIB);
        if fitting < wanted.unwrap_or(1) {
            return Err(TooLittle { needs: *self, wanted, limit_mib, fitting });
        }
        Ok(fitting)
    }
}

/// The connections do not fit into the memory that they may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLittle {
    needs: Needs,
    wanted: Option<u32>,
    limit_mib: u32,
    fitting: u32,
}

impl fmt::Display for TooLittle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needs, wanted, limit_mib, fitting } = self;
        let asked = wanted.unwrap_or(1);
        let (connections_bytes, besides_bytes) = (needs.connections_bytes(asked), needs.besides_bytes());
        match wanted {
            Some(maxconn) => write!(f, "maxconn {maxconn} does not fit into memory: it needs ")?,
            None => f.write_str("not even one connection fits into memory: it needs ")?,
        }
        write!(
            f,
            "up to {} ({} each) and {} besides, and -m gives {limit_mib} MiB; ",
            Bytes(connections_bytes),
            Bytes(needs.connection_bytes()),
            Bytes(besides_bytes),
        )?;
        if *fitting > 0 {
            write!(f, "maxconn {fitting} would fit, or ")?;
        }
        let least_mib = connections_bytes.saturating_add(besides_bytes).div_ceil(MIB);
        write!(f, "-m {least_mib} would do")
    }
}

/// A size as people read it, rounded up: `1.5 MiB`, `88 KiB`.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < MIB {
            return write!(f, "{} KiB", self.0.div_ceil(KIB));
        }
        // Tenths without floating-point numbers, which are dear on boards that have none.
        let tenths = self.0 / MIB * 10 + (self.0 % MIB * 10).div_ceil(MIB);
        write!(f, "{}.{} MiB", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Needs = Needs { buffers: 4, bufsize_bytes: 16_384, config_bytes: 1_000, tables_bytes: 0 };

    #[test]
    fn the_formula_and_its_inverse() {
        assert_eq!(NEEDS.connection_bytes(), 86 * KIB);
        assert_eq!(NEEDS.besides_bytes(), 2 * MIB + 48_000);
        for maxconn in [0, 1, 2, 999, 100_000, u32::MAX] {
            let needed = NEEDS.connections_bytes(maxconn) + NEEDS.besides_bytes();
            assert_eq!(NEEDS.maxconn_for(needed), maxconn);
            assert_eq!(NEEDS.maxconn_for(needed - 1), maxconn.saturating_sub(1));
        }
        assert_eq!((NEEDS.maxconn_for(0), NEEDS.maxconn_for(u64::MAX)), (0, u32::MAX));
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_numbers() {
        assert_eq!(NEEDS.fit(None, 4), Ok(23));
        assert_eq!(NEEDS.fit(Some(23), 4), Ok(23));
        assert_eq!(
            NEEDS.fit(Some(2_000), 64).unwrap_err().to_string(),
            "maxconn 2000 does not fit into memory: it needs up to 168.0 MiB (86 KiB each) and 2.1 MiB besides, \
             and -m gives 64 MiB; maxconn 737 would fit, or -m 171 would do"
        );
        assert_eq!(
            NEEDS.fit(None, 1).unwrap_err().to_string(),
            "not even one connection fits into memory: it needs up to 86 KiB (86 KiB each) and 2.1 MiB besides, \
             and -m gives 1 MiB; -m 3 would do"
        );
        assert_eq!(NEEDS.fit(Some(2_000), 171).map(|fitting| fitting >= 2_000), Ok(true));
        let most = Needs {
            buffers: u32::MAX,
            bufsize_bytes: 65_535,
            config_bytes: usize::MAX,
            tables_bytes: u64::MAX,
        };
        assert!(most.fit(Some(u32::MAX), u32::MAX).unwrap_err().to_string().contains("does not fit"));
    }

    #[test]
    fn sizes_are_rounded_up() {
        let text = |bytes| Bytes(bytes).to_string();
        assert_eq!((text(0), text(1), text(MIB - 1)), ("0 KiB".into(), "1 KiB".into(), "1024 KiB".into()));
        assert_eq!((text(MIB), text(MIB + 1)), ("1.0 MiB".into(), "1.1 MiB".into()));
        assert!(text(u64::MAX).ends_with(" MiB"));
    }
}
