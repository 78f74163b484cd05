//! The text of the table that describes a workspace: pure functions of what its tests need.

use crate::base::invocation::Invocation;
use crate::workspace::config::TABLE;

/// The table, with a guess for each capability that tests need, given with where it is needed.
pub(super) fn table(needs: &[(&str, String)]) -> String {
    let table = format!("workspace.metadata.{TABLE}");
    let command = Invocation::current().command;
    let described = match needs {
        [] => format!(
            "# A test with `#[ignore = \"needs docker\"]` runs where this holds, and is skipped with the reason elsewhere.\n\
             # [{table}.capabilities.docker]\n\
             # command = [\"docker\", \"info\"]\n\
             # hint = \"start the docker daemon\"\n"
        ),
        needs => capabilities(needs, &table),
    };
    format!(
        "\n# What `{command}` has to know of this workspace. Its README has every key, in \"In your project\".\n\
         [{table}]\n\
         # name = \"what reports call this workspace\"\n\
         \n\
         {described}\
         \n\
         # Options of `{command} test`, by their long names; `ci` is chosen where the variable CI is `true`.\n\
         # [{table}.test.profiles.ci]\n\
         # locked = true\n\
         # leaks = \"fail\"\n\
         \n\
         # Tests that differ from the others, by a filter expression.\n\
         # [[{table}.test.overrides]]\n\
         # filter = \"test(slow)\"\n\
         # timeout = \"120s\"\n"
    )
}

/// Names for which a program that prints its version proves nothing, and what does.
const KNOWN: [(&str, &str); 4] = [
    ("docker", "command = [\"docker\", \"info\"]"),
    ("podman", "command = [\"podman\", \"info\"]"),
    ("kvm", "path = \"/dev/kvm\"\nopen = \"read-write\""),
    ("tun", "path = \"/dev/net/tun\"\nopen = \"read-write\""),
];

/// The lines that say how to try this capability.
fn guess(name: &str) -> String {
    match KNOWN.iter().find(|(known, _)| *known == name) {
        Some((_, lines)) => (*lines).to_owned(),
        None => format!("command = [\"{name}\", \"--version\"]"),
    }
}

/// A table with a guess for each of these capabilities, below `table`.
pub(super) fn capabilities(needs: &[(&str, String)], table: &str) -> String {
    let one = |(name, place): &(&str, String)| {
        format!(
            "# Needed by {place}. This is a guess: say what proves that a test can use it. Give any of\n\
             # `command` (exits with 0), `path` (can be opened), `tcp = \"HOST:PORT\"` (answers), `env` (is set).\n\
             [{table}.capabilities.{}]\n\
             {}\n\
             # hint = \"what to do where it is missing\"\n",
            key(name),
            guess(name)
        )
    };
    needs.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// The headers of what [`table`] writes, for a person.
pub(super) fn headers(needs: &[(&str, String)]) -> String {
    let table = format!("workspace.metadata.{TABLE}");
    let own = needs.iter().map(|(name, _)| {
        format!(
            "  [{table}.capabilities.{}]  {}, a guess",
            key(name),
            guess(name).replace('\n', ", ")
        )
    });
    let headers = std::iter::once(format!("  [{table}]")).chain(own);
    headers.collect::<Vec<_>>().join("\n")
}

/// A key of TOML, in quotes where it must be.
pub(super) fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => format!("\"{name}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_uses_what_it_is_about_where_a_version_would_prove_nothing() {
        let needs = ["docker", "kvm", "git"].map(|name| (name, "tests/a.rs:1".to_owned()));
        let text = table(&needs);
        let parsed: toml::Table = toml::from_str(&text).unwrap();
        let all = &parsed["workspace"]["metadata"][TABLE]["capabilities"];
        let words = |name: &str| -> Vec<&str> {
            let words = all[name]["command"].as_array().unwrap().iter();
            words.map(|word| word.as_str().unwrap()).collect()
        };
        assert_eq!(words("docker"), ["docker", "info"]);
        assert_eq!(words("git"), ["git", "--version"]);
        let kvm = ["path", "open"].map(|key| all["kvm"][key].as_str().unwrap());
        assert_eq!(kvm, ["/dev/kvm", "read-write"]);
        let headers = headers(&needs);
        assert!(
            headers.contains(".kvm]  path = \"/dev/kvm\", open = \"read-write\", a guess"),
            "{headers}"
        );
    }
}
