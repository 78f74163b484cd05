//! Which paths may enter a share.

use super::*;

fn fault(text: &str) -> Option<PathFault> {
    SharePath::parse(text).err().map(|error| error.fault)
}

#[test]
fn ordinary_names_of_any_script_are_paths() {
    let texts = [
        "a",
        "a/b.txt",
        ".git/config",
        "-rf",
        "日本/Ångström ﬁ",
        "a..b",
        "..a",
        " a",
        "%2e%2e",
        "．．",
        "CONS",
        "COM10",
        "com",
    ];
    for text in texts {
        assert_eq!(SharePath::parse(text).unwrap().as_str(), text);
    }
}

#[test]
fn ways_out_of_the_share_are_refused() {
    assert_eq!(fault(""), Some(PathFault::Empty));
    for text in ["/abs", "//host/share", "/"] {
        assert_eq!(fault(text), Some(PathFault::Absolute), "{text}");
    }
    for text in ["..", "../x", "a/../../b", "./a", "a/."] {
        assert_eq!(fault(text), Some(PathFault::Dots), "{text}");
    }
    for text in ["a//b", "a/"] {
        assert_eq!(fault(text), Some(PathFault::EmptyName), "{text}");
    }
    for text in [r"a\..\b", r"\\?\C:\x", r"C\x"] {
        assert_eq!(fault(text), Some(PathFault::Backslash), "{text}");
    }
}

#[test]
fn names_that_windows_cannot_hold_are_refused_everywhere() {
    for text in ["C:x", "file:ads", "a/b:c"] {
        assert_eq!(
            fault(text),
            Some(PathFault::Forbidden { character: ':' }),
            "{text}"
        );
    }
    for character in ['<', '>', '"', '|', '?', '*'] {
        assert_eq!(
            fault(&format!("a{character}")),
            Some(PathFault::Forbidden { character })
        );
    }
    for text in [
        "CON",
        "nul",
        "NUL.txt",
        "a/Aux.tar.gz/b",
        "COM1 .txt",
        "com¹",
        "LPT³.x",
        "LPT0",
        "conin$",
        "clock$",
    ] {
        assert_eq!(fault(text), Some(PathFault::Device), "{text}");
    }
    for text in ["a.", "a /b", "COM1 ", "..."] {
        assert_eq!(fault(text), Some(PathFault::TrailingDotOrSpace), "{text}");
    }
}

#[test]
fn names_that_deceive_a_terminal_or_a_person_are_refused() {
    assert_eq!(fault("a\0b"), Some(PathFault::Nul));
    for character in ['\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{85}', '\u{2028}'] {
        assert_eq!(
            fault(&format!("a{character}b")),
            Some(PathFault::Control { character })
        );
    }
    for character in ['\u{202e}', '\u{2066}', '\u{200f}', '\u{61c}'] {
        assert_eq!(
            fault(&format!("gpj{character}.exe")),
            Some(PathFault::Bidi { character })
        );
    }
}

#[test]
fn each_length_is_allowed_up_to_its_limit_and_not_beyond() {
    let name = "x".repeat(SHARE_NAME_LEN_MAX);
    assert_eq!(fault(&name), None);
    assert_eq!(
        fault(&format!("{name}x")),
        Some(PathFault::NameTooLong {
            len: SHARE_NAME_LEN_MAX + 1
        })
    );
    let path = vec![name.as_str(); 16].join("/");
    assert_eq!((path.len(), fault(&path)), (SHARE_PATH_LEN_MAX - 1, None));
    assert_eq!(
        fault(&format!("{path}/x")),
        Some(PathFault::PathTooLong {
            len: SHARE_PATH_LEN_MAX + 1
        })
    );
    let deep = vec!["x"; SHARE_DEPTH_MAX].join("/");
    assert_eq!(fault(&deep), None);
    assert_eq!(
        fault(&format!("{deep}/x")),
        Some(PathFault::TooDeep {
            depth: SHARE_DEPTH_MAX + 1
        })
    );
}

#[test]
fn joining_keeps_to_the_limits() {
    let deep = SharePath::parse(&vec!["x"; SHARE_DEPTH_MAX].join("/")).unwrap();
    let error = deep.join(&deep.name()).unwrap_err();
    assert_eq!(
        error.fault,
        PathFault::TooDeep {
            depth: SHARE_DEPTH_MAX + 1
        }
    );
}

#[test]
fn a_single_name_has_no_separator() {
    assert_eq!(Name::new("a/b").unwrap_err().fault, PathFault::Separator);
}

#[test]
fn an_error_names_the_path_safe_to_print_and_what_to_do() {
    let error = SharePath::parse("a\u{1b}[2J\u{202e}").unwrap_err().to_string();
    let expected = "`a\\u{1b}[2J\\u{202e}` can't be the path of something shared: \
         it has the control character `\\u{1b}` in it\nhint: rename the file";
    assert_eq!(error, expected);
    let long = SharePath::parse(&"x".repeat(1 << 20)).unwrap_err().to_string();
    assert!(long.len() < 400, "{long}");
}

#[test]
fn deserialising_makes_the_same_checks() {
    let bytes = postcard::to_stdvec("../x").unwrap();
    assert!(postcard::from_bytes::<SharePath>(&bytes).is_err());
    assert!(postcard::from_bytes::<Name>(&bytes).is_err());
}

#[test]
fn a_folder_comes_right_before_what_is_in_it() {
    let mut paths = ["a b", "a/b", "a", "a.txt", "a/a/z"].map(|text| SharePath::parse(text).unwrap());
    paths.sort();
    assert_eq!(
        paths.map(|path| path.to_string()),
        ["a", "a/a/z", "a/b", "a b", "a.txt"]
    );
}

#[test]
fn lying_in_a_folder_goes_by_whole_names() {
    let path = |text| SharePath::parse(text).unwrap();
    assert!(path("a/b").starts_with(&path("a")));
    assert!(path("a").starts_with(&path("a")));
    assert!(!path("ab").starts_with(&path("a")));
    assert!(!path("a").starts_with(&path("a/b")));
}
