//! A mount of one actor, and the verbs with which tests use it.
//!
//! The runtime of a test has one thread, and the peer behind a mount needs it: a call of `std::fs`
//! on a mount from that thread would wait for itself. So nothing here returns the path of a mount.
//! Verbs use the mount from a thread that may block. For everything else, [`Mounted::within`] runs
//! a closure on such a thread, and [`Mounted::command`] runs another program.
//!
//! It doesn't decide what a mount should show.

use std::ffi::OsString;
use std::io;
use std::panic::{Location, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex, PoisonError};

use tandem_core::mount::{Mount, MountError};
use tokio::process::Command;

use crate::failure::{Caller, OrFail, fail};
use crate::wait::{Look, complete, complete_program, poll_for};

/// A mounted share; clones refer to the same mount. The universe unmounts it.
#[derive(Debug, Clone)]
pub struct Mounted {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The name of its actor.
    name: String,
    path: PathBuf,
    /// `None` once it is unmounted.
    mount: Mutex<Option<Mount>>,
}

impl Mounted {
    pub(crate) fn new(name: &str, mount: Mount) -> Mounted {
        let inner = Inner {
            name: name.to_owned(),
            path: mount.path().to_owned(),
            mount: Mutex::new(Some(mount)),
        };
        Mounted {
            inner: Arc::new(inner),
        }
    }

    /// Runs `work` with the path of the mount on a thread that may block, and returns its result.
    #[track_caller]
    pub fn within<T, W>(&self, work: W) -> impl Future<Output = T> + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&Path) -> T + Send + 'static,
    {
        self.blocking("work in the mount", work, Location::caller())
    }

    /// The whole content of a file.
    #[track_caller]
    pub fn read(&self, name: &str) -> impl Future<Output = Vec<u8>> + use<> {
        let (at, action) = (Location::caller(), self.action("read", name));
        let read = self.try_read(name);
        async move { read.await.or_fail(at, action) }
    }

    /// The whole content of a file, or the error of reading it.
    #[track_caller]
    pub fn try_read(&self, name: &str) -> impl Future<Output = io::Result<Vec<u8>>> + use<> {
        self.file(name, Location::caller(), std::fs::read)
    }

    /// Makes or replaces a file with this content, and closes it.
    #[track_caller]
    pub fn write(&self, name: &str, bytes: &[u8]) -> impl Future<Output = ()> + use<> {
        let (at, action) = (Location::caller(), self.action("write", name));
        let written = self.try_write(name, bytes);
        async move { written.await.or_fail(at, action) }
    }

    /// The same, but returns the error.
    #[track_caller]
    pub fn try_write(&self, name: &str, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + use<> {
        let bytes = bytes.to_vec();
        self.file(name, Location::caller(), move |path| std::fs::write(path, bytes))
    }

    /// Writes to the end of a file.
    #[track_caller]
    pub fn append(&self, name: &str, bytes: &[u8]) -> impl Future<Output = ()> + use<> {
        let (at, action) = (Location::caller(), self.action("append to", name));
        let bytes = bytes.to_vec();
        let appended = self.file(name, at, move |path| {
            let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
            io::Write::write_all(&mut file, &bytes)
        });
        async move { appended.await.or_fail(at, action) }
    }

    /// The attributes that stat(2) returns.
    #[track_caller]
    pub fn stat(&self, name: &str) -> impl Future<Output = std::fs::Metadata> + use<> {
        let (at, action) = (Location::caller(), self.action("stat", name));
        let stat = self.file(name, at, |path| path.symlink_metadata());
        async move { stat.await.or_fail(at, action) }
    }

    /// Whether an entry has this name.
    #[track_caller]
    pub fn exists(&self, name: &str) -> impl Future<Output = bool> + use<> {
        self.file(name, Location::caller(), |path| path.symlink_metadata().is_ok())
    }

    /// The names in a folder, sorted; `""` is the mount itself.
    #[track_caller]
    pub fn list(&self, name: &str) -> impl Future<Output = Vec<String>> + use<> {
        let (at, action) = (Location::caller(), self.action("list", name));
        let names = self.file(name, at, |path| listed(&path));
        async move { names.await.or_fail(at, action) }
    }

    /// Renames a file or folder within the mount.
    #[track_caller]
    pub fn rename(&self, from: &str, to: &str) -> impl Future<Output = ()> + use<> {
        let (at, action) = (Location::caller(), self.action("rename", from));
        let (from, to) = (from.to_owned(), to.to_owned());
        let work = move |path: &Path| std::fs::rename(path.join(from), path.join(to));
        let renamed = self.blocking(&action, work, at);
        async move { renamed.await.or_fail(at, action) }
    }

    /// Unlinks a file.
    #[track_caller]
    pub fn remove(&self, name: &str) -> impl Future<Output = ()> + use<> {
        let (at, action) = (Location::caller(), self.action("remove", name));
        let removed = self.file(name, at, std::fs::remove_file);
        async move { removed.await.or_fail(at, action) }
    }

    /// Makes a folder and its parents.
    #[track_caller]
    pub fn mkdir(&self, name: &str) -> impl Future<Output = ()> + use<> {
        let (at, action) = (Location::caller(), self.action("make the folder", name));
        let made = self.file(name, at, std::fs::create_dir_all);
        async move { made.await.or_fail(at, action) }
    }

    /// Waits until a file has exactly this content.
    #[track_caller]
    pub fn reads(&self, name: &str, bytes: &[u8]) -> impl Future<Output = ()> + use<> {
        let (this, at) = (self.clone(), Location::caller());
        let (name, bytes) = (name.to_owned(), bytes.to_vec());
        async move {
            let what = format!(
                "`{name}` with its new content in the mount of {}",
                this.inner.name
            );
            let look = async || match this.file(&name, at, std::fs::read).await {
                Ok(content) if content == bytes => Look::Ready(()),
                Ok(content) => Look::NotYet(format!("{} other bytes", content.len())),
                Err(error) => Look::NotYet(error.to_string()),
            };
            poll_for(at, &what, look).await;
        }
    }

    /// Waits until an entry has this name.
    #[track_caller]
    pub fn shows(&self, name: &str) -> impl Future<Output = ()> + use<> {
        let (this, at, name) = (self.clone(), Location::caller(), name.to_owned());
        async move {
            let what = format!("`{name}` to appear in the mount of {}", this.inner.name);
            let look = async || match this.file(&name, at, |path| path.symlink_metadata()).await {
                Ok(_) => Look::Ready(()),
                Err(error) => Look::NotYet(error.to_string()),
            };
            poll_for(at, &what, look).await;
        }
    }

    /// Waits until `is_right` accepts the attributes that stat(2) returns for this name.
    #[track_caller]
    pub fn tells<W>(&self, name: &str, is_right: W) -> impl Future<Output = ()> + use<W>
    where
        W: Fn(&std::fs::Metadata) -> bool,
    {
        let (this, at, name) = (self.clone(), Location::caller(), name.to_owned());
        async move {
            let what = format!("other attributes of `{name}` in the mount of {}", this.inner.name);
            let look = async || match this.file(&name, at, |path| path.symlink_metadata()).await {
                Ok(stat) if is_right(&stat) => Look::Ready(()),
                Ok(stat) => Look::NotYet(format!("{stat:?}")),
                Err(error) => Look::NotYet(error.to_string()),
            };
            poll_for(at, &what, look).await;
        }
    }

    /// Waits until no entry has this name.
    #[track_caller]
    pub fn misses(&self, name: &str) -> impl Future<Output = ()> + use<> {
        let (this, at, name) = (self.clone(), Location::caller(), name.to_owned());
        async move {
            let what = format!("`{name}` to disappear in the mount of {}", this.inner.name);
            let look = async || match this.file(&name, at, |path| path.symlink_metadata()).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Look::Ready(()),
                Err(error) => Look::NotYet(error.to_string()),
                Ok(stat) => Look::NotYet(format!("it has {} bytes", stat.len())),
            };
            poll_for(at, &what, look).await;
        }
    }

    /// Waits until a folder holds exactly these names.
    #[track_caller]
    pub fn lists(&self, folder: &str, names: &[&str]) -> impl Future<Output = ()> + use<> {
        let (this, at, folder) = (self.clone(), Location::caller(), folder.to_owned());
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.sort();
        async move {
            let what = format!("{names:?} in `{folder}` of the mount of {}", this.inner.name);
            let look = async || match this.file(&folder, at, |path| listed(&path)).await {
                Ok(found) if found == names => Look::Ready(()),
                Ok(found) => Look::NotYet(format!("{found:?}")),
                Err(error) => Look::NotYet(error.to_string()),
            };
            poll_for(at, &what, look).await;
        }
    }

    /// The path of an entry in the mount, as an argument of another program.
    pub fn argument(&self, name: &str) -> OsString {
        self.inner.path.join(name).into()
    }

    /// A program that starts in the mount. It is killed if the test drops it before it exits.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.inner.path).kill_on_drop(true);
        command
    }

    /// Unmounts before the universe does.
    #[track_caller]
    pub fn unmount(&self) -> impl Future<Output = ()> + use<> {
        let (this, at) = (self.clone(), Location::caller());
        async move {
            if let Some(mount) = this.take() {
                this.ended(mount.unmount(), at).await;
            }
        }
    }

    /// Unmounts, or returns the error.
    #[track_caller]
    pub fn try_unmount(&self) -> impl Future<Output = Result<(), MountError>> + use<> {
        let (this, at) = (self.clone(), Location::caller());
        async move {
            let mount = this
                .take()
                .unwrap_or_else(|| fail(at, "this mount was already unmounted"));
            complete(at, "a mount that ends", mount.unmount()).await
        }
    }

    /// Drops the guard at once, as a test that panics does.
    pub fn drop_guard(&self) {
        let _unmounted_here = self.take();
    }

    /// Unmounts for good. If the mount is still in use, the test fails and its users get errors.
    pub(crate) async fn end_at(&self, at: Caller) {
        if let Some(mount) = self.take() {
            self.ended(mount.end(), at).await;
        }
    }

    async fn ended(&self, ending: impl Future<Output = Result<(), MountError>>, at: Caller) {
        let ended = complete(at, "a mount that ends", ending).await;
        ended.or_fail(at, format_args!("unmount `{}`", self.inner.path.display()));
    }

    fn take(&self) -> Option<Mount> {
        self.inner
            .mount
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn action(&self, verb: &str, name: &str) -> String {
        format!("{verb} `{name}` in the mount of {}", self.inner.name)
    }

    /// Runs `work` with the path of `name`.
    fn file<T, W>(&self, name: &str, at: Caller, work: W) -> impl Future<Output = T> + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(PathBuf) -> T + Send + 'static,
    {
        let what = format!("an answer about `{name}` from the mount of {}", self.inner.name);
        let name = name.to_owned();
        self.blocking(&what, move |path| work(path.join(name)), at)
    }

    fn blocking<T, W>(&self, what: &str, work: W, at: Caller) -> impl Future<Output = T> + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&Path) -> T + Send + 'static,
    {
        let (path, what) = (self.inner.path.clone(), what.to_owned());
        async move {
            let working = tokio::task::spawn_blocking(move || work(&path));
            match complete(at, &what, working).await {
                Ok(value) => value,
                Err(error) => match error.try_into_panic() {
                    Ok(payload) => resume_unwind(payload),
                    Err(error) => fail(at, format_args!("{what} was not completed: {error}")),
                },
            }
        }
    }
}

fn listed(folder: &Path) -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir(folder)?;
    let names: io::Result<Vec<String>> = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.map(|mut names| {
        names.sort();
        names
    })
}

/// Runs a program without input until it exits, and returns its output; a failure shows the command
/// and both streams.
#[track_caller]
pub fn run(command: &mut Command) -> impl Future<Output = Output> + use<'_> {
    let at = Location::caller();
    async move {
        let shown = format!("{:?}", command.as_std());
        command.stdin(std::process::Stdio::null());
        let output = complete_program(at, &shown, command.output()).await;
        let output = output.or_fail(at, format_args!("start {shown}"));
        if !output.status.success() {
            let (out, err) = (
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
            );
            fail(
                at,
                format_args!("{shown} exited with {}\n{out}\n{err}", output.status),
            );
        }
        output
    }
}
