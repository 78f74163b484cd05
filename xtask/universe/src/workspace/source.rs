//! Finds where in the sources a test is defined, by scanning for `fn NAME` without parsing Rust.
//!
//! A test whose name a macro generates is not found; it then has no line until it fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The functions below the directory of a target's root file.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    functions: BTreeMap<String, Vec<Declaration>>,
}

#[derive(Debug)]
struct Declaration {
    /// The module of the file, from its path: `[]` for the root file.
    module: Vec<String>,
    file: PathBuf,
    line: u32,
}

impl Sources {
    /// Reads the root file of a target and every `.rs` file that may be a module of it.
    pub(crate) fn scan(root_file: &Path) -> Sources {
        let mut sources = Sources::default();
        sources.add_file(root_file, Vec::new());
        if let Some(directory) = root_file.parent() {
            sources.add_directory(directory, root_file, &[]);
        }
        sources
    }

    /// File and line (from 1) of the test `module::function`. A macro that makes several tests of
    /// one function names them `module::function::case`.
    pub(crate) fn find(&self, test: &str) -> Option<(&Path, u32)> {
        let parent = || self.find_function(test.rsplit_once("::")?.0);
        self.find_function(test).or_else(parent)
    }

    fn find_function(&self, test: &str) -> Option<(&Path, u32)> {
        let (module, function) = test.rsplit_once("::").unwrap_or(("", test));
        let module: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
        // If several files can contain the module, the deepest one counts.
        let within = |place: &&Declaration| {
            place.module.len() <= module.len() && place.module.iter().zip(&module).all(|(a, b)| a == b)
        };
        let best = self
            .functions
            .get(function)?
            .iter()
            .filter(within)
            .max_by_key(|place| place.module.len())?;
        Some((&best.file, best.line))
    }

    fn add_directory(&mut self, directory: &Path, root_file: &Path, module: &[String]) {
        let Ok(entries) = std::fs::read_dir(directory) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
                continue;
            };
            let mut inner = module.to_vec();
            if stem != "mod" {
                inner.push(stem.to_owned());
            }
            if path.is_dir() {
                self.add_directory(&path, root_file, &inner);
            } else if path != root_file && path.extension().is_some_and(|extension| extension == "rs") {
                self.add_file(&path, inner);
            }
        }
    }

    fn add_file(&mut self, file: &Path, module: Vec<String>) {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        for (line, name) in (1..)
            .zip(text.lines())
            .filter_map(|(line, text)| Some((line, function_name(text)?)))
        {
            let place = Declaration {
                module: module.clone(),
                file: file.to_owned(),
                line,
            };
            self.functions.entry(name.to_owned()).or_default().push(place);
        }
    }
}

/// The name in a line such as `pub async fn name(`.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_modifier = |word: &str| ["pub", "async", "const", "unsafe", "pub(crate)"].contains(&word);
    // `#[test] fn name()` on one line is valid, too.
    let before = before.trim().rsplit(']').next()?;
    if !before.split_whitespace().all(is_modifier) {
        return None;
    }
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    after.get(..end).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_whatever_precedes_it() {
        assert_eq!(function_name("    async fn resume() {"), Some("resume"));
        assert_eq!(function_name("#[test] fn one_line<T>() {"), Some("one_line"));
        assert_eq!(function_name("// a comment on fn ghosts()"), None);
        assert_eq!(function_name("let f: fn(u8) = x;"), None);
    }

    #[test]
    fn the_file_of_the_module_wins_over_its_namesakes() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("main.rs");
        std::fs::write(&root, "mod relay;\n\nfn twice() {}\n").unwrap();
        std::fs::write(directory.path().join("relay.rs"), "//! head\nfn twice() {}\n").unwrap();
        std::fs::write(directory.path().join("error.rs"), "fn once() {}\n").unwrap();
        let sources = Sources::scan(&root);
        assert_eq!(
            sources.find("relay::twice"),
            Some((directory.path().join("relay.rs").as_path(), 2))
        );
        assert_eq!(sources.find("twice"), Some((root.as_path(), 3)));
        assert_eq!(sources.find("relay::once"), None);
        assert_eq!(
            sources.find("relay::twice::case_1"),
            Some((directory.path().join("relay.rs").as_path(), 2))
        );
        assert_eq!(sources.find("relay::twice::deep::case_1"), None);
    }
}
