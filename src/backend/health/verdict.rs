//! What one check says of a server.

/// How a check ended, in the order and the words of HAProxy (management §9.1, "check_status").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each is given by the checks of this folder")]
pub(crate) enum Status {
    /// For want of our own descriptors, memory or ports, or a port to connect to: says nothing about the server.
    SockErr,
    /// The connection stands.
    L4Ok,
    /// It did not in time.
    L4Tout,
    /// It was refused, there is no way, …
    L4Con,
    /// No whole answer in time.
    L7Tout,
    /// An answer that cannot be understood.
    L7Rsp,
    /// The answer that was expected.
    L7Ok,
    /// The server takes those who must go to it, and nobody else (`http-check disable-on-404`).
    L7OkC,
    /// An answer that was not wanted.
    L7Sts,
    /// No check: errors that the traffic has met (`observe`).
    Hana,
}

/// Names and words, in the order of [`Status`].
const WORDS: [(&str, &str); 10] = [
    ("SOCKERR", "Socket error"),
    ("L4OK", "Layer4 check passed"),
    ("L4TOUT", "Layer4 timeout"),
    ("L4CON", "Layer4 connection problem"),
    ("L7TOUT", "Layer7 timeout"),
    ("L7RSP", "Layer7 invalid response"),
    ("L7OK", "Layer7 check passed"),
    ("L7OKC", "Layer7 check conditionally passed"),
    ("L7STS", "Layer7 wrong status"),
    ("HANA", "Health analyze"),
];

impl Status {
    /// Whether the server does its work; for [`Status::L7OkC`] that of those who are with it already.
    pub fn is_ok(self) -> bool {
        matches!(self, Self::L4Ok | Self::L7Ok | Self::L7OkC)
    }

    /// `Layer4 check passed`.
    pub fn words(self) -> &'static str {
        WORDS.get(self as usize).map_or("", |(_, words)| words)
    }

    /// `L4OK`.
    #[allow(dead_code, reason = "for the statistics")]
    pub fn name(self) -> &'static str {
        WORDS.get(self as usize).map_or("", |(name, _)| name)
    }
}

/// What a check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// How it ended.
    pub status: Status,
    /// The status of an answer, or another protocol's code: HAProxy logs it where the answer came so far.
    pub code: Option<u16>,
    /// More about the reason.
    pub info: Option<Box<str>>,
    /// How long it took.
    pub took_ms: u64,
}

impl Verdict {
    /// `Layer7 wrong status, code: 500, info: "Internal Server Error", check duration: 1ms`: the part of HAProxy's lines
    /// that follows `reason: `.
    pub fn reason(&self) -> String {
        let mut reason = self.status.words().to_owned();
        if let Some(code) = self.code {
            reason.push_str(", code: ");
            reason.push_str(&code.to_string());
        }
        if let Some(info) = &self.info {
            reason.push_str(", info: \"");
            reason.push_str(info);
            reason.push('"');
        }
        if self.status == Status::Hana {
            return reason;
        }
        reason.push_str(", check duration: ");
        reason.push_str(&self.took_ms.to_string());
        reason.push_str("ms");
        reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_as_haproxys() {
        let mut verdict = Verdict { status: Status::L4Ok, code: None, info: None, took_ms: 0 };
        assert_eq!(verdict.reason(), "Layer4 check passed, check duration: 0ms");
        verdict = Verdict { status: Status::L7Sts, code: Some(500), info: Some("Oh".into()), took_ms: 3 };
        assert_eq!(verdict.reason(), "Layer7 wrong status, code: 500, info: \"Oh\", check duration: 3ms");
        assert_eq!((Status::L7OkC.name(), Status::SockErr.name()), ("L7OKC", "SOCKERR"));
    }
}
