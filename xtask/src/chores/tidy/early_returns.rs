//! A test that returns early passes although it has checked nothing. A test that cannot run must be
//! ignored, with the reason.

use super::code;
use super::floors::Breach;

/// The tests of a file that return early, with the line of each `return`.
pub(super) fn breaches(text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    // The indentation of the current test's attribute.
    let mut test = None;
    for (number, line) in code::all(text) {
        let code = line.trim();
        let indentation = line.len() - line.trim_start().len();
        if code.starts_with("#[test]") || code.starts_with("#[tokio::test") {
            test = Some(indentation);
        }
        if test.is_some() && code == "return;" {
            let message = "a test that returns early passes unchecked: state with `#[ignore = \"REASON\"]` why it cannot run";
            breaches.push((number, message.to_owned()));
        }
        if code == "}" && test == Some(indentation) {
            test = None;
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_returns_early_is_found_with_its_line_and_the_rule() {
        for attribute in ["#[test]", "#[tokio::test(start_paused = true)]"] {
            let text = format!(
                "    {attribute}\n    fn f() {{\n        let Some(a) = b else {{\n            return;\n        }};\n    }}\n"
            );
            let breaches = breaches(&text);
            let [(4, message)] = breaches.as_slice() else {
                panic!("{attribute}: {breaches:?}")
            };
            assert!(message.contains("why it cannot run"), "{message}");
        }
    }

    #[test]
    fn other_functions_may_return_early() {
        let text = "#[test]\nfn f() {\n    // return;\n}\n\nfn g() {\n    return;\n}\n";
        assert_eq!(breaches(text), []);
    }
}
