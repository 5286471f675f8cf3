//! What a request or a connection asks of the choice of its server.

/// Made once by the session, before a server is chosen; the default asks for nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// The server (its index) that a rule, a cookie or a table names: it is the one as long as it is up.
    pub server: Option<usize>,
    /// The same, even while it is down (`option persist`, `force-persist`).
    pub even_down: bool,
    /// What `balance` looks at, hashed; `None` = there is nothing to be hashed, servers take turns.
    pub hash: Option<u32>,
    /// A server that has just failed: another one, if there is one (`option redispatch`).
    pub avoid: Option<usize>,
    /// To no other than `server`, whatever becomes of it (`force-persist`).
    pub insists: bool,
    /// Whether it is served before others that wait: the smaller the earlier (`set-priority-class`).
    pub class: i16,
    /// So much later than it came, or where negative earlier, among those of its class (`set-priority-offset`).
    pub offset_ms: i32,
}

impl Wish {
    /// For this server, while it is up.
    pub fn server(index: usize) -> Self {
        Self { server: Some(index), ..Self::default() }
    }
}
