//! Pulling a file or a folder to a place of the person, where nothing may be.

use std::io::ErrorKind;
use std::path::Path;

use tandem_core::catalog::{SharePath, Shown};
use tandem_core::clock::Clock;
use tandem_core::peer::{Peer, Pulled, SessionState};
use tandem_core::transfer::Progress;

use crate::control::{Answer, Answers};
use crate::event::{Amount, Step};
use crate::exit::{Exit, Failure, OrExit};
use crate::limits::BAR_INTERVAL;
use crate::screen::{self, LEADS_OUT};

/// Pulls what is shared as `name`, or everything, to the place `to`. The pull ends with the process
/// that has asked for it.
pub(crate) async fn fetch(
    peer: &Peer,
    (name, to): (Option<&SharePath>, &Path),
    answers: &mut Answers,
) -> Result<Amount, Failure> {
    let (progress, clock) = (Progress::default(), Clock::system());
    let mut pulling = std::pin::pin!(pull(peer, (name, to), &progress));
    let pulled = loop {
        tokio::select! {
            pulled = &mut pulling => break pulled?,
            () = clock.sleep_until(clock.now() + BAR_INTERVAL) => tell(answers, &progress).await?,
        }
    };
    tell(answers, &progress).await?;
    for left_out in &pulled.left_out {
        let answer = Answer::LeftOut {
            path: left_out.as_str().to_owned(),
            reason: LEADS_OUT.to_owned(),
        };
        send(answers, &answer).await?;
    }
    Ok(Amount {
        files: pulled.count,
        bytes: pulled.len,
    })
}

async fn tell(answers: &mut Answers, progress: &Progress) -> Result<(), Failure> {
    send(answers, &Answer::Progress(Step::of(progress))).await
}

async fn send(answers: &mut Answers, answer: &Answer) -> Result<(), Failure> {
    answers
        .send(answer)
        .await
        .map_err(|_| Failure::from(Exit::NotReached))
}

async fn pull(
    peer: &Peer,
    (name, to): (Option<&SharePath>, &Path),
    progress: &Progress,
) -> Result<Pulled, Failure> {
    let shown = match name {
        Some(name) => Some(peer.lookup(name).ok_or_else(|| unknown(name))?),
        None => None,
    };
    refuse_unreachable(peer, name)?;
    match (name, shown) {
        (Some(name), Some(shown)) if shown.link().is_some() => {
            let text = format!("`{name}` is a link\nhint: get the folder that it is in");
            Err(Failure::new(Exit::Usage, text))
        }
        (Some(name), Some(shown)) if shown.file().is_some() => {
            if to.symlink_metadata().is_ok() {
                return Err(in_the_way(to));
            }
            let (folder, at) = place(to)?;
            let folder = peer.join_folder(folder)?;
            Ok(folder.pull_tracked(name, &at, progress).await?)
        }
        (name, _) => {
            make_empty(to)?;
            let folder = peer.join_folder(to)?;
            let pulled = folder.pull_folder(name, progress).await;
            if pulled.is_err() {
                // It stays if anything has arrived.
                drop(std::fs::remove_dir(to));
            }
            Ok(pulled?)
        }
    }
}

/// A pull waits for the other side, if it is gone; a person does not begin one for that.
fn refuse_unreachable(peer: &Peer, name: Option<&SharePath>) -> Result<(), Failure> {
    if peer.status().state == SessionState::Connected {
        return Ok(());
    }
    let own = peer.fingerprint();
    let is_elsewhere = |shown: &&Shown| {
        let is_wanted = name.is_none_or(|name| shown.path.starts_with(name));
        is_wanted && shown.file().is_some() && !shown.holders.contains(&own)
    };
    let Some(missing) = peer
        .list()
        .iter()
        .find(is_elsewhere)
        .map(|shown| shown.path.clone())
    else {
        return Ok(());
    };
    let text = format!(
        "`{missing}` is not here, and the other side is not connected\nhint: `tandem status` shows when it is"
    );
    Err(Failure::new(Exit::NotReached, text))
}

/// The folder of a place, and its name there.
fn place(to: &Path) -> Result<(&Path, SharePath), Failure> {
    let parts = to.parent().zip(to.file_name().and_then(|name| name.to_str()));
    let (folder, name) = parts.ok_or_else(|| {
        let text = format!("`{}` can't be the name of a file", screen::path(to));
        Failure::new(Exit::Usage, text)
    })?;
    Ok((folder, SharePath::parse(name).or_exit(Exit::Usage)?))
}

/// A new folder, or one that is there and empty.
fn make_empty(to: &Path) -> Result<(), Failure> {
    match std::fs::create_dir(to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let is_folder = to.symlink_metadata().is_ok_and(|there| there.is_dir());
            let is_empty = is_folder && std::fs::read_dir(to).is_ok_and(|mut inside| inside.next().is_none());
            is_empty.then_some(()).ok_or_else(|| in_the_way(to))
        }
        Err(error) => {
            let text = format!("could not make `{}`: {error}", screen::path(to));
            Err(Failure::new(Exit::LocalDisk, text))
        }
    }
}

fn in_the_way(to: &Path) -> Failure {
    let text = format!(
        "`{}` is there already, and nothing is replaced\nhint: name another place: tandem get SHARE:PATH TO",
        screen::path(to)
    );
    Failure::new(Exit::LocalDisk, text)
}

/// Nothing has this name in the share.
pub(crate) fn unknown(name: &SharePath) -> Failure {
    let text = format!("nothing is shared as `{name}`\nhint: `tandem ls SHARE` shows what is shared");
    Failure::new(Exit::Usage, text)
}
