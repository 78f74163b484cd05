//! Unit tests that look at what cargo tells a test.

#[cfg(test)]
mod tests {
    use std::env::var;

    #[test]
    fn is_told_of_its_package() {
        assert_eq!(var("CARGO_PKG_VERSION_PRE").unwrap(), "rc.1");
        assert_eq!(var("CARGO_PKG_README").unwrap(), "no such file");
        assert_eq!(var("FOREIGN_BUILT").unwrap(), "by the build script");
        assert!(std::path::Path::new(&var("OUT_DIR").unwrap()).is_dir());
    }

    #[test]
    fn is_told_what_cargos_configuration_sets() {
        assert_eq!(var("FOREIGN_SETTING").unwrap(), "from cargo's configuration");
    }

    #[cfg(feature = "usual")]
    #[test]
    fn is_built_with_what_is_usual() {}

    #[cfg(feature = "extra")]
    #[test]
    fn is_built_with_something_extra() {}

    #[test]
    #[should_panic(expected = "on purpose")]
    fn panics() {
        panic!("on purpose");
    }

    #[test]
    #[ignore = "needs patience"]
    fn is_ignored_for_a_reason_that_looks_like_a_need() {}
}
