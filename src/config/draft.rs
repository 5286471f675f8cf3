//! What the statements of a text add up to, before names are resolved and defaults filled in.

use super::diagnostics::Spot;
use super::keywords::server::Parameters;
use super::model::{
    Acl, AclId, AclTest, Balance, Bind, Captures, Chosen, Condition, ConnectionMode, ErrorPage, HttpAction,
    HttpOptions, HttpRule, HttpRules, Lines, LogFormat, LogTarget, Mode, Net, PersistRule, Persistence,
    Place, Queues, RefId, Server, SourceAddress, StickRules, TcpRules, TcpTuning,
};
use super::probes::Probes;
use super::states::Track;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a `defaults` section can set and a proxy inherits. `None` = not written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub mode: Option<Mode>,
    pub maxconn: Option<u32>,
    /// `rate-limit sessions`; 0 = none.
    pub accepts_a_second: u32,
    pub backlog: Option<u32>,
    pub balance: Balance,
    pub queues: Queues,
    pub default_backend: Option<NameRef>,
    pub timeouts: Timeouts,
    pub connection: Option<ConnectionMode>,
    /// All but `connection`, which stands above.
    pub http: HttpOptions,
    pub default_server: Option<Parameters>,
    pub probes: Probes,
    pub log_global: bool,
    pub logs: Vec<LogTarget>,
    pub log_format: LogFormat,
    pub lines: Lines,
    pub log_tag: Option<String>,
    pub dont_log_null: bool,
    pub client_keepalive: Option<bool>,
    pub server_keepalive: Option<bool>,
    /// Of clients and of servers.
    pub tunings: [TcpTuning; 2],
    pub source: Option<SourceAddress>,
    pub send_name: Option<Rc<str>>,
    /// `option transparent`.
    pub transparent: Option<Server>,
    pub log_checks: bool,
    pub disabled: bool,
    /// `errorfile` and its like; a later one wins.
    pub errors: Vec<ErrorSource>,
    pub monitor_uri: Option<Rc<str>>,
    pub monitor_nets: Vec<Net>,
    /// Rules of the `defaults` section, by their number in the builder.
    pub template: Option<usize>,
    /// All but the rules, which stand in the proxy.
    pub persistence: Persistence,
    /// `dynamic-cookie-key`.
    pub dynamic_cookie_key: Option<Rc<[u8]>>,
}

/// A line about pages for errors.
#[derive(Debug, Clone)]
pub(crate) enum ErrorSource {
    /// This one; `None` = our own.
    Page(u16, Option<ErrorPage>),
    /// Those of an `http-errors` section for these statuses; for all that it has where there are none.
    Section(RefId, Vec<u16>),
}

/// `timeout …`, milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timeouts {
    pub connect: Option<u64>,
    pub client: Option<u64>,
    pub server: Option<u64>,
    pub tunnel: Option<u64>,
    pub http_request: Option<u64>,
    pub http_keep_alive: Option<u64>,
    pub client_fin: Option<u64>,
    pub server_fin: Option<u64>,
    pub check: Option<u64>,
    pub queue: Option<u64>,
    pub tarpit: Option<u64>,
}

/// A name that is resolved at the end, with its place.
#[derive(Debug, Clone)]
pub(crate) struct NameRef {
    pub name: String,
    pub spot: Spot,
}

/// Which kind of proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyKind {
    Frontend,
    Listen,
    Backend,
}

impl ProxyKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Listen => "listen",
            Self::Backend => "backend",
        }
    }

    pub fn has_client_side(self) -> bool {
        self != Self::Backend
    }

    pub fn has_server_side(self) -> bool {
        self != Self::Frontend
    }
}

/// A `frontend`, `listen` or `backend` section.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub kind: ProxyKind,
    pub name: String,
    pub spot: Spot,
    pub settings: Settings,
    pub binds: Vec<Bind>,
    /// Each `bind` line with the index of its first address in `binds`.
    pub bind_spots: Vec<(usize, Spot)>,
    /// Lines of this section that do something in `mode http` only.
    pub http_only: Vec<(Spot, &'static str)>,
    pub acls: AclTable,
    pub tcp_rules: TcpRules,
    pub http_rules: HttpRules,
    /// `block`, which come first.
    pub blocks: Vec<HttpRule>,
    pub monitor_fail: Vec<Condition>,
    pub use_backends: Vec<UseRule>,
    pub use_servers: Vec<(Chosen<NameRef>, Condition)>,
    pub persist_rules: Vec<PersistRule>,
    /// It has a `stick-table`.
    pub has_table: bool,
    pub sticks: StickRules,
    pub captures: Captures,
    pub servers: Vec<Server>,
    /// `dispatch`.
    pub direct: Option<Server>,
    /// `servers` by their names.
    pub server_names: BTreeMap<String, usize>,
    /// `track` of its servers, resolved at the end.
    pub tracks: Vec<Track>,
}

impl Proxy {
    /// Whether a rule without a condition ends each request, so that none needs a server.
    pub fn answers_by_itself(&self) -> bool {
        let rules = [&self.http_rules.request, &self.http_rules.redirects];
        let ends = |rule: &HttpRule| rule.condition.is_none() && rule.action.is_final();
        self.settings.mode == Some(Mode::Http)
            && rules.into_iter().flatten().any(|rule| ends(rule) && !matches!(rule.action, HttpAction::Allow))
    }

    /// Whether it is only there for its stick table.
    pub fn only_holds_a_table(&self) -> bool {
        self.has_table && self.kind == ProxyKind::Backend && self.servers.is_empty()
    }

    /// An empty proxy that inherits `settings`.
    pub fn new(kind: ProxyKind, name: String, spot: Spot, settings: Settings) -> Self {
        Self {
            kind,
            name,
            spot,
            settings,
            binds: Vec::new(),
            bind_spots: Vec::new(),
            http_only: Vec::new(),
            acls: AclTable::default(),
            tcp_rules: TcpRules::default(),
            http_rules: HttpRules::default(),
            blocks: Vec::new(),
            monitor_fail: Vec::new(),
            use_backends: Vec::new(),
            use_servers: Vec::new(),
            persist_rules: Vec::new(),
            has_table: false,
            sticks: StickRules::default(),
            captures: Captures::default(),
            servers: Vec::new(),
            direct: None,
            server_names: BTreeMap::new(),
            tracks: Vec::new(),
        }
    }
}

/// `use_backend` before its backend is known.
#[derive(Debug)]
pub(crate) struct UseRule {
    pub backend: Chosen<NameRef>,
    pub condition: Option<Condition>,
    pub place: Place,
}

/// The ACLs of a proxy, found by name.
#[derive(Debug, Default)]
pub(crate) struct AclTable {
    list: Vec<Acl>,
    /// Keys: a name; a blank and the name of a predefined ACL; an anonymous one's text from its brace on. The
    /// latter two cannot be names.
    by_key: BTreeMap<String, usize>,
    /// Declared ones that no condition has named so far, in the order of their ids.
    unused: Vec<(AclId, Spot)>,
}

impl AclTable {
    /// The ACL with this key.
    pub fn get(&self, key: &str) -> Option<AclId> {
        self.by_key.get(key).copied().map(AclId)
    }

    /// Adds an alternative to the ACL with this key, which is made where there is none.
    pub fn add(&mut self, key: &str, name: &str, place: &Place, test: AclTest) -> AclId {
        if let Some(id) = self.get(key)
            && let Some(acl) = self.list.get_mut(id.0)
        {
            acl.tests.push(test);
            return id;
        }
        let id = AclId(self.list.len());
        self.list.push(Acl { name: name.to_owned(), place: place.clone(), tests: vec![test] });
        self.by_key.insert(key.to_owned(), id.0);
        id
    }

    /// The ACL with this id.
    pub fn by_id(&self, id: AclId) -> Option<&Acl> {
        self.list.get(id.0)
    }

    /// Notes where the last ACL was declared, if it was for the first time: when it had one alternative.
    pub fn declared(&mut self, spot: &Spot) {
        let id = AclId(self.list.len().saturating_sub(1));
        let is_new = self.by_id(id).is_some_and(|acl| acl.place == spot.place && acl.tests.len() == 1);
        if is_new && self.unused.last().is_none_or(|(known, _)| *known < id) {
            self.unused.push((id, spot.clone()));
        }
    }

    /// Notes that a condition names it.
    pub fn note_use(&mut self, id: AclId) {
        if let Ok(at) = self.unused.binary_search_by_key(&id, |(id, _)| *id) {
            self.unused.remove(at);
        }
    }

    /// Where those were declared that nothing uses, and their names.
    pub fn take_unused(&mut self) -> Vec<(Spot, String)> {
        let unused = std::mem::take(&mut self.unused);
        let mut named = Vec::with_capacity(unused.len());
        for (id, spot) in unused {
            named.extend(self.by_id(id).map(|acl| (spot, acl.name.clone())));
        }
        named
    }

    /// Names known so far are not to be found any more: what follows may use them anew.
    pub fn hide(&mut self) {
        self.by_key.clear();
        self.unused.clear();
    }

    /// The names that a condition can use, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_key.keys().map(String::as_str).filter(|key| !key.starts_with([' ', '{']))
    }

    /// All of them, in the order of their ids.
    pub fn into_list(self) -> Vec<Acl> {
        self.list
    }
}
