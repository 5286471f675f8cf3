//! The demo backends and their page.
