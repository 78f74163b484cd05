//! The command line, and the environment variables that stand for options. An empty variable counts
//! as unset. An error names the variable or the word that it is about. The documentation of each
//! variable is at its option.

use std::ffi::{OsStr, OsString};

use clap::builder::{Resettable, StyledStr};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, Error, Parser};

/// A variable that is set, and the option that it stands for.
#[derive(Debug, PartialEq, Eq)]
struct Variable {
    name: OsString,
    option: String,
}

/// Parses a command line, with the program as its first word. Exits if it is invalid, as clap does.
pub(crate) fn parse<T: Parser>(words: &[OsString]) -> T {
    let matches = read(T::command(), words).unwrap_or_else(|error| error.exit());
    T::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Reads `words`, the name of the program first, and the variables.
///
/// # Errors
/// Clap's. If a variable is invalid, the error names it.
pub fn read(command: Command, words: &[OsString]) -> Result<ArgMatches, Error> {
    let command = keeping(command, |name| {
        std::env::var_os(name).is_none_or(|value| !value.is_empty())
    });
    let command = taking_negative_numbers(command);
    let read = command.clone().try_get_matches_from(words);
    read.map_err(|error| match at_fault(&command, words) {
        Some(variable) => with_name(error, &variable),
        None if error.kind() == ErrorKind::InvalidUtf8 => with_word(error, &command, words),
        None if error.kind() == ErrorKind::UnknownArgument => without_the_way_out(error),
        None => error,
    })
}

/// The same command, changed so that each option itself reports what is wrong with a negative
/// number.
fn taking_negative_numbers(command: Command) -> Command {
    let takes = |argument: clap::Arg| match argument.get_action().takes_values() && !argument.is_positional()
    {
        true => argument.allow_negative_numbers(true),
        false => argument,
    };
    command.mut_args(takes).mut_subcommands(taking_negative_numbers)
}

/// The same command, without variables.
pub(crate) fn ignored(command: Command) -> Command {
    keeping(command, |_| false)
}

/// The first variable that causes an error: without it and all after it, the command line is valid.
fn at_fault(command: &Command, words: &[OsString]) -> Option<Variable> {
    let fails = |known: &[Variable]| {
        let command = keeping(command.clone(), |name| {
            known.iter().any(|known| known.name == name)
        });
        command.try_get_matches_from(words).is_err()
    };
    let mut known = Vec::new();
    if fails(&known) {
        return None;
    }
    for variable in variables(command) {
        known.push(variable);
        if fails(&known) {
            return known.pop();
        }
    }
    None
}

/// The variables that are set, of the command and its subcommands, in the order of their options.
fn variables(command: &Command) -> Vec<Variable> {
    let commands = std::iter::once(command).chain(command.get_subcommands());
    let arguments = commands.flat_map(Command::get_arguments);
    let mut variables: Vec<Variable> = Vec::new();
    for argument in arguments {
        let name = argument.get_env().filter(|name| std::env::var_os(name).is_some());
        let variable = name.map(|name| Variable {
            name: name.to_owned(),
            option: argument.get_long().unwrap_or_default().to_owned(),
        });
        variables.extend(variable.filter(|variable| !variables.contains(variable)));
    }
    variables
}

/// The command with only those variables for which `is_kept` is true.
fn keeping(command: Command, is_kept: impl Fn(&OsStr) -> bool) -> Command {
    let kept = |argument: clap::Arg| match argument.get_env().is_none_or(&is_kept) {
        true => argument,
        false => argument.env(Resettable::Reset),
    };
    command
        .mut_args(kept)
        .mut_subcommands(|command| command.mut_args(kept))
}

fn with_name(error: Error, variable: &Variable) -> Error {
    let Variable { name, option } = variable;
    let tip = format!("'--{option}' comes from the variable {}", name.display());
    with_tip(error, tip)
}

/// Removes the tip to write an unknown option behind `--`: there, it is an error too.
fn without_the_way_out(mut error: Error) -> Error {
    let is_it = match error.get(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(tips)) => tips.iter().any(|tip| tip.to_string().contains("'-- ")),
        _ => false,
    };
    if is_it {
        error.remove(ContextKind::Suggested);
    }
    error
}

fn with_tip(mut error: Error, tip: String) -> Error {
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![StyledStr::from(tip)]),
    );
    error
}

/// Names the word that is not valid UTF-8 where it must be: the last one without which the command
/// line is valid. A path may be any bytes.
fn with_word(error: Error, command: &Command, words: &[OsString]) -> Error {
    let mut repaired = words.to_vec();
    for (place, word) in words.iter().enumerate() {
        let text = word.to_string_lossy().into_owned();
        if let Some(word) = repaired.get_mut(place) {
            *word = text.clone().into();
        }
        let read = command.clone().try_get_matches_from(&repaired);
        if read.err().map(|error| error.kind()) != Some(ErrorKind::InvalidUtf8) {
            return with_tip(error, format!("it is `{text}`"));
        }
    }
    error
}
