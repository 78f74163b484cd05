//! The command line and the variables of the environment that stand for options: an empty variable
//! is none, and an error says which variable or which word it is about. What each variable means
//! stands with its option.

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

/// What a command line says, the program first. Exits where it is invalid, as clap does.
pub(crate) fn parse<T: Parser>(words: &[OsString]) -> T {
    let matches = read(T::command(), words).unwrap_or_else(|error| error.exit());
    T::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Reads `words`, the name of the program first, and the variables.
///
/// # Errors
/// Clap's. Where a variable is at fault, it is named.
pub fn read(command: Command, words: &[OsString]) -> Result<ArgMatches, Error> {
    let command = keeping(command, |name| {
        std::env::var_os(name).is_none_or(|value| !value.is_empty())
    });
    let command = taking_negative_numbers(command);
    let read = command.clone().try_get_matches_from(words);
    read.map_err(|error| match at_fault(&command, words) {
        Some(variable) => with_name(error, &variable),
        None if error.kind() == ErrorKind::InvalidUtf8 => with_word(error, &command, words),
        None => error,
    })
}

/// The same command, whose options themselves say what is wrong with a negative number.
fn taking_negative_numbers(command: Command) -> Command {
    let takes = |argument: clap::Arg| match argument.get_action().takes_values() && !argument.is_positional()
    {
        true => argument.allow_negative_numbers(true),
        false => argument,
    };
    command.mut_args(takes).mut_subcommands(taking_negative_numbers)
}

/// The same command for which there are no variables.
pub(crate) fn ignored(command: Command) -> Command {
    keeping(command, |_| false)
}

/// The first variable with which something is wrong that is not without it and those behind it.
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

/// Those that are set, of the command and those below it, in the order of their options.
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

/// The command with those variables alone that `is_kept` holds for.
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

fn with_tip(mut error: Error, tip: String) -> Error {
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![StyledStr::from(tip)]),
    );
    error
}

/// Names the word that is no text where it must be: the last one without which all would be well. A
/// path need not be text.
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
