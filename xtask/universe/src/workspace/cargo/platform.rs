//! The platforms of a build: that of this machine, and the one that is built for.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::settings::Settings;
use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::sandbox::build_guard::guarded;

/// The platform for which a binary was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    /// This machine, whatever is built for: the compiler loads procedural macros.
    Host,
    /// The one that was requested, or else this machine.
    Target,
}

/// The word for this machine where cargo takes a platform.
const HOST_TUPLE: &str = "host-tuple";

/// The compiler as cargo starts it in `directory`.
pub(crate) struct Compiler<'a> {
    settings: &'a Settings,
    directory: &'a Path,
}

impl Compiler<'_> {
    /// The one that `settings` and the variables name.
    pub(crate) fn new<'a>(settings: &'a Settings, directory: &'a Path) -> Compiler<'a> {
        Compiler { settings, directory }
    }

    /// What it prints, without the spaces around it.
    ///
    /// # Errors
    /// When it can't be started, or fails.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<String, Stop> {
        let named = || Some(self.settings.get(&["build", "rustc"])?.program()?.0);
        let program = std::env::var_os("RUSTC").or_else(named);
        let mut command = Command::new(program.unwrap_or_else(|| "rustc".into()));
        command.args(arguments).current_dir(self.directory);
        let asked = format!("`{} {}`", command.get_program().display(), arguments.join(" "));
        let failed = |why: String| {
            let message = format!("could not learn the platform: {asked} {why}");
            Stop::new(Exit::SetupFailed, FailureKind::Setup, message)
        };
        let guarded = guarded(&command).map_err(|error| failed(error.to_string()));
        let (mut command, _line) = guarded?;
        let output = command
            .output()
            .map_err(|error| failed(format!("could not be started: {error}")))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(Stop {
                detail: crate::base::text::report_text(&output.stderr),
                ..failed(format!("ended with {}", output.status))
            }),
        }
    }

    /// The platform of this machine, such as `x86_64-unknown-linux-gnu`.
    ///
    /// # Errors
    /// When the compiler does not say.
    pub(super) fn host(&self) -> Result<String, Stop> {
        let answer = self.ask(&["-vV"])?;
        let host = answer.lines().find_map(|line| line.strip_prefix("host: "));
        host.map(str::to_owned).ok_or_else(|| {
            let message = "could not learn the platform: `rustc -vV` names no host";
            Stop::new(Exit::SetupFailed, FailureKind::Setup, message)
        })
    }

    /// What holds in `cfg(…)` on this platform; `None` is that of this machine.
    ///
    /// # Errors
    /// When the compiler does not know it.
    pub(super) fn facts(&self, platform: Option<&str>) -> Result<BTreeSet<String>, Stop> {
        let mut arguments = vec!["--print", "cfg"];
        arguments.extend(platform.into_iter().flat_map(|platform| ["--target", platform]));
        Ok(self.ask(&arguments)?.lines().map(str::to_owned).collect())
    }
}

/// The platform that is built for, if one is named: by the option or cargo's variable, else by its
/// configuration.
///
/// # Errors
/// When the configuration names several, whose tests would have the same names.
pub(super) fn requested(named_here: Option<&str>, settings: &Settings) -> Result<Option<String>, Stop> {
    if let Some(target) = named_here {
        return Ok(named(target));
    }
    let Some(setting) = settings.get(&["build", "target"]) else {
        return Ok(None);
    };
    match setting.words().unwrap_or_default().as_slice() {
        [] => Ok(None),
        [target] => Ok(named(target)),
        several => Err(Stop::new(
            Exit::Usage,
            FailureKind::Usage,
            format!(
                "`build.target` in `{}` names {} platforms, and tests can run for one at a time\n\
                 hint: choose one by `--target`",
                setting.file().display(),
                several.len()
            ),
        )),
    }
}

/// A platform; `None` for the word that means this machine.
fn named(target: &str) -> Option<String> {
    (target != HOST_TUPLE).then(|| target.to_owned())
}

/// The name of a platform, which may be described by a file.
pub(super) fn name(target: &str) -> &str {
    let file = target.strip_suffix(".json").map(Path::new);
    let stem = file.and_then(Path::file_name).and_then(|name| name.to_str());
    stem.unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_that_a_file_describes_has_the_name_of_the_file() {
        assert_eq!(name("x86_64-unknown-linux-gnu"), "x86_64-unknown-linux-gnu");
        assert_eq!(name("targets/my-board.json"), "my-board");
    }

    #[test]
    fn the_option_names_the_platform_before_the_configuration() {
        let of = |text| Settings::of(text, Path::new("/p/.cargo/config.toml"));
        let one = of("build.target = \"a-b-c\"");
        assert_eq!(requested(Some("x-y-z"), &one).unwrap().as_deref(), Some("x-y-z"));
        assert_eq!(requested(None, &one).unwrap().as_deref(), Some("a-b-c"));
        assert_eq!(requested(Some("host-tuple"), &one).unwrap(), None);
        let listed = of("build.target = [\"a-b-c\"]");
        assert_eq!(requested(None, &listed).unwrap().as_deref(), Some("a-b-c"));
        let two = requested(None, &of("build.target = [\"a\", \"b\"]")).unwrap_err();
        assert!(
            two.message.contains("`/p/.cargo/config.toml` names 2 platforms"),
            "{}",
            two.message
        );
        assert_eq!(requested(None, &of("")).unwrap(), None);
    }
}
