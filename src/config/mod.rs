//! Text to a checked, typed [`Config`]. Opens no socket.

pub mod model;

pub use model::*;
