//! What the configuration says of queues, and of trying again.

/// How requests of a backend wait for its servers, and what happens when one of these fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queues {
    /// `retries`: further attempts after the first has failed; default 3.
    pub retries: u32,
    /// `retry-on`: after which failures, as [`RETRY_REASONS`] numbers them.
    pub retry_on: u16,
    /// `option redispatch [interval]`: a retry goes to another server every so many retries, where negative so many
    /// before the last one; default -1. `None` = without the option.
    pub redispatch: Option<i32>,
    /// `fullconn`: with so many requests servers take their whole `maxconn`; 0 = a tenth of what the frontends that
    /// lead here can take.
    pub fullconn: u32,
    /// `max-keep-alive-queue`: a client's last server is waited for where fewer wait already; `None` = however many.
    pub keep_alive_max: Option<u32>,
    /// `option abortonclose`: a client that closes is forgotten at once.
    pub abort_on_close: bool,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            retries: 3,
            retry_on: retry_bit("conn-failure"),
            redispatch: None,
            fullconn: 0,
            keep_alive_max: None,
            abort_on_close: false,
        }
    }
}

/// The words of `retry-on`, in the order of their bits.
pub const RETRY_REASONS: [&str; 15] = [
    "conn-failure",
    "empty-response",
    "junk-response",
    "response-timeout",
    "0rtt-rejected",
    "401",
    "403",
    "404",
    "408",
    "425",
    "500",
    "501",
    "502",
    "503",
    "504",
];

/// What `all-retryable-errors` stands for.
pub const ALL_RETRYABLE: u16 = 0b111_0100_0001_1111;

/// The bit of a word that is known to be one; 0 for others.
#[must_use]
pub const fn retry_bit(word: &str) -> u16 {
    let mut at = 0;
    while at < RETRY_REASONS.len() {
        #[allow(clippy::indexing_slicing, reason = "within the bounds of an array")]
        let same = is_same(RETRY_REASONS[at].as_bytes(), word.as_bytes());
        if same {
            return 1 << at;
        }
        at += 1;
    }
    0
}

const fn is_same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([a, one_rest @ ..], [b, other_rest @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (one_rest, other_rest);
    }
    one.is_empty() && other.is_empty()
}

impl Queues {
    /// Whether a failure to connect is followed by another attempt.
    #[must_use]
    pub fn retries_connections(&self) -> bool {
        self.retry_on & const { retry_bit("conn-failure") } != 0
    }

    /// The reasons that need a copy of the request.
    #[must_use]
    pub fn retries_answers(&self) -> u16 {
        self.retry_on & !const { retry_bit("conn-failure") }
    }

    /// The bit of an answer's status; 0 where `retry-on` does not know it.
    #[must_use]
    pub fn status_bit(status: u16) -> u16 {
        const STATUSES: [u16; 10] = [401, 403, 404, 408, 425, 500, 501, 502, 503, 504];
        STATUSES.iter().position(|known| *known == status).map_or(0, |at| const { retry_bit("401") } << at)
    }

    /// Whether this retry (from 1) is one that goes to another server.
    #[must_use]
    pub fn moves(&self, retry: u32) -> bool {
        let every = match self.redispatch {
            None | Some(0) => 0,
            Some(interval @ 1..) => i64::from(interval),
            Some(before_last) => i64::from(self.retries) + 1 + i64::from(before_last),
        };
        every != 0 && i64::from(retry) % every == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_the_bits_of_their_words() {
        for word in RETRY_REASONS {
            assert_ne!(retry_bit(word), 0);
            if let Ok(status) = word.parse() {
                assert_eq!(Queues::status_bit(status), retry_bit(word));
            }
        }
        assert_eq!((Queues::status_bit(200), Queues::status_bit(418)), (0, 0));
        let all = ["conn-failure", "empty-response", "junk-response", "response-timeout", "0rtt-rejected"];
        let all = all.iter().chain(&["500", "502", "503", "504"]);
        assert_eq!(ALL_RETRYABLE, all.map(|word| retry_bit(word)).sum::<u16>());
    }

    #[test]
    fn retries_move_as_haproxy_counts_them() {
        let moves = |redispatch| -> Vec<u32> {
            let queues = Queues { redispatch, retries: 4, ..Queues::default() };
            (1..=4).filter(|retry| queues.moves(*retry)).collect()
        };
        assert_eq!(moves(None), []);
        assert_eq!(moves(Some(0)), []);
        assert_eq!(moves(Some(1)), [1, 2, 3, 4]);
        assert_eq!(moves(Some(2)), [2, 4]);
        assert_eq!(moves(Some(-1)), [4]);
        assert_eq!(moves(Some(-2)), [3]);
        assert_eq!(moves(Some(-5)), []);
    }
}
