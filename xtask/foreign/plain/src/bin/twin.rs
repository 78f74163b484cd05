//! Prints the name of its package.

fn main() {
    println!("plain");
}
