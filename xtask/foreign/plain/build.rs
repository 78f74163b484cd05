//! Sets a variable for its package, as only a build script can.

fn main() {
    println!("cargo::rustc-env=FOREIGN_BUILT=by the build script");
    println!("cargo::rerun-if-changed=build.rs");
}
