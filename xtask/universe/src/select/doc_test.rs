//! A doc test as rustdoc names it, and the words by which rustdoc runs it alone.
//!
//! rustdoc splits the arguments of its test harness at white space, so a name such as
//! `src/lib.rs - Stack::push (line 12)` can't be one of them, and `--exact` is of no use. Parts of
//! names can: harnesses run every test that contains one of the words and none of those to skip.

use std::path::{Component, Path, PathBuf};

use crate::base::limits::DOC_TEST_SKIPS_MAX;

/// The parts of `src/lib.rs - Stack::push (line 12)`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DocName<'a> {
    /// Relative to the directory in which rustdoc runs, or absolute.
    pub(crate) file: &'a str,
    /// The path of the documented item within its crate; empty for the crate itself.
    pub(crate) item: &'a str,
    /// Where the example starts, from 1.
    pub(crate) line: u32,
}

impl<'a> DocName<'a> {
    /// `None` if rustdoc names it in another way.
    pub(crate) fn parse(name: &'a str) -> Option<DocName<'a>> {
        let (rest, line) = name.strip_suffix(')')?.rsplit_once("(line ")?;
        let (file, item) = rest.split_once(" - ")?;
        Some(DocName {
            file,
            item: item.trim_end(),
            line: line.parse().ok()?,
        })
    }

    /// The file without `.` and `..`, which are in the path of an included file.
    pub(crate) fn path(&self) -> PathBuf {
        let mut path = PathBuf::new();
        for part in Path::new(self.file).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir
                    if matches!(path.components().next_back(), Some(Component::Normal(_))) =>
                {
                    path.pop();
                }
                other => path.push(other),
            }
        }
        path
    }

    /// The path of the module that the item is in; empty at the root.
    pub(crate) fn module(&self) -> &'a str {
        self.item.rsplit_once("::").map_or("", |(module, _)| module)
    }
}

/// For each name, the words that select it and none of the others. `None` if that is impossible
/// for one of them, for example because two are equal.
pub(crate) fn words(names: &[String]) -> Option<Vec<String>> {
    let index = Index::of(names);
    let of = |number: usize| words_of(&index, number);
    (0..names.len()).map(of).collect()
}

fn words_of(index: &Index<'_>, number: usize) -> Option<String> {
    let name = index.names.get(number)?;
    let attempt = |word: &str| {
        let rivals = index.containing(word).filter(|other| *other != number);
        without(name, rivals.filter_map(|other| index.names.get(other)))
            .map(|skipped| (word.to_owned(), skipped))
    };
    // The last part, the line, has the fewest rivals.
    let (word, skipped) = parts(name).rev().find_map(attempt)?;
    let skips = skipped.iter().flat_map(|part| ["--skip", part]);
    Some(
        std::iter::once(word.as_str())
            .chain(skips)
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// Parts of the rivals, at least one of each, that `name` does not contain; `None` if there are no
/// such parts, or too many.
fn without<'a>(name: &str, rivals: impl Iterator<Item = &'a String>) -> Option<Vec<&'a str>> {
    let mut skipped: Vec<&str> = Vec::new();
    for rival in rivals {
        if !skipped.iter().any(|part| rival.contains(part)) {
            skipped.push(parts(rival).rev().find(|part| !name.contains(part))?);
        }
        if skipped.len() > DOC_TEST_SKIPS_MAX {
            return None;
        }
    }
    Some(skipped)
}

/// Which names contain a word, without a look at all of them: a library may have thousands.
struct Index<'a> {
    names: &'a [String],
    /// Every end of every word of every name, sorted, with the number of the name.
    ends: Vec<(&'a str, usize)>,
}

impl<'a> Index<'a> {
    fn of(names: &'a [String]) -> Index<'a> {
        let ends_of = |(number, name): (usize, &'a String)| {
            let words = name.split_whitespace();
            let ends = words.flat_map(|word| word.char_indices().map(|(start, _)| word.get(start..)));
            ends.flatten().map(move |end| (end, number))
        };
        let mut ends: Vec<(&str, usize)> = names.iter().enumerate().flat_map(ends_of).collect();
        ends.sort_unstable();
        Index { names, ends }
    }

    /// The numbers of the names that contain this word, in any order. A name is there as often as
    /// it contains the word.
    fn containing(&self, word: &str) -> impl Iterator<Item = usize> {
        let start = self.ends.partition_point(|(end, _)| *end < word);
        let ends = self.ends.get(start..).unwrap_or_default().iter();
        ends.take_while(move |(end, _)| end.starts_with(word))
            .map(|(_, number)| *number)
    }
}

/// The parts between white space that no harness takes for an option.
fn parts(name: &str) -> impl DoubleEndedIterator<Item = &str> {
    name.split_whitespace().filter(|part| !part.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_has_a_file_an_item_and_a_line() {
        let name = DocName::parse("core/src/a.rs - deep::Stack<T>::push (line 12)").unwrap();
        assert_eq!(
            (name.file, name.item, name.line),
            ("core/src/a.rs", "deep::Stack<T>::push", 12)
        );
        assert_eq!(name.module(), "deep::Stack<T>");
        let root = DocName::parse("src/../README.md - (line 5)").unwrap();
        assert_eq!(
            (root.item, root.module(), root.path()),
            ("", "", PathBuf::from("README.md"))
        );
        let above = DocName::parse("../../README.md - readme (line 5)").unwrap();
        assert_eq!(above.path(), PathBuf::from("../../README.md"));
        for other in ["", "a::b", "src/lib.rs - a (line x)", "src/lib.rs (line 3)"] {
            assert_eq!(DocName::parse(other), None, "{other:?}");
        }
    }

    /// The names that a harness selects by these words.
    fn selected<'a>(names: &'a [String], words: &str) -> Vec<&'a String> {
        let words: Vec<&str> = words.split_whitespace().collect();
        let (mut wanted, mut skipped) = (Vec::<&str>::new(), Vec::<&str>::new());
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match *word {
                "--skip" => skipped.extend(rest.next()),
                word => wanted.push(word),
            }
        }
        let is_selected = |name: &&String| {
            wanted.iter().any(|word| name.contains(word)) && !skipped.iter().any(|word| name.contains(word))
        };
        names.iter().filter(is_selected).collect()
    }

    #[test]
    fn words_select_one_test_among_names_that_contain_each_other() {
        let names = [
            "src/lib.rs - (line 2)",
            "src/lib.rs - one (line 12)",
            "src/lib.rs - one (line 112)",
            "src/lib.rs - Au16::one (line 20)",
            "src/lib.rs - u16::one (line 20)",
            "src/a.rs - one (line 12)",
            "b/src/a.rs - one (line 12)",
            "b/src/a.rs - impl Of<A, B> for -C::one (line 112)",
        ]
        .map(str::to_owned);
        let words = words(&names).unwrap();
        for (name, words) in names.iter().zip(&words) {
            assert_eq!(selected(&names, words), [name], "{words}");
        }
        assert!(words.iter().any(|words| !words.contains("--skip")));
    }

    #[test]
    fn the_index_finds_every_name_that_contains_a_word_and_looks_at_no_other() {
        let names: Vec<String> = (0..200)
            .map(|n| format!("src/{}.rs - m\u{e4}\u{df}::f{n}<T> (line {n})", n % 7))
            .collect();
        let index = Index::of(&names);
        for word in ["12)", "9)", "(line", "src/3.rs", "\u{df}::f1", "rs", "-", "none"] {
            let found: BTreeSet<usize> = index.containing(word).collect();
            let expected: BTreeSet<usize> = (0..names.len())
                .filter(|number| names[*number].contains(word))
                .collect();
            assert_eq!(found, expected, "{word}");
        }
        // Each candidate is a hit, so a library costs about as many steps as it has names.
        let steps: usize = (0..200).map(|n| index.containing(&format!("{n})")).count()).sum();
        assert!(steps < 3 * names.len(), "{steps}");
    }

    #[test]
    fn equal_names_cannot_be_selected_alone() {
        let twice = ["src/lib.rs - one (line 12)", "src/lib.rs - one (line 12)"].map(str::to_owned);
        assert_eq!(words(&twice), None);
        assert_eq!(words(&[]), Some(Vec::new()));
    }
}
