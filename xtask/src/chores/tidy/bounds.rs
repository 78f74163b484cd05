//! Every limit of a crate must be on the crate's page of limits.
//!
//! A limit is a number whose name contains one of a few [words](WORDS), or any duration that is
//! written as a number. The lengths of formats, masks and protocol numbers are not limits.

use std::path::Path;

use super::code;
use super::floors::Breach;

/// The directory of a crate's sources, and the files that may contain limits.
const PAGES: [(&str, &[&str]); 5] = [
    ("core/src", &["core/src/limits.rs"]),
    ("core/tandem/src", &["core/tandem/src/limits.rs"]),
    ("relay/src", &["relay/src/limits.rs", "relay/src/api.rs"]),
    ("xtask/universe/src", &["xtask/universe/src/base/limits.rs"]),
    ("xtask/src", &["xtask/src/chores/limits.rs"]),
];

/// A constant is a limit if its name contains one of these.
const WORDS: [&str; 6] = ["MAX", "MIN", "LIMIT", "TIMEOUT", "INTERVAL", "GRACE"];

/// The prefixes of number types, besides `Duration`.
const NUMBERS: [&str; 4] = ["u", "i", "f", "NonZero"];

/// The limits in a file that are not on their page. `file` is relative to the root of the
/// workspace.
pub(super) fn breaches(file: &Path, text: &str) -> Vec<Breach> {
    let page = PAGES.iter().find(|(sources, _)| file.starts_with(sources));
    let Some((_, pages)) = page else {
        return Vec::new();
    };
    if pages.iter().any(|page| file == Path::new(page)) {
        return Vec::new();
    }
    let where_to = pages.first().copied().unwrap_or_default();
    let lines = code::program(file, text).into_iter();
    let named = lines.filter_map(|(number, line)| Some((number, bound(line)?)));
    let message =
        |what| format!("{what} is a limit: it belongs in `{where_to}`, with its unit and its reason");
    named.map(|(number, what)| (number, message(what))).collect()
}

/// The limit that a line declares, or uses without a name.
fn bound(line: &str) -> Option<String> {
    match constant(line) {
        Some((name, kind)) => is_bound(name, kind).then(|| format!("`{name}`")),
        None => written_time(line).map(|call| format!("`{call}…)`")),
    }
}

/// The name and the type of a constant.
fn constant(line: &str) -> Option<(&str, &str)> {
    let (before, declared) = line.split_once("const ")?;
    let is_declaration = before.trim().is_empty() || before.trim_start().starts_with("pub");
    let (name, rest) = declared.split_once(':')?;
    let (kind, _) = rest.split_once('=')?;
    is_declaration.then_some((name.trim(), kind.trim()))
}

fn is_bound(name: &str, kind: &str) -> bool {
    let is_number = NUMBERS.iter().any(|number| {
        let rest = kind.strip_prefix(number);
        rest.is_some_and(|rest| *number == "NonZero" || rest.starts_with(char::is_numeric) || rest == "size")
    });
    let has_word = || name.split('_').any(|word| WORDS.contains(&word));
    kind.ends_with("Duration") || (is_number && has_word())
}

/// The call that creates a duration from a number in the code.
fn written_time(line: &str) -> Option<&str> {
    let calls = line.match_indices("Duration::from_");
    calls.into_iter().find_map(|(at, _)| {
        let call = line.get(at..)?;
        let number = call.find('(')? + 1;
        let is_written = call.get(number..)?.starts_with(|c: char| c.is_ascii_digit());
        is_written.then(|| call.get(..number)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, line: &str) -> Vec<Breach> {
        breaches(Path::new(file), &format!("//! Head.\n{line}\n"))
    }

    #[test]
    fn a_limit_outside_its_page_is_found_with_its_line_and_the_rule() {
        for bound in [
            "const LINE_LEN_MAX: usize = 4;",
            "pub(crate) const RETRY_INTERVAL_SECS: u64 = 4;",
            "    const MIN_FREE: f64 = 0.5;",
            "const PATIENCE: std::time::Duration = 2 * OTHER;",
            "const FACTOR_LIMIT: NonZeroU32 = ONE;",
            "clock::after(Duration::from_millis(2)).await;",
        ] {
            let breaches = found("xtask/universe/src/runner/test.rs", bound);
            let [(2, message)] = breaches.as_slice() else {
                panic!("{bound}: {breaches:?}")
            };
            assert!(
                message.ends_with("is a limit: it belongs in `xtask/universe/src/base/limits.rs`, with its unit and its reason"),
                "{message}"
            );
        }
        for file in [
            "core/src/peer.rs",
            "relay/src/args.rs",
            "xtask/src/chores/bench.rs",
        ] {
            assert_eq!(found(file, "const COUNT_MAX: u8 = 1;").len(), 1, "{file}");
        }
    }

    #[test]
    fn other_constants_and_limits_on_their_page_are_allowed() {
        for other in [
            "const KEY_LEN: usize = 32;",
            "const NAME_MAX: &str = \"max\";",
            "const VERSION: u32 = 1;",
            "/// const LEN_MAX: usize = 4;",
            "let start = now + Duration::from_nanos(ended_ns);",
            "const fn max(of: Pair) -> u32 {",
        ] {
            assert_eq!(found("core/src/store.rs", other), [], "{other}");
        }
        for page in ["core/src/limits.rs", "relay/src/api.rs", "tests/src/wait.rs"] {
            assert_eq!(found(page, "const COUNT_MAX: u8 = 1;"), [], "{page}");
        }
    }
}
