//! What standard error is, and whether colours are welcome there.

use std::io::IsTerminal;

/// Whether stderr is a terminal.
pub(crate) fn stderr_is_a_terminal() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether colours are welcome (<https://no-color.org>).
pub(crate) fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
