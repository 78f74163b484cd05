//! A procedural macro, whose tests link to libraries of the compiler.

use proc_macro::TokenStream;

/// Expands to nothing.
///
/// ```
/// macros::nothing!(no matter what);
/// ```
#[proc_macro]
pub fn nothing(_: TokenStream) -> TokenStream {
    TokenStream::new()
}

#[test]
fn a_macro_can_have_unit_tests() {}
