//! A code works between two machines, which share no loopback, whatever addresses they have.

use tandem_tests::machines::{Addresses, Machine, two_machines};
use tokio::runtime::Handle;

use crate::home::{Homes, read, write};
use crate::process::Tandem;

/// Starts `tandem` on a machine.
fn start(machine: &Machine, home: &std::path::Path, args: &'static [&'static str]) -> Tandem {
    let (runtime, home) = (Handle::current(), home.to_owned());
    machine.run(move || {
        let _entered = runtime.enter();
        Tandem::start(&home, args)
    })
}

async fn a_code_works(addresses: Addresses) {
    let homes = Homes::new();
    let [at_alice, at_bob] = two_machines(addresses).unwrap();
    write(&homes.alice().join("photos/a.txt"), "one");
    let mut share = start(&at_alice, &homes.alice(), &["share", "photos"]);
    let code = share.answers().await;
    let wanted = match addresses {
        Addresses::V4 | Addresses::Both => "@10.77.0.1:",
        Addresses::V6 => "@[fd77::1]:",
    };
    assert!(code.contains(wanted), "{code}");
    let mut join = start(&at_bob, &homes.bob(), &["join", "--once"]);
    join.types(&code).await;
    let joined = join.ends().await;
    assert_eq!(joined.code, Some(0), "{}", joined.stderr);
    assert_eq!(read(&homes.bob().join("photos/a.txt")), "one");
}

#[tokio::test]
#[ignore = "needs root, ip"]
async fn a_code_works_where_there_is_only_ipv4() {
    a_code_works(Addresses::V4).await;
}

#[tokio::test]
#[ignore = "needs root, ip"]
async fn a_code_works_where_there_is_only_ipv6() {
    a_code_works(Addresses::V6).await;
}

#[tokio::test]
#[ignore = "needs root, ip"]
async fn a_code_works_where_there_is_ipv4_and_ipv6() {
    a_code_works(Addresses::Both).await;
}
