//! Whether the documentation of a library may contain examples, without parsing Rust.
//!
//! To ask rustdoc takes up to a second for each library, which a workspace without doc tests would
//! pay at each run. So this errs on one side only: any trace of an example counts. The one thing
//! that it can't see is an example that a macro of another package writes.

use std::path::Path;

/// Whether a source file of the package contains a trace of an example.
pub(crate) fn may_have_examples(directory: &Path, root_file: &Path) -> bool {
    let outside = root_file.parent().filter(|parent| !parent.starts_with(directory));
    outside.into_iter().chain([directory]).any(has_trace_below)
}

fn has_trace_below(directory: &Path) -> bool {
    let Ok(entries) = directory.read_dir() else {
        return false;
    };
    entries.flatten().any(|entry| {
        let (path, name) = (entry.path(), entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                let is_of_sources = name != "target" && !name.as_encoded_bytes().starts_with(b".");
                is_of_sources && has_trace_below(&path)
            }
            Ok(_) => {
                let is_source = path.extension().is_some_and(|extension| extension == "rs");
                is_source && std::fs::read(&path).is_ok_and(|text| has_trace(&String::from_utf8_lossy(&text)))
            }
            Err(_) => false,
        }
    })
}

/// Whether there is an example, or documentation that comes from elsewhere.
fn has_trace(source: &str) -> bool {
    const TRACES: [&str; 7] = [
        "doc =",
        "doc=",
        "/**",
        "/*!",
        "include!",
        "include_str!",
        "#[path",
    ];
    if TRACES.iter().any(|trace| source.contains(trace)) {
        return true;
    }
    // The fence of the text block that the line is in.
    let mut text_block = None;
    source.lines().any(|line| {
        let comment = comment(line);
        let fence = fence(comment.unwrap_or(line));
        match (comment, fence, text_block) {
            (None, _, _) => text_block = None,
            // A block ends with a fence that is at least as long and has no words.
            (Some(_), Some((fence, "")), Some(open)) if fence.starts_with(open) => text_block = None,
            (Some(_), _, Some(_)) => {}
            (Some(_), Some((fence, words)), None) if is_text(words) => text_block = Some(fence),
            (Some(_), Some(_), None) => return true,
            (Some(comment), None, None) => return is_indented(comment),
        }
        // Code that writes documentation may have a fence.
        comment.is_none() && fence.is_some()
    })
}

/// The text of a documentation comment.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))
}

/// The fence in a line, and the words after it.
pub(crate) fn fence(line: &str) -> Option<(&str, &str)> {
    let at = line.find("```").or_else(|| line.find("~~~"))?;
    let rest = line.get(at..)?;
    let mark = rest.chars().next()?;
    let end = rest.find(|c| c != mark).unwrap_or(rest.len());
    let (fence, words) = rest.split_at(end);
    Some((fence, words.trim()))
}

/// Whether these words after a fence make the block anything but Rust.
fn is_text(words: &str) -> bool {
    const LANGUAGES: [&str; 12] = [
        "text", "txt", "plain", "console", "sh", "shell", "bash", "toml", "json", "yaml", "none", "mermaid",
    ];
    LANGUAGES.contains(&words)
}

/// Four spaces after that of the comment, or a tab, begin a code block (CommonMark 0.31, 4.4).
fn is_indented(comment: &str) -> bool {
    comment.starts_with("     ") || comment.trim_start_matches(' ').starts_with('\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_example_leaves_a_trace() {
        for source in [
            "/// ```\n/// a();\n/// ```\nfn a() {}\n",
            "//! ~~~\n//! a();\n",
            "    ///     a();\n",
            "/// \ta();\n",
            "#![doc = include_str!(\"../README.md\")]\n",
            "#[cfg_attr(x, doc=\"a\")]\n",
            "/** text */\n",
            "include!(concat!(env!(\"OUT_DIR\"), \"/a.rs\"));\n",
            "#[path = \"../elsewhere.rs\"]\nmod elsewhere;\n",
            "/// - ```should_panic\n///   a();\n",
            "/// ```text\n/// a\n/// ```\n/// ```\n/// a();\n",
            "/// ```text\nfn a() {}\n/// ```\nfn b() {}\n",
            "/// ````text\n/// ```\n/// ````\n/// ```\n/// a();\n",
            "/// ```text,ignore\n",
            "quote! { #[x] } // ```\n",
        ] {
            assert!(has_trace(source), "{source}");
        }
        let text = "/// ````text\n/// ```\n///      a();\n/// ````\n///\n/// ~~~ console\n/// $ a\n/// ~~~\nfn a() {}\n";
        assert!(!has_trace(text));
        let none = "//! Head.\n\n/// Adds `a` and `b`.\n///  - a list\nfn a() {\n    // plain\n        //      code\n}\n";
        assert!(!has_trace(none));
    }

    #[test]
    fn sources_are_searched_and_not_what_was_built() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        for folder in ["src/deep", "target", ".git"] {
            std::fs::create_dir_all(place(folder)).unwrap();
        }
        for file in ["target/a.rs", ".git/a.rs", "README.md"] {
            std::fs::write(place(file), "/// ```\n").unwrap();
        }
        std::fs::write(place("src/lib.rs"), "mod deep;\n").unwrap();
        let root = place("src/lib.rs");
        assert!(!may_have_examples(directory.path(), &root));
        std::fs::write(place("src/deep/mod.rs"), "/// ```\n").unwrap();
        assert!(may_have_examples(directory.path(), &root));
        assert!(
            may_have_examples(&place("target/none"), &root),
            "a root file outside the package"
        );
    }
}
