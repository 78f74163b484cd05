//! A custom harness that ignores its arguments. It fails if the feature `extra` is on.

fn main() {
    println!("this is no list");
    assert!(!cfg!(feature = "extra"), "something extra");
}
