//! A test as a filter sees it.

use crate::select::doc_test::DocName;

/// A test, by its names and its needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The package.
    pub package: &'a str,
    /// The target within the package: `suite`, `bin/acme`, `doc/acme`.
    pub binary: &'a str,
    /// `module::function`.
    pub name: &'a str,
    /// The capabilities that it says it needs.
    pub needs: Vec<&'a str>,
}

impl Subject<'_> {
    /// `package::binary$module::function`.
    pub(super) fn id(&self) -> String {
        format!("{}::{}${}", self.package, self.binary, self.name)
    }

    /// The path of the module that the test, or the item with the doc test, is in; empty at the
    /// root.
    pub(super) fn module(&self) -> &str {
        if let Some(name) = DocName::parse(self.name).filter(|_| self.binary.starts_with("doc/")) {
            return name.module();
        }
        self.name.rsplit_once("::").map_or("", |(module, _)| module)
    }
}

#[cfg(test)]
pub(super) fn subject<'a>(package: &'a str, binary: &'a str, name: &'a str) -> Subject<'a> {
    Subject {
        package,
        binary,
        name,
        needs: Vec::new(),
    }
}
