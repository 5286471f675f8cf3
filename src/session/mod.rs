//! One connection's life.
