//! A person's decision about FUSE: `--fuse auto|on|off`.

/// Whether to use FUSE.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FuseMode {
    /// Use FUSE if this machine can mount
    #[default]
    Auto,
    /// FUSE must work: exit code 107 if it does not
    On,
    /// Build without FUSE; tests that need it are skipped
    Off,
}

/// The option, shared by all subcommands that build for mounts.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct FuseArgs {
    /// Build with FUSE and run what needs it
    #[arg(
        id = "fuse",
        long,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        env = "XTASK_TEST_FUSE"
    )]
    pub mode: FuseMode,
}

impl FuseMode {
    /// As a value on the command line.
    pub fn word(self) -> &'static str {
        match self {
            FuseMode::Auto => "auto",
            FuseMode::On => "on",
            FuseMode::Off => "off",
        }
    }

    /// The capabilities that this decision requires.
    pub(crate) fn required(self) -> &'static [&'static str] {
        match self {
            FuseMode::On => &["fuse"],
            FuseMode::Auto | FuseMode::Off => &[],
        }
    }
}
