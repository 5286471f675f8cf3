//! A peer that is missing fails the suite by name; it never skips a test.

use crate::support::program::installed;

#[test]
fn every_peer_is_installed() {
    for (program, package) in [
        ("haproxy", "haproxy"),
        ("nginx", "nginx-light"),
        ("curl", "curl"),
        ("setpriv", "util-linux"),
        ("sh", "dash"),
        ("strace", "strace"),
        ("faketime", "faketime"),
        ("halog", "haproxy"),
        ("goaccess", "goaccess"),
    ] {
        installed(program, package);
    }
}
