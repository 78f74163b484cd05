//! Words that a part of the program must not use, because they belong to another part.
//!
//! Each row is a numbered invariant of `ARCHITECTURE.md`. Code of tests may use any word.

use std::path::Path;

use super::code;
use super::floors::Breach;

/// A rule about words.
struct Reserved {
    /// The files that must not use them.
    sources: &'static [&'static str],
    /// The file that may, if any.
    owner: Option<&'static str>,
    words: &'static [&'static str],
    rule: &'static str,
}

const RESERVED: [Reserved; 3] = [
    Reserved {
        sources: &["relay/src"],
        owner: Some("relay/src/answer.rs"),
        words: &["StatusCode"],
        rule: "only `relay/src/answer.rs` may decide HTTP status",
    },
    Reserved {
        sources: &["core/src/catalog", "core/src/catalog.rs"],
        owner: None,
        words: &[
            "std::fs", "std::io", "std::net", "tokio", "rustix", "Mutex", "RwLock", "clock",
        ],
        rule: "the catalog does no I/O, reads no clock and takes no lock",
    },
    Reserved {
        sources: &["core/src", "relay/src"],
        // It counts the steps that a few tests limit.
        owner: Some("core/src/catalog/step_count.rs"),
        words: &["cfg!(test)", "cfg(any(test", "cfg(not(test"],
        rule: "the program has no hooks for tests and runs the same code in them",
    },
];

/// The forbidden words in a file. `file` is relative to the root of the workspace.
pub(super) fn breaches(file: &Path, text: &str) -> Vec<Breach> {
    let lines = code::program(file, text);
    let words = RESERVED.iter().filter(|reserved| reserved.binds(file));
    let mut found: Vec<Breach> = words
        .flat_map(|reserved| {
            let used = |line: &&code::Line<'_>| reserved.words.iter().any(|word| line.1.contains(word));
            let lines = lines.iter().filter(used);
            lines.map(|(number, _)| (*number, reserved.rule.to_owned()))
        })
        .collect();
    found.extend(beyond_the_api(file, &lines));
    found
}

/// The uses of the relay in core beyond its API.
fn beyond_the_api(file: &Path, lines: &[code::Line<'_>]) -> Vec<Breach> {
    if !file.starts_with("core/src") {
        return Vec::new();
    }
    const RELAY: &str = "tandem_relay::";
    let goes_beyond = |line: &str| {
        let mut uses = line.match_indices(RELAY);
        uses.any(|(at, _)| {
            line.get(at + RELAY.len()..)
                .is_some_and(|rest| !rest.starts_with("api"))
        })
    };
    let beyond = lines.iter().filter(|(_, line)| goes_beyond(line));
    beyond
        .map(|(number, _)| {
            (
                *number,
                "core may use only `tandem_relay::api` of the relay".to_owned(),
            )
        })
        .collect()
}

impl Reserved {
    fn binds(&self, file: &Path) -> bool {
        let is_below = self.sources.iter().any(|source| file.starts_with(source));
        is_below && self.owner.is_none_or(|owner| file != Path::new(owner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, line: &str) -> Vec<Breach> {
        breaches(Path::new(file), &format!("//! Head.\n{line}\n"))
    }

    #[test]
    fn each_reserved_word_is_found_with_its_line() {
        for reserved in &RESERVED {
            let file = Path::new(reserved.sources[0]).join("a.rs");
            let file = file.to_str().unwrap();
            for word in reserved.words {
                assert_eq!(found(file, word), [(2, reserved.rule.to_owned())], "{word}");
                assert_eq!(found(file, &format!("// {word}")), [], "{word}");
                assert_eq!(found("tests/suite/a.rs", word), [], "{word}");
            }
        }
        assert_eq!(found("relay/src/answer.rs", "StatusCode::OK"), []);
        assert_eq!(found("core/src/catalog.rs", "use std::sync::Mutex;").len(), 1);
    }

    #[test]
    fn core_may_use_only_the_api_of_the_relay() {
        assert_eq!(found("core/src/a.rs", "use tandem_relay::api::Blob;"), []);
        assert_eq!(
            found("core/src/a.rs", "tandem_relay::api::f(tandem_relay::Relay)").len(),
            1
        );
        assert_eq!(found("tests/src/a.rs", "use tandem_relay::Relay;"), []);
    }
}
