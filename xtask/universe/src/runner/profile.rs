//! Profiles: options of `cargo universe test` in the root manifest, for people who would otherwise
//! repeat them on every command line.
//!
//! The keys of `[workspace.metadata.universe.test.profiles.NAME]` are the long names of the
//! options. They become clap's defaults before the command line is read a second time, so that an
//! option beats its variable, a variable beats the profile, and the profile beats what is built in.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::{Args as _, Command, FromArgMatches as _};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::invocation::Invocation;
use crate::base::variables;
use crate::runner::test::Args;
use crate::workspace::config::{self, Home};
use crate::workspace::metadata::Workspace;

/// The profile that applies whenever it exists; others apply on top of it.
const ALWAYS: &str = "default";

/// The profile that applies on CI, as the variable `CI` says.
const CI: &str = "ci";

/// Options that a profile cannot set: those that must be known before a profile is read, those that
/// run nothing, and the one about words of the command line, which could not be undone there.
const NOT_IN_A_PROFILE: [&str; 8] = [
    "manifest-path",
    "profile",
    "help",
    "list",
    "dry-run",
    "exact",
    "no-run",
    "debugger",
];

/// Which profile to use.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ProfileArgs {
    /// Add the options of `[workspace.metadata.universe.test.profiles.NAME]` to those of `default`
    /// [default: `ci` if that profile exists and the variable CI is `true` or `1`]
    #[arg(long, value_name = "NAME", env = "XTASK_TEST_PROFILE")]
    profile: Option<String>,
    /// The chosen profile, once it is known.
    #[arg(skip)]
    chosen: Option<String>,
}

impl ProfileArgs {
    /// The name of the profile that was chosen.
    pub(crate) fn name(&self) -> &str {
        self.chosen.as_deref().unwrap_or(ALWAYS)
    }

    /// The console line about the profile, unless it is the default one.
    pub(crate) fn line(&self) -> Option<String> {
        let name = self.name();
        (name != ALWAYS).then(|| format!("profile: {name}"))
    }
}

/// By option.
type Profile = Map<String, Value>;

#[derive(Debug)]
struct Profiles {
    by_name: BTreeMap<String, Profile>,
    home: Home,
}

/// `args` with the options of a profile. `words` are those of the command line after `test`.
///
/// # Errors
/// When there is no workspace, no such profile, or something in it is invalid.
pub(crate) fn apply(args: &Args, words: &[OsString]) -> Result<(Args, Workspace), Stop> {
    let mut workspace = args.archive.workspace(&args.build)?;
    let profiles = Profiles::of(&workspace)?;
    let is_ci = std::env::var("CI").is_ok_and(|value| matches!(value.as_str(), "true" | "1"));
    let chosen = profiles.choose(args.profile.profile.as_deref(), is_ci)?;
    let command = profiles.defaults(command(), &chosen)?;
    let words = std::iter::once(OsString::from(name())).chain(words.iter().cloned());
    let words: Vec<OsString> = words.collect();
    let matches = variables::read(command, &words).unwrap_or_else(|error| error.exit());
    let mut args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    args.settle(&matches);
    args.build.redirect(&mut workspace)?;
    args.profile.chosen = Some(chosen);
    Ok((args, workspace))
}

/// The subcommand as a person types it.
fn name() -> String {
    Invocation::current().with("test")
}

fn command() -> Command {
    Args::augment_args(Command::new(name()))
}

impl Profiles {
    fn of(workspace: &Workspace) -> Result<Profiles, Stop> {
        Profiles::parse(&workspace.config.test, workspace.config.home.clone())
    }

    fn parse(table: &Map<String, Value>, home: Home) -> Result<Profiles, Stop> {
        let by_name = match table.get("profiles") {
            None => BTreeMap::new(),
            Some(profiles) => BTreeMap::deserialize(profiles)
                .map_err(|error| home.misunderstood("test.profiles", &config::in_words(&error)))?,
        };
        Ok(Profiles { by_name, home })
    }

    /// The name of the profile to use: `wanted`, otherwise the one that fits.
    fn choose(&self, wanted: Option<&str>, is_ci: bool) -> Result<String, Stop> {
        match wanted {
            Some(name) if name == ALWAYS || self.by_name.contains_key(name) => Ok(name.to_owned()),
            Some(name) => Err(self.unknown(name)),
            None if is_ci && self.by_name.contains_key(CI) => Ok(CI.to_owned()),
            None => Ok(ALWAYS.to_owned()),
        }
    }

    fn unknown(&self, name: &str) -> Stop {
        let names = self.by_name.keys().map(String::as_str);
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        let hint = match names.as_slice() {
            [] => "no profile is defined".to_owned(),
            names => format!("defined profiles: {}", names.join(", ")),
        };
        let hint = format!("{hint}; `--cargo-profile {name}` is about the profiles of cargo");
        let file = self.home.file.display();
        let message = format!("there is no profile `{name}` in `{file}`\nhint: {hint}");
        Stop::new(Exit::Usage, FailureKind::Usage, message)
    }

    /// `command` with the options of the profile `chosen` as defaults, on top of those of the
    /// profile that always applies.
    fn defaults(&self, mut command: Command, chosen: &str) -> Result<Command, Stop> {
        let mut merged = BTreeMap::new();
        for name in [ALWAYS, chosen] {
            let options = self.by_name.get(name).into_iter().flatten();
            for (option, value) in options {
                let (option, value) = positive(&command, option, value, name);
                if let Some(rival) = rival(&option, &value.0) {
                    merged.remove(rival);
                }
                merged.insert(option, value);
            }
        }
        for (option, (value, profile)) in merged {
            command = set_default(command, &option, &value).map_err(|why| {
                let key = format!("test.profiles.{profile}.{option}");
                self.home.misunderstood(&key, &why)
            })?;
        }
        Ok(command)
    }
}

/// The option that this one with this value contradicts, if it is not simply its `no-` form.
fn rival(option: &str, value: &Value) -> Option<&'static str> {
    match (option, value) {
        ("fail-fast", _) => Some("max-fail"),
        ("max-fail", _) => Some("fail-fast"),
        ("no-skips", Value::Bool(true)) => Some("max-skips"),
        ("max-skips", _) => Some("no-skips"),
        _ => None,
    }
}

/// An option, its value, and the profile that it comes from. `no-flag` becomes `flag` with the
/// opposite value, because clap offers no way to undo a default on the command line.
fn positive<'a>(
    command: &Command,
    option: &str,
    value: &Value,
    profile: &'a str,
) -> (String, (Value, &'a str)) {
    let exists = |option: &str| id(command, option).is_some();
    let flag = option.strip_prefix("no-");
    let positive = flag.filter(|flag| exists(option) && exists(flag));
    match (positive, value) {
        (Some(flag), Value::Bool(value)) => (flag.to_owned(), (Value::Bool(!value), profile)),
        _ => (option.to_owned(), (value.clone(), profile)),
    }
}

/// Makes `value` the default of an option, after clap has accepted it; the error is clap's.
fn set_default(command: Command, option: &str, value: &Value) -> Result<Command, String> {
    if NOT_IN_A_PROFILE.contains(&option) {
        return Err("this option cannot be set in a profile".to_owned());
    }
    let texts = texts(value).ok_or("the value must be text, a number, true, false or a list of these")?;
    let is_flag = id(&command, option).is_some_and(|(_, is_flag)| is_flag);
    let words: Vec<String> = match (is_flag, value) {
        (true, Value::Bool(true)) => vec![format!("--{option}")],
        (true, Value::Bool(false)) => Vec::new(),
        (true, _) => return Err("the value must be true or false".to_owned()),
        (false, _) => texts.iter().map(|text| format!("--{option}={text}")).collect(),
    };
    let name = std::iter::once(name());
    variables::ignored(command.clone())
        .try_get_matches_from(name.chain(words))
        .map_err(|error| reason(&error))?;
    let Some((id, _)) = id(&command, option) else {
        return Err("this option does not exist".to_owned());
    };
    Ok(command.mut_arg(id, |arg| arg.default_values(texts)))
}

/// The id of the option with this long name, and whether it is a flag.
fn id(command: &Command, option: &str) -> Option<(String, bool)> {
    let argument = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(option))?;
    let is_flag = !argument.get_action().takes_values();
    Some((argument.get_id().to_string(), is_flag))
}

/// The words for a value on a command line.
fn texts(value: &Value) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        value => one(value).map(|text| vec![text]),
    }
}

/// Clap's error, without its advice on how to write a command line.
fn reason(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let is_advice = |line: &str| line.starts_with("Usage: ") || line.starts_with("For more information");
    let lines = text.lines().take_while(|line| !is_advice(line));
    let lines = lines.map(str::trim).filter(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join("\nhint: ");
    text.trim_start_matches("error: ")
        .replace("hint: tip: ", "hint: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::plan::Ignored;
    use crate::select::shuffle::TestOrder;
    use serde_json::json;
    use std::num::NonZeroUsize;
    use std::time::Duration;

    fn profiles(table: Value) -> Profiles {
        let table = Map::from_iter([("profiles".to_owned(), table)]);
        let home = Home::new("universe", std::path::Path::new("/p/Cargo.toml"));
        Profiles::parse(&table, home).unwrap()
    }

    fn parsed(table: Value, chosen: &str, words: &[&str]) -> Result<Args, String> {
        let command = profiles(table).defaults(command(), chosen);
        let matches = command
            .map_err(|stop| stop.message)?
            .no_binary_name(true)
            .get_matches_from(words);
        let mut args = Args::from_arg_matches(&matches).unwrap();
        args.settle(&matches);
        Ok(args)
    }

    #[test]
    fn an_option_beats_the_chosen_profile_and_that_beats_the_default_one() {
        let table = json!({
            "default": {"timeout": "1s", "global-timeout": "2s", "require": ["git", "ipv4"]},
            "ci": {"global-timeout": "3s", "jobs": 4, "locked": true},
        });
        let args = parsed(table.clone(), "ci", &["--jobs", "7"]).unwrap();
        assert_eq!(args.limits_and_leaks.timeout, Duration::from_secs(1));
        assert_eq!(args.limits_and_leaks.global_timeout, Some(Duration::from_secs(3)));
        assert_eq!(args.jobs.map(|jobs| jobs.get()), Some(7));
        assert!(args.build.locked);
        assert_eq!(args.require, ["git", "ipv4"]);
        let args = parsed(table, "default", &["--require", "root"]).unwrap();
        assert_eq!(args.limits_and_leaks.global_timeout, Some(Duration::from_secs(2)));
        assert!(!args.build.locked && args.jobs.is_none());
        assert_eq!(args.require, ["root"]);
    }

    #[test]
    fn a_flag_of_a_profile_can_be_undone_by_its_opposite() {
        let stops = |table, words: &[&str]| {
            let most = parsed(table, "default", words).unwrap().failures_max();
            most == NonZeroUsize::new(1)
        };
        for on in [
            json!({"default": {"fail-fast": true}}),
            json!({"default": {"no-fail-fast": false}}),
        ] {
            assert!(stops(on.clone(), &[]));
            assert!(!stops(on, &["--no-fail-fast"]));
        }
        let off = json!({"default": {"no-fail-fast": true}});
        assert!(!stops(off.clone(), &[]) && stops(off, &["--fail-fast"]));
    }

    #[test]
    fn for_the_limit_of_failures_an_option_counts_before_the_chosen_profile() {
        let limit = |table, words: &[&str]| {
            let args = parsed(table, "ci", words).unwrap();
            args.failures_max().map_or(0, NonZeroUsize::get)
        };
        let three = json!({"default": {"max-fail": 3}});
        for (words, expected) in [
            (&[][..], 3),
            (&["--fail-fast"], 1),
            (&["--no-fail-fast"], 0),
            (&["--max-fail=all"], 0),
            (&["--fail-fast", "--max-fail=2"], 2),
        ] {
            assert_eq!(limit(three.clone(), words), expected, "{words:?}");
        }
        for (table, expected) in [
            (json!({"default": {"max-fail": 3}, "ci": {"fail-fast": true}}), 1),
            (
                json!({"default": {"max-fail": 3}, "ci": {"no-fail-fast": true}}),
                0,
            ),
            (json!({"default": {"fail-fast": true}, "ci": {"max-fail": 3}}), 3),
            (
                json!({"default": {"fail-fast": true}, "ci": {"max-fail": "all"}}),
                0,
            ),
        ] {
            assert_eq!(limit(table.clone(), &[]), expected, "{table}");
        }
    }

    #[test]
    fn ignored_tests_run_where_a_profile_says_so() {
        let ignored = |value: Value, words: &[&str]| {
            let table = json!({"default": {"run-ignored": value}});
            parsed(table, "default", words).unwrap().run_ignored
        };
        assert_eq!(ignored(json!(true), &[]), Some(Ignored::Run));
        assert_eq!(ignored(json!("only"), &[]), Some(Ignored::Only));
        assert_eq!(
            ignored(json!(true), &["--run-ignored=default"]),
            Some(Ignored::Skip)
        );
        assert_eq!(ignored(json!(false), &["--run-ignored"]), Some(Ignored::Run));
    }

    #[test]
    fn for_the_limit_of_skips_an_option_counts_before_the_chosen_profile() {
        let limit = |table, words: &[&str]| parsed(table, "ci", words).unwrap().schedule.skips_max();
        let none = json!({"default": {"no-skips": true}});
        assert_eq!(limit(none.clone(), &[]), Some(0));
        assert_eq!(limit(none, &["--max-skips", "5"]), Some(5));
        let some = json!({"default": {"no-skips": true}, "ci": {"max-skips": 3}});
        assert_eq!(limit(some.clone(), &[]), Some(3));
        assert_eq!(limit(some, &["--no-skips"]), Some(0));
        let strict = json!({"default": {"max-skips": 3}, "ci": {"no-skips": true}});
        assert_eq!(limit(strict, &[]), Some(0));
        let lenient = json!({"default": {"max-skips": 3}, "ci": {"no-skips": false}});
        assert_eq!(limit(lenient, &[]), Some(3));
        let last = |words: &[&str]| limit(json!({}), words);
        assert_eq!(last(&["--no-skips", "--max-skips=5"]), Some(5));
        assert_eq!(last(&["--max-skips=5", "--no-skips"]), Some(0));
    }

    #[test]
    fn an_option_whose_value_may_be_left_out_is_true_or_has_one() {
        let order = |value: Value, words: &[&str]| {
            let table = json!({"default": {"shuffle": value}});
            parsed(table, "default", words).unwrap().shuffle
        };
        assert_eq!(order(json!(true), &[]), Some(TestOrder::Random));
        assert_eq!(order(json!(7), &[]), Some(TestOrder::Seeded(7)));
        assert_eq!(order(json!(true), &["--shuffle=8"]), Some(TestOrder::Seeded(8)));
        assert_eq!(order(json!(7), &["--shuffle"]), Some(TestOrder::Random));
        assert_eq!(order(json!(true), &["--shuffle=false"]), Some(TestOrder::Listed));
        assert_eq!(order(json!(false), &["word"]), Some(TestOrder::Listed));
    }

    #[test]
    fn an_invalid_key_is_named_with_its_file() {
        for (options, parts) in [
            (
                json!({"tiemout": "1s"}),
                ["ci.tiemout` in `/p/Cargo.toml`", "`--timeout`"],
            ),
            (json!({"no-release": false}), ["ci.no-release`", "`--no-release`"]),
            (json!({"timeout": "soon"}), ["ci.timeout`", "soon"]),
            (json!({"jobs": 0}), ["ci.jobs`", "0"]),
            (
                json!({"jobs": {}}),
                ["ci.jobs`", "the value must be text, a number"],
            ),
            (
                json!({"shuffle": "yes"}),
                ["ci.shuffle`", "the value must be a seed"],
            ),
            (
                json!({"release": "yes"}),
                ["ci.release`", "the value must be true or false"],
            ),
            (
                json!({"manifest-path": "x"}),
                ["ci.manifest-path`", "cannot be set in a profile"],
            ),
            (json!({"list": true}), ["ci.list`", "cannot be set in a profile"]),
            (
                json!({"dry-run": true}),
                ["ci.dry-run`", "cannot be set in a profile"],
            ),
            (
                json!({"exact": true}),
                ["ci.exact`", "cannot be set in a profile"],
            ),
            (json!({"no-list": false}), ["ci.no-list`", "`--no-list`"]),
        ] {
            let message = parsed(json!({ "ci": options }), "ci", &[]).unwrap_err();
            for part in parts {
                assert!(message.replace('\'', "`").contains(part), "{part}: {message}");
            }
            assert!(!message.contains("--help"), "it is not a command line: {message}");
        }
    }

    #[test]
    fn the_profile_is_the_requested_one_or_on_ci_that_of_ci() {
        let both = profiles(json!({"ci": {}, "night": {}}));
        assert_eq!(both.choose(Some("night"), true).unwrap(), "night");
        assert_eq!(both.choose(None, true).unwrap(), "ci");
        assert_eq!(both.choose(None, false).unwrap(), "default");
        let stop = both.choose(Some("nihgt"), false).unwrap_err();
        assert_eq!(stop.exit, Exit::Usage);
        assert!(
            stop.message
                .contains("hint: defined profiles: `ci`, `night`; `--cargo-profile nihgt`"),
            "{}",
            stop.message
        );
        let none = profiles(json!({}));
        assert_eq!(none.choose(None, true).unwrap(), "default");
        assert_eq!(none.choose(Some("default"), true).unwrap(), "default");
    }
}
