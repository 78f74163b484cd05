//! Pulling: from a name in the catalog to a file on disk.
//!
//! Decides what to fetch and from where, starts work on lanes, and makes one answer from the
//! outcomes of all files. A lost session does not end a pull: it goes on when the session is back.
//! A file that changes at its source is pulled in its new version.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::context::Context;
use super::error::PullError;
use super::lane_work::{self, LaneWork};
use super::lanes::LaneUse;
use crate::catalog::{LinkVersion, SharePath, Shown};
use crate::clock::Clock;
use crate::limits::{CHANGED_PATIENCE, CHANGED_RESTARTS_MAX, LINKS_FOLLOWED_MAX, PULL_LANES_MAX};
use crate::session::blocking::BlockingLane;
use crate::session::{SessionError, WireError};
use crate::share::{Claim, Share, SharedFile, shared_file};
use crate::store::{Destination, LinkFate, Links, StoreError};
use crate::transfer::{
    FileFailure, FileJob, LaneEnd, Outcome, Progress, Queue, Refusal, adopt_present, copy_fetched,
    copy_local, fetch, find_parts,
};

/// The result of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pulled {
    /// Files written.
    pub count: usize,
    /// Bytes of these files.
    pub len: u64,
    /// From the call until the last file had its name.
    pub elapsed: Duration,
    /// Links of a pulled folder that were left out: they lead out of it or may do so, they lead
    /// through a link that the share does not have, or this system has no links.
    pub left_out: Vec<SharePath>,
    /// The part of it that went into making files durable.
    pub sync_elapsed: Duration,
}

/// One file to be pulled, by name.
#[derive(Debug, Clone)]
struct Wanted {
    file: SharedFile,
    destination: Destination,
}

impl Wanted {
    /// Keeps the pull from replacing a file that this peer shares from there as something else.
    fn new(share: &Arc<Share>, file: SharedFile, destination: Destination) -> Self {
        let claim = Claim {
            share: share.clone(),
            file: Some((file.entry, file.content)),
        };
        let destination = destination.guarded(Arc::new(claim));
        Self { file, destination }
    }
}

/// A link to be made, by name.
type PlannedLink = (SharePath, LinkVersion, Destination);

/// What a pull has to do, and what was done when it was planned.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    wanted: Vec<Wanted>,
    left_out: Vec<SharePath>,
    failed: Vec<PullError>,
}

impl Plan {
    /// One file.
    pub(crate) fn of_file(
        share: &Arc<Share>,
        file: SharedFile,
        destination: Destination,
    ) -> Result<Self, StoreError> {
        let mut plan = Self::default();
        plan.want(share, file, destination)?;
        Ok(plan)
    }

    /// Everything in `folder`, or in the whole share. Each entry goes beneath `root`, under its
    /// path relative to `folder`. Folders and links are made at once, links last.
    pub(crate) fn of_folder(share: &Arc<Share>, root: &Destination, folder: Option<&SharePath>) -> Self {
        let mut plan = Self::default();
        let mut links = Vec::new();
        let list = share.files().catalog.list();
        for shown in list {
            if folder.is_some_and(|folder| !shown.path.starts_with(folder)) {
                continue;
            }
            let added = beneath(root, &shown.path, folder).and_then(|destination| {
                match (shared_file(&shown), shown.link()) {
                    (Some(file), _) => plan.want(share, file, destination)?,
                    (None, None) => destination.create_folder()?,
                    (None, Some(link)) => links.push((shown.path.clone(), link.clone(), destination)),
                }
                Ok(())
            });
            plan.note(&shown, added);
        }
        plan.link(share, links);
        plan
    }

    fn want(
        &mut self,
        share: &Arc<Share>,
        file: SharedFile,
        destination: Destination,
    ) -> Result<(), StoreError> {
        let wanted = Wanted::new(share, file, destination);
        let file = &wanted.file;
        wanted.destination.check_for(&file.content, &file.attributes)?;
        self.wanted.push(wanted);
        Ok(())
    }

    fn link(&mut self, share: &Arc<Share>, mut planned: Vec<PlannedLink>) {
        let mut links = Links::default();
        for (_, link, destination) in planned
            .iter()
            .filter(|(_, link, _)| link.target.leads_up().is_some())
        {
            links.note(destination, link.target.as_str());
        }
        // A link waits for the links that it leads through, while these have another text on disk.
        // No link leads through more than this number.
        for _ in 0..=LINKS_FOLLOWED_MAX {
            let count = planned.len();
            planned = self.link_round(share, planned, &links);
            if planned.is_empty() || planned.len() == count {
                break;
            }
        }
        self.left_out.extend(planned.into_iter().map(|(name, ..)| name));
    }

    /// Makes those links that can be made now. Returns the others.
    fn link_round(
        &mut self,
        share: &Arc<Share>,
        planned: Vec<PlannedLink>,
        links: &Links,
    ) -> Vec<PlannedLink> {
        let mut left = Vec::new();
        for (name, link, destination) in planned {
            let claim = Claim {
                share: share.clone(),
                file: None,
            };
            let guarded = destination.clone().guarded(Arc::new(claim));
            let fate = link.target.leads_up().map_or(Ok(LinkFate::LeftOut), |up| {
                guarded.create_link(link.target.as_str(), up, links)
            });
            match fate {
                Ok(LinkFate::Made) => {
                    let path = destination.path();
                    share.files().note_pulled(&path, None);
                    share.received_links().note(path, link.target.as_str());
                }
                Ok(LinkFate::LeftOut) => left.push((name, link, destination)),
                Err(source) => self.failed.push(PullError::Store { name, source }),
            }
        }
        left
    }

    fn note(&mut self, shown: &Shown, added: Result<(), StoreError>) {
        if let Err(source) = added {
            let name = shown.path.clone();
            self.failed.push(PullError::Store { name, source });
        }
    }
}

/// Carries out the plan. Dropping the future ends the pull. What has arrived stays in part files,
/// with which the next pull of the same contents to the same places goes on.
pub(crate) async fn pull(
    context: &Arc<Context>,
    plan: Plan,
    progress: &Progress,
) -> Result<Pulled, PullError> {
    let started = context.runtime.clock.now();
    let Plan {
        wanted: mut round,
        left_out,
        mut failed,
    } = plan;
    let (mut count, mut len) = (0, 0);
    for restart in 0..=CHANGED_RESTARTS_MAX {
        let outcomes = run(context, &round, progress).await;
        let mut changed = Vec::new();
        for (wanted, outcome) in round.into_iter().zip(outcomes) {
            match outcome {
                Ok((published, outline)) => {
                    count += 1;
                    len += wanted.file.content.len;
                    context.share.received(&wanted.file, published, outline);
                }
                Err(failure) if may_have_new_version(&failure) && restart < CHANGED_RESTARTS_MAX => {
                    changed.push((wanted, failure));
                }
                Err(failure) => failed.push(explain(wanted.file.path, failure)),
            }
        }
        round = Vec::new();
        let deadline = context.runtime.clock.now() + CHANGED_PATIENCE;
        for (wanted, failure) in changed {
            let newer = timeout_at(deadline, new_version(context, &wanted, &failure));
            match newer.await.unwrap_or(None) {
                Some(file) => round.push(Wanted::new(&context.share, file, wanted.destination)),
                None => failed.push(explain(wanted.file.path, failure)),
            }
        }
        if round.is_empty() {
            break;
        }
    }
    let elapsed = context.runtime.clock.now() - started;
    match failed.len() {
        0 => Ok(Pulled {
            count,
            len,
            elapsed,
            left_out,
            sync_elapsed: progress.sync_elapsed(),
        }),
        1 if count == 0 => Err(failed.remove(0)),
        _ => Err(PullError::Incomplete {
            pulled: count,
            failed,
        }),
    }
}

/// One attempt at all files: first what an earlier pull has brought, then local copies, and the
/// rest over lanes.
async fn run(context: &Arc<Context>, wanted: &[Wanted], progress: &Progress) -> Vec<Outcome> {
    let job = |wanted: &Wanted| FileJob {
        content: wanted.file.content,
        destination: wanted.destination.clone(),
        attributes: wanted.file.attributes,
    };
    let queue = Arc::new(Queue::new(wanted.iter().map(job).collect(), progress.clone()));
    let _guard = CancelOnDrop(queue.clone());
    let (local, share) = (queue.clone(), context.share.clone());
    let copying = move || {
        let clock = &share.runtime.clock;
        adopt_present(&local, clock);
        find_parts(&local, clock);
        copy_local(&local, share.as_ref(), clock);
        if let Some(peer_store) = &share.peer_store {
            copy_fetched(&local, peer_store, clock);
        }
    };
    // Fails only if copying panicked; then the lanes fetch the files.
    drop(context.runtime.tasks.spawn_blocking(copying).await);
    let unreachable = if queue.is_done() {
        None
    } else {
        fetch_all(context, &queue).await.err().flatten()
    };
    queue.take_outcomes(unreachable)
}

/// Ends the work of a pull when its caller stops waiting.
struct CancelOnDrop(Arc<Queue>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Works on the queue with up to [`PULL_LANES_MAX`] lanes, fewer if there is less to do.
/// `Err(None)` when there is no session to work with.
async fn fetch_all(context: &Arc<Context>, queue: &Arc<Queue>) -> Result<(), Option<SessionError>> {
    let mut lanes = JoinSet::new();
    let puller = Arc::new(Puller {
        clock: context.runtime.clock.clone(),
        queue: queue.clone(),
    });
    for _ in 0..queue.width().min(PULL_LANES_MAX) {
        let (context, puller) = (context.clone(), puller.clone());
        lanes.spawn(async move { lane_work::work(&context, &puller).await });
    }
    let mut last = Ok(());
    while let Some(outcome) = lanes.join_next().await {
        last = outcome.unwrap_or(Err(Some(SessionError::Ended)));
    }
    if queue.is_done() {
        Ok(())
    } else {
        last.and(Err(Some(SessionError::Ended)))
    }
}

/// The work of each worker of a pull.
struct Puller {
    clock: Clock,
    queue: Arc<Queue>,
}

impl LaneWork for Puller {
    const LANE_USE: LaneUse = LaneUse::Pull;

    fn is_done(&self) -> bool {
        self.queue.is_done()
    }

    fn progress(&self) -> u64 {
        self.queue.progress().verified_len()
    }

    fn use_lane(&self, lane: &mut BlockingLane) -> Result<LaneEnd, WireError> {
        let lent = self.queue.lend_closer(lane.closer()?);
        match fetch(lane, &self.queue, &self.clock)? {
            // It was closed with the pull.
            LaneEnd::Done if !self.queue.take_closer(lent) => Ok(LaneEnd::WornOut),
            end => Ok(end),
        }
    }
}

fn may_have_new_version(failure: &FileFailure) -> bool {
    matches!(
        failure,
        FileFailure::Refused(Refusal::Changed | Refusal::NotHeld) | FileFailure::Corrupt
    )
}

/// Waits for the catalog to show another content under the name of `wanted`.
async fn new_version(context: &Arc<Context>, wanted: &Wanted, failure: &FileFailure) -> Option<SharedFile> {
    let content = wanted.file.content;
    if let (FileFailure::Corrupt, Some(session)) = (failure, context.current.session()) {
        session.report_stale(content).await;
    }
    let mut events = context.events.subscribe();
    loop {
        let file = context.share.files().file(&wanted.file.path);
        match file {
            Some(file) if file.content != content => return Some(file),
            Some(_) if matches!(failure, FileFailure::Refused(Refusal::NotHeld)) => return None,
            Some(_) => {}
            None => return None,
        }
        events.next().await?;
    }
}

fn explain(name: SharePath, failure: FileFailure) -> PullError {
    match failure {
        FileFailure::Refused(Refusal::NotHeld) => PullError::NotHeld { name },
        FileFailure::Refused(Refusal::Changed) => PullError::SourceChanged { name },
        FileFailure::Refused(Refusal::Unreadable) => PullError::Unreadable { name },
        FileFailure::Refused(Refusal::OutOfRange) | FileFailure::Corrupt => PullError::Corrupt { name },
        FileFailure::Store(source) => PullError::Store { name, source },
        FileFailure::Unreachable(None) => PullError::NotConnected { name },
        FileFailure::Unreachable(Some(source)) => PullError::Session { name, source },
    }
}

/// Where the file at `path` of a pulled folder goes: the same path beneath `root`, without the
/// folder's own.
fn beneath(
    root: &Destination,
    path: &SharePath,
    folder: Option<&SharePath>,
) -> Result<Destination, StoreError> {
    let skipped = folder.map_or(0, SharePath::depth);
    let mut names = path.names().skip(skipped);
    names.try_fold(root.clone(), |reached, name| reached.join_name(name))
}
