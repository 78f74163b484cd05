//! The peer's side of the relay API: publish, look up, withdraw, check health.
//!
//! Every request has a time limit and every answer a size limit. The client checks only the form of
//! an answer; whether a record can be trusted is decided when it is opened. The client does not
//! retry: only its caller knows how long it wants to wait. A relay on this machine is never asked
//! through a proxy.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::de::DeserializeOwned;
use tandem_relay::api::{
    ErrorResponse, FETCH_PATH, FetchResponse, HEALTH_PATH, REGISTER_PATH, RegisterRequest,
};
use url::{Host, Url};

use super::relay_error::{Attempt, RelayError, RelayProblem, clean_reason, parse_retry_after};
use super::{LookupToken, SealedRecord};
use crate::limits::{RELAY_ANSWER_LEN_MAX, RELAY_CONNECT_TIMEOUT, RELAY_REQUEST_TIMEOUT};

/// A client of one relay. Cheap to clone. Keeps no connection open between requests, which are
/// minutes apart.
#[derive(Debug, Clone)]
pub struct RelayClient {
    http: Client,
    base: Url,
    shown: String,
    timeouts: RelayTimeouts,
}

/// The outcome of [`RelayClient::publish_first`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The record is there.
    First,
    /// Something else was there before.
    Taken,
}

/// How long the client waits for a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayTimeouts {
    /// For the connection.
    pub connect: Duration,
    /// For one request in all, from connecting to the last byte of the answer.
    pub request: Duration,
}

impl Default for RelayTimeouts {
    fn default() -> Self {
        Self {
            connect: RELAY_CONNECT_TIMEOUT,
            request: RELAY_REQUEST_TIMEOUT,
        }
    }
}

impl RelayClient {
    /// A client of the relay at `url` (`http` or `https`; a path before the API's is kept). Sends
    /// nothing.
    ///
    /// # Errors
    /// [`RelayProblem::UnusableUrl`]; for `https` also [`RelayProblem::TlsUnavailable`].
    pub fn new(url: Url) -> Result<Self, RelayError> {
        Self::with_timeouts(url, RelayTimeouts::default())
    }

    /// As [`RelayClient::new`], with other time limits.
    ///
    /// # Errors
    /// The same.
    pub fn with_timeouts(url: Url, timeouts: RelayTimeouts) -> Result<Self, RelayError> {
        let shown = shown(&url);
        let prepared = check_url(&url).and_then(|()| build_http(&url, timeouts));
        let http = prepared.map_err(|problem| RelayError {
            attempt: Attempt::Prepare,
            relay: shown.clone(),
            problem,
        })?;
        Ok(Self {
            http,
            base: url,
            shown,
            timeouts,
        })
    }

    /// The relay's URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.base
    }

    /// Stores `sealed` under `token`, in place of what was there. The relay keeps it for
    /// [`ENTRY_TTL_SECS`](tandem_relay::api::ENTRY_TTL_SECS).
    ///
    /// # Errors
    /// Any [`RelayProblem`]. If the answer is lost, the relay may have stored the record;
    /// publishing again is harmless.
    pub async fn publish(&self, token: &LookupToken, sealed: &SealedRecord) -> Result<(), RelayError> {
        let answer = self
            .send(Attempt::Publish, self.registration(token, sealed))
            .await?;
        self.expect_success(Attempt::Publish, answer).await.map(drop)
    }

    /// As [`RelayClient::publish`], but only if there is nothing under `token`.
    ///
    /// # Errors
    /// Any [`RelayProblem`]. If the answer is lost, the relay may have stored the record.
    pub async fn publish_first(
        &self,
        token: &LookupToken,
        sealed: &SealedRecord,
    ) -> Result<Published, RelayError> {
        let request = self.registration(token, sealed).header("if-none-match", "*");
        let answer = self.send(Attempt::Publish, request).await?;
        if answer.status() == StatusCode::CONFLICT {
            return Ok(Published::Taken);
        }
        let answer = self.expect_success(Attempt::Publish, answer).await;
        answer.map(|_| Published::First)
    }

    /// The record under `token`; `None` if there is none. It is still sealed: anyone may have put
    /// it there.
    ///
    /// # Errors
    /// Any [`RelayProblem`]; [`RelayProblem::Malformed`] when the relay's entry is not a sealed
    /// record.
    pub async fn look_up(&self, token: &LookupToken) -> Result<Option<SealedRecord>, RelayError> {
        let request = self.request(Method::GET, FETCH_PATH).bearer_auth(token.to_text());
        self.find(request).await
    }

    /// As [`RelayClient::look_up`], but if there is no record, the relay may wait for one, up to
    /// `wait`. A relay that does not know how answers at once.
    ///
    /// # Errors
    /// The same.
    pub async fn wait_for(
        &self,
        token: &LookupToken,
        wait: Duration,
    ) -> Result<Option<SealedRecord>, RelayError> {
        let request = self.request(Method::GET, FETCH_PATH).bearer_auth(token.to_text());
        let request = request
            .header("prefer", format!("wait={}", wait.as_secs()))
            .timeout(wait + self.timeouts.request);
        self.find(request).await
    }

    /// Removes the record under `token`. Succeeds also if there is none.
    ///
    /// # Errors
    /// Any [`RelayProblem`].
    pub async fn withdraw(&self, token: &LookupToken) -> Result<(), RelayError> {
        let request = self
            .request(Method::DELETE, REGISTER_PATH)
            .bearer_auth(token.to_text());
        let answer = self.send(Attempt::Withdraw, request).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        self.expect_success(Attempt::Withdraw, answer).await.map(drop)
    }

    /// Asks whether the relay accepts requests.
    ///
    /// # Errors
    /// Any [`RelayProblem`].
    pub async fn check_health(&self) -> Result<(), RelayError> {
        let answer = self
            .send(Attempt::CheckHealth, self.request(Method::GET, HEALTH_PATH))
            .await?;
        self.expect_success(Attempt::CheckHealth, answer).await.map(drop)
    }

    async fn find(&self, request: RequestBuilder) -> Result<Option<SealedRecord>, RelayError> {
        let attempt = Attempt::LookUp;
        let answer = self.send(attempt, request).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = self.expect_success(attempt, answer).await?;
        let sealed = self.read_sealed(answer).await;
        sealed.map(Some).map_err(|problem| self.error(attempt, problem))
    }

    fn registration(&self, token: &LookupToken, sealed: &SealedRecord) -> RequestBuilder {
        let body = RegisterRequest {
            blob: sealed.to_text(),
        };
        self.request(Method::POST, REGISTER_PATH)
            .bearer_auth(token.to_text())
            .json(&body)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        self.http.request(method, url)
    }

    async fn send(&self, attempt: Attempt, request: RequestBuilder) -> Result<Response, RelayError> {
        request
            .send()
            .await
            .map_err(|error| self.error(attempt, self.problem_of(error)))
    }

    async fn expect_success(&self, attempt: Attempt, answer: Response) -> Result<Response, RelayError> {
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let retry_after = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(parse_retry_after);
        // The status matters; an explanation that can't be read is not worth another error.
        let said: Option<ErrorResponse> = self.read_json(answer).await.ok();
        let reason = said.map(|said| clean_reason(&said.error));
        Err(self.error(
            attempt,
            RelayProblem::Refused {
                status,
                reason,
                retry_after,
            },
        ))
    }

    async fn read_sealed(&self, answer: Response) -> Result<SealedRecord, RelayProblem> {
        let found: FetchResponse = self.read_json(answer).await?;
        let not_sealed = RelayProblem::Malformed {
            problem: "its entry is not a sealed contact record",
        };
        found.blob.parse().map_err(|_| not_sealed)
    }

    async fn read_json<T: DeserializeOwned>(&self, answer: Response) -> Result<T, RelayProblem> {
        let bytes = self.read_bounded(answer).await?;
        serde_json::from_slice(&bytes).map_err(|_| RelayProblem::Malformed {
            problem: "not the JSON of this API",
        })
    }

    async fn read_bounded(&self, mut answer: Response) -> Result<Vec<u8>, RelayProblem> {
        let limit = RELAY_ANSWER_LEN_MAX;
        let announced = answer.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Err(RelayProblem::TooLarge { limit });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.problem_of(error))? {
            if bytes.len() + chunk.len() > limit {
                return Err(RelayProblem::TooLarge { limit });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn problem_of(&self, error: reqwest::Error) -> RelayProblem {
        let (timed_out, unreachable) = (error.is_timeout(), error.is_connect());
        // The message names the relay already.
        let source = Box::new(error.without_url());
        match (timed_out, unreachable) {
            (true, true) => RelayProblem::TimedOut {
                limit: self.timeouts.connect,
            },
            (true, false) => RelayProblem::TimedOut {
                limit: self.timeouts.request,
            },
            (false, true) => RelayProblem::Unreachable(source),
            (false, false) => RelayProblem::BrokenOff(source),
        }
    }

    fn error(&self, attempt: Attempt, problem: RelayProblem) -> RelayError {
        RelayError {
            attempt,
            relay: self.shown.clone(),
            problem,
        }
    }
}

/// The URL as messages show it: no credentials, no query, no lone slash at the end.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!(
        "{}://{host}{port}{}",
        url.scheme(),
        url.path().trim_end_matches('/')
    )
}

fn check_url(url: &Url) -> Result<(), RelayProblem> {
    let unusable = |problem| Err(RelayProblem::UnusableUrl { problem });
    if !matches!(url.scheme(), "http" | "https") {
        return unusable("has a URL that is neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return unusable("has a URL with a user name or password, which relays don't accept");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return unusable("has a URL with a query or fragment, which relays don't accept");
    }
    Ok(())
}

fn build_http(url: &Url, timeouts: RelayTimeouts) -> Result<Client, RelayProblem> {
    let tls = tls_for(url).map_err(|error| RelayProblem::TlsUnavailable(Box::new(error)))?;
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_max_idle_per_host(0)
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.request);
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| RelayProblem::TlsUnavailable(Box::new(error)))
}

/// TLS with the system's root certificates for `https`. Loading them takes milliseconds. A client
/// for `http` never follows a redirect, so it never needs them and gets none.
fn tls_for(url: &Url) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match url.scheme() {
        "https" => builder.with_platform_verifier()?,
        _ => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

#[cfg(test)]
mod tests;
