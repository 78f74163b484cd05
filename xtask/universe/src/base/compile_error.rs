//! An error of the compiler, as it is told of a build that failed.

use serde::{Deserialize, Serialize};

/// One error that rustc reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileError {
    /// The source file, as rustc names it: relative to the workspace, or absolute. An error of the
    /// linker has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    /// `E0308`, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// One line.
    pub(crate) message: String,
    /// All of it, as rustc prints it.
    pub(crate) text: String,
}

impl CompileError {
    /// `error[E0308]: mismatched types`
    pub(crate) fn headline(&self) -> String {
        let code = self.code.as_ref().map(|code| format!("[{code}]"));
        format!("error{}: {}", code.unwrap_or_default(), self.message)
    }
}
