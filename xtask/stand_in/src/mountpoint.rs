//! Makes directories where peers would mount, prints their paths, and waits until its standard
//! input closes.
//!
//! `STAND_IN_MOUNT` is `dies` (exits before it has mounted), `stays` (does not exit when it should
//! unmount) or `leaves` (leaves a mount behind).

use std::io::Read as _;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (directory, arguments) = arguments.split_last().unwrap();
    let [backing_flag, backing, passthrough_flag, _, others @ ..] = arguments else {
        panic!("{arguments:?}");
    };
    assert!(others.is_empty() || others == ["--allow-other"]);
    assert_eq!(
        [backing_flag.as_str(), passthrough_flag.as_str()],
        ["--backing", "--passthrough"]
    );
    assert!(PathBuf::from(backing).is_dir());
    let how = std::env::var("STAND_IN_MOUNT").unwrap_or_default();
    if how == "dies" {
        eprintln!("last words");
        std::process::exit(3);
    }
    let [alice, bob] = ["alice", "bob"].map(|name| PathBuf::from(directory).join(name));
    std::fs::create_dir(&alice).unwrap();
    std::fs::create_dir(&bob).unwrap();
    if how == "leaves" {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "none"])
            .arg(&alice)
            .status();
        assert!(mount.unwrap().success());
    }
    println!("mounted\t{}\t{}", alice.display(), bob.display());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    if how == "stays" {
        std::thread::sleep(std::time::Duration::from_secs(30));
    }
}
