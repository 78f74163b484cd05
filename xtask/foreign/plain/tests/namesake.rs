//! A test target with the name of the library.

#[test]
fn finds_the_binary_of_its_package() {
    let program =
        std::env::var("CARGO_BIN_EXE_twin").unwrap_or_else(|_| env!("CARGO_BIN_EXE_twin").to_owned());
    let said = std::process::Command::new(program).output().unwrap().stdout;
    assert_eq!(String::from_utf8(said).unwrap(), "plain\n");
}
