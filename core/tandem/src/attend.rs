//! Attending to a share while it runs: what other processes of this person ask of it is answered,
//! and one of them may stop it.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tandem_core::catalog::CatalogEvent;
use tandem_core::clock::Clock;
use tandem_core::peer::{Event, Peer, SessionState};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::control::{Answer, Answers, Request};
use crate::edit;
use crate::event::{Amount, RunningReport, ShareReport, Step};
use crate::exit::{Exit, Failure};
use crate::fetch;
use crate::listing;
use crate::report;
use crate::running::Running;
use crate::screen::{in_share, say};
use crate::shares::is_peer_name;

/// Does `work` and answers meanwhile. `None` if another process has stopped the share.
pub(crate) async fn attend<T>(
    running: &Running,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<Option<T>, Failure> {
    let attendant = Attendant {
        running,
        connected_since: Mutex::default(),
        stop: Notify::new(),
    };
    let attending = async {
        tokio::select! {
            ended = work => ended.map(Some),
            () = attendant.stop.notified() => Ok(None),
            never = attendant.note_events(&running.peer) => match never {},
            never = attendant.answer_all() => match never {},
        }
    };
    in_share(&running.name, attending).await
}

struct Attendant<'a> {
    running: &'a Running,
    connected_since: Mutex<Option<Instant>>,
    stop: Notify,
}

impl Attendant<'_> {
    /// Notes since when there is a session, and what the other side does with what was put.
    async fn note_events(&self, peer: &Peer) -> Infallible {
        let (clock, mut events) = (Clock::system(), peer.events());
        if peer.status().state == SessionState::Connected {
            *self.connected_since() = Some(clock.now());
        }
        while let Some(event) = events.next().await {
            match event {
                Event::Connected { .. } => *self.connected_since() = Some(clock.now()),
                Event::Disconnected { .. } => *self.connected_since() = None,
                Event::Catalog(change) => self.note_change(&change),
                _ => {}
            }
        }
        std::future::pending().await
    }

    fn note_change(&self, change: &CatalogEvent) {
        let noted = match change {
            CatalogEvent::Removed { path } => edit::note_removed(self.running, path),
            CatalogEvent::Renamed { from, to } => edit::note_renamed(self.running, from, to),
            _ => Ok(()),
        };
        if let Err(Failure { text: Some(text), .. }) = noted {
            say(text);
        }
    }

    fn connected_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.connected_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer_all(&self) -> Infallible {
        match &self.running.control {
            Some(server) => {
                server
                    .serve(async |request, answers| self.answer(request, answers).await)
                    .await
            }
            None => std::future::pending().await,
        }
    }

    /// Answers one request, whose last line says how it ended. If the process is gone, nobody reads
    /// it.
    async fn answer(&self, request: Request, mut answers: Answers) {
        let ended = Box::pin(self.carry_out(&request, &mut answers)).await;
        let last = match &ended {
            Ok(amount) => Answer::Done(*amount),
            Err(failure) => Answer::from(failure),
        };
        let sent = answers.send(&last).await;
        if request == Request::Stop {
            say("stopping, as another process has asked");
            if sent.is_ok() {
                self.running.held().keep_waiting(answers);
            }
            self.stop.notify_one();
        }
    }

    async fn carry_out(&self, request: &Request, answers: &mut Answers) -> Result<Amount, Failure> {
        let running = self.running;
        match request {
            Request::Status => {
                let status = Answer::Status(Box::new(self.status()));
                send(answers, &status).await?;
            }
            Request::List { path } => {
                for entry in listing::entries(&running.peer.list(), path.as_ref())? {
                    send(answers, &Answer::Entry(entry)).await?;
                }
            }
            Request::Get { path, to } => {
                return fetch::fetch(&running.peer, (path.as_ref(), to), answers).await;
            }
            Request::Put { from, name, on_taken } => {
                // Reading a large file takes a while.
                send(answers, &Answer::Progress(Step::default())).await?;
                return edit::put(running, (from, name), *on_taken, answers).await;
            }
            Request::Move { from, to } => edit::rename(running, from, to)?,
            Request::Remove { path } => edit::remove(running, path)?,
            Request::Mount { at } => running.mount(at).await?,
            Request::Name { name } => self.name_peer(name)?,
            Request::Stop => {}
        }
        Ok(Amount::default())
    }

    fn status(&self) -> ShareReport {
        let (peer, clock) = (&self.running.peer, Clock::system());
        let since = *self.connected_since();
        let report = report::of(&self.running.held().share);
        ShareReport {
            running: Some(RunningReport {
                process: std::process::id(),
                connected: peer.status().state == SessionState::Connected,
                connected_seconds: since.map(|since| clock.now().duration_since(since).as_secs()),
                amount: Amount::of(&peer.list()),
                addresses: peer.addresses().to_vec(),
                mounts: self.running.mount_points(),
            }),
            ..report
        }
    }

    fn name_peer(&self, name: &str) -> Result<(), Failure> {
        if !is_peer_name(name) {
            return Err(Failure::new(Exit::Usage, "this can't be a name"));
        }
        self.running.held().change(|record| {
            if let Some(friend) = &mut record.friend {
                friend.name = Some(name.to_owned());
            }
        })
    }
}

/// Sends a line that is not the last one.
async fn send(answers: &mut Answers, answer: &Answer) -> Result<(), Failure> {
    answers
        .send(answer)
        .await
        .map_err(|_| Failure::from(Exit::NotReached))
}
