//! Says whose it is.

fn main() {
    println!("plain");
}
