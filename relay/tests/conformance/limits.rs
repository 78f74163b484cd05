//! Every limit: input at the limit is accepted, one past it is refused.

use tandem_relay::api::{BLOB_LEN_MAX, BODY_LEN_MAX, TOKEN_LEN_MAX, TOKEN_LEN_MIN};
use tandem_relay::{Limits, StoreLimits};

use crate::target::{Setup, Target, registration, registration_head, request, token};
use crate::wait;

/// Bytes of a registration's body besides the blob: `{"blob":""}`.
const BODY_FRAME_LEN: usize = 11;

fn setup(store: StoreLimits) -> Setup {
    Setup {
        store,
        ..Setup::default()
    }
}

/// Different letters, so that a shifted blob is another blob.
fn blob(len: usize) -> String {
    (b'a'..=b'z').cycle().take(len).map(char::from).collect()
}

/// A registration's body of `len` bytes: a short blob, and blanks around it.
fn body(len: usize) -> String {
    format!("{:<len$}", r#"{"blob":"sealed"}"#)
}

pub(crate) async fn a_blob_is_stored_at_the_limit_and_413_one_byte_past_it(target: Target) {
    let relay = target.start().await;
    let longest = blob(BLOB_LEN_MAX);
    assert_eq!(relay.register("alice", &longest).await.status, 201);
    let longer = relay.register("alice", &blob(BLOB_LEN_MAX + 1)).await;
    assert!(longer.refusal(413).contains("4096 bytes"));
    assert_eq!(
        relay.fetch("alice").await.body,
        format!(r#"{{"blob":"{longest}"}}"#)
    );
    relay.close().await;
}

pub(crate) async fn a_body_at_the_limit_is_stored(target: Target) {
    let relay = target.start().await;
    let head = registration_head(&token("alice"), BODY_LEN_MAX);
    let reply = relay.ask(&format!("{head}{}", body(BODY_LEN_MAX))).await;
    assert_eq!(reply.status, 201);
    assert_eq!(relay.fetch("alice").await.body, r#"{"blob":"sealed"}"#);
    relay.close().await;
}

/// A blob that fitted into a registration also fits into the answer, however JSON escapes it.
pub(crate) async fn an_answer_is_no_longer_than_the_longest_body(target: Target) {
    let relay = target.start().await;
    let escaped = "\\u0001".repeat((BODY_LEN_MAX - BODY_FRAME_LEN) / 6);
    let body = format!(r#"{{"blob":"{escaped}"}}"#);
    let head = registration_head(&token("alice"), body.len());
    assert_eq!(relay.ask(&format!("{head}{body}")).await.status, 201);
    assert!(relay.fetch("alice").await.body.len() <= BODY_LEN_MAX);
    relay.close().await;
}

pub(crate) async fn a_body_one_byte_longer_is_413_before_any_of_it_is_sent(target: Target) {
    let relay = target.start().await;
    let mut wire = relay.connect().await;
    let reply = wire
        .ask(&registration_head(&token("alice"), BODY_LEN_MAX + 1))
        .await;
    assert!(reply.refusal(413).contains("8192 bytes"));
    assert_eq!(wire.reader.rest().await, "", "what follows is not read");
    relay.close().await;
}

pub(crate) async fn a_chunked_body_is_stored_at_the_limit_and_413_one_byte_past_it(target: Target) {
    let relay = target.start().await;
    for (past, status) in [(0, 201), (1, 413)] {
        let body = body(BODY_LEN_MAX + past);
        let head =
            registration_head(&token("alice"), 0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
        let reply = relay
            .ask(&format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
            .await;
        assert_eq!(reply.status, status, "{past} bytes past the limit: {reply:?}");
    }
    relay.close().await;
}

/// A relay that closed at once would reset the connection, and the client would never see why.
pub(crate) async fn the_413_reaches_a_client_that_sends_everything_first(target: Target) {
    let relay = target.start().await;
    let reply = relay.register("alice", &blob(64 * BODY_LEN_MAX)).await;
    reply.refusal(413);
    relay.close().await;
}

pub(crate) async fn header_lines_are_taken_at_the_limit_and_431_one_past_it(target: Target) {
    let relay = target.start().await;
    let limit = Limits::default().header_count_max;
    for (count, status) in [(limit, 200), (limit + 1, 431)] {
        let lines: String = (0..count).map(|index| format!("X-{index}: y\r\n")).collect();
        let reply = relay.ask(&format!("GET /health HTTP/1.1\r\n{lines}\r\n")).await;
        assert_eq!(reply.status, status, "{count} lines");
    }
    relay.close().await;
}

pub(crate) async fn header_bytes_are_taken_at_the_limit_and_431_one_past_it(target: Target) {
    let relay = target.start().await;
    let limit = Limits::default().header_len_max;
    let frame_len = "GET /health HTTP/1.1\r\nX: \r\n\r\n".len();
    for (len, status) in [(limit, 200), (limit + 1, 431)] {
        let filler = blob(len - frame_len);
        let reply = relay
            .ask(&format!("GET /health HTTP/1.1\r\nX: {filler}\r\n\r\n"))
            .await;
        assert_eq!(reply.status, status, "{len} bytes");
    }
    relay.close().await;
}

pub(crate) async fn tokens_are_taken_at_both_limits_and_401_one_past_them(target: Target) {
    let relay = target.start().await;
    let lens = [
        (TOKEN_LEN_MIN - 1, 401),
        (TOKEN_LEN_MIN, 404),
        (TOKEN_LEN_MAX, 404),
        (TOKEN_LEN_MAX + 1, 401),
    ];
    for (len, status) in lens {
        let error = relay
            .ask(&request("GET", "/fetch", &blob(len)))
            .await
            .refusal(status);
        assert!(status == 404 || error.contains("22 to 128"), "{error}");
    }
    relay.close().await;
}

pub(crate) async fn one_entry_past_the_limit_is_503(target: Target) {
    let relay = target
        .start_with(setup(StoreLimits {
            entry_count_max: 2,
            ..StoreLimits::default()
        }))
        .await;
    assert_eq!(relay.register("alice", "x").await.status, 201);
    assert_eq!(relay.register("bob", "x").await.status, 201);
    let error = relay.register("mallory", "x").await.busy();
    assert!(error.contains("2 entries"), "{error}");
    assert_eq!(relay.register("alice", "again").await.status, 201);
    relay.close().await;
}

pub(crate) async fn one_byte_past_the_limit_is_503(target: Target) {
    let total_len_max = token("alice").len() + 100;
    let relay = target
        .start_with(setup(StoreLimits {
            total_len_max,
            ..StoreLimits::default()
        }))
        .await;
    assert_eq!(relay.register("alice", &blob(100)).await.status, 201);
    let error = relay.register("alice", &blob(101)).await.busy();
    assert!(error.contains(&format!("{total_len_max}")), "{error}");
    assert_eq!(relay.fetch("alice").await.body.len(), 100 + BODY_FRAME_LEN);
    relay.close().await;
}

pub(crate) async fn one_connection_past_the_limit_is_503_until_another_one_ends(target: Target) {
    let limits = Limits {
        connection_count_max: 2,
        ..Limits::default()
    };
    let relay = target
        .start_with(Setup {
            limits,
            ..Setup::default()
        })
        .await;
    let (mut first, mut second) = (relay.connect().await, relay.connect().await);
    let health = request("GET", "/health", &token("alice"));
    assert_eq!(first.ask(&health).await.status, 200);
    assert_eq!(second.ask(&health).await.status, 200);
    let error = relay.ask(&registration(&token("alice"), "x")).await.busy();
    assert!(error.contains("2 connections"), "{error}");
    drop(first);
    wait::until("a free place", async || relay.ask(&health).await.status == 200).await;
    relay.close().await;
}
