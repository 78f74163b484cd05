//! Reading shared files again: because they have changed, or because the other peer reports that it
//! got other bytes.
//!
//! A file whose stamp has changed is read again at once. A file whose stamp is the same is read
//! again too, because a stamp is only as fine as the clock of the file system. But one short
//! message of the other peer is enough to ask for that, and a long file takes long to read. So each
//! such file is read at most once in an interval, and all of them together for a small share of the
//! time.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::rereads::Asker;
use super::{OnTaken, Share};
use crate::catalog::{CatalogEvent, ContentId};
use crate::limits::{RECHECK_INTERVAL, RECHECK_REST_FACTOR, RECHECKS_KEPT_MAX};
use crate::store::{FileStamp, Owner, Source};
use crate::transfer::Holder;

/// Which files were read again although their stamps had not changed.
#[derive(Debug, Default)]
struct Rechecks {
    read: HashMap<PathBuf, (FileStamp, Instant)>,
    rests_until: Option<Instant>,
}

impl Rechecks {
    /// Whether a file may be read again because the other peer asks.
    fn may_read(&mut self, (path, stamp): (&Path, &FileStamp), now: Instant) -> bool {
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < RECHECK_INTERVAL;
        self.read.retain(|_, (_, at)| is_recent(at));
        let is_known = self.read.get(path).is_some_and(|(read, _)| read == stamp);
        let is_resting = self.rests_until.is_some_and(|until| now < until);
        !is_known && !is_resting && self.read.len() < RECHECKS_KEPT_MAX
    }

    /// Notes that it was read, and when that started and ended.
    fn note(&mut self, (path, stamp): (&Path, &FileStamp), (from, to): (Instant, Instant)) {
        self.read.insert(path.to_owned(), (stamp.clone(), to));
        self.rests_until = Some(to + to.saturating_duration_since(from) * RECHECK_REST_FACTOR);
    }
}

/// Reads the files again that the other peer reports as wrong, one at a time, until the peer is
/// closed.
pub(super) fn spawn_refresher(share: &Arc<Share>, mut stale: mpsc::Receiver<Arc<Source>>) {
    let refresher = share.clone();
    share.runtime.spawn(async move {
        let runtime = refresher.runtime.clone();
        let rechecks = Arc::new(Mutex::new(Rechecks::default()));
        while let Some(Some(source)) = runtime.cancel.run_until_cancelled(stale.recv()).await {
            let (share, rechecks) = (refresher.clone(), rechecks.clone());
            let look = move || {
                let mut rechecks = rechecks.lock().unwrap_or_else(PoisonError::into_inner);
                look_again(&share, &source, &mut rechecks);
            };
            // Fails only if the work panicked; then there is nothing to refresh.
            drop(runtime.tasks.spawn_blocking(look).await);
        }
    });
}

fn look_again(share: &Share, source: &Arc<Source>, rechecks: &mut Rechecks) {
    if source.open().is_err() {
        drop(share.read_again(source, Asker::Us));
        return;
    }
    let clock = &share.runtime.clock;
    let (suspect, from) = ((source.path.as_path(), source.stamp()), clock.now());
    if rechecks.may_read(suspect, from) {
        drop(share.read_again(source, Asker::Us));
        rechecks.note(suspect, (from, clock.now()));
    }
}

impl Share {
    /// Queues a check of the local files that are served as `content`: the other peer has received
    /// other bytes.
    pub(crate) fn recheck(&self, content: &ContentId) {
        let served = self.files().served(content);
        for source in served {
            // Fails when the queue is full or the peer is being closed.
            drop(self.stale.try_send(source));
        }
    }

    /// How many files wait to be read again.
    #[cfg(test)]
    pub(crate) fn waiting_rechecks(&self) -> usize {
        self.stale.max_capacity() - self.stale.capacity()
    }

    /// Reads a changed source again, shares its present content, and returns the source if the
    /// content is the same. A file that another thread has read meanwhile is not read twice.
    ///
    /// A file that has vanished is not served any more. Nor is a file that was received and has
    /// been edited here since: the user never shared its present content.
    pub(crate) fn read_again(&self, stale: &Arc<Source>, asker: Asker) -> Option<Arc<Source>> {
        let _turn = self.rereads.turn(&stale.path, asker)?;
        let mut known = self.files().sources_of(&stale.content);
        known.retain(|source| source.path == stale.path);
        let known = known.pop()?;
        if known.stamp() != stale.stamp() && known.open().is_ok() {
            return Some(known);
        }
        match stale.owner {
            Owner::User => self.reread(stale),
            Owner::PeerStore | Owner::Mount => self.check_owned(stale),
        }
    }

    /// Checks a file of the store. It still has its content, whatever its times are now, or it is
    /// no longer a source: it is being written, and its new content is shared when it is closed.
    fn check_owned(&self, source: &Arc<Source>) -> Option<Arc<Source>> {
        let read = self.read(&source.path).ok();
        if self.runtime.cancel.is_cancelled() {
            return None;
        }
        let sound = read.filter(|read| read.content == source.content);
        let sound = sound.map(|read| Arc::new(read.of(source.owner)));
        let mut files = self.files();
        if !files.sources.has(source) {
            return None;
        }
        match &sound {
            Some(sound) => files.sources.insert(sound.clone()),
            None => {
                files.forget(source);
                tracing::debug!("a file of the store has changed");
            }
        }
        sound
    }

    /// Reads a file of the user again.
    fn reread(&self, stale: &Arc<Source>) -> Option<Arc<Source>> {
        let read = self.read(&stale.path);
        let mut files = self.files();
        // The user may have removed it from the share while it was read.
        if !files.sources.has(stale) {
            return None;
        }
        let fresh = match read {
            Ok(fresh) => Arc::new(fresh),
            Err(error) => {
                files.forget(stale);
                tracing::warn!(%error, "a shared file is gone");
                return None;
            }
        };
        // Under one lock: a file that was shared under a name meanwhile is not replaced.
        let paths = files.shared_from(stale);
        let is_shared = fresh.content == stale.content || !paths.is_empty();
        if fresh.content == stale.content {
            files.sources.insert(fresh.clone());
        } else {
            files.forget(stale);
        }
        let shared: Vec<_> = paths
            .into_iter()
            .map(|path| (files.enter(&path, fresh.clone(), OnTaken::Replace), path))
            .collect();
        for (_, path) in &shared {
            self.catalog_changed(&files, &[CatalogEvent::Changed { path: path.clone() }]);
        }
        drop(files);
        for (outcome, path) in shared {
            match outcome {
                Ok(touched) => {
                    self.announce(touched);
                    if let Some(hooks) = self.hooks.upgrade() {
                        hooks.refreshed(path);
                    }
                }
                Err(error) => tracing::warn!(%error, "could not share the new content of a file"),
            }
        }
        is_shared.then_some(fresh)
    }
}

impl Holder for Share {
    fn sources(&self, content: &ContentId) -> Vec<Arc<Source>> {
        self.files().served(content)
    }

    fn refresh(&self, stale: &Arc<Source>) -> Option<Arc<Source>> {
        self.read_again(stale, Asker::Lane)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;

    fn stamps() -> (tempfile::TempDir, [FileStamp; 2]) {
        let root = tempfile::tempdir().unwrap();
        let stamp = |bytes: &[u8]| {
            std::fs::write(root.path().join("file"), bytes).unwrap();
            FileStamp::of(&root.path().join("file").metadata().unwrap())
        };
        let stamps = [stamp(b"one"), stamp(b"two!")];
        (root, stamps)
    }

    #[test]
    fn an_unchanged_file_is_read_again_once_in_the_interval() {
        let (_root, [stamp, other]) = stamps();
        let (mut rechecks, now) = (Rechecks::default(), Clock::system().now());
        let path = Path::new("/f");
        assert!(rechecks.may_read((path, &stamp), now));
        rechecks.note((path, &stamp), (now, now));
        let late = now + RECHECK_INTERVAL - Duration::from_millis(1);
        assert!(!rechecks.may_read((path, &stamp), late));
        assert!(rechecks.may_read((path, &other), late));
        assert!(rechecks.may_read((path, &stamp), now + RECHECK_INTERVAL));
    }

    #[test]
    fn reading_again_takes_a_small_share_of_the_time() {
        let (_root, [stamp, _]) = stamps();
        let (mut rechecks, from) = (Rechecks::default(), Clock::system().now());
        let to = from + Duration::from_secs(3);
        rechecks.note((Path::new("/f"), &stamp), (from, to));
        let rested = to + Duration::from_secs(3) * RECHECK_REST_FACTOR;
        let other = (Path::new("/g"), &stamp);
        assert!(!rechecks.may_read(other, rested - Duration::from_millis(1)));
        assert!(rechecks.may_read(other, rested));
    }

    #[test]
    fn no_more_files_are_read_again_than_are_remembered() {
        let (_root, [stamp, _]) = stamps();
        let (mut rechecks, now) = (Rechecks::default(), Clock::system().now());
        for index in 0..RECHECKS_KEPT_MAX {
            let path = PathBuf::from(format!("/{index}"));
            assert!(rechecks.may_read((&path, &stamp), now), "{index}");
            rechecks.note((&path, &stamp), (now, now));
        }
        assert!(!rechecks.may_read((Path::new("/more"), &stamp), now));
    }
}
