//! The meaning of expressions, parsing of their text form, and the harmlessness of any text.

use super::*;
use crate::base::limits::REGEX_DEPTH_MAX;
use crate::select::filter::subject::{Subject, subject};

fn parsed(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|stop| panic!("{}", stop.message))
}

fn subjects() -> Vec<Subject<'static>> {
    let mut mount = subject("acme-tests", "suite", "mount::fuse::reads");
    mount.needs = vec!["fuse", "git"];
    vec![
        subject("acme-tests", "suite", "relay::fetch"),
        subject("acme-tests", "suite", "relays::fetch_two"),
        subject("relay", "bin/relay", "fetch"),
        mount,
    ]
}

/// The numbers of the subjects that it selects.
fn selected(expression: &Expression) -> Vec<usize> {
    let subjects = subjects();
    let selected = (0..)
        .zip(&subjects)
        .filter(|(_, subject)| expression.selects(subject));
    selected.map(|(number, _)| number).collect()
}

#[test]
fn each_predicate_looks_at_its_part_of_a_test() {
    for (text, expected) in [
        ("all()", vec![0, 1, 2, 3]),
        ("none()", vec![]),
        ("test(fetch)", vec![0, 1, 2]),
        ("test(=fetch)", vec![2]),
        ("test(#*::fetch)", vec![0]),
        ("test(/^relay::|reads$/)", vec![0, 3]),
        ("module(relay)", vec![0]),
        ("module(mount)", vec![3]),
        ("module(=mount)", vec![]),
        ("module(~elay)", vec![0, 1]),
        ("package(relay)", vec![2]),
        ("package(acme-*)", vec![0, 1, 3]),
        ("binary(suite)", vec![0, 1, 3]),
        ("binary(bin/relay)", vec![2]),
        ("cap(fuse)", vec![3]),
        ("cap(git)", vec![3]),
        ("cap(#*)", vec![3]),
        ("not cap(fuse)", vec![0, 1, 2]),
    ] {
        assert_eq!(selected(&parsed(text)), expected, "{text}");
    }
}

#[test]
fn not_binds_closer_than_and_which_binds_closer_than_or() {
    for (text, same) in [
        (
            "test(a) or test(b) and test(c)",
            "test(a) or (test(b) and test(c))",
        ),
        (
            "test(a) and test(b) or test(c)",
            "(test(a) and test(b)) or test(c)",
        ),
        ("not test(a) and test(b)", "(not test(a)) and test(b)"),
        (
            "test(a) - test(b) | test(c)",
            "(test(a) and not test(b)) or test(c)",
        ),
        (
            "test(a) - test(b) - test(c)",
            "test(a) and not test(b) and not test(c)",
        ),
        ("!test(a)&test(b)|test(c)", "(not test(a) and test(b)) or test(c)"),
        ("test(a)+test(b)", "test(a) or test(b)"),
        ("all()&&none()||all()", "(all() and none()) or all()"),
    ] {
        assert_eq!(parsed(text).to_string(), parsed(same).to_string(), "{text}");
    }
}

#[test]
fn spaces_and_escapes_are_understood() {
    assert_eq!(
        parsed(" test ( = a\\)b ) ").to_string(),
        parsed("test(=a\\)b)").to_string()
    );
    assert!(parsed("test(=a\\)b)").selects(&subject("p", "t", "a)b")));
    assert!(parsed(r"test(/a\/b\.c/)").selects(&subject("p", "t", "a/b.c")));
    assert!(!parsed(r"test(/a\/b\.c/)").selects(&subject("p", "t", "a/bxc")));
}

#[test]
fn an_error_points_at_the_column_and_says_what_was_expected() {
    for (text, column, expected) in [
        ("", 1, "expected `test(…)`"),
        ("test relay", 6, "expected `(` after `test`"),
        ("test()", 6, "expected a pattern"),
        ("test(a", 7, "expected `)` after the pattern"),
        ("test(a) test(b)", 9, "expected `and`, `or`, `-` or the end"),
        ("(test(a)", 9, "expected `and`, `or`, `-` or `)`"),
        ("tset(a)", 1, "expected `test(…)`"),
        ("all(x)", 5, "expected `)`"),
        ("test(/(/)", 7, "expected a regular expression"),
        ("test(/a", 8, "expected `/`"),
        ("test(a) and", 12, "expected `test(…)`"),
        ("test(a) andtest(b)", 9, "expected `and`"),
    ] {
        let stop = Expression::parse(text).unwrap_err();
        assert_eq!(stop.exit, Exit::BadFilter);
        assert!(stop.message.contains(expected), "{text}: {}", stop.message);
        let caret = stop
            .message
            .lines()
            .find_map(|line| line.find('^').filter(|_| line.trim() == "^"));
        assert_eq!(caret, Some(2 + column - 1), "{text}: {}", stop.message);
    }
}

#[test]
fn nesting_has_a_limit_and_chains_have_none() {
    let nested = |depth: usize| format!("{}all(){}", "(".repeat(depth), ")".repeat(depth));
    assert!(Expression::parse(&nested(FILTER_DEPTH_MAX - 1)).is_ok());
    for deep in [
        nested(FILTER_DEPTH_MAX),
        nested(10_000),
        format!("{}all()", "not ".repeat(10_000)),
    ] {
        let stop = Expression::parse(&deep).unwrap_err();
        assert!(
            stop.message.contains("at most 64 levels") && stop.message.len() < 1000,
            "{}",
            stop.message
        );
    }
    let chain = vec!["all()"; 5_000].join(" and ");
    assert_eq!(selected(&parsed(&chain)), [0, 1, 2, 3]);
    let long = |len: usize| Expression::parse(&format!("all(){}", " ".repeat(len - "all()".len())));
    assert!(long(FILTER_LEN_MAX).is_ok() && long(FILTER_LEN_MAX + 1).is_err());
}

#[test]
fn a_regular_expression_that_would_fill_the_memory_is_refused_with_its_limit() {
    let regex = |source: &str| Expression::parse(&format!("test(/{source}/)"));
    let nested = |depth: u32| format!("{}a{}", "(".repeat(depth as usize), ")".repeat(depth as usize));
    let many = |count| Expression::parse(&vec!["test(/a/)"; count].join(" or "));
    for most in [
        regex(&"a".repeat(1000)),
        regex("((a{20}){10}){9}"),
        regex(&nested(REGEX_DEPTH_MAX)),
        regex(&"()".repeat(199)),
        many(200),
    ] {
        drop(selected(&most.unwrap()));
    }
    for (refused, limit) in [
        (
            regex(&"a".repeat(1001)),
            "at most 1000 characters instead of 1001",
        ),
        (
            regex(&"()".repeat(15_000)),
            "at most 1000 characters instead of 30000",
        ),
        (regex("((a{100}){100}){100}"), "size limit of 65536 bytes"),
        (regex(&nested(REGEX_DEPTH_MAX + 1)), "more than 50 levels"),
        (
            regex(&"()".repeat(200)),
            "at most 200 regular expressions and groups",
        ),
        (many(201), "at most 200 regular expressions and groups"),
        (
            Expression::parse(&"x".repeat(70_000)),
            "at most 65536 characters instead of 70000",
        ),
    ] {
        let stop = refused.unwrap_err();
        assert!(
            stop.message.contains(limit) && stop.message.len() < 1000,
            "{}",
            stop.message
        );
    }
}

/// Draws numbers for the generated inputs below.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn one_of<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }

    fn expression(&mut self, depth: usize) -> String {
        let field = self.one_of(&["test", "module", "package", "binary", "cap"]);
        let pattern = self.one_of(&[
            "fetch", "=fetch", "~elay", "#*[a-r]*", "#s?ite", "/f.t/", "a\\)", "#\\**", "#[!x\\]]", "= -",
        ]);
        match if depth == 0 { 0 } else { self.below(6) } {
            0 | 1 => format!("{field}({pattern})"),
            2 => format!("not {}", self.expression(depth - 1)),
            3 => format!("({})", self.expression(depth - 1)),
            _ => {
                let between = self.one_of(&[" and ", " or ", " - ", "|", "&"]);
                format!(
                    "{}{between}{}",
                    self.expression(depth - 1),
                    self.expression(depth - 1)
                )
            }
        }
    }
}

#[test]
fn a_written_expression_is_parsed_again_and_selects_the_same() {
    let mut random = Random(5);
    for _ in 0..3_000 {
        let text = random.expression(5);
        let expression = parsed(&text);
        let again = parsed(&expression.to_string());
        assert_eq!(expression.to_string(), again.to_string(), "{text}");
        assert_eq!(selected(&expression), selected(&again), "{text}");
    }
}

#[test]
fn no_text_does_harm() {
    let mut random = Random(7);
    let scraps = [
        "test",
        "(",
        ")",
        "not ",
        "and",
        "or",
        "-",
        "!",
        "|",
        "&",
        "/",
        "\\",
        "#",
        "[",
        "]",
        "=",
        "~",
        "*",
        " ",
        "ü",
        "\u{0}",
        "\u{202e}",
        "all()",
        "a{1000}{1000}",
        "\n",
    ];
    for _ in 0..20_000 {
        let count = random.below(12);
        let text: String = (0..count).map(|_| random.one_of(&scraps)).collect();
        match Expression::parse(&text) {
            Ok(expression) => drop(selected(&expression)),
            Err(stop) => assert_eq!(stop.message.lines().count(), 4, "{text:?}: {}", stop.message),
        }
    }
}
