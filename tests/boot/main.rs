//! Whole boards, emulated: Debian's kernel, busybox init, and the overlay that our packaging makes. `make test-boot`
//! fetches and builds what this needs and runs it; a plain `cargo test` does not.
//!
//! The board cannot see the test but through its network and its serial console, and the other way round. A failure
//! prints the console.

// What the gateway's tests need and these do not.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

mod archive;
mod clock;
mod control;
mod dns;
mod guest;
mod image;
mod privileges;
mod story;
mod traffic;

#[test]
fn malta_mipsel() {
    story::tell("malta-mipsel");
}

#[test]
fn virt_armv7() {
    story::tell("virt-armv7");
}
