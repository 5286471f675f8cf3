//! The cases of the benchmark, by what they load.

pub mod bulk;
pub mod growth;
pub mod idle;
pub mod memory;
pub mod small;
pub mod start;
