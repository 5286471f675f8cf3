//! Daemon, pidfile, limits, signals.
