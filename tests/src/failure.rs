//! How a check of the harness fails: like a panic at the line of the test that called it.
//!
//! `#[track_caller]` does nothing on an `async fn`. So every verb is a plain function that takes
//! [`Location::caller`] and returns a future, and a future that fails calls [`fail`] with that
//! location. This file doesn't decide what is a failure.

use std::fmt::Display;
use std::panic::{Location, resume_unwind};

/// The line of the test that called a verb.
pub type Caller = &'static Location<'static>;

/// Fails the current test as if it had panicked at `at`.
#[expect(
    clippy::print_stderr,
    reason = "libtest captures only what goes through the macro"
)]
pub fn fail(at: Caller, message: impl Display) -> ! {
    let message = message.to_string();
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    eprintln!("\nthread '{name}' panicked at {at}:\n{message}");
    resume_unwind(Box::new(message))
}

/// Prints more about a test that is already failing.
#[expect(
    clippy::print_stderr,
    reason = "libtest captures only what goes through the macro"
)]
pub fn note(text: impl Display) {
    eprintln!("{text}");
}

/// Unwraps results and options inside the harness: the failure names the line of the test and the
/// action.
pub trait OrFail<T> {
    /// Returns the value, or fails the test at `at` with "could not `action`: `error`".
    fn or_fail(self, at: Caller, action: impl Display) -> T;
}

impl<T, E: Display> OrFail<T> for Result<T, E> {
    fn or_fail(self, at: Caller, action: impl Display) -> T {
        match self {
            Ok(value) => value,
            Err(error) => fail(at, format_args!("could not {action}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "could not open `x`: gone")]
    fn a_failed_check_names_the_action_and_the_error() {
        Err::<(), _>("gone").or_fail(Location::caller(), "open `x`");
    }
}
