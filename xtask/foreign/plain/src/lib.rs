//! Unit tests of the variables that cargo sets for a test.

#[cfg(test)]
mod tests {
    use std::env::var;

    #[test]
    fn gets_the_variables_of_its_package() {
        assert_eq!(var("CARGO_PKG_VERSION_PRE").unwrap(), "rc.1");
        assert_eq!(var("CARGO_PKG_README").unwrap(), "no such file");
        assert_eq!(var("FOREIGN_BUILT").unwrap(), "by the build script");
        assert!(std::path::Path::new(&var("OUT_DIR").unwrap()).is_dir());
        assert!(var("CARGO_BIN_EXE_twin").is_err(), "only integration tests get it");
    }

    #[test]
    fn gets_the_variables_of_cargos_configuration() {
        assert_eq!(var("FOREIGN_SETTING").unwrap(), "from cargo's configuration");
    }

    #[cfg(feature = "usual")]
    #[test]
    fn is_built_with_the_default_feature() {}

    #[cfg(feature = "extra")]
    #[test]
    fn is_built_with_the_extra_feature() {}

    #[test]
    #[should_panic(expected = "on purpose")]
    fn panics() {
        panic!("on purpose");
    }

    #[test]
    #[ignore = "needs patience"]
    fn is_ignored_for_a_reason_that_looks_like_a_need() {}
}
