//! The relay shows tokens and blobs to nobody but their owner.

use crate::target::{Target, request, token};

pub(crate) async fn the_log_shows_neither_tokens_nor_blobs(target: Target) {
    let relay = target.start().await;
    relay.register("alice", "sealed-by-alice").await;
    relay.fetch("alice").await;
    relay.withdraw("alice").await;
    // A token in places where it doesn't belong, but where a careless client may put it.
    relay
        .ask(&request("GET", &format!("/fetch/{}", token("alice")), "short"))
        .await;
    relay
        .ask(&request(
            "GET",
            &format!("/fetch?token={}", token("alice")),
            "short",
        ))
        .await;
    relay.ask(&request(&token("alice"), "/fetch", "short")).await;
    let log = relay.close().await;
    assert_eq!(log.matches("answered").count(), 6, "one line per request: {log}");
    for secret in ["alice", "short"] {
        assert!(!log.contains(secret), "`{secret}` is in the log: {log}");
    }
}
