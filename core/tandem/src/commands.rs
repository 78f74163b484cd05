//! The commands that ask a running share, or look at what is kept of one.

pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod forget;
pub(crate) mod get;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod mount;
pub(crate) mod mv;
pub(crate) mod peers;
pub(crate) mod put;
pub(crate) mod rm;
pub(crate) mod status;
pub(crate) mod stop;

use tandem_core::catalog::SharePath;

use crate::control::{Answer, Client, Request};
use crate::event::{Amount, Change, Event};
use crate::exit::{Exit, Failure};
use crate::home::Home;
use crate::screen::{clean, in_share, report, tell};
use crate::shares::Share;
use crate::target::Target;

/// The share that a person names, or the only one.
fn share(name: Option<&str>) -> Result<Share, Failure> {
    Home::open()?.shares()?.chosen(name)
}

/// Asks the process that runs the share.
///
/// # Errors
/// If none does.
async fn ask(share: &Share, request: &Request) -> Result<Client, Failure> {
    let asked = Client::ask(&share.dir, request).await?;
    asked.ok_or_else(|| does_not_run(share))
}

fn does_not_run(share: &Share) -> Failure {
    let name = clean(&share.name);
    let text = format!("`{name}` does not run\nhint: `tandem up {name}` starts it");
    Failure::new(Exit::NotReached, text)
}

/// Waits until it is done, and tells what was left out meanwhile.
async fn done(mut client: Client) -> Result<Amount, Failure> {
    loop {
        match client.next().await? {
            Answer::Done(amount) => return Ok(amount),
            Answer::LeftOut { path, reason } => tell_left_out(&path, &reason),
            _ => {}
        }
    }
}

fn tell_left_out(path: &str, reason: &str) {
    let line = format!("left out `{}`: {}", clean(path), clean(reason));
    tell(&Event::LeftOut { path, reason }, line);
}

/// Has the running share change something, and reports the change.
async fn change(share: &Share, request: &Request, change: Change<'_>) -> Result<Amount, Failure> {
    let changing = async {
        let amount = done(ask(share, request).await?).await?;
        report(&Event::Changed(change));
        Ok(amount)
    };
    in_share(&share.name, changing).await
}

/// The path of a target that has to have one.
fn path_in(target: &Target) -> Result<&SharePath, Failure> {
    target.path.as_ref().ok_or_else(|| {
        let share = target.share.as_deref().unwrap_or("SHARE");
        let text = format!("which file or folder of the share?\nhint: {}:PATH", clean(share));
        Failure::new(Exit::Usage, text)
    })
}
