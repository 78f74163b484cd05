//! A harness of its own, which ignores its arguments. It fails where something extra is built.

fn main() {
    println!("this is no list");
    assert!(!cfg!(feature = "extra"), "something extra");
}
