//! Filter expressions, the language of `--filterset`: their structure, what they select, and their
//! text form.
//!
//! `parse` reads them. As in cargo-nextest, `not` binds closest, then `and` and `-`, then `or`.

use std::fmt;

use super::Subject;
use super::parse;
use super::pattern::Pattern;
use crate::base::exit::Stop;

/// An expression. Its [`Display`](fmt::Display) form can be parsed again, and means the same.
#[derive(Debug, Clone)]
pub(crate) enum Expression {
    /// `all()`
    All,
    /// `none()`
    None,
    /// `test(PATTERN)` and the other fields.
    Is(Predicate),
    /// `not …`
    Not(Box<Expression>),
    /// `… and …`; at least two.
    And(Vec<Expression>),
    /// `… or …`; at least two.
    Or(Vec<Expression>),
}

/// A pattern, and the property of a test that it is compared with.
#[derive(Debug, Clone)]
pub(crate) struct Predicate {
    pub(super) field: Field,
    pub(super) pattern: Pattern,
}

/// The property of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// `module::function`.
    Test,
    /// The path of the module.
    Module,
    Package,
    /// The target within the package.
    Binary,
    /// Any of the capabilities that it needs.
    Cap,
}

impl Expression {
    /// Parses a person's text.
    ///
    /// # Errors
    /// Exit code 94, with a caret below the column of the error.
    pub(crate) fn parse(text: &str) -> Result<Expression, Stop> {
        parse::expression(text)
    }

    /// Whether it selects this test.
    pub(crate) fn selects(&self, test: &Subject<'_>) -> bool {
        match self {
            Expression::All => true,
            Expression::None => false,
            Expression::Is(predicate) => predicate.holds(test),
            Expression::Not(inner) => !inner.selects(test),
            Expression::And(all) => all.iter().all(|one| one.selects(test)),
            Expression::Or(any) => any.iter().any(|one| one.selects(test)),
        }
    }
}

impl Predicate {
    fn holds(&self, test: &Subject<'_>) -> bool {
        match self.field {
            Field::Test => self.pattern.fits(test.name),
            Field::Module => self.pattern.fits(test.module()),
            Field::Package => self.pattern.fits(test.package),
            Field::Binary => self.pattern.fits(test.binary),
            Field::Cap => test.needs.iter().any(|name| self.pattern.fits(name)),
        }
    }
}

impl Field {
    /// The predicates, as they are written.
    pub(super) const WORDS: [(&'static str, Field); 5] = [
        ("test", Field::Test),
        ("module", Field::Module),
        ("package", Field::Package),
        ("binary", Field::Binary),
        ("cap", Field::Cap),
    ];

    fn word(self) -> &'static str {
        let of = Field::WORDS.iter().find(|(_, field)| *field == self);
        of.map_or("", |(word, _)| word)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::All => write!(f, "all()"),
            Expression::None => write!(f, "none()"),
            Expression::Is(Predicate { field, pattern }) => write!(f, "{}({pattern})", field.word()),
            Expression::Not(inner) => write!(f, "not {}", Within(inner)),
            Expression::And(all) => joined(f, all, " and "),
            Expression::Or(any) => joined(f, any, " or "),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, operands: &[Expression], between: &str) -> fmt::Result {
    for (number, operand) in operands.iter().enumerate() {
        write!(f, "{}{}", if number == 0 { "" } else { between }, Within(operand))?;
    }
    Ok(())
}

/// An operand: in parentheses if it has operands itself.
struct Within<'a>(&'a Expression);

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expression::And(_) | Expression::Or(_) => write!(f, "({})", self.0),
            simple => write!(f, "{simple}"),
        }
    }
}
