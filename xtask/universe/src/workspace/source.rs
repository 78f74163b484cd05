//! Finds where in the sources a test is defined, by scanning for `fn NAME` without parsing Rust.
//!
//! A test whose name a macro generates is not found; it then has no line until it fails.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The functions below the directory of a target's root file.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    functions: BTreeMap<Arc<str>, Vec<Declaration>>,
}

#[derive(Debug)]
struct Declaration {
    file: Arc<File>,
    line: u32,
}

#[derive(Debug)]
struct File {
    /// Its module, from its path: `[]` for the root file.
    module: Vec<String>,
    path: PathBuf,
}

/// The functions of files that were read: the targets of a package share directories.
#[derive(Debug, Default)]
pub(crate) struct Scanned(Mutex<HashMap<PathBuf, Functions>>);

/// The functions of a file, by name, each with its line from 1.
type Functions = Arc<[(Arc<str>, u32)]>;

impl Scanned {
    fn functions(&self, file: &Path) -> Functions {
        let files = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = files().get(file).cloned();
        known.unwrap_or_else(|| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let lines = (1..).zip(text.lines());
            let functions = lines.filter_map(|(line, text)| Some((function_name(text)?.into(), line)));
            let functions: Functions = functions.collect();
            files().insert(file.to_owned(), Arc::clone(&functions));
            functions
        })
    }
}

impl Sources {
    /// Looks at the root file of a target and at every `.rs` file that may be a module of it; reads
    /// those that were not `scanned`.
    pub(crate) fn scan(root_file: &Path, scanned: &Scanned) -> Sources {
        let mut scan = Scan {
            root_file,
            scanned,
            found: Sources::default(),
        };
        scan.add_file(root_file, Vec::new());
        if let Some(directory) = root_file.parent() {
            scan.add_directory(directory, &[]);
        }
        scan.found
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
            let inner = &place.file.module;
            inner.len() <= module.len() && inner.iter().zip(&module).all(|(a, b)| a == b)
        };
        let best = self
            .functions
            .get(function)?
            .iter()
            .filter(within)
            .max_by_key(|place| place.file.module.len())?;
        Some((&best.file.path, best.line))
    }
}

/// A scan at work.
struct Scan<'a> {
    root_file: &'a Path,
    scanned: &'a Scanned,
    found: Sources,
}

impl Scan<'_> {
    fn add_directory(&mut self, directory: &Path, module: &[String]) {
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
                self.add_directory(&path, &inner);
            } else if path != self.root_file && path.extension().is_some_and(|extension| extension == "rs") {
                self.add_file(&path, inner);
            }
        }
    }

    fn add_file(&mut self, file: &Path, module: Vec<String>) {
        let functions = self.scanned.functions(file);
        let file = Arc::new(File {
            module,
            path: file.to_owned(),
        });
        for (name, line) in functions.iter() {
            let place = Declaration {
                file: Arc::clone(&file),
                line: *line,
            };
            let places = self.found.functions.entry(Arc::clone(name)).or_default();
            places.push(place);
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
    fn a_file_of_several_targets_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        std::fs::write(file("a.rs"), "fn of_a() {}").unwrap();
        std::fs::write(file("b.rs"), "fn of_b() {}").unwrap();
        let scanned = Scanned::default();
        let of_a = Sources::scan(&file("a.rs"), &scanned);
        // A file that is read again does not have the function.
        std::fs::write(file("a.rs"), "").unwrap();
        let of_b = Sources::scan(&file("b.rs"), &scanned);
        for sources in [&of_a, &of_b] {
            assert_eq!(
                sources.find("a::of_a").or(sources.find("of_a")),
                Some((&*file("a.rs"), 1))
            );
        }
    }

    #[test]
    fn the_file_of_the_module_wins_over_its_namesakes() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("main.rs");
        std::fs::write(&root, "mod relay;\n\nfn twice() {}\n").unwrap();
        std::fs::write(directory.path().join("relay.rs"), "//! head\nfn twice() {}\n").unwrap();
        std::fs::write(directory.path().join("error.rs"), "fn once() {}\n").unwrap();
        let sources = Sources::scan(&root, &Scanned::default());
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
