//! The stats socket and its commands.
