//! The program by which cargo runs tests: `target.….runner`, for another platform or under a tool.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::cfg;
use super::platform::{self, Compiler, Platform};
use super::settings::{Setting, Settings};
use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::program;

/// A program that gets the path of a test binary, and its arguments, as its last arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestRunner {
    program: OsString,
    arguments: Vec<String>,
    /// Where it is named, for a person.
    place: String,
}

/// Those of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TestRunners {
    target: Option<TestRunner>,
    host: Option<TestRunner>,
}

impl TestRunners {
    /// Those for a build in `directory`, for the platform that `option` names.
    ///
    /// # Errors
    /// When the compiler does not know the platform.
    pub(crate) fn find(directory: &Path, option: Option<&str>) -> Result<TestRunners, Stop> {
        let settings = Settings::read(directory);
        let variable = std::env::var("CARGO_BUILD_TARGET").ok();
        let target = platform::requested(option.or(variable.as_deref()), &settings)?;
        if !any_is_named(&settings) {
            return Ok(TestRunners::default());
        }
        let compiler = Compiler::new(&settings, directory);
        let host = runner_for(None, &settings, &compiler)?;
        let target = match target {
            Some(target) => runner_for(Some(&target), &settings, &compiler)?,
            None => host.clone(),
        };
        Ok(TestRunners { target, host })
    }

    /// The program, and its arguments, that run a test binary for this platform.
    pub(crate) fn words(&self, executable: &Path, platform: Platform) -> Vec<OsString> {
        let runner = match platform {
            Platform::Host => &self.host,
            Platform::Target => &self.target,
        };
        let front = runner.iter().flat_map(|runner| {
            let arguments = runner.arguments.iter().map(OsString::from);
            std::iter::once(runner.program.clone()).chain(arguments)
        });
        front.chain([executable.into()]).collect()
    }

    /// Fails if one of them cannot be started. `directories` is the search path of the tests.
    ///
    /// # Errors
    /// Which one, why, and where it is named.
    pub(crate) fn check(&self, directories: &OsStr) -> Result<(), Stop> {
        let mut runners = self.target.iter().chain(&self.host);
        runners.try_for_each(|runner| runner.check(directories))
    }
}

impl TestRunner {
    fn check(&self, directories: &OsStr) -> Result<(), Stop> {
        let Some(problem) = program::problem(Path::new(&self.program), directories) else {
            return Ok(());
        };
        let message = format!(
            "could not use the runner for tests: {problem}\nhint: {} names it",
            self.place
        );
        Err(Stop::new(Exit::SetupFailed, FailureKind::Config, message))
    }
}

/// Whether there is any runner, for whatever platform. If not, the compiler need not be asked.
fn any_is_named(settings: &Settings) -> bool {
    let is_variable = |(name, _): (OsString, OsString)| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_TARGET_") && name.ends_with("_RUNNER")
    };
    configured(settings).next().is_some() || std::env::vars_os().any(is_variable)
}

/// The runners of the configuration, each with the key of its platform.
fn configured(settings: &Settings) -> impl Iterator<Item = (&String, &Setting)> {
    let platforms = settings.table("target").map(|(key, _)| key);
    platforms.filter_map(|key| Some((key, settings.get(&["target", key, "runner"])?)))
}

/// The runner for this platform; `None` is that of this machine.
fn runner_for(
    platform: Option<&str>,
    settings: &Settings,
    compiler: &Compiler<'_>,
) -> Result<Option<TestRunner>, Stop> {
    let triple = match platform {
        Some(platform) => platform::name(platform).to_owned(),
        None => compiler.host()?,
    };
    let variable = variable(&triple);
    if let Ok(value) = std::env::var(&variable) {
        return Ok(of_variable(&variable, &value));
    }
    if let Some(setting) = settings.get(&["target", &triple, "runner"]) {
        return Ok(of_setting(&triple, setting));
    }
    let conditional: Vec<_> = configured(settings)
        .filter(|(key, _)| key.starts_with("cfg("))
        .collect();
    if conditional.is_empty() {
        return Ok(None);
    }
    let facts = compiler.facts(platform)?;
    let mut holding = conditional.iter().filter(|(key, _)| cfg::holds(key, &facts));
    // Cargo builds nothing if there is a second one.
    let found = holding.next();
    Ok(found.and_then(|(key, setting)| of_setting(&format!("'{key}'"), setting)))
}

/// The variable that names the runner for a platform.
fn variable(triple: &str) -> String {
    let name = triple.to_uppercase().replace(['-', '.'], "_");
    format!("CARGO_TARGET_{name}_RUNNER")
}

fn of_variable(variable: &str, value: &str) -> Option<TestRunner> {
    let mut words = value.split_whitespace();
    let directory = std::env::current_dir().unwrap_or_default();
    Some(TestRunner {
        program: program::within(&directory, words.next()?),
        arguments: words.map(str::to_owned).collect(),
        place: format!("the variable `{variable}`"),
    })
}

fn of_setting(key: &str, setting: &Setting) -> Option<TestRunner> {
    let (program, arguments) = setting.program()?;
    Some(TestRunner {
        program,
        arguments,
        place: format!("`target.{key}.runner` in `{}`", setting.file().display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_a_platform_is_cargos() {
        assert_eq!(
            variable("thumbv8m.main-none-eabi"),
            "CARGO_TARGET_THUMBV8M_MAIN_NONE_EABI_RUNNER"
        );
    }

    #[test]
    fn the_runner_gets_the_binary_as_its_last_argument() {
        let runner = of_variable("V", "wine --fast").unwrap();
        let runners = TestRunners {
            target: Some(runner),
            host: None,
        };
        let words = |platform| runners.words(Path::new("/t/a"), platform);
        assert_eq!(words(Platform::Target), ["wine", "--fast", "/t/a"]);
        assert_eq!(words(Platform::Host), ["/t/a"]);
    }
}
