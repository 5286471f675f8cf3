//! The start-up as a story, top to bottom.

fn main() {}
