//! Lines that fit the columns of a terminal. A line that is too long loses its middle, because a
//! test is known by the beginning and the end of its name.

/// Replaces the middle of a text.
const MARK: &str = "…";

/// The columns that this text takes at most: a character beyond ASCII may take two.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

fn width(scalar: char) -> usize {
    if scalar.is_ascii() { 1 } else { 2 }
}

/// The text in at most `room` columns. `own_len` bytes at its end stay whole if there is room for
/// them; otherwise about as much is left of both ends.
pub(super) fn cut(text: &str, own_len: usize, room: usize) -> String {
    let text = text.replace('\t', " ");
    if columns(&text) <= room {
        return text;
    }
    let Some(room) = room.checked_sub(columns(MARK)) else {
        return String::new();
    };
    let own = text.get(text.len().saturating_sub(own_len)..).map_or(0, columns);
    let end_room = if own > room { room / 2 } else { own.max(room / 2) };
    let end = last(&text, end_room);
    let beginning = first(&text, room - columns(end));
    format!("{beginning}{MARK}{end}")
}

/// The text in at most `room` columns, without its end.
pub(super) fn cut_end(text: &str, room: usize) -> String {
    let text = text.replace('\t', " ");
    match room.checked_sub(columns(MARK)) {
        _ if columns(&text) <= room => text,
        Some(room) => format!("{}{MARK}", first(&text, room)),
        None => String::new(),
    }
}

/// `suite module::function` in at most `room` columns. The function's own name stays whole if there
/// is room for it.
pub(super) fn cut_name(suite: &str, name: &str, room: usize) -> String {
    cut(&format!("{suite} {name}"), own_name(name).len(), room)
}

/// `function` of `module::function`.
fn own_name(name: &str) -> &str {
    name.rsplit_once("::").map_or(name, |(_, own)| own)
}

/// The longest beginning that takes at most `room` columns.
fn first(text: &str, room: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, scalar)| {
        taken += width(*scalar);
        taken > room
    });
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// The longest end that takes at most `room` columns.
fn last(text: &str, room: usize) -> &str {
    let mut taken = 0;
    let before = text.char_indices().rev().find(|(_, scalar)| {
        taken += width(*scalar);
        taken > room
    });
    let start = before.map(|(at, scalar)| at + scalar.len_utf8());
    start.and_then(|start| text.get(start..)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fits_is_unchanged_and_a_longer_one_loses_its_middle() {
        assert_eq!(cut_name("p::suite", "m::f", 13), "p::suite m::f");
        assert_eq!(
            cut_name("package::suite", "module::ending", 20),
            "package::…e::ending"
        );
    }

    #[test]
    fn a_functions_own_name_stays_whole_while_there_is_room_for_it() {
        let (suite, module, own) = ("package::suite", "outer::inner", "a_name_of_its_own");
        let name = format!("{module}::{own}");
        let whole = columns(suite) + 1 + columns(&name);
        for room in 0..=whole {
            let shown = cut_name(suite, &name, room);
            assert!(columns(&shown) <= room, "{shown} in {room}");
            let has_room = room >= own.len() + columns(MARK);
            assert_eq!(shown.ends_with(own), has_room, "{shown} in {room}");
        }
    }

    #[test]
    fn a_character_beyond_ascii_counts_as_two_columns_and_a_tab_as_one() {
        let name = "日本語のテスト";
        for room in 0..20 {
            let shown = [cut(name, 0, room), cut_end(name, room)];
            assert!(shown.iter().all(|shown| columns(shown) <= room), "{shown:?}");
        }
        assert_eq!(cut(name, 0, 10), "日本…スト");
        assert_eq!(cut_end("a\tb", 3), "a b");
        assert_eq!(cut_end("abcdef", 5), "abc…");
    }
}
