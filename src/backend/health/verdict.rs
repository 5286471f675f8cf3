//! What one check says of a server.

pub(crate) use crate::config::CheckStatus as Status;

/// Names and words, in the order of [`Status`].
const WORDS: [(&str, &str); 14] = [
    ("SOCKERR", "Socket error"),
    ("SOCKERR", "Socket error"),
    ("L4OK", "Layer4 check passed"),
    ("L4TOUT", "Layer4 timeout"),
    ("L4CON", "Layer4 connection problem"),
    ("L6OK", "Layer6 check passed"),
    ("L6TOUT", "Layer6 timeout"),
    ("L6RSP", "Layer6 invalid response"),
    ("L7TOUT", "Layer7 timeout"),
    ("L7RSP", "Layer7 invalid response"),
    ("L7OK", "Layer7 check passed"),
    ("L7OKC", "Layer7 check conditionally passed"),
    ("L7STS", "Layer7 wrong status"),
    ("HANA", "Health analyze"),
];

/// As much of [`Verdict::info`] is told, in bytes.
const INFO_BYTES_MAX: usize = 127;

impl Status {
    /// Whether the server does its work; for [`Status::L7OkC`] that of those who are with it already.
    pub fn is_ok(self) -> bool {
        matches!(self, Self::L4Ok | Self::L6Ok | Self::L7Ok | Self::L7OkC)
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
    /// A verdict; `info` is made fit for a line of text. Only what an answer says has a code.
    pub(super) fn new(status: Status, code: u16, info: &[u8], took_ms: u64) -> Self {
        let code = matches!(status, Status::L7Ok | Status::L7OkC | Status::L7Sts).then_some(code);
        let info =
            Some(printable(info.get(..INFO_BYTES_MAX).unwrap_or(info))).filter(|info| !info.is_empty());
        Self { status, code, info: info.map(String::into_boxed_str), took_ms }
    }

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

/// What could end the text, or does not belong into one, as `<22>`.
pub(super) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'"' | 0..b' ' | 0x7f.. => text.push_str(&format!("<{byte:02X}>")),
            _ => text.push(char::from(byte)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_as_haproxys() {
        let mut verdict = Verdict::new(Status::L4Ok, 7, b"", 0);
        assert_eq!(verdict.reason(), "Layer4 check passed, check duration: 0ms");
        verdict = Verdict::new(Status::L7Sts, 500, b"Oh \"no\" \x01 \xc3\xa4", 3);
        let info = "Oh <22>no<22> <01> <C3><A4>";
        let reason = format!("Layer7 wrong status, code: 500, info: \"{info}\", check duration: 3ms");
        assert_eq!(verdict.reason(), reason);
        let long = Verdict::new(Status::L7Rsp, 500, &[b'x'; 300], 0);
        assert_eq!((long.code, long.info.map(|info| info.len())), (None, Some(127)));
        assert_eq!((Status::L7OkC.name(), Status::SockErr.name()), ("L7OKC", "SOCKERR"));
    }
}
