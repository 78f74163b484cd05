//! The client against relays that are honest, busy, broken or hostile: a bare TCP listener that
//! reads one request and answers with given bytes. Against the real relay it is tested in the
//! suite.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::identity::{Fingerprint, Identity};
use crate::rendezvous::ContactRecord;

const TOKEN_OWNER: Fingerprint = Fingerprint::from_bytes([9; 20]);
const SHORT: RelayTimeouts = RelayTimeouts {
    connect: Duration::from_millis(50),
    request: Duration::from_millis(50),
};

/// A client that takes longer than this is taken to wait for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a scripted relay does once it has read a request.
#[derive(Clone)]
enum Answer {
    /// Sends this, then closes.
    Send(Vec<u8>),
    /// Sends this, then neither sends more nor closes.
    Stall(Vec<u8>),
}

/// A relay that answers one request.
struct ScriptedRelay {
    url: Url,
    request: JoinHandle<String>,
}

impl ScriptedRelay {
    async fn start(answer: Answer) -> Self {
        let listener = bind().await;
        let url = url_of(&listener);
        let request = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let request = read_request(&mut stream).await;
            // Some of these tests want a client that hangs up once it has read enough.
            let (Answer::Send(bytes) | Answer::Stall(bytes)) = &answer;
            let _hung_up = stream.write_all(bytes).await;
            if matches!(answer, Answer::Stall(_)) {
                let _hung_up = stream.read(&mut [0]).await;
            }
            request
        });
        Self { url, request }
    }

    fn client(&self) -> RelayClient {
        RelayClient::new(self.url.clone()).expect("a usable URL")
    }

    async fn request(self) -> String {
        self.request.await.expect("the relay has answered")
    }
}

async fn bind() -> TcpListener {
    let loopback = [
        SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    ];
    TcpListener::bind(loopback.as_slice())
        .await
        .expect("a loopback interface")
}

/// An address that refuses connections while the socket lives: the socket is bound, so that no
/// other process can take the address, but does not listen.
fn deaf_address() -> (TcpSocket, SocketAddr) {
    let bound = |socket: TcpSocket, ip: IpAddr| socket.bind(SocketAddr::from((ip, 0))).map(|()| socket);
    let socket = TcpSocket::new_v6().and_then(|socket| bound(socket, Ipv6Addr::LOCALHOST.into()));
    let socket =
        socket.or_else(|_| TcpSocket::new_v4().and_then(|socket| bound(socket, Ipv4Addr::LOCALHOST.into())));
    let socket = socket.expect("a loopback interface");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

fn url_of(listener: &TcpListener) -> Url {
    let address = listener.local_addr().expect("a bound listener");
    Url::parse(&format!("http://{address}")).expect("a URL")
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !is_complete(&bytes) {
        let count = stream.read_buf(&mut bytes).await.expect("a request");
        assert!(count > 0, "the client hung up in its request");
    }
    String::from_utf8(bytes).expect("a request in ASCII")
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let announced = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    announced.map_or(0, |len| len.parse().expect("a length")) <= body.len()
}

fn answer(status: &str, body: &str) -> Answer {
    let len = body.len();
    Answer::Send(format!("HTTP/1.1 {status}\r\ncontent-length: {len}\r\n\r\n{body}").into_bytes())
}

/// An answer whose length shows only when it is complete.
fn chunked(body: &str) -> Answer {
    let (head, len) = (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        body.len(),
    );
    Answer::Send(format!("{head}{len:x}\r\n{body}\r\n0\r\n\r\n").into_bytes())
}

fn token() -> LookupToken {
    LookupToken::of(&TOKEN_OWNER)
}

fn sealed() -> SealedRecord {
    let identity = Identity::ephemeral().expect("randomness");
    let record = ContactRecord::new(identity.public_key(), Vec::new(), 1).expect("no addresses");
    record.seal(&identity).expect("sealing")
}

/// The outcome of looking up a peer at a relay that gives this answer.
async fn look_up(answer: Answer) -> Result<Option<SealedRecord>, RelayError> {
    ScriptedRelay::start(answer)
        .await
        .client()
        .look_up(&token())
        .await
}

async fn problem_of(answer: Answer) -> RelayProblem {
    look_up(answer).await.expect_err("refused").problem
}

#[tokio::test]
async fn publishing_sends_the_record_as_the_api_says() {
    let relay = ScriptedRelay::start(answer("201 Created", "")).await;
    let sealed = sealed();
    relay
        .client()
        .publish(&token(), &sealed)
        .await
        .expect("published");
    let request = relay.request().await;
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("POST /register HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("authorization: Bearer {}", token().to_text())),
        "{head}"
    );
    assert_eq!(body, format!("{{\"blob\":\"{}\"}}", sealed.to_text()));
}

#[tokio::test]
async fn a_record_is_looked_up() {
    let sealed = sealed();
    let relay = ScriptedRelay::start(answer(
        "200 OK",
        &format!("{{\"blob\":\"{}\"}}", sealed.to_text()),
    ))
    .await;
    assert_eq!(
        relay.client().look_up(&token()).await.expect("an answer"),
        Some(sealed)
    );
    assert!(relay.request().await.starts_with("GET /fetch HTTP/1.1\r\n"));
}

#[tokio::test]
async fn looking_up_a_peer_that_published_nothing_gives_none() {
    assert_eq!(
        look_up(answer("404 Not Found", "{\"error\":\"nothing\"}"))
            .await
            .expect("an answer"),
        None
    );
}

#[tokio::test]
async fn withdrawing_sends_a_delete_and_succeeds_when_there_is_nothing() {
    for status in ["204 No Content", "404 Not Found"] {
        let relay = ScriptedRelay::start(answer(status, "")).await;
        relay.client().withdraw(&token()).await.expect(status);
        assert!(relay.request().await.starts_with("DELETE /register HTTP/1.1\r\n"));
    }
}

#[tokio::test]
async fn health_is_checked_without_a_token() {
    let relay = ScriptedRelay::start(answer("200 OK", "")).await;
    relay.client().check_health().await.expect("healthy");
    let request = relay.request().await;
    assert!(
        request.starts_with("GET /health HTTP/1.1\r\n") && !request.contains("authorization"),
        "{request}"
    );
}

#[tokio::test]
async fn a_path_in_the_relays_url_is_kept() {
    let relay = ScriptedRelay::start(answer("200 OK", "")).await;
    let url = relay.url.join("/tandem/").expect("a URL");
    RelayClient::new(url)
        .expect("usable")
        .check_health()
        .await
        .expect("healthy");
    assert!(
        relay
            .request()
            .await
            .starts_with("GET /tandem/health HTTP/1.1\r\n")
    );
}

#[tokio::test]
async fn a_busy_relay_says_when_to_come_back() {
    let busy = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n";
    let relay = ScriptedRelay::start(Answer::Send(busy.into())).await;
    let error = relay.client().look_up(&token()).await.expect_err("busy");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    let shown = relay.url.as_str().trim_end_matches('/');
    assert_eq!(
        error.to_string(),
        format!("could not look up the peer: relay `{shown}` answered 429; retry in 30 s")
    );
}

#[tokio::test]
async fn a_refusal_is_shown_with_the_relays_reason() {
    let problem = problem_of(answer("401 Unauthorized", "{\"error\":\"no token\"}")).await;
    let RelayProblem::Refused {
        status: 401,
        reason,
        retry_after: None,
    } = problem
    else {
        panic!("{problem:?}")
    };
    assert_eq!(reason.as_deref(), Some("no token"));
}

#[tokio::test]
async fn a_redirect_is_a_refusal_and_not_followed() {
    let elsewhere = bind().await;
    let head = format!(
        "HTTP/1.1 307 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        url_of(&elsewhere)
    );
    let problem = problem_of(Answer::Send(head.into_bytes())).await;
    assert!(
        matches!(problem, RelayProblem::Refused { status: 307, .. }),
        "{problem:?}"
    );
    let elsewhere = elsewhere.into_std().expect("a listener");
    assert_eq!(
        elsewhere.accept().expect_err("nobody").kind(),
        std::io::ErrorKind::WouldBlock
    );
}

#[tokio::test]
async fn an_answer_that_is_not_of_this_api_is_malformed() {
    for body in ["", "hello", "{\"blob\":7}", "{}", "\u{1b}[2J", "[[[[[[[["] {
        let problem = problem_of(answer("200 OK", body)).await;
        assert!(
            matches!(problem, RelayProblem::Malformed { .. }),
            "{body:?}: {problem:?}"
        );
    }
}

#[tokio::test]
async fn a_blob_that_is_not_a_sealed_record_is_malformed() {
    let text = sealed().to_text();
    for blob in [
        &text[..text.len() - 1],
        &text.to_uppercase(),
        &format!("{text}0"),
        "",
    ] {
        let problem = problem_of(answer("200 OK", &format!("{{\"blob\":\"{blob}\"}}"))).await;
        assert!(
            matches!(problem, RelayProblem::Malformed { .. }),
            "{} characters: {problem:?}",
            blob.len()
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_or_ends_too_soon_is_broken_off() {
    for bytes in [
        "",
        "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
    ] {
        let problem = problem_of(Answer::Send(bytes.into())).await;
        assert!(
            matches!(problem, RelayProblem::BrokenOff(_)),
            "{bytes:?}: {problem:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_at_the_size_limit_is_read_and_one_byte_more_is_not() {
    let sealed = sealed();
    let body = format!("{{\"blob\":\"{}\"}}", sealed.to_text());
    let at_limit = body.clone() + &" ".repeat(RELAY_ANSWER_LEN_MAX - body.len());
    for answer in [answer("200 OK", &at_limit), chunked(&at_limit)] {
        assert_eq!(look_up(answer).await.expect("an answer"), Some(sealed.clone()));
    }
    let past = at_limit + " ";
    for answer in [answer("200 OK", &past), chunked(&past)] {
        let problem = problem_of(answer).await;
        assert!(
            matches!(
                problem,
                RelayProblem::TooLarge {
                    limit: RELAY_ANSWER_LEN_MAX
                }
            ),
            "{problem:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_of_ten_megabytes_is_not_read_whether_announced_or_not() {
    let announced = "HTTP/1.1 200 OK\r\ncontent-length: 10485760\r\n\r\n";
    let problem = problem_of(Answer::Stall(announced.into())).await;
    assert!(matches!(problem, RelayProblem::TooLarge { .. }), "{problem:?}");
    let problem = problem_of(chunked(&" ".repeat(10 << 20))).await;
    assert!(matches!(problem, RelayProblem::TooLarge { .. }), "{problem:?}");
}

#[tokio::test]
async fn a_refusal_with_a_huge_explanation_stays_a_refusal() {
    let problem = problem_of(answer("503 Service Unavailable", &"x".repeat(10 << 20))).await;
    assert!(
        matches!(
            problem,
            RelayProblem::Refused {
                status: 503,
                reason: None,
                ..
            }
        ),
        "{problem:?}"
    );
}

#[tokio::test]
async fn a_relay_that_stalls_before_or_in_its_answer_times_out() {
    for bytes in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
    ] {
        let relay = ScriptedRelay::start(Answer::Stall(bytes.into())).await;
        let client = RelayClient::with_timeouts(relay.url.clone(), SHORT).expect("a usable URL");
        let answered = tokio::time::timeout(PATIENCE, client.look_up(&token())).await;
        let problem = answered.expect("the request ends").expect_err("stalled").problem;
        assert!(
            matches!(problem, RelayProblem::TimedOut { limit } if limit == SHORT.request),
            "{problem:?}"
        );
    }
}

#[tokio::test]
async fn a_relay_that_is_down_is_named_without_the_token() {
    let (_held, address) = deaf_address();
    let url = Url::parse(&format!("http://{address}")).expect("a URL");
    let error = RelayClient::new(url)
        .expect("usable")
        .publish(&token(), &sealed())
        .await
        .expect_err("down");
    let expected = format!("could not publish the contact record: relay `http://{address}` can't be reached");
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(!format!("{error:?}").contains(&token().to_text()), "{error:?}");
}

#[test]
fn urls_that_no_relay_has_are_refused_without_showing_credentials() {
    for url in [
        "ftp://relay",
        "http://alice:secret@relay",
        "http://relay/?a",
        "http://relay/#a",
        "data:,x",
    ] {
        let error = RelayClient::new(Url::parse(url).expect("a URL")).expect_err(url);
        assert!(
            matches!(error.problem, RelayProblem::UnusableUrl { .. }),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn loopback_is_recognised_in_all_its_forms() {
    let is = |host: &str| is_loopback(&Url::parse(&format!("http://{host}:1")).expect("a URL"));
    for host in [
        "127.0.0.1",
        "127.9.9.9",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
    ] {
        assert!(is(host), "{host}");
    }
    for host in [
        "128.0.0.1",
        "[::2]",
        "localhost.example.org",
        "notlocalhost",
        "192.168.0.1",
    ] {
        assert!(!is(host), "{host}");
    }
}

// The environment belongs to the process, so this test runs itself again in one whose proxy is
// dead.
#[tokio::test]
async fn a_relay_on_this_machine_is_reached_past_a_dead_proxy() {
    const VARIABLE: &str = "TANDEM_RELAY_TEST_URL";
    if let Ok(url) = std::env::var(VARIABLE) {
        let url = Url::parse(&url).expect("a URL");
        return RelayClient::new(url)
            .expect("usable")
            .check_health()
            .await
            .expect("past the proxy");
    }
    let relay = ScriptedRelay::start(answer("200 OK", "")).await;
    let exe = std::env::current_exe().expect("this test binary");
    let mut again = tokio::process::Command::new(exe);
    again.args([
        "--quiet",
        "--exact",
        "rendezvous::relay_client::tests::a_relay_on_this_machine_is_reached_past_a_dead_proxy",
    ]);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        again.env(name, "http://127.0.0.1:9");
    }
    let output = again
        .env(VARIABLE, relay.url.as_str())
        .output()
        .await
        .expect("this test binary");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
