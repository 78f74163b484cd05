//! A procedural macro: its tests are linked with libraries of the compiler.

use proc_macro::TokenStream;

/// Nothing.
#[proc_macro]
pub fn nothing(_: TokenStream) -> TokenStream {
    TokenStream::new()
}

#[test]
fn a_macro_can_have_unit_tests() {}
