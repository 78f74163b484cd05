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
}

#[test]
fn every_other_name_that_posix_allows_is_a_name() {
    let texts = [
        r"a\..\b",
        r"C:\x",
        "file:ads",
        "a/b?*<>|\"",
        "CON",
        "a/nul.txt",
        "a.",
        "a /b ",
        "...",
        "a\nb",
        "\u{1b}[2J",
        "gpj\u{202e}.exe",
        "\u{85}",
        "\u{7f}",
    ];
    for text in texts {
        assert_eq!(SharePath::parse(text).unwrap().as_str(), text);
    }
    assert_eq!(fault("a\0b"), Some(PathFault::Nul));
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
fn an_error_shows_the_path_escaped_and_what_to_do() {
    let error = SharePath::parse("a\0\u{1b}[2J\u{202e}").unwrap_err().to_string();
    let expected = "`a\\0\\u{1b}[2J\\u{202e}` can't be the path of something shared: \
         it has a NUL character in it\nhint: rename the file";
    assert_eq!(error, expected);
    let long = SharePath::parse(&"x".repeat(1 << 20)).unwrap_err().to_string();
    assert!(long.len() < 400, "{long}");
}

#[test]
fn a_refused_path_is_shown_up_to_its_limit_and_cut_one_past_it() {
    let at_limit = format!("/{}", "x".repeat(SHOWN_PATH_LEN_MAX - 1));
    assert_eq!(SharePath::parse(&at_limit).unwrap_err().path, at_limit);
    assert_eq!(
        SharePath::parse(&format!("{at_limit}y")).unwrap_err().path,
        at_limit
    );
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
fn whether_a_path_is_in_a_folder_is_decided_by_whole_names() {
    let path = |text| SharePath::parse(text).unwrap();
    assert!(path("a/b").starts_with(&path("a")));
    assert!(path("a").starts_with(&path("a")));
    assert!(!path("ab").starts_with(&path("a")));
    assert!(!path("a").starts_with(&path("a/b")));
}
