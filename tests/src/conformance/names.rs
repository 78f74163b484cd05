//! Valid names: all of UTF-8 but `/` and NUL, up to 255 bytes, compared byte by byte.

#![expect(missing_docs, reason = "the name of a fact says it")]

use super::{Directory, Errno, Open, Rename, Verbs};

/// Bytes of the longest name.
const NAME_LEN_MAX: usize = 255;

/// Makes, reads, lists and removes a file and a folder of this name.
fn works(dir: &impl Directory, name: &str) {
    dir.write(name, name.as_bytes());
    assert_eq!(dir.read(name), name.as_bytes(), "{name:?}");
    assert_eq!(dir.names(""), [name], "{name:?}");
    dir.unlink(name).unwrap();
    assert_eq!(dir.stat(name), Err(Errno::NOENT), "{name:?}");
    dir.folder(name);
    dir.write(&format!("{name}/{name}"), b"inside");
    assert_eq!(dir.names(name), [name], "{name:?}");
    dir.unlink(&format!("{name}/{name}")).unwrap();
    dir.remove_folder(name).unwrap();
}

/// Makes both files, and checks that each has its own content.
fn are_two(dir: &impl Directory, one: &str, other: &str) {
    dir.write(one, b"one");
    assert_eq!(dir.stat(other), Err(Errno::NOENT));
    dir.write(other, b"other");
    assert_eq!(
        (dir.read(one), dir.read(other)),
        (b"one".to_vec(), b"other".to_vec())
    );
    let mut names = [one.to_owned(), other.to_owned()];
    names.sort();
    assert_eq!(dir.names(""), names);
}

pub fn a_name_of_255_bytes_works(dir: &impl Directory) {
    works(dir, &"n".repeat(NAME_LEN_MAX));
}

pub fn a_name_of_255_bytes_in_multi_byte_letters_works(dir: &impl Directory) {
    works(dir, &"日".repeat(NAME_LEN_MAX / 3));
}

pub fn a_name_of_256_bytes_is_refused_by_every_operation_that_creates_it(dir: &impl Directory) {
    let name = "n".repeat(NAME_LEN_MAX + 1);
    dir.write("source", b"");
    let outcomes = [
        dir.open(&name, Open::create()).map(drop),
        dir.make_folder(&name, 0o755),
        dir.make_link("target", &name),
        dir.rename("source", &name, Rename::Plain),
    ];
    assert_eq!(outcomes, [Err(Errno::NAMETOOLONG); 4]);
    assert_eq!(dir.names(""), ["source"]);
}

pub fn a_name_of_256_bytes_is_not_looked_up(dir: &impl Directory) {
    let name = "n".repeat(NAME_LEN_MAX + 1);
    assert_eq!(dir.stat(&name), Err(Errno::NAMETOOLONG));
}

pub fn a_backslash_is_an_ordinary_character(dir: &impl Directory) {
    works(dir, r"a\b\..\c");
}

pub fn control_characters_work(dir: &impl Directory) {
    works(dir, "new\nline\ttab\u{1b}[31m\u{7f}");
}

pub fn names_of_windows_devices_work(dir: &impl Directory) {
    for name in ["CON", "nul", "com1.txt", "LPT9"] {
        works(dir, name);
    }
}

pub fn dots_and_spaces_at_the_ends_stay(dir: &impl Directory) {
    for name in ["trailing.", "trailing ", " leading", "...", ".hidden"] {
        works(dir, name);
    }
}

pub fn characters_that_windows_forbids_work(dir: &impl Directory) {
    works(dir, "a<b>c:d\"e|f?g*h");
}

pub fn letters_of_all_unicode_planes_work(dir: &impl Directory) {
    for name in ["Grüße 日本", "👩‍👩‍👧‍👦", "\u{202e}txt.exe", "\u{fffd}\u{feff}"] {
        works(dir, name);
    }
}

pub fn composed_and_decomposed_letters_are_two_names(dir: &impl Directory) {
    are_two(dir, "caf\u{e9}", "cafe\u{301}");
}

pub fn upper_and_lower_case_are_two_names(dir: &impl Directory) {
    are_two(dir, "Readme", "README");
}

pub fn a_name_and_its_beginning_are_two_names(dir: &impl Directory) {
    are_two(dir, "name", "name ");
}
