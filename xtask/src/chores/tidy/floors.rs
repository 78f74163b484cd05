//! The rooms of a crate are on floors, and a room may import only rooms below its own floor.
//!
//! A room is a top-level module with everything in it. Two rooms on one floor may not import each
//! other. Tests may import anything. Paths are read as text (`crate::room`), not resolved.

use std::path::{Path, PathBuf};

use super::code;

/// The rooms of one crate.
#[derive(Debug)]
pub(super) struct House {
    /// The directory of its sources, below the root of the workspace.
    pub(super) sources: &'static str,
    /// Lowest floor first. A name with `|` is one room of several modules, which may import each
    /// other.
    pub(super) floors: &'static [&'static [&'static str]],
    /// The modules above all floors: they may import every room, and no room imports them.
    pub(super) roof: &'static [&'static str],
}

/// The crates whose floors are checked.
pub(super) const HOUSES: [House; 4] = [
    House {
        sources: "xtask/universe/src",
        floors: &[
            &["base"],
            &["report"],
            &["sandbox"],
            &["workspace"],
            &["machine", "select"],
            &["runner"],
        ],
        roof: &["lib", "main", "command"],
    },
    House {
        sources: "xtask/src",
        floors: &[&["chores"]],
        roof: &["main"],
    },
    House {
        sources: "core/src",
        floors: &[
            &[
                "limits|clock|aligned|crockford|hex|ownership|printable|recorded_log|runtime|unix_time|unsaved",
            ],
            &["identity"],
            &["rendezvous"],
            &["catalog", "health|reconnect"],
            &["session"],
            &["store", "pairing"],
            &["transfer", "journal"],
            &["share"],
            &["mount"],
            &["peer"],
        ],
        roof: &["lib"],
    },
    House {
        sources: "core/tandem/src",
        floors: &[
            &["limits", "event", "exit"],
            &["screen"],
            &["brought", "place", "card", "control", "target"],
            &["shares"],
            &["home", "report", "relay_here", "signals"],
            &["pair", "follow", "watch"],
            &["running"],
            &["fetch"],
            &["edit", "listing"],
            &["attend"],
            &["share", "join", "up"],
            &["commands"],
        ],
        roof: &["main"],
    },
];

/// A forbidden import: its line, and the reason.
pub(super) type Breach = (usize, String);

/// The violations of the floors in a file, whose path is relative to the root of the workspace.
pub(super) fn breaches(file: &Path, text: &str) -> Vec<Breach> {
    let Some((house, module)) = HOUSES.iter().find_map(|house| Some((house, house.module(file)?))) else {
        return Vec::new();
    };
    let Some(own) = house.room(&module) else {
        let message = format!(
            "`{module}` is in no room: add it to a floor of `{}` in `tidy/floors.rs`",
            house.sources
        );
        return vec![(1, message)];
    };
    let code = code::program(file, text).into_iter();
    code.flat_map(|(number, line)| {
        let wrong = imported(line)
            .filter_map(|name| house.refusal(own, name))
            .collect::<Vec<_>>();
        wrong.into_iter().map(move |message| (number, message))
    })
    .collect()
}

/// The position of a module: its floor from below, and its index there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    On(usize, usize),
    Roof,
}

impl House {
    /// The top-level module that a file belongs to.
    fn module(&self, file: &Path) -> Option<String> {
        let inner = file.strip_prefix(self.sources).ok()?;
        let first = PathBuf::from(inner.iter().next()?);
        Some(first.file_stem()?.to_str()?.to_owned())
    }

    fn room(&self, module: &str) -> Option<Room> {
        if self.roof.contains(&module) {
            return Some(Room::Roof);
        }
        let rooms = (0..).zip(self.floors).flat_map(|(floor, rooms)| {
            (0..)
                .zip(*rooms)
                .map(move |(place, room)| (Room::On(floor, place), *room))
        });
        let mut rooms = rooms.filter(|(_, room)| room.split('|').any(|name| name == module));
        rooms.next().map(|(room, _)| room)
    }

    /// Why a room must not import the module `name`; `None` if it may, or if it is not a top-level
    /// module of the crate.
    fn refusal(&self, own: Room, name: &str) -> Option<String> {
        let other = self.room(name)?;
        let is_fine = match (own, other) {
            (Room::Roof, _) => true,
            (Room::On(..), Room::Roof) => false,
            (Room::On(mine, _), Room::On(theirs, _)) => own == other || theirs < mine,
        };
        let floors = self.sources;
        (!is_fine).then(|| {
            format!(
                "`crate::{name}` is not below this room; the floors of `{floors}` are in `tidy/floors.rs`"
            )
        })
    }
}

/// The top-level modules that a line of code names.
fn imported(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        end.map_or(rest, |end| rest.get(..end).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> Vec<Breach> {
        breaches(Path::new(file), text)
    }

    #[test]
    fn an_import_from_below_or_from_the_same_room_is_allowed() {
        let text = "use crate::base::clock;\nuse crate::runner::console;\nuse crate::select::plan;\n";
        assert_eq!(found("xtask/universe/src/runner/test.rs", text), []);
        assert_eq!(found("xtask/universe/src/command.rs", text), []);
        assert_eq!(found("core/src/peer/pull.rs", "use crate::mount::Mount;\n"), []);
        assert_eq!(found("tests/src/lib.rs", "use crate::universe;\n"), []);
    }

    #[test]
    fn an_import_from_above_is_found_with_its_line_and_the_rule() {
        let text = "//! Head.\nfn f() { crate::runner::test::run() }\n";
        let breaches = found("xtask/universe/src/sandbox/linux/wire.rs", text);
        let [(2, message)] = breaches.as_slice() else {
            panic!("{breaches:?}")
        };
        assert!(
            message.contains("`crate::runner` is not below") && message.contains("tidy/floors.rs"),
            "{message}"
        );
        assert_eq!(found("core/src/store.rs", "use crate::peer::Peer;\n").len(), 1);
    }

    #[test]
    fn a_share_knows_neither_mounts_nor_peers_and_a_mount_no_peer() {
        for (file, import) in [
            ("core/src/share/files.rs", "use crate::peer::Peer;\n"),
            ("core/src/share/observer.rs", "use crate::mount::Mount;\n"),
            ("core/src/mount/share_view.rs", "use crate::peer::Peer;\n"),
        ] {
            assert_eq!(found(file, import).len(), 1, "{file}");
        }
        assert_eq!(
            found("core/src/mount/share_view.rs", "use crate::share::Share;\n"),
            []
        );
    }

    #[test]
    fn rooms_on_one_floor_may_not_import_each_other() {
        let text = "use crate::select::plan;\n";
        assert_eq!(found("xtask/universe/src/machine/capability.rs", text).len(), 1);
    }

    #[test]
    fn no_room_may_import_the_roof() {
        let text = "use crate::command::Command;\n";
        assert_eq!(found("xtask/universe/src/runner/completions.rs", text).len(), 1);
    }

    #[test]
    fn a_module_without_a_room_is_found() {
        let breaches = found("core/src/attic/chest.rs", "//! Head.\n");
        assert!(
            breaches.len() == 1 && breaches[0].1.contains("`attic` is in no room"),
            "{breaches:?}"
        );
    }

    #[test]
    fn comments_and_tests_may_name_any_module() {
        let text = "// see crate::runner::test\n#[cfg(test)]\nmod tests {\n    use crate::runner::test;\n}\n";
        assert_eq!(found("xtask/universe/src/base/clock.rs", text), []);
        assert_eq!(
            found(
                "xtask/universe/src/report/junit/tests.rs",
                "use crate::runner::test;\n"
            ),
            []
        );
    }
}
