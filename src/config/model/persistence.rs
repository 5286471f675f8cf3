//! What keeps a client with the server that it was given before.

use std::rc::Rc;

use super::Condition;

/// What a backend says of it.
#[derive(Debug, Clone, Default)]
pub struct Persistence {
    /// `cookie`.
    pub cookie: Option<Rc<PersistCookie>>,
    /// `force-persist` and `ignore-persist`, of which the first that applies counts.
    pub rules: Vec<PersistRule>,
    /// `option persist`: a server is gone to even while it is down.
    pub even_down: bool,
    /// `option prefer-last-server`: a client's own connection to a server counts more than the balance.
    pub prefer_last: bool,
    /// `option checkcache`: an answer that sets a cookie and may be cached is not passed on.
    pub check_cache: bool,
    /// `persist rdp-cookie(NAME)`: the cookie that a Remote Desktop connection begins with names a server's address.
    pub rdp_cookie: Option<Rc<str>>,
}

/// `cookie NAME …`.
#[derive(Debug, Clone, Default)]
pub struct PersistCookie {
    /// Its name.
    pub name: Rc<str>,
    /// `rewrite`: the value of a server's own cookie of this name becomes that of the server.
    pub rewrite: bool,
    /// `insert`: clients are given one.
    pub insert: bool,
    /// `prefix`: the server's value stands before that of its own cookie of this name.
    pub prefix: bool,
    /// `indirect`: servers do not see it, and do not set it again.
    pub indirect: bool,
    /// `nocache`: nobody else is to keep an answer that sets it.
    pub no_cache: bool,
    /// `postonly`: only answers to POST set it.
    pub post_only: bool,
    /// `preserve`: one that the server sets counts.
    pub preserve: bool,
    /// `dynamic`: servers without a value of their own get one that is worked out.
    pub dynamic: bool,
    /// `maxidle`, seconds; 0 = without end.
    pub max_idle_s: u32,
    /// `maxlife`, seconds; 0 = without end.
    pub max_life_s: u32,
    /// What follows in `Set-Cookie`: `domain`, `httponly`, `secure`, `attr`.
    pub attributes: String,
}

impl PersistCookie {
    /// Whether log lines tell what became of it: not where it is only looked at.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.rewrite || self.insert || self.prefix || self.indirect
    }
}

/// `force-persist` or `ignore-persist`.
#[derive(Debug, Clone)]
pub struct PersistRule {
    /// What it says.
    pub word: PersistWord,
    /// When.
    pub condition: Condition,
}

/// What rules say of the server that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PersistWord {
    /// Nothing: it is gone to while it is up.
    #[default]
    Usual,
    /// `force-persist`: even while it is down.
    Force,
    /// `ignore-persist`: not at all.
    Ignore,
}

/// The value of the cookie that means a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerCookie {
    /// `cookie VALUE`.
    Value(Rc<[u8]>),
    /// Worked out from its address and this key (`dynamic-cookie-key`).
    Dynamic(Rc<[u8]>),
}
