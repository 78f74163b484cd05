//! The network of a test: that of the box, one of its own, or the machine's.
#![cfg(target_os = "linux")]

use std::net::TcpListener;

use super::support::{Run, Scratch, Setup, must};

/// Two tests that hold the same port until each knows that the other one holds it, too.
const SAME_PORT: &str = r#"
fn meet(own: &str, other: &str) {
    let _held = std::net::TcpListener::bind("127.0.0.1:8080").unwrap();
    let place = std::path::PathBuf::from(std::env::var_os("RUNNER_FILE").unwrap());
    std::fs::write(place.join(own), "").unwrap();
    while !place.join(other).exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
#[test]
fn one() {
    meet("one", "two");
}
#[test]
fn two() {
    meet("two", "one");
}
fn main() {}
"#;

/// A test that reaches a service, and two that must find a network that nothing has used.
const SERVICE: &str = r#"
#[test]
fn reaches_the_service() {
    std::net::TcpStream::connect(std::env::var("SERVICE").unwrap()).unwrap();
}
fn finds_a_new_network() {
    let counters = std::fs::read_to_string("/proc/self/net/snmp").unwrap();
    let counts = counters.lines().filter_map(|line| line.strip_prefix("Tcp: ")).nth(1).unwrap();
    // See proc_net(5): the fifth number counts connections that were opened from here.
    assert_eq!(counts.split(' ').nth(4), Some("0"), "{counters}");
    let listener = std::net::TcpListener::bind("127.0.0.1:8080").unwrap();
    std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
}
#[test]
fn is_the_first_there() {
    finds_a_new_network();
}
#[test]
fn is_the_first_there_too() {
    finds_a_new_network();
}
fn main() {}
"#;

/// A table that gives the tests of this filter a network.
fn overriding(filter: &str, network: &str) -> String {
    format!(
        "[[workspace.metadata.universe.test.overrides]]\nfilter = \"{filter}\"\nnetwork = \"{network}\"\n"
    )
}

/// The package, with this network for all its tests.
fn package(source: &str, network: &str) -> Scratch {
    let package = Scratch::package(source);
    package.add_to_manifest(&overriding("all()", network));
    package
}

/// Runs its tests in the box.
fn run(package: &Scratch, arguments: &[&str], variable: (&str, &str)) -> Run {
    Setup {
        manifest: package.manifest(),
        variables: &[variable],
        ..Setup::new(&[&["--isolate", "box"], arguments].concat())
    }
    .run()
}

/// A service of this machine.
struct Service {
    _listener: TcpListener,
    address: String,
}

impl Service {
    fn start() -> Service {
        let listener = must("listen", TcpListener::bind("127.0.0.1:0"));
        let address = must("know the address", listener.local_addr()).to_string();
        Service {
            _listener: listener,
            address,
        }
    }

    /// By which the tests know it.
    fn variable(&self) -> (&str, &str) {
        ("SERVICE", &self.address)
    }
}

#[test]
fn two_tests_on_one_port_run_at_the_same_time_if_each_has_its_own_network() {
    for (network, expected) in [
        ("own", "2 passed, 0 failed, 0 skipped"),
        // One finds the port taken, so the other one waits for it in vain.
        ("box", "0 passed, 2 failed, 0 skipped"),
    ] {
        let place = must("make a temporary directory", tempfile::tempdir());
        let file = place.path().display().to_string();
        let package = package(SAME_PORT, network);
        let arguments = ["--jobs", "2", "--timeout", "5s"];
        let run = run(&package, &arguments, ("RUNNER_FILE", &file));
        assert_eq!(run.last_line(), expected, "{network}: {run}");
    }
}

#[test]
fn a_service_of_the_machine_is_reached_with_its_network_and_not_in_the_box() {
    let service = Service::start();
    for (network, expected) in [
        ("host", "1 passed, 0 failed, 0 skipped"),
        ("box", "0 passed, 1 failed, 0 skipped"),
        ("own", "0 passed, 1 failed, 0 skipped"),
    ] {
        let package = package(SERVICE, network);
        let run = run(&package, &["reaches"], service.variable());
        assert_eq!(run.last_line(), expected, "{network}: {run}");
    }
}

#[test]
fn a_failure_names_the_server_of_the_machine_that_refused_a_connection_in_the_box() {
    let service = Service::start();
    for network in ["box", "own"] {
        let package = package(SERVICE, network);
        let run = run(&package, &["reaches"], service.variable());
        let expected = format!(
            "  network: while it ran, {} refused a connection in the box, and a server listens there outside the box; \
             `network = \"host\"` in an override gives a test the machine's network\n",
            service.address
        );
        assert!(run.stdout.contains(&expected), "{run}");
        assert!(run.junit().contains("network: while it ran, "), "{}", run.junit());
    }
    // Where nobody listens outside either, another network would change nothing.
    let address = service.address.clone();
    drop(service);
    for arguments in [&["reaches"][..], &["reaches", "--isolate", "process"]] {
        let run = Setup {
            manifest: package(SERVICE, "box").manifest(),
            variables: &[("SERVICE", &address)],
            ..Setup::new(arguments)
        }
        .run();
        assert_eq!(run.last_line(), "0 passed, 1 failed, 0 skipped", "{run}");
        assert!(!run.stdout.contains("network: "), "{run}");
    }
}

#[test]
fn a_failure_that_says_that_the_network_is_unreachable_names_the_setting() {
    let package = package(SERVICE, "box");
    // An address for documentation (RFC 5737): no machine has it.
    let run = run(&package, &["reaches"], ("SERVICE", "192.0.2.1:80"));
    let line = run
        .stdout
        .lines()
        .find(|line| line.starts_with("  network: it wrote `"));
    let parts = [
        "Network is unreachable",
        "and the box has only a loopback interface",
        "`network = \"host\"`",
    ];
    assert!(
        line.is_some_and(|line| parts.iter().all(|part| line.contains(part))),
        "{run}"
    );
}

#[test]
fn a_network_of_its_own_is_new_for_each_test() {
    let package = package(SERVICE, "own");
    // One at a time: each could have the supervisor of the one before.
    let run = run(
        &package,
        &["first", "--jobs", "1", "--count", "3"],
        ("SERVICE", ""),
    );
    assert_eq!(run.last_line(), "6 passed, 0 failed, 0 skipped", "{run}");
}

#[test]
fn tests_of_several_networks_run_one_after_another_each_in_its_own() {
    let service = Service::start();
    let package = Scratch::package(SERVICE);
    let networks = [("test(reaches)", "host"), ("test(first)", "own")];
    let overrides = networks.map(|(filter, network)| overriding(filter, network));
    package.add_to_manifest(&overrides.concat());
    let run = run(&package, &["--jobs", "1", "--count", "3"], service.variable());
    assert_eq!(run.last_line(), "9 passed, 0 failed, 0 skipped", "{run}");
}

#[test]
fn without_the_box_a_line_says_that_no_test_has_a_network_of_its_own() {
    let service = Service::start();
    let package = package(SERVICE, "own");
    let setup = Setup {
        manifest: package.manifest(),
        variables: &[service.variable()],
        ..Setup::new(&["reaches", "--isolate", "process"])
    };
    let run = setup.run();
    let lines = run.stdout.lines().filter(|line| line.starts_with("isolation: "));
    let expected = "isolation: 1 test has `network = \"own\"`, but no network without the box (`tree`)";
    assert_eq!(lines.collect::<Vec<_>>(), [expected], "{run}");
    assert_eq!(run.last_line(), "1 passed, 0 failed, 0 skipped", "{run}");
}

#[test]
fn a_network_that_does_not_exist_is_refused_with_its_file_and_key() {
    let package = package(SERVICE, "lan");
    let run = package.test();
    let text = format!("{}{}", run.stdout, run.stderr);
    let file = package.manifest();
    for part in [
        "`workspace.metadata.universe.test.overrides[0].network`",
        &format!("`{}`", file.display()),
        "`\"lan\"` is not \"box\", \"own\" or \"host\"",
    ] {
        assert!(text.contains(part), "{part}: {run}");
    }
}
