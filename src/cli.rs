//! The flags.
