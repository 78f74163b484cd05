//! What only the binary has: arguments, environment variables, exit codes and signals.

use std::net::{SocketAddr, TcpListener};
use std::process::Output;

#[cfg(unix)]
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::process::BINARY;
use crate::target::loopback;
use crate::wait::soon;
#[cfg(unix)]
use crate::{
    process::Process,
    stopping::begin_registration,
    target::{Log, Setup},
    wait,
};

async fn run(arguments: &[&str]) -> Output {
    let running = Command::new(BINARY).args(arguments).kill_on_drop(true).output();
    soon("the end of the command", running).await.unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_port_in_use_is_exit_code_1_and_the_message_names_it() {
    let taken = TcpListener::bind((loopback(), 0)).unwrap();
    let addr = taken.local_addr().unwrap();
    let output = run(&["--listen", &addr.to_string()]).await;
    let said = stderr(&output);
    assert_eq!(
        (output.status.code(), output.stdout.len()),
        (Some(1), 0),
        "{said}"
    );
    assert!(
        said.contains(&format!("port {} of `{addr}` is in use\nhint: ", addr.port())),
        "{said}"
    );
}

#[tokio::test]
async fn wrong_arguments_are_exit_code_2_with_a_hint() {
    for arguments in [
        ["--listen", "localhost:80"],
        ["--header-timeout", "0"],
        ["--entry-ttl", "soon"],
    ] {
        let output = run(&arguments).await;
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(arguments[1]) && said.contains("hint: "), "{said}");
    }
}

#[tokio::test]
async fn help_names_every_variable_and_the_first_line() {
    let output = run(&["--help"]).await;
    let help = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for part in [
        "TANDEM_RELAY_LISTEN",
        "--listen",
        "[::]:26000",
        "listening on http://",
        "/health",
        "TANDEM_RELAY_SOURCE_ENTRIES",
        "--forwarded-for",
        "Exit codes",
    ] {
        assert!(help.contains(part), "{part} is missing: {help}");
    }
}

#[tokio::test]
async fn the_version_is_that_of_the_package() {
    let output = run(&["--version"]).await;
    let version = format!("tandem-relay {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), version);
}

#[tokio::test]
async fn the_address_can_come_from_the_environment() {
    let taken = TcpListener::bind((loopback(), 0)).unwrap();
    let addr: SocketAddr = taken.local_addr().unwrap();
    let running = Command::new(BINARY)
        .env("TANDEM_RELAY_LISTEN", addr.to_string())
        .kill_on_drop(true)
        .output();
    let output = soon("the end of the command", running).await.unwrap();
    assert!(
        stderr(&output).contains(&format!("`{addr}` is in use")),
        "{}",
        stderr(&output)
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_second_signal_does_not_wait_for_requests_in_flight() {
    let log = Log::default();
    let process = Process::start((loopback(), 0).into(), &Setup::default(), log.clone()).await;
    let _unfinished = begin_registration(process.addr, 100).await;
    process.terminate();
    let addr = process.addr;
    wait::until("no new connection", async || {
        TcpStream::connect(addr).await.is_err()
    })
    .await;
    process.close().await;
    assert!(log.text().contains("without waiting"), "{}", log.text());
}
