//! oneport, the single-port gateway for appliances.
//!
//! Each module is one room of the house; `docs/architecture.md` says what lives where and who may call
//! whom. Arrows run downwards only:
//!
//! ```text
//! main → gateway → session → backend → net → reactor
//!           │         ├→ rules → config → http
//!           │         └→ observe
//!           ├→ process, admin, cli → config
//! ```
//! `config`, `rules` and `http` open no socket and read no clock: text or bytes in, typed values out.

#![deny(unsafe_code)]
#![warn(missing_docs)]
// Nothing that comes from the network or a file may end the process. `make check` holds it; an index that cannot
// be out of bounds says why where it stands.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod admin;
pub mod backend;
pub mod cli;
pub mod config;
pub mod counters;
#[cfg(feature = "demo")]
pub mod demo;
#[cfg(feature = "explain")]
pub mod explain;
pub mod gateway;
pub mod http;
pub mod net;
pub mod observe;
pub mod process;
pub mod reactor;
pub mod rules;
pub mod session;
