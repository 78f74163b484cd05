//! The `tandem-relay` command.
fn main() {}
