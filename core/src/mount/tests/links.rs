//! Which links can be read: those of the other side only where they stay in the share, own ones
//! wherever they lead.

use super::*;
use crate::catalog::{Catalog, CatalogError, Change, LinkTarget, LinkVersion, ReplicaId};
use crate::identity::Fingerprint;
use crate::limits::LINKS_FOLLOWED_MAX;

/// The other side: what it does reaches the share at once.
struct Other(Catalog);

impl Other {
    fn of(alone: &Alone) -> Other {
        let replica = ReplicaId {
            fingerprint: Fingerprint::from_bytes([9; 20]),
            incarnation: 1,
        };
        let mut other = Other(Catalog::new(replica));
        other.catch_up(alone);
        other
    }

    fn catch_up(&mut self, alone: &Alone) {
        let states = alone.peer.share().files().catalog.all_states();
        self.0.merge(states).unwrap();
    }

    fn does(&mut self, alone: &Alone, change: impl FnOnce(&mut Catalog) -> Result<Change, CatalogError>) {
        self.catch_up(alone);
        let _all_states_are_told = change(&mut self.0).unwrap();
        alone.peer.share().merge(self.0.all_states()).unwrap();
    }

    fn makes_link(&mut self, alone: &Alone, at: &str, target: &str) {
        self.does(alone, |catalog| {
            let target = LinkTarget::new(target).unwrap();
            let link = LinkVersion { target, mtime_ns: 0 };
            catalog.add_link(&path(at), link)
        });
    }

    fn makes_folder(&mut self, alone: &Alone, at: &str) {
        self.does(alone, |catalog| catalog.add_folder(&path(at)));
    }

    fn renames(&mut self, alone: &Alone, from: &str, to: &str) {
        self.does(alone, |catalog| catalog.rename(&path(from), &path(to)));
    }
}

fn path(text: &str) -> SharePath {
    SharePath::parse(text).unwrap()
}

impl Alone {
    /// Looks up a path name by name, as a kernel does.
    fn walk(&self, path: &str) -> Attributes {
        let mut found = self.fs.attributes(Inode::ROOT).unwrap();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            found = self.fs.lookup(found.inode, OsStr::new(name)).unwrap();
        }
        found
    }

    fn make_link(&self, folder: &str, name: &str, target: &str) {
        let folder = self.walk(folder).inode;
        let made = self.fs.make_link(folder, OsStr::new(name), target, OWNER);
        made.unwrap();
    }

    fn make_folder(&self, folder: &str, name: &str) {
        let folder = self.walk(folder).inode;
        let made = self.fs.make_folder(folder, OsStr::new(name), 0o755, OWNER);
        made.unwrap();
    }

    fn read_link(&self, path: &str) -> Option<String> {
        match self.fs.read_link(self.walk(path).inode) {
            Ok(target) => Some(target),
            Err(error) => {
                assert!(matches!(error, FsError::LeadsOut), "{error}");
                assert_eq!(error.errno(), rustix::io::Errno::LOOP.raw_os_error());
                None
            }
        }
    }
}

#[tokio::test]
async fn a_link_of_the_other_side_that_stays_in_the_share_is_read() {
    let alone = alone().await;
    let mut other = Other::of(&alone);
    other.makes_folder(&alone, "a");
    other.makes_folder(&alone, "a/b");
    for (index, target) in ["c", "../c", "../../d/./e", ".", "..", "missing/x"]
        .into_iter()
        .enumerate()
    {
        let link = format!("a/b/link-{index}");
        other.makes_link(&alone, &link, target);
        assert_eq!(alone.read_link(&link).as_deref(), Some(target));
    }
}

#[tokio::test]
async fn a_link_of_the_other_side_that_leads_out_can_not_be_read() {
    let alone = alone().await;
    let mut other = Other::of(&alone);
    other.makes_folder(&alone, "a");
    let outside = [
        "/etc/passwd",
        "/",
        "..",
        "../x",
        "../../x",
        "b/../../x",
        "./.././../x",
    ];
    for (index, target) in outside.into_iter().enumerate() {
        let (link, moved) = (format!("link-{index}"), format!("moved-{index}"));
        // From the top one level up is out already; from the folder it is two.
        let (folder, text) = match target {
            ".." | "../x" => ("", target.to_owned()),
            _ => ("a", target.to_owned()),
        };
        let at = format!("{folder}/{link}");
        other.makes_link(&alone, at.trim_start_matches('/'), &text);
        let folder = alone.walk(folder).inode;
        let seen = alone.fs.lookup(folder, OsStr::new(&link)).unwrap();
        assert_eq!((seen.kind, seen.len), (NodeKind::Link, text.len() as u64));
        assert_eq!(alone.fs.attributes(seen.inode).unwrap().kind, NodeKind::Link);
        assert_eq!(alone.read_link(&at), None, "{target}");
        let (from, to) = ((folder, OsStr::new(&link)), (folder, OsStr::new(&moved)));
        alone.fs.rename(from, to, Renaming::Replace).unwrap();
        alone.fs.remove(folder, OsStr::new(&moved)).unwrap();
    }
}

#[tokio::test]
async fn a_link_is_not_read_if_it_goes_up_from_a_name_that_may_be_a_link() {
    let alone = alone().await;
    let mut other = Other::of(&alone);
    other.makes_folder(&alone, "h");
    other.makes_link(&alone, "link", "h/../notes.txt");
    // `h` can be a link to the top by the time the kernel gets there.
    assert_eq!(alone.read_link("link"), None);
}

#[tokio::test]
async fn a_link_that_was_made_here_is_read_wherever_it_leads_and_not_by_the_other_side() {
    let alone = alone().await;
    alone.make_folder("", "a");
    for (index, target) in ["/etc/passwd", "../../x", "a/../../.."].into_iter().enumerate() {
        let name = format!("link-{index}");
        alone.make_link("a", &name, target);
        let at = format!("a/{name}");
        assert_eq!(alone.read_link(&at).as_deref(), Some(target));
        let second = alone.peer.file_system().unwrap();
        let inode = second
            .lookup(alone.walk("a").inode, OsStr::new(&name))
            .unwrap()
            .inode;
        assert_eq!(second.read_link(inode).unwrap(), target);
    }
    let elsewhere = self::alone().await;
    let states = alone.peer.share().files().catalog.all_states();
    elsewhere.peer.share().merge(states).unwrap();
    for index in 0..3 {
        assert_eq!(elsewhere.read_link(&format!("a/link-{index}")), None);
    }
}

#[tokio::test]
async fn an_own_link_stays_readable_where_this_side_moves_it() {
    let alone = alone().await;
    alone.make_folder("", "a");
    alone.make_link("a", "link", "/away");
    alone.rename("a", "b").unwrap();
    assert_eq!(alone.read_link("b/link").as_deref(), Some("/away"));
    alone.write("file", b"");
    let (from, to) = (
        (alone.walk("b").inode, OsStr::new("link")),
        (Inode::ROOT, OsStr::new("file")),
    );
    alone.fs.rename(from, to, Renaming::Exchange).unwrap();
    assert_eq!(alone.read_link("file").as_deref(), Some("/away"));
    alone.fs.remove(Inode::ROOT, OsStr::new("file")).unwrap();
    // It was no longer ours when it was removed.
    Other::of(&alone).makes_link(&alone, "file", "/away");
    assert_eq!(alone.read_link("file"), None);
}

#[tokio::test]
async fn an_own_link_that_the_other_side_changes_or_moves_is_no_longer_ours() {
    let alone = alone().await;
    alone.make_folder("", "folder");
    for (folder, name) in [("", "changed"), ("", "moved"), ("folder", "along")] {
        alone.make_link(folder, name, "/away");
    }
    let mut other = Other::of(&alone);
    other.does(&alone, |catalog| catalog.remove(&path("changed")));
    other.makes_link(&alone, "changed", "/home/me/.bashrc");
    other.renames(&alone, "moved", "notes.txt");
    other.renames(&alone, "folder", "papers");
    for link in ["changed", "notes.txt", "papers/along"] {
        assert_eq!(alone.read_link(link), None, "{link}");
    }
    // Not even back at its place: the other side might have moved another one there.
    other.renames(&alone, "notes.txt", "moved");
    assert_eq!(alone.read_link("moved"), None);
}

#[tokio::test]
async fn a_link_of_the_other_side_does_not_lead_out_through_another_link() {
    let alone = alone().await;
    alone.make_link("", "h", "/home/me");
    let mut other = Other::of(&alone);
    other.makes_folder(&alone, "sub");
    other.makes_folder(&alone, "sub/inner");
    other.makes_link(&alone, "n", "h/id");
    other.makes_link(&alone, "sub/n", "../h");
    other.makes_link(&alone, "g", "sub");
    other.makes_link(&alone, "through-g", "g/n/id");
    other.makes_link(&alone, "harmless", "g/inner/x");
    assert_eq!(alone.read_link("h").as_deref(), Some("/home/me"));
    for link in ["n", "sub/n", "through-g"] {
        assert_eq!(alone.read_link(link), None, "{link}");
    }
    assert_eq!(alone.read_link("g").as_deref(), Some("sub"));
    assert_eq!(alone.read_link("harmless").as_deref(), Some("g/inner/x"));
}

#[tokio::test]
async fn a_link_is_checked_up_to_the_number_of_links_that_the_kernel_follows() {
    let alone = alone().await;
    alone.make_link("", "out", "/away");
    let mut other = Other::of(&alone);
    let last = LINKS_FOLLOWED_MAX - 2;
    for index in 0..=last {
        let next = if index == last {
            "out".to_owned()
        } else {
            format!("link-{}", index + 1)
        };
        other.makes_link(&alone, &format!("link-{index}"), &next);
    }
    assert_eq!(alone.read_link("link-0"), None);
    other.makes_link(&alone, "one more", "link-0");
    assert_eq!(alone.read_link("one more").as_deref(), Some("link-0"));
}

#[tokio::test]
async fn links_in_a_circle_are_read_and_end_at_the_limit_of_the_kernel() {
    let alone = alone().await;
    let mut other = Other::of(&alone);
    other.makes_link(&alone, "a", "b");
    other.makes_link(&alone, "b", "a");
    assert_eq!(alone.read_link("a").as_deref(), Some("b"));
}

#[tokio::test]
async fn a_folder_moved_deeper_lets_no_link_lead_out_for_a_viewer_that_saw_it_before() {
    let alone = alone().await;
    let mut other = Other::of(&alone);
    for folder in ["a", "x", "x/y", "x/y/z"] {
        other.makes_folder(&alone, folder);
    }
    other.makes_link(&alone, "a/link", "../../secret");
    let (working_directory, link) = (alone.walk("a").inode, alone.walk("a/link").inode);
    assert_eq!(alone.read_link("a/link"), None);
    other.renames(&alone, "a", "x/y/z/a");
    // A kernel goes up from the folder to where it was when it was looked up.
    let seen = alone.fs.lookup(working_directory, OsStr::new("link")).unwrap();
    assert_eq!(seen.inode, link);
    assert!(matches!(alone.fs.read_link(link), Err(FsError::LeadsOut)));
    // A viewer that never saw it elsewhere can follow it.
    let fresh = alone.peer.file_system().unwrap();
    let walked = "x/y/z/a/link".split('/').fold(Inode::ROOT, |folder, name| {
        fresh.lookup(folder, OsStr::new(name)).unwrap().inode
    });
    assert_eq!(fresh.read_link(walked).unwrap(), "../../secret");
}

#[tokio::test]
async fn a_viewer_that_trusts_the_other_side_reads_every_link() {
    let alone = alone().await;
    Other::of(&alone).makes_link(&alone, "link", "/etc/passwd");
    for (links, can_be_read) in [
        (Links::Anywhere, true),
        (Links::Inside, false),
        (Links::Nowhere, false),
    ] {
        let fs = alone.peer.file_system().unwrap().with_links(links);
        let inode = fs.lookup(Inode::ROOT, OsStr::new("link")).unwrap().inode;
        assert_eq!(fs.read_link(inode).is_ok(), can_be_read, "{links:?}");
    }
}

#[tokio::test]
async fn an_own_link_leads_nowhere_else_when_the_other_side_swaps_the_folder_it_is_in() {
    let alone = alone().await;
    alone.make_folder("", "a");
    alone.make_folder("a", "b");
    alone.make_link("a/b", "link", "../../notes.txt");
    let mut other = Other::of(&alone);
    other.makes_folder(&alone, "top");
    let top = alone.walk("top").inode;
    assert!(alone.read_link("a/b/link").is_some());
    // In one step, so that the link and all folders on its path seem to be what they were.
    other.does(&alone, |catalog| {
        let renames = [("a/b", "a/old"), ("a/old/link", "top/link"), ("top", "a/b")];
        let done = renames.map(|(from, to)| catalog.rename(&path(from), &path(to)));
        let [.., last] = done;
        last
    });
    // A program in that folder is still at the top for its kernel: two folders up is outside.
    let link = alone.fs.lookup(top, OsStr::new("link")).unwrap().inode;
    assert!(matches!(alone.fs.read_link(link), Err(FsError::LeadsOut)));
}
