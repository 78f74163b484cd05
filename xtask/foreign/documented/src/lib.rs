//! Doc tests of every kind: those that pass, and, with a feature, those that fail.
#![doc = include_str!("../README.md")]

/// The number two.
///
/// ```
/// assert_eq!(documented::two(), 2);
/// assert_eq!(std::env::var("FOREIGN_SETTING").unwrap(), "from cargo's configuration");
/// assert!(std::env::current_dir().unwrap().ends_with("documented"));
/// assert_eq!(std::env::var("CARGO_PKG_NAME").unwrap(), "documented");
/// ```
///
/// ```should_panic
/// panic!("on purpose");
/// ```
///
/// ```compile_fail,E0308
/// let number: u8 = "two";
/// ```
///
/// ```no_run
/// std::process::exit(3);
/// ```
///
/// ```ignore
/// no Rust at all
/// ```
///
/// ```text
/// no test
/// ```
pub fn two() -> u8 {
    2
}

/// Items whose doc tests fail.
#[cfg(feature = "extra")]
pub mod failing {
    /// ```
    /// assert_eq!(documented::two(), 3);
    /// ```
    pub fn panics() {}

    /// ```
    /// let number: u8 = "two";
    /// ```
    pub fn does_not_compile() {}

    /// ```compile_fail
    /// let number: u8 = 2;
    /// ```
    pub fn compiles() {}

    /// ```should_panic
    /// documented::two();
    /// ```
    pub fn does_not_panic() {}

    /// ```
    /// Err::<(), _>("nothing works")?;
    /// # Ok::<(), &str>(())
    /// ```
    pub fn returns_an_error() {}
}
