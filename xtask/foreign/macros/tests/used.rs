//! The macro, used.

macros::nothing!();

#[test]
fn a_macro_can_be_used() {}
