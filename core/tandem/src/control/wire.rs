//! The protocol: requests and answers, each one line of JSON.
//!
//! A request names the version of the protocol. An answer that is an error has the same form in
//! every version, so that an older or newer process can at least say why it can't answer.

#![cfg_attr(
    not(unix),
    expect(dead_code, reason = "there is no socket on this system yet")
)]

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tandem_core::catalog::SharePath;

use crate::event::{Amount, Entry, ShareReport, Step};
use crate::exit::{Exit, Failure, OrExit};

/// The version that this process speaks.
const VERSION: u32 = 1;

/// What a process asks of one that runs a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// How is it?
    Status,
    /// What is in this folder, or in the share itself?
    List { path: Option<SharePath> },
    /// Pull this, or everything, to that place, where nothing is.
    Get { path: Option<SharePath>, to: PathBuf },
    /// Share this file or folder under that name.
    Put {
        from: PathBuf,
        name: SharePath,
        on_taken: OnTaken,
    },
    /// Rename it in the share.
    Move { from: SharePath, to: SharePath },
    /// Remove it from the share.
    Remove { path: SharePath },
    /// Show the share on this folder, too.
    Mount { at: PathBuf },
    /// Call the other side by this name.
    Name { name: String },
    /// Stop the share.
    Stop,
}

/// What happens if something else is shared under the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnTaken {
    Refuse,
    Replace,
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// How the share is.
    Status(Box<ShareReport>),
    /// One of those that were asked for.
    Entry(Entry),
    /// How far it is.
    Progress(Step),
    /// Something that was left out.
    LeftOut { path: String, reason: String },
    /// It was done; the last line.
    Done(Amount),
    /// It was not; the last line.
    Error { exit: u8, text: String },
}

#[derive(Serialize)]
struct Versioned<'a> {
    version: u32,
    #[serde(flatten)]
    request: &'a Request,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

impl Request {
    /// The line of the request, without its end.
    pub(super) fn to_line(&self) -> Result<Vec<u8>, Failure> {
        let request = Versioned {
            version: VERSION,
            request: self,
        };
        // Only a path that is not Unicode can't be written.
        serde_json::to_vec(&request).or_exit(Exit::Usage)
    }

    /// Reads a line.
    ///
    /// # Errors
    /// If it is no request, or one of another version.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Failure> {
        let no_request = |error: serde_json::Error| {
            let text = format!("this is no request: {error}");
            Failure::new(Exit::Usage, text)
        };
        let VersionOnly { version } = serde_json::from_slice(line).map_err(no_request)?;
        if version != VERSION {
            let text = format!(
                "this share is run by a tandem that speaks version {VERSION}, and was asked in version {version}\n\
                 hint: stop it and start it again with the present tandem"
            );
            return Err(Failure::new(Exit::Usage, text));
        }
        serde_json::from_slice(line).map_err(no_request)
    }
}

impl Answer {
    /// The line of the answer, without its end.
    pub(super) fn to_line(&self) -> Vec<u8> {
        let unwritable = |error: serde_json::Error| {
            let text = format!("the answer can't be written: {error}");
            serde_json::json!({ "error": { "exit": Exit::LocalDisk.number(), "text": text } })
                .to_string()
                .into_bytes()
        };
        serde_json::to_vec(self).unwrap_or_else(unwritable)
    }

    /// Reads a line. An error is the failure that it tells.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Failure> {
        let not_understood = |error: serde_json::Error| {
            let text = format!(
                "the process that runs the share answered in a way that this one does not understand: {error}\n\
                 hint: stop it and start it again with the present tandem"
            );
            Failure::new(Exit::NotReached, text)
        };
        match serde_json::from_slice(line).map_err(not_understood)? {
            Self::Error { exit, text } => Err(Failure::new(Exit::of_number(exit), text)),
            answer => Ok(answer),
        }
    }
}

impl From<&Failure> for Answer {
    fn from(failure: &Failure) -> Self {
        Self::Error {
            exit: failure.exit.number(),
            text: failure.text.clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> SharePath {
        SharePath::parse(text).unwrap()
    }

    #[test]
    fn requests_and_answers_have_golden_lines() {
        let put = Request::Put {
            from: "/home/bob/a.txt".into(),
            name: path("in/a.txt"),
            on_taken: OnTaken::Refuse,
        };
        let lines = [
            (Request::Status, r#"{"version":1,"do":"status"}"#),
            (
                Request::List { path: None },
                r#"{"version":1,"do":"list","path":null}"#,
            ),
            (
                put,
                r#"{"version":1,"do":"put","from":"/home/bob/a.txt","name":"in/a.txt","on_taken":"refuse"}"#,
            ),
            (Request::Stop, r#"{"version":1,"do":"stop"}"#),
        ];
        for (request, line) in lines {
            assert_eq!(String::from_utf8(request.to_line().unwrap()).unwrap(), line);
            assert_eq!(Request::parse(line.as_bytes()).unwrap(), request);
        }
        let done = Answer::Done(Amount { files: 1, bytes: 2 });
        assert_eq!(done.to_line(), br#"{"done":{"files":1,"bytes":2}}"#);
        let failure = Failure::new(Exit::Refused, "no");
        let line = Answer::from(&failure).to_line();
        assert_eq!(line, br#"{"error":{"exit":4,"text":"no"}}"#);
        let read = Answer::parse(&line).unwrap_err();
        assert_eq!((read.exit, read.text), (failure.exit, failure.text));
    }

    #[test]
    fn what_is_no_request_of_this_version_is_refused_with_the_reason() {
        let refusal = |line: &[u8]| Request::parse(line).unwrap_err().text.unwrap();
        assert!(refusal(br#"{"version":2,"do":"dance"}"#).contains("in version 2"));
        let lines: [&[u8]; 6] = [
            b"",
            b"\xff\0",
            b"[1]",
            br#"{"do":"status"}"#,
            br#"{"version":1,"do":"dance"}"#,
            br#"{"version":1,"do":"remove","path":"../a"}"#,
        ];
        for line in lines {
            assert!(refusal(line).contains("no request"), "{line:?}");
        }
    }
}
