//! Where the relay of an invitation is: the part of a code's text after `@`.
//!
//! `@HOST[:PORT]` is short enough to be typed. An IP address is asked by HTTP, as a peer serves it
//! that is its own relay; a name by HTTPS. Any other relay is written as a whole URL.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use tandem_core::rendezvous::{CodeError, InvitationCode};
use url::Url;

/// A code and, if its text names one, the relay to ask.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invited {
    pub(crate) code: InvitationCode,
    pub(crate) place: Option<Place>,
}

/// A relay, as a code names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place(Url);

/// Why a text is not that of an invitation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvitedError {
    #[error(transparent)]
    Code(#[from] CodeError),
    #[error("the code has more than one `@`\nhint: it looks like XXXX-XXXX-XXXX-XXXX-XXXX@HOST:PORT")]
    ManyPlaces,
    #[error(
        "`{text}` is no address of a relay\nhint: after the `@`, a code has something like 192.0.2.1:26000 or relay.example.org"
    )]
    NoPlace { text: String },
}

impl FromStr for Invited {
    type Err = InvitedError;

    fn from_str(text: &str) -> Result<Self, InvitedError> {
        let mut parts = text.trim().split('@');
        let code = parts.next().unwrap_or_default().parse()?;
        let place = parts.next().map(str::parse).transpose()?;
        match parts.next() {
            Some(_) => Err(InvitedError::ManyPlaces),
            None => Ok(Self { code, place }),
        }
    }
}

impl Place {
    /// The relay with that URL.
    pub(crate) fn of_relay(url: Url) -> Self {
        Self(url)
    }

    /// The relay's URL.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        let text = format!("http://{address}");
        // Every socket address makes a URL.
        Self(Url::parse(&text).unwrap_or_else(|_| unreachable!("`{text}` is a URL")))
    }
}

impl FromStr for Place {
    type Err = InvitedError;

    fn from_str(text: &str) -> Result<Self, InvitedError> {
        let text = text.trim();
        let no_place = || InvitedError::NoPlace {
            text: text.escape_debug().to_string(),
        };
        let is_address = text.parse::<SocketAddr>().is_ok() || text.parse::<IpAddr>().is_ok();
        let url = match (text.contains("://"), is_address) {
            (true, _) => text.to_owned(),
            (false, true) => format!("http://{}", with_brackets(text)),
            (false, false) => format!("https://{text}"),
        };
        let url = Url::parse(&url).map_err(|_| no_place())?;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        is_plain.then_some(Self(url)).ok_or_else(no_place)
    }
}

/// A bare IPv6 address needs brackets in a URL.
fn with_brackets(text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => text.to_owned(),
    }
}

impl fmt::Display for Place {
    /// As short as it can be read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.as_str().trim_end_matches('/');
        let short = whole
            .strip_prefix("http://")
            .or_else(|| whole.strip_prefix("https://"));
        let short = short.filter(|short| short.parse::<Self>().as_ref() == Ok(self));
        f.write_str(short.unwrap_or(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "RKJQ-9XMJ-4PEA-CGHZ-T479";

    fn url_of(place: &str) -> String {
        let text = format!("{CODE}@{place}");
        let invited: Invited = text.parse().unwrap();
        invited.place.unwrap().url().to_string()
    }

    #[test]
    fn a_code_may_name_a_relay_by_address_name_or_url() {
        assert_eq!(CODE.parse::<Invited>().unwrap().place, None);
        assert_eq!(url_of("192.0.2.1:26000"), "http://192.0.2.1:26000/");
        assert_eq!(url_of("192.0.2.1"), "http://192.0.2.1/");
        assert_eq!(url_of("[2001:db8::1]:26000"), "http://[2001:db8::1]:26000/");
        assert_eq!(url_of("2001:db8::1"), "http://[2001:db8::1]/");
        assert_eq!(url_of("relay.example.org"), "https://relay.example.org/");
        assert_eq!(
            url_of("relay.example.org:4711"),
            "https://relay.example.org:4711/"
        );
        assert_eq!(url_of("http://relay.lan/tandem"), "http://relay.lan/tandem");
    }

    #[test]
    fn what_is_shown_of_a_place_is_read_as_the_same_place() {
        for text in [
            "192.0.2.1:26000",
            "[2001:db8::1]:26000",
            "relay.example.org",
            "http://relay.lan/tandem",
            "https://192.0.2.1",
        ] {
            let place: Place = text.parse().unwrap();
            assert_eq!(place.to_string(), text);
            assert_eq!(place.to_string().parse(), Ok(place));
        }
    }

    #[test]
    fn a_text_that_is_no_invitation_is_refused_with_its_reason() {
        let error = |text: &str| text.parse::<Invited>().unwrap_err();
        assert_eq!(error(&format!("{CODE}@a@b")), InvitedError::ManyPlaces);
        assert_eq!(error("@a"), InvitedError::Code(CodeError::Empty));
        for place in [
            "",
            "a b",
            "ftp://a",
            "https://user:word@a",
            "https://a?q",
            "\u{1b}[1m",
        ] {
            let text = format!("{CODE}@{}", place.replace('@', "%40"));
            assert!(matches!(error(&text), InvitedError::NoPlace { .. }), "{place}");
        }
    }
}
