//! Catalogs under random schedules of edits and exchanges, and under random states from a hostile
//! peer.
//!
//! Uses the public API only. Seeded, so that every run repeats the last one; `PROPTEST_RNG_SEED`
//! and `PROPTEST_CASES` widen the search.

#![expect(
    clippy::unwrap_used,
    reason = "the whole file is tests; clippy only excuses the functions marked as such"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;
use tandem_core::catalog::*;
use tandem_core::identity::Fingerprint;

const REPLICA_COUNT: usize = 3;

/// What one replica does at one moment. Any of it may fail; none of it may lose anything.
#[derive(Debug, Clone)]
enum Step {
    Add(usize, Target),
    AddFolder(usize, SharePath),
    Remove(usize, Target),
    AddLink(usize, Target),
    Rename(usize, Target, Target, OnExisting),
    Open(usize, usize),
    Edit(usize, usize, Rewrite),
    Send { from: usize, to: usize },
}

/// What a writer does with a file or link that it opened some time ago.
#[derive(Debug, Clone, Copy)]
enum Rewrite {
    Content,
    Target,
    /// Without having the bytes.
    Mode,
}

/// A random path, or the path of something that is shown at that moment, conflict copies included.
#[derive(Debug, Clone)]
enum Target {
    Path(SharePath),
    Shown(usize),
}

fn config(cases: u32) -> ProptestConfig {
    let defaults = ProptestConfig::default();
    let rng_seed = match std::env::var_os("PROPTEST_RNG_SEED") {
        Some(_) => defaults.rng_seed,
        None => RngSeed::Fixed(2026),
    };
    let cases = std::env::var_os("PROPTEST_CASES").map_or(cases, |_| defaults.cases);
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        ..defaults
    }
}

fn some_path() -> impl Strategy<Value = SharePath> {
    vec(select(vec!["a", "b", "c.txt"]), 1..=3).prop_map(|names| SharePath::parse(&names.join("/")).unwrap())
}

fn some_target() -> impl Strategy<Value = Target> {
    prop_oneof![
        some_path().prop_map(Target::Path),
        (0_usize..100).prop_map(Target::Shown)
    ]
}

fn some_step() -> impl Strategy<Value = Step> {
    let replica = || 0..REPLICA_COUNT;
    prop_oneof![
        4 => (replica(), some_target()).prop_map(|(replica, target)| Step::Add(replica, target)),
        1 => (replica(), some_path()).prop_map(|(replica, path)| Step::AddFolder(replica, path)),
        2 => (replica(), some_target()).prop_map(|(replica, target)| Step::Remove(replica, target)),
        2 => (replica(), some_target()).prop_map(|(replica, target)| Step::AddLink(replica, target)),
        6 => (replica(), some_target(), some_target(), some_way())
            .prop_map(|(replica, from, to, way)| Step::Rename(replica, from, to, way)),
        3 => (replica(), 0_usize..100).prop_map(|(replica, index)| Step::Open(replica, index)),
        3 => (replica(), 0_usize..100, select(vec![Rewrite::Content, Rewrite::Target, Rewrite::Mode]))
            .prop_map(|(replica, index, rewrite)| Step::Edit(replica, index, rewrite)),
        3 => (replica(), replica()).prop_map(|(from, to)| Step::Send { from, to }),
    ]
}

fn some_way() -> impl Strategy<Value = OnExisting> {
    select(vec![
        OnExisting::Refuse,
        OnExisting::Replace,
        OnExisting::Exchange,
    ])
}

fn some_history() -> impl Strategy<Value = Vec<Step>> {
    vec(some_step(), 0..48)
}

/// Replicas with a history, and the contents that no peer which knew them has given up.
struct Replicas {
    catalogs: Vec<Catalog>,
    /// What each replica has opened, as it was shown then.
    opened: [Vec<Shown>; REPLICA_COUNT],
    kept: BTreeSet<u64>,
    added: u64,
}

impl Replicas {
    fn new() -> Self {
        let catalog = |peer| {
            Catalog::new(ReplicaId {
                fingerprint: Fingerprint::from_bytes([peer; 20]),
                incarnation: 1,
            })
        };
        Self {
            catalogs: (1..).take(REPLICA_COUNT).map(catalog).collect(),
            opened: Default::default(),
            kept: BTreeSet::new(),
            added: 0,
        }
    }

    fn after(history: Vec<Step>) -> Self {
        let mut replicas = Self::new();
        history.into_iter().for_each(|step| replicas.run(step));
        replicas
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Add(replica, target) => {
                self.added += 1;
                let file = file(self.added);
                self.edit(replica, &target, Some(self.added), |catalog, path| {
                    catalog.add_file(path, file)
                });
            }
            Step::AddFolder(replica, path) => drop(self.catalogs[replica].add_folder(&path)),
            Step::Remove(replica, target) => self.edit(replica, &target, None, Catalog::remove),
            Step::AddLink(replica, target) => {
                self.added += 1;
                let link = link(self.added);
                self.edit(replica, &target, Some(self.added), |catalog, path| {
                    catalog.add_link(path, link)
                });
            }
            Step::Rename(replica, from, to, way) => self.rename(replica, (&from, &to), way),
            Step::Open(replica, index) => {
                let mut leaves = self.catalogs[replica].list();
                leaves.retain(|shown| shown.kind != Kind::Folder);
                let count = leaves.len().max(1);
                self.opened[replica].extend(leaves.into_iter().nth(index % count));
            }
            Step::Edit(replica, index, rewrite) => self.rewrite(replica, index, rewrite),
            Step::Send { from, to } => self.send(from, to),
        }
    }

    /// Runs an edit that may give up what is shown at its path, and nothing else.
    fn edit(
        &mut self,
        replica: usize,
        target: &Target,
        added: Option<u64>,
        run: impl FnOnce(&mut Catalog, &SharePath) -> Result<Change, CatalogError>,
    ) {
        let catalog = &mut self.catalogs[replica];
        let Some(path) = target.of(catalog) else { return };
        let before = catalog.list();
        let mut expected: BTreeSet<_> = contents(before.iter()).collect();
        if run(catalog, &path).is_ok() {
            expected = contents(before.iter().filter(|shown| !shown.path.starts_with(&path))).collect();
            expected.extend(added);
            give_up(&mut self.kept, &before, &expected);
            self.kept.extend(added);
        }
        assert_eq!(contents(catalog.list().iter()).collect::<BTreeSet<_>>(), expected);
    }

    fn rename(&mut self, replica: usize, (from, to): (&Target, &Target), way: OnExisting) {
        let catalog = &mut self.catalogs[replica];
        let (Some(from), Some(to)) = (from.of(catalog), to.of(catalog)) else {
            return;
        };
        let before = catalog.list();
        let [source, target] = [&from, &to].map(|path| catalog.lookup(path));
        let mut expected: BTreeSet<_> = contents(before.iter()).collect();
        if catalog.rename_with(&from, &to, way).is_ok() {
            let kind = |shown: &Option<Shown>| shown.as_ref().map(|shown| shown.kind.clone());
            assert_eq!(kind(&catalog.lookup(&to)), kind(&source));
            if way == OnExisting::Replace && from != to {
                expected = contents(before.iter().filter(|shown| shown.path != to)).collect();
            } else if way == OnExisting::Exchange {
                assert_eq!(kind(&catalog.lookup(&from)), kind(&target));
            }
            give_up(&mut self.kept, &before, &expected);
        }
        assert_eq!(contents(catalog.list().iter()).collect::<BTreeSet<_>>(), expected);
    }

    /// Edits what was opened. This gives up the version that was opened, if it still exists, and
    /// nothing else.
    fn rewrite(&mut self, replica: usize, index: usize, rewrite: Rewrite) {
        let count = self.opened[replica].len().max(1);
        let Some(opened) = self.opened[replica].get(index % count) else {
            return;
        };
        let catalog = &mut self.catalogs[replica];
        let before = catalog.list();
        let mut expected: BTreeSet<_> = contents(before.iter()).collect();
        let base = catalog.locate(EntryKey {
            id: opened.id,
            copy: Some(opened.dot),
        });
        let (kind, holding) = match (rewrite, &opened.kind) {
            (Rewrite::Mode, Kind::File(file)) => {
                (Kind::File(FileVersion { mode: 0o600, ..*file }), Holding::NotHeld)
            }
            (Rewrite::Target, _) => (Kind::Link(link(self.added + 1)), Holding::Held),
            _ => (Kind::File(file(self.added + 1)), Holding::Held),
        };
        let edited = catalog.edit(opened.key(), opened.dot, kind.clone(), holding);
        if holding == Holding::NotHeld {
            assert!(edited.is_ok() || base.is_none());
        } else {
            self.added += 1;
            let shown = edited.unwrap().shown;
            assert_eq!(shown.kind, kind);
            assert_eq!(catalog.locate(shown.key()).as_ref(), Some(&shown));
            expected = contents(
                before
                    .iter()
                    .filter(|shown| Some(&shown.path) != base.as_ref().map(|base| &base.path)),
            )
            .collect();
            expected.insert(self.added);
            give_up(&mut self.kept, &before, &expected);
            self.kept.insert(self.added);
        }
        assert_eq!(contents(catalog.list().iter()).collect::<BTreeSet<_>>(), expected);
    }

    fn send(&mut self, from: usize, to: usize) {
        let digest = self.catalogs[to].digest();
        let states = self.catalogs[from].states(&self.catalogs[from].differing(&digest));
        let paths = paths_of(&self.catalogs[to]);
        let events = self.catalogs[to].merge(states).unwrap();
        assert_eq!(
            replayed(paths, &events),
            paths_of(&self.catalogs[to]),
            "{events:?}"
        );
    }

    fn settle(&mut self) {
        for _ in 0..2 {
            for from in 0..REPLICA_COUNT {
                (0..REPLICA_COUNT).for_each(|to| self.send(from, to));
            }
        }
    }
}

impl Target {
    fn of(&self, catalog: &Catalog) -> Option<SharePath> {
        match self {
            Self::Path(path) => Some(path.clone()),
            Self::Shown(index) => {
                let shown = catalog.list();
                shown
                    .get(index % shown.len().max(1))
                    .map(|shown| shown.path.clone())
            }
        }
    }
}

fn file(number: u64) -> FileVersion {
    let content = ContentId {
        hash: [0; 32],
        len: number,
    };
    FileVersion {
        content,
        mtime_ns: 0,
        mode: 0o644,
    }
}

fn link(number: u64) -> LinkVersion {
    LinkVersion {
        target: LinkTarget::new(&number.to_string()).unwrap(),
        mtime_ns: 0,
    }
}

/// The content numbers of files and links.
fn contents<'a>(shown: impl Iterator<Item = &'a Shown>) -> impl Iterator<Item = u64> {
    shown.filter_map(|shown| match &shown.kind {
        Kind::Folder => None,
        Kind::File(file) => Some(file.content.len),
        Kind::Link(link) => link.target.as_str().parse().ok(),
    })
}

/// Notes that the replica that had `before` wants to keep of it only what is in `left`.
fn give_up(kept: &mut BTreeSet<u64>, before: &[Shown], left: &BTreeSet<u64>) {
    let gone = contents(before.iter()).filter(|content| !left.contains(content));
    let gone: BTreeSet<_> = gone.collect();
    kept.retain(|content| !gone.contains(content));
}

fn paths_of(catalog: &Catalog) -> BTreeSet<String> {
    catalog
        .list()
        .into_iter()
        .map(|shown| shown.path.as_str().to_owned())
        .collect()
}

/// The paths that a reader of the events alone would know.
fn replayed(mut paths: BTreeSet<String>, events: &[CatalogEvent]) -> BTreeSet<String> {
    let moves: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            CatalogEvent::Renamed { from, to } => Some((from.as_str().to_owned(), to.as_str().to_owned())),
            _ => None,
        })
        .collect();
    for event in events {
        if let CatalogEvent::Removed { path } = event {
            assert!(paths.remove(path.as_str()), "{path} was not there");
        }
    }
    paths = paths.into_iter().map(|path| after_moves(&path, &moves)).collect();
    for event in events {
        match event {
            CatalogEvent::Added { path } | CatalogEvent::Conflict { copy: path, .. } => {
                paths.insert(path.as_str().to_owned());
            }
            _ => {}
        }
    }
    paths
}

/// All moves happen at once: the one of the innermost folder counts.
fn after_moves(path: &str, moves: &[(String, String)]) -> String {
    let inside = |from: &str| {
        path.strip_prefix(from)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let innermost = moves
        .iter()
        .filter(|(from, _)| inside(from).is_some())
        .max_by_key(|(from, _)| from.len());
    innermost.map_or(path.to_owned(), |(from, to)| {
        format!("{to}{}", inside(from).unwrap_or_default())
    })
}

fn joined(catalog: &Catalog, other: &Catalog) -> Catalog {
    let mut joined = catalog.clone();
    joined.merge(other.all_states()).unwrap();
    joined
}

fn sorted(catalog: &Catalog) -> BTreeMap<EntryId, EntryState> {
    catalog.all_states().into_iter().collect()
}

fn some_dot() -> impl Strategy<Value = Dot> {
    let counter = prop_oneof![40 => 1_u64..5, 1 => Just(0), 1 => Just(u64::MAX)];
    (counter, 1_u8..4).prop_map(|(counter, peer)| {
        let fingerprint = Fingerprint::from_bytes([peer; 20]);
        Dot {
            counter,
            replica: ReplicaId {
                fingerprint,
                incarnation: 1,
            },
        }
    })
}

fn some_version() -> impl Strategy<Value = Version> {
    let kind = prop_oneof![
        Just(Kind::Folder),
        (1_u64..4).prop_map(|number| Kind::File(file(number))),
        (1_u64..4).prop_map(|number| Kind::Link(link(number)))
    ];
    (kind, btree_set(1_u8..4, 0..3)).prop_map(|(kind, holders)| {
        let holders = holders
            .into_iter()
            .map(|peer| Fingerprint::from_bytes([peer; 20]))
            .collect();
        Version { kind, holders }
    })
}

fn some_id() -> impl Strategy<Value = EntryId> {
    (0_u8..6).prop_map(|first| {
        EntryId::from_bytes(std::array::from_fn(|index| if index == 0 { first } else { 0 }))
    })
}

/// What a hostile peer may send: well-formed, but not necessarily true, or even possible.
fn some_state() -> impl Strategy<Value = EntryState> {
    let place = (some_dot(), some_id(), select(vec!["a", "b", "c.txt"]));
    let place = place.prop_map(|(stamp, parent, name)| Place {
        stamp,
        parent,
        name: Name::new(name).unwrap(),
    });
    (
        place,
        btree_map(some_dot(), some_version(), 0..4),
        vec(some_dot(), 0..4),
    )
        .prop_map(|(place, versions, dots)| {
            let mut seen = Seen::default();
            dots.into_iter().for_each(|dot| seen.note(dot));
            EntryState {
                place,
                versions,
                seen,
            }
        })
}

/// A state that keeps the one rule that merging relies on: it has seen what it holds.
fn some_honest_state() -> impl Strategy<Value = EntryState> {
    some_state().prop_map(|mut state| {
        state.versions.keys().for_each(|dot| state.seen.note(*dot));
        state.seen.note(state.place.stamp);
        state
    })
}

fn join(mut state: EntryState, other: &EntryState) -> EntryState {
    state.join(other.clone());
    state
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn any_schedule_converges_and_keeps_what_no_peer_gave_up(history in some_history()) {
        let mut replicas = Replicas::after(history);
        replicas.settle();
        let [first, others @ ..] = replicas.catalogs.as_slice() else { unreachable!() };
        let shown: BTreeSet<_> = contents(first.list().iter()).collect();
        prop_assert!(shown.is_superset(&replicas.kept), "{shown:?} lacks some of {:?}", replicas.kept);
        for other in others {
            prop_assert_eq!(first.digest(), other.digest());
            prop_assert_eq!(first.list(), other.list());
        }
    }

    #[test]
    fn catalogs_merge_in_any_order_and_any_number_of_times(history in some_history()) {
        let replicas = Replicas::after(history);
        let [a, b, c] = replicas.catalogs.as_slice() else { unreachable!() };
        let ab_c = joined(&joined(a, b), c);
        let bc_a = joined(&joined(b, c), a);
        prop_assert_eq!(sorted(&ab_c), sorted(&bc_a));
        prop_assert_eq!(ab_c.list(), bc_a.list());
        prop_assert_eq!(joined(&ab_c, b).digest(), ab_c.digest());
        prop_assert_eq!(joined(a, b).digest(), joined(b, a).digest());
    }

    #[test]
    fn an_updated_index_equals_one_built_anew(history in some_history()) {
        for catalog in Replicas::after(history).catalogs {
            let anew = joined(&Catalog::new(catalog.replica()), &catalog);
            prop_assert_eq!(anew.list(), catalog.list());
            for shown in catalog.list() {
                prop_assert_eq!(catalog.locate(shown.key()), Some(shown.clone()));
                prop_assert_eq!(catalog.lookup(&shown.path), Some(shown));
            }
        }
    }

    #[test]
    fn digests_are_equal_exactly_where_states_are(history in some_history()) {
        let replicas = Replicas::after(history);
        let [a, b, _] = replicas.catalogs.as_slice() else { unreachable!() };
        prop_assert_eq!(a.digest() == b.digest(), sorted(a) == sorted(b));
        prop_assert_eq!(a.differing(&b.digest()).is_empty() && b.differing(&a.digest()).is_empty(), sorted(a) == sorted(b));
    }

    #[test]
    fn states_of_one_entry_merge_in_any_order(
        a in some_honest_state(), b in some_honest_state(), c in some_honest_state()
    ) {
        prop_assert_eq!(join(a.clone(), &b), join(b.clone(), &a));
        prop_assert_eq!(join(join(a.clone(), &b), &c), join(a.clone(), &join(b.clone(), &c)));
        prop_assert_eq!(join(a.clone(), &a), a);
    }

    #[test]
    fn hostile_states_are_merged_or_refused_whole_and_never_panic(
        batches in vec(vec((some_id(), prop_oneof![1 => some_state(), 9 => some_honest_state()]), 1..6), 1..6)
    ) {
        let mut catalog = Replicas::new().catalogs.remove(0);
        for batch in batches {
            let (digest, paths) = (catalog.digest(), paths_of(&catalog));
            match catalog.merge(batch) {
                Ok(events) => prop_assert_eq!(replayed(paths, &events), paths_of(&catalog)),
                Err(_) => prop_assert_eq!(digest, catalog.digest()),
            }
            prop_assert_eq!(joined(&Replicas::new().catalogs.remove(0), &catalog).list(), catalog.list());
        }
        for shown in catalog.list() {
            prop_assert_eq!(catalog.lookup(&shown.path), Some(shown.clone()));
            prop_assert_eq!(catalog.locate(shown.key()), Some(shown.clone()));
            drop(catalog.clone().edit(shown.key(), shown.dot, Kind::Link(link(9)), Holding::Held));
            drop(catalog.clone().remove(&shown.path).unwrap());
            drop(catalog.clone().rename(&shown.path, &SharePath::parse("elsewhere/deep").unwrap()).unwrap());
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>) {
        drop(postcard::from_bytes::<Vec<(EntryId, EntryState)>>(&bytes));
        prop_assert!(postcard::from_bytes::<Digest>(&bytes).is_err());
    }

    #[test]
    fn a_spoilt_state_is_read_or_refused_without_a_panic(state in some_state(), at: prop::sample::Index, byte: u8) {
        let mut bytes = postcard::to_stdvec(&state).unwrap();
        prop_assert_eq!(postcard::from_bytes::<EntryState>(&bytes).unwrap(), state);
        *at.get_mut(&mut bytes) = byte;
        drop(postcard::from_bytes::<EntryState>(&bytes));
    }

    #[test]
    fn any_text_is_refused_or_a_path_that_reads_back(text: String) {
        if let Ok(path) = SharePath::parse(&text) {
            prop_assert_eq!(path.as_str(), &text);
            prop_assert_eq!(postcard::from_bytes::<SharePath>(&postcard::to_stdvec(&path).unwrap()), Ok(path));
        }
    }

    #[test]
    fn a_path_reads_back_from_its_parts(path in some_path()) {
        let name = path.name();
        let again = path.parent().map_or_else(|| SharePath::parse(name.as_str()), |parent| parent.join(&name));
        prop_assert_eq!(again, Ok(path.clone()));
        prop_assert_eq!(path.names().collect::<Vec<_>>().join("/"), path.as_str());
    }
}
