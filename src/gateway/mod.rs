//! The running whole: listeners, the configuration in force, reload and stop.
