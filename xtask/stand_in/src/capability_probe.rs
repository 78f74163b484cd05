//! Says that FUSE works, without trying.

fn main() {
    println!(r#"{{"capability":"fuse","available":true,"evidence":"stand-in"}}"#);
}
