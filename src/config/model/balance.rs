//! How a backend chooses among its servers (configuration §4.2, "balance" and "hash-type").

use std::rc::Rc;

use super::Expr;

/// `balance` and what belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// `balance ALGORITHM`.
    pub algorithm: Algorithm,
    /// `hash-type`.
    pub hash: HashType,
    /// `hash-balance-factor`: the most that a server carries, percent of the average; 0 = no bound.
    pub factor_percent: u32,
    /// `hash-preserve-affinity`.
    pub affinity: Affinity,
    /// `option allbackups`: of several backup servers all serve, not only the first.
    pub all_backups: bool,
}

impl Balance {
    /// Whether weights other than 0 and the configured one mean nothing to it.
    #[must_use]
    pub fn is_static(&self) -> bool {
        match self.algorithm {
            Algorithm::StaticRr => true,
            Algorithm::Hash(_) => !self.hash.consistent,
            _ => false,
        }
    }
}

/// `balance ALGORITHM`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// Each server in turn, by weight.
    #[default]
    RoundRobin,
    /// The same from a table that is made once.
    StaticRr,
    /// The one with the fewest connections for its weight.
    LeastConn,
    /// The one with the lowest id that has room.
    First,
    /// The least loaded of so many drawn at random.
    Random(u32),
    /// The one that a part of the request leads to, hashed.
    Hash(Key),
}

/// What is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// `source`: the client's address.
    Source,
    /// `uri`.
    Uri {
        /// With the query.
        whole: bool,
        /// From the path's first slash on.
        path_only: bool,
        /// So many bytes at most; 0 = all.
        len_max: usize,
        /// So many levels of folders at most; `None` = all.
        depth_max: Option<usize>,
    },
    /// `url_param NAME`: of the query, of a POST's body where the query has none.
    UrlParam(Rc<str>),
    /// `hdr(NAME)`.
    Header {
        /// In lower case.
        name: Rc<str>,
        /// `use_domain_only`: `example` of `www.example.com`.
        domain_only: bool,
    },
    /// `hash EXPRESSION`.
    Sample(Rc<Expr>),
}

/// `hash-type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HashType {
    /// `consistent`: most keys keep their server when another comes or goes.
    pub consistent: bool,
    /// The function.
    pub function: HashFunction,
    /// `avalanche`: its value is mixed once more.
    pub avalanche: bool,
}

/// `hash-preserve-affinity`: when another server than the one that the hash leads to will do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Affinity {
    /// Never: whoever comes waits for it.
    #[default]
    Always,
    /// While it is at its `maxconn`.
    MaxConn,
    /// While as many wait for it as may (`maxqueue`).
    MaxQueue,
}

/// The function of `hash-type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)] // each is the one of its name
pub enum HashFunction {
    #[default]
    Sdbm,
    Djb2,
    Wt6,
    Crc32,
    /// The key is a number already.
    None,
}
