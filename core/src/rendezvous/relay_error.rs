//! Errors of requests to a relay, in words that a person can act on.
//!
//! A relay is not trusted: its words are shortened and cleaned before they are shown. No message
//! holds a token.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::limits::{RELAY_REASON_LEN_MAX, RELAY_RETRY_AFTER_MAX};
use crate::printable::is_safe;

/// A request to a relay that did not succeed: what was attempted, where, and what happened.
#[derive(Debug)]
pub struct RelayError {
    /// What was attempted.
    pub attempt: Attempt,
    /// The relay's URL, without credentials.
    pub relay: String,
    /// What happened.
    pub problem: RelayProblem,
}

/// What was attempted at a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attempt {
    /// Making a client for it; nothing was sent.
    Prepare,
    /// `POST /register`.
    Publish,
    /// `GET /fetch`.
    LookUp,
    /// `DELETE /register`.
    Withdraw,
    /// `GET /health`.
    CheckHealth,
}

/// What happened at a relay.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayProblem {
    /// The URL is not that of a relay; nothing was sent.
    #[error("{problem}\nhint: a relay's URL looks like `https://relay.example.org` or `http://[::1]:4711`")]
    UnusableUrl {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// TLS can't be used on this machine; nothing was sent.
    #[error(
        "needs TLS, which can't be set up here\nhint: check that the system's root certificates are installed"
    )]
    TlsUnavailable(#[source] Box<dyn Error + Send + Sync>),
    /// No connection.
    #[error("can't be reached\nhint: check the address, and that the relay is running")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// No complete answer in time.
    #[error("gave no complete answer within {}\nhint: try again later, or use another relay", seconds(*limit))]
    TimedOut {
        /// The time limit of the whole request.
        limit: Duration,
    },
    /// An answer that is no success. A redirect is one too: a relay has no reason to send its peers
    /// elsewhere.
    #[error("answered {status}{}{}", because(reason.as_deref()), advice(*status, *retry_after))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The relay's own words, shortened, without control characters.
        reason: Option<String>,
        /// When to try again, if the relay's answer has it; at most [`RELAY_RETRY_AFTER_MAX`].
        retry_after: Option<Duration>,
    },
    /// An answer larger than any relay gives.
    #[error("sent more than {limit} bytes\nhint: check that this is the URL of a relay")]
    TooLarge {
        /// How many bytes are read.
        limit: usize,
    },
    /// A complete answer that is invalid.
    #[error("gave an invalid answer: {problem}\nhint: check that this is the URL of a relay")]
    Malformed {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The connection ended before the answer was complete, or what came was not HTTP.
    #[error(
        "broke off its answer, or it was not HTTP\nhint: try again; if it happens again, check that this is the URL of a relay"
    )]
    BrokenOff(#[source] Box<dyn Error + Send + Sync>),
}

impl RelayError {
    /// When to try again, if the relay's answer has it.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.problem {
            RelayProblem::Refused { retry_after, .. } => retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for RelayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "could not {}: relay `{}` {}",
            self.attempt, self.relay, self.problem
        )
    }
}

impl Error for RelayError {
    // The problem is part of the message, so its source is the next in the chain.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.source()
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "use the relay",
            Self::Publish => "publish the contact record",
            Self::LookUp => "look up the peer",
            Self::Withdraw => "withdraw the contact record",
            Self::CheckHealth => "check the relay",
        })
    }
}

/// The relay's own words, safe to show in a terminal.
pub(super) fn clean_reason(reason: &str) -> String {
    let printable = |character: char| if is_safe(character) { character } else { ' ' };
    reason
        .trim()
        .chars()
        .take(RELAY_REASON_LEN_MAX)
        .map(printable)
        .collect()
}

/// The delay of a `Retry-After` header, in seconds. The header's other form, a date, is ignored
/// because clocks differ.
pub(super) fn parse_retry_after(value: &str) -> Option<Duration> {
    value
        .trim()
        .parse()
        .ok()
        .map(|secs| Duration::from_secs(secs).min(RELAY_RETRY_AFTER_MAX))
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(" (`{reason}`)"))
}

fn advice(status: u16, retry_after: Option<Duration>) -> String {
    match (retry_after, status) {
        (Some(after), _) => format!("; retry in {}", seconds(after)),
        (None, 300..400) => "\nhint: it redirects to another URL; use the relay's own".to_owned(),
        (None, 400..500) => "\nhint: check that this is the URL of a relay, of the same version".to_owned(),
        (None, _) => "\nhint: try again later, or use another relay".to_owned(),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, reason: Option<&str>, retry_after: Option<Duration>) -> String {
        let problem = RelayProblem::Refused {
            status,
            reason: reason.map(clean_reason),
            retry_after,
        };
        let relay = "http://[::1]:4711".to_owned();
        RelayError {
            attempt: Attempt::LookUp,
            relay,
            problem,
        }
        .to_string()
    }

    #[test]
    fn a_busy_relay_is_named_with_when_to_try_again() {
        let message = refused(429, None, Some(Duration::from_secs(30)));
        assert_eq!(
            message,
            "could not look up the peer: relay `http://[::1]:4711` answered 429; retry in 30 s"
        );
    }

    #[test]
    fn the_relays_own_words_are_shown_without_control_characters() {
        let message = refused(400, Some("\u{1b}[31mbad\ntoken"), None);
        let expected = "relay `http://[::1]:4711` answered 400 (` [31mbad token`)\nhint: check ";
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn the_relays_own_words_reorder_no_text_and_begin_no_line() {
        let shown = clean_reason("gpj\u{202e}.exe\u{2066}a\u{2028}b\u{2029}c\u{61c}");
        assert_eq!(shown, "gpj .exe a b c ");
    }

    #[test]
    fn long_explanations_are_cut_at_the_limit() {
        let at_limit = "x".repeat(RELAY_REASON_LEN_MAX);
        assert_eq!(clean_reason(&at_limit), at_limit);
        assert_eq!(clean_reason(&format!("{at_limit}y")), at_limit);
    }

    #[test]
    fn retry_after_is_believed_up_to_its_limit() {
        assert_eq!(parse_retry_after(" 600 "), Some(RELAY_RETRY_AFTER_MAX));
        assert_eq!(parse_retry_after("601"), Some(RELAY_RETRY_AFTER_MAX));
        assert_eq!(parse_retry_after("30"), Some(Duration::from_secs(30)));
        for invalid in [
            "",
            "-1",
            "soon",
            "Fri, 31 Dec 1999 23:59:59 GMT",
            "99999999999999999999",
        ] {
            assert_eq!(parse_retry_after(invalid), None, "{invalid}");
        }
    }
}
