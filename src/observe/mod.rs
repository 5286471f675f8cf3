//! Counters, log lines, syslog.
