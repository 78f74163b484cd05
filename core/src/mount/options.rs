//! How a share is mounted.

/// How a share is mounted. The default: for its owner, who may write, as fast as the kernel allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MountOptions {
    pub(super) writing: Writing,
    pub(super) access: Access,
    pub(super) passthrough: Passthrough,
    pub(super) links: Links,
}

/// Whether anything can be changed through a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Writing {
    #[default]
    Allowed,
    Refused,
}

/// Which users may look into a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Access {
    #[default]
    Owner,
    Everybody,
}

/// Whether the kernel may read and write whole files by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Passthrough {
    /// Where it can: Linux 6.9 and newer, as root.
    #[default]
    Auto,
    /// All reads and writes go through this process.
    Off,
}

/// Which symbolic links of a share programs of this machine may follow. Links can be listed,
/// removed and renamed in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// Those that stay in the share, and those that were made through a mount of this peer and not
    /// touched by the other peer since. Reading any other link fails (ELOOP).
    #[default]
    Inside,
    /// All of them, wherever they lead: the other peer decides which files of this machine a
    /// program reads or writes when it follows a link.
    Anywhere,
    /// None (`nosymfollow`, Linux 5.10); their texts can be read as with [`Links::Inside`]. Only
    /// root can mount so, or a process in a user namespace of its own.
    Nowhere,
}

impl MountOptions {
    /// Refuses every change (EROFS).
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.writing = Writing::Refused;
        self
    }

    /// Lets every user of this machine in, within the modes of the files. An ordinary user needs
    /// `user_allow_other` in `/etc/fuse.conf` for it.
    #[must_use]
    pub fn allow_other(mut self) -> Self {
        self.access = Access::Everybody;
        self
    }

    /// Whether the kernel may read and write whole files by itself.
    #[must_use]
    pub fn passthrough(mut self, passthrough: Passthrough) -> Self {
        self.passthrough = passthrough;
        self
    }

    /// Which symbolic links may be followed.
    #[must_use]
    pub fn links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }
}
