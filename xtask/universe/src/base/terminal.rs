//! Terminals: whether standard error is one, its size, whether to use colours, and their codes.

use std::io::IsTerminal;
use std::sync::OnceLock;

/// Whether stderr is a terminal.
pub(crate) fn stderr_is_a_terminal() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless the variable NO_COLOR is set
    #[default]
    Auto,
    /// Also in a file or a pipe
    Always,
    /// Nowhere
    Never,
}

static COLOUR: OnceLock<Colour> = OnceLock::new();

impl Colour {
    /// Makes this the choice of the process. Only the first call has an effect.
    pub(crate) fn set(self) {
        COLOUR.set(self).ok();
    }

    /// The choice of the process.
    pub(crate) fn chosen() -> Colour {
        COLOUR.get().copied().unwrap_or_default()
    }

    /// Whether to colour what is shown where `is_terminal` says whether that is a terminal
    /// (<https://no-color.org>).
    pub(crate) fn applies(self, is_terminal: impl FnOnce() -> bool) -> bool {
        match self {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        }
    }
}

/// The columns and rows of the terminal; those of the first terminals if it doesn't know them.
pub(crate) fn size() -> (usize, usize) {
    let known = terminal_size::terminal_size();
    let size = known.map(|(width, height)| (usize::from(width.0), usize::from(height.0)));
    size.filter(|(columns, rows)| *columns > 0 && *rows > 0)
        .unwrap_or((80, 24))
}

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// None.
    Plain,
    /// By escape sequences.
    Colours,
}

/// The colours, by meaning.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    /// A success.
    Good,
    /// A failure.
    Bad,
    /// A test that did not run, or is slow.
    Skipped,
    /// A test that was ended early.
    Interrupted,
    /// Less important than the rest.
    Faint,
    /// A heading.
    Bold,
}

impl Paint {
    /// `text` in this style.
    pub fn on(self, style: Style, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Colours => format!("\x1b[{}m{text}\x1b[0m", style.code()),
        }
    }
}

impl Style {
    pub(crate) const ALL: [Style; 6] = [
        Style::Good,
        Style::Bad,
        Style::Skipped,
        Style::Interrupted,
        Style::Faint,
        Style::Bold,
    ];

    pub(crate) fn code(self) -> &'static str {
        match self {
            Style::Good => "32;1",
            Style::Bad => "31;1",
            Style::Skipped => "33;1",
            Style::Interrupted => "35;1",
            Style::Faint => "2",
            Style::Bold => "1",
        }
    }
}
