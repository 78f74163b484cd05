//! Routes, statuses and bodies.

use tandem_relay::api::FetchResponse;

use crate::target::{Target, registration, registration_head, request, token};

pub(crate) async fn a_blob_is_fetched_exactly_as_it_was_registered(target: Target) {
    let relay = target.start().await;
    let blob = "sealed \"\\ \u{0}\n é 漢 🦀";
    assert_eq!(relay.register("alice", blob).await.status, 201);
    let reply = relay.fetch("alice").await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("application/json"))
    );
    let fetched: FetchResponse = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(fetched.blob, blob);
    relay.close().await;
}

pub(crate) async fn each_token_sees_only_its_own_blob(target: Target) {
    let relay = target.start().await;
    for name in ["alice", "bob"] {
        assert_eq!(relay.register(name, &format!("of {name}")).await.status, 201);
    }
    assert_eq!(relay.fetch("alice").await.body, r#"{"blob":"of alice"}"#);
    assert_eq!(relay.fetch("bob").await.body, r#"{"blob":"of bob"}"#);
    relay.fetch("mallory").await.refusal(404);
    relay.close().await;
}

pub(crate) async fn registering_again_replaces_the_blob(target: Target) {
    let relay = target.start().await;
    assert_eq!(relay.register("alice", "old").await.status, 201);
    assert_eq!(relay.register("alice", "new").await.status, 201);
    assert_eq!(relay.fetch("alice").await.body, r#"{"blob":"new"}"#);
    relay.close().await;
}

pub(crate) async fn a_token_is_taken_only_once_if_the_registration_asks_for_that(target: Target) {
    let relay = target.start().await;
    let first = |blob| conditional(&token("alice"), blob, "*");
    assert_eq!(relay.ask(&first("first")).await.status, 201);
    let error = relay.ask(&first("second")).await.refusal(409);
    assert!(error.contains("already"), "{error}");
    assert_eq!(relay.fetch("alice").await.body, r#"{"blob":"first"}"#);
    assert_eq!(relay.withdraw("alice").await.status, 204);
    assert_eq!(relay.ask(&first("second")).await.status, 201);
    relay.close().await;
}

pub(crate) async fn a_condition_other_than_a_star_is_400(target: Target) {
    let relay = target.start().await;
    for condition in ["\"tag\"", "", "*\r\nIf-None-Match: *"] {
        let reply = relay
            .ask(&conditional(&token("alice"), "sealed", condition))
            .await;
        reply.refusal(400);
    }
    relay.fetch("alice").await.refusal(404);
    relay.close().await;
}

fn conditional(token: &str, blob: &str, condition: &str) -> String {
    let registration = registration(token, blob);
    registration.replacen("\r\n\r\n", &format!("\r\nIf-None-Match: {condition}\r\n\r\n"), 1)
}

pub(crate) async fn fetching_an_unknown_token_is_404(target: Target) {
    let relay = target.start().await;
    let error = relay.fetch("alice").await.refusal(404);
    assert!(error.contains("nothing is registered"), "{error}");
    assert!(!error.contains(&token("alice")), "{error}");
    relay.close().await;
}

pub(crate) async fn withdrawing_removes_the_entry_and_is_404_the_second_time(target: Target) {
    let relay = target.start().await;
    assert_eq!(relay.register("alice", "sealed").await.status, 201);
    assert_eq!(relay.withdraw("alice").await.status, 204);
    relay.fetch("alice").await.refusal(404);
    relay.withdraw("alice").await.refusal(404);
    relay.close().await;
}

pub(crate) async fn health_is_200(target: Target) {
    let relay = target.start().await;
    assert_eq!(
        relay
            .ask("GET /health HTTP/1.1\r\nHost: relay\r\n\r\n")
            .await
            .status,
        200
    );
    relay.close().await;
}

pub(crate) async fn requests_can_share_a_connection(target: Target) {
    let relay = target.start().await;
    let mut wire = relay.connect().await;
    assert_eq!(
        wire.ask(&registration(&token("alice"), "sealed")).await.status,
        201
    );
    let fetch = request("GET", "/fetch", &token("alice"));
    assert_eq!(wire.ask(&fetch).await.body, r#"{"blob":"sealed"}"#);
    assert_eq!(wire.ask(&fetch).await.status, 200);
    relay.close().await;
}

pub(crate) async fn no_answer_may_be_cached(target: Target) {
    let relay = target.start().await;
    let answers = [
        relay.register("alice", "sealed").await,
        relay.fetch("alice").await,
        relay.withdraw("alice").await,
        relay.fetch("alice").await,
        relay.ask(&request("GET", "/elsewhere", &token("alice"))).await,
        relay.ask(&request("PUT", "/fetch", &token("alice"))).await,
    ];
    for answer in answers {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    }
    relay.close().await;
}

pub(crate) async fn a_request_without_a_token_is_401_and_names_the_scheme(target: Target) {
    let relay = target.start().await;
    for line in ["POST /register", "DELETE /register", "GET /fetch"] {
        let reply = relay
            .ask(&format!("{line} HTTP/1.1\r\nHost: relay\r\n\r\n"))
            .await;
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{line}");
        assert!(reply.refusal(401).contains("Authorization: Bearer"), "{line}");
    }
    relay.close().await;
}

pub(crate) async fn a_malformed_token_is_401_and_not_repeated(target: Target) {
    let relay = target.start().await;
    for value in [
        "Bearer mallory!mallory!mallory!",
        "Basic mallory_mallory_mallory",
        "Bearer",
        "mallory",
        "Bearer mallory",
    ] {
        let head = format!("GET /fetch HTTP/1.1\r\nHost: relay\r\nAuthorization: {value}\r\n\r\n");
        let reply = relay.ask(&head).await;
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{value}");
        assert!(!reply.refusal(401).contains("mallory"), "{value}");
    }
    relay.close().await;
}

pub(crate) async fn an_unknown_path_is_404_and_lists_the_paths(target: Target) {
    let relay = target.start().await;
    for path in ["/", "/fetch/", "/register/alice", "/../fetch", "/Fetch"] {
        let error = relay
            .ask(&request("GET", path, &token("alice")))
            .await
            .refusal(404);
        assert!(
            error.contains("`/register`, `/fetch` and `/health`"),
            "{path}: {error}"
        );
    }
    relay.close().await;
}

pub(crate) async fn a_wrong_method_is_405_and_lists_the_right_ones(target: Target) {
    let relay = target.start().await;
    for (method, path, allowed) in [
        ("PUT", "/register", "POST,DELETE"),
        ("POST", "/fetch", "GET,HEAD"),
        ("DELETE", "/health", "GET,HEAD"),
    ] {
        let reply = relay.ask(&request(method, path, &token("alice"))).await;
        assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
        assert!(reply.refusal(405).contains("`Allow`"), "{method} {path}");
    }
    relay.close().await;
}

pub(crate) async fn a_malformed_body_is_400_and_not_quoted(target: Target) {
    let relay = target.start().await;
    let bodies = [
        "",
        "mallory",
        "{\"blob\":\"mallory",
        "{}",
        "[]",
        "{\"blob\":null}",
        "{\"blob\":\"\"}",
        "{\"blob\":[\"mallory\"]}",
        "{\"blob\":\"x\",\"mallory\":1}",
        "{\"blob\":\"x\",\"blob\":\"mallory\"}",
        "{\"blob\":\"x\"} mallory",
        "{\"blob\":\"\\ud800\"}",
    ];
    for body in bodies {
        let head = registration_head(&token("alice"), body.len());
        let error = relay.ask(&format!("{head}{body}")).await.refusal(400);
        assert!(
            error.contains("blob") && !error.contains("mallory"),
            "{body:?}: {error}"
        );
    }
    relay.fetch("alice").await.refusal(404);
    relay.close().await;
}

pub(crate) async fn broken_http_is_400_and_ends_the_connection(target: Target) {
    let relay = target.start().await;
    for bytes in [
        "\u{1}\u{2}\u{3}\r\n\r\n",
        "GET /health\r\n\r\n",
        "GET /health HTTP/1.1\r\nno colon\r\n\r\n",
    ] {
        let mut wire = relay.connect().await;
        assert_eq!(wire.ask(bytes).await.status, 400, "{bytes:?}");
        assert_eq!(wire.reader.rest().await, "", "{bytes:?}");
    }
    relay.close().await;
}

pub(crate) async fn http_2_is_not_supported(target: Target) {
    let relay = target.start().await;
    let mut wire = relay.connect().await;
    wire.writer.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let rest = wire.reader.rest().await;
    assert!(!rest.contains("200"), "{rest}");
    relay.close().await;
}

/// A proxy before the relay may go by the other length. To the proxy, the bytes that follow could
/// then belong to another client's request.
pub(crate) async fn a_request_with_two_lengths_is_the_last_of_its_connection(target: Target) {
    let relay = target.start().await;
    let mut wire = relay.connect().await;
    let head =
        registration_head(&token("alice"), 4).replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    let smuggled = request("GET", "/health", &token("alice"));
    wire.writer.send(&format!("{head}0\r\n\r\n{smuggled}")).await;
    wire.reader.reply().await.refusal(400);
    assert_eq!(wire.reader.rest().await, "");
    relay.close().await;
}
