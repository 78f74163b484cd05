//! An integration test that uses the macro.

macros::nothing!();

#[test]
fn a_macro_can_be_used() {}
