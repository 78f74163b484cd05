//! Which targets of the packages are built and tested: the options of `cargo test`, with its
//! meaning.

/// Without any of these, cargo builds what it tests by default: libraries, binaries and test
/// targets with their tests, and the examples.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Targets")]
pub(crate) struct TargetArgs {
    /// Test only the libraries
    #[arg(long)]
    lib: bool,
    /// Test only this binary (repeatable, and together with the other options of this group)
    #[arg(long, value_name = "NAME")]
    bin: Vec<String>,
    /// Test only the binaries
    #[arg(long)]
    bins: bool,
    /// Test only this test target
    #[arg(long, value_name = "NAME")]
    test: Vec<String>,
    /// Test only targets that have `test = true` in the manifest: libraries, binaries, test targets
    #[arg(long)]
    tests: bool,
    /// Test only this example
    #[arg(long, value_name = "NAME")]
    example: Vec<String>,
    /// Test only the examples
    #[arg(long)]
    examples: bool,
    /// Test only this benchmark target
    #[arg(long, value_name = "NAME")]
    bench: Vec<String>,
    /// Test only targets that have `bench = true` in the manifest: libraries, binaries, benchmarks
    #[arg(long)]
    benches: bool,
    /// Test all targets
    #[arg(long)]
    all_targets: bool,
}

impl TargetArgs {
    /// Whether any target is named.
    pub(super) fn are_named(&self) -> bool {
        !self.words().is_empty()
    }

    /// As words for cargo.
    pub(super) fn words(&self) -> Vec<String> {
        let flags = [
            (self.lib, "--lib"),
            (self.bins, "--bins"),
            (self.tests, "--tests"),
            (self.examples, "--examples"),
            (self.benches, "--benches"),
            (self.all_targets, "--all-targets"),
        ];
        let named = [
            ("--bin", &self.bin),
            ("--test", &self.test),
            ("--example", &self.example),
            ("--bench", &self.bench),
        ];
        let flags = flags.into_iter().filter(|(on, _)| *on);
        let named = named
            .into_iter()
            .flat_map(|(option, names)| names.iter().map(move |name| format!("{option}={name}")));
        flags.map(|(_, flag)| flag.to_owned()).chain(named).collect()
    }
}
