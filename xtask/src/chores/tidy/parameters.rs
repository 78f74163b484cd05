//! A function may have at most five parameters, which clippy counts. Here each part of a tuple
//! counts as one.

use super::code;
use super::floors::Breach;
use crate::chores::limits::PARAMETERS_MAX;

/// The functions of a file that take too many values, some of them in tuples, with the line of
/// each.
pub(super) fn breaches(text: &str) -> Vec<Breach> {
    let lines = code::all(text);
    let starts = lines.iter().enumerate().filter_map(|(index, (number, line))| {
        let (before, after) = line.split_once("fn ")?;
        let is_declared = before.is_empty() || before.ends_with([' ', '(']);
        let name: String = after
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        (is_declared && !name.is_empty()).then_some((index, *number, name))
    });
    let mut breaches = Vec::new();
    for (index, number, name) in starts {
        let rest = lines.iter().skip(index).map(|(_, line)| *line);
        let rest = rest.collect::<Vec<_>>().join("\n");
        let signature = rest.split_once("fn ").map_or("", |(_, signature)| signature);
        let parameters = parameters(signature);
        let widths = || parameters.iter().map(|parameter| width(parameter));
        let count: usize = widths().sum();
        if count > PARAMETERS_MAX && widths().any(|width| width > 1) {
            let message = format!(
                "`{name}` takes {count} values, some of them in tuples, but the limit is {PARAMETERS_MAX}: make a struct"
            );
            breaches.push((number, message));
        }
    }
    breaches
}

/// The parameters of the function whose `signature` this is, from its name on.
fn parameters(signature: &str) -> Vec<String> {
    let mut depth = Depth::default();
    let Some(open) = signature
        .char_indices()
        .find_map(|(at, c)| (depth.take(c) == (0, 1) && c == '(').then_some(at))
    else {
        return Vec::new();
    };
    parts(signature.get(open + 1..).unwrap_or_default())
}

/// The parts between commas, up to the bracket that closes the list.
fn parts(text: &str) -> Vec<String> {
    let (mut depth, mut parts) = (Depth::default(), vec![String::new()]);
    for c in text.chars() {
        match depth.take(c) {
            (_, -1) => break,
            (0, _) if c == ',' => parts.push(String::new()),
            _ => parts.iter_mut().last().into_iter().for_each(|part| part.push(c)),
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// The number of open brackets.
#[derive(Default)]
struct Depth {
    open: i32,
    last: char,
}

impl Depth {
    /// How many are open before and after this character. The arrow of a return type closes none.
    fn take(&mut self, c: char) -> (i32, i32) {
        let before = self.open;
        match c {
            '(' | '[' | '{' | '<' => self.open += 1,
            '>' if matches!(self.last, '-' | '=') => {}
            ')' | ']' | '}' | '>' => self.open -= 1,
            _ => {}
        }
        self.last = c;
        (before, self.open)
    }
}

/// How many values a parameter has: several if its pattern or its type is a tuple, none if it is
/// `self`.
fn width(parameter: &str) -> usize {
    let (pattern, kind) = parameter.split_once(':').unwrap_or((parameter, ""));
    if kind.is_empty() && pattern.trim_end().ends_with("self") {
        return 0;
    }
    let mut kind = kind.trim_start();
    while let Some(rest) = kind.strip_prefix('&') {
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix('\'') {
            Some(lifetime) => lifetime.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'),
            None => rest,
        };
        kind = rest.trim_start();
        kind = kind.strip_prefix("mut ").map_or(kind, str::trim_start);
    }
    let inside = |text: &str| {
        text.trim_start()
            .strip_prefix('(')
            .map(|inside| parts(inside).len())
    };
    let count = inside(pattern).max(inside(kind));
    count.unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_tuples_count_one_by_one() {
        for parameters in [
            "(a, b): (u32, u32), c: (u32, u32), d: u32, e: u32",
            "&self, from: &'a mut (String, String), a: u32, b: u32, c: u32, d: u32",
            "each: impl Fn(u32) -> u32,\n    (bytes, check): (&[u8], &Check),\n a: A, b: B, c: C",
        ] {
            let text =
                format!("//! Head.\n    pub(crate) async fn f<T: Fn(u8) -> u8>({parameters}) -> T {{}}\n");
            let breaches = breaches(&text);
            let [(2, message)] = breaches.as_slice() else {
                panic!("{parameters}: {breaches:?}")
            };
            assert_eq!(
                message,
                "`f` takes 6 values, some of them in tuples, but the limit is 5: make a struct"
            );
        }
    }

    #[test]
    fn up_to_five_values_and_parameters_without_a_tuple_are_allowed() {
        for code in [
            "fn f(&mut self, (a, b): (u32, u32), to: (&Path, u64), last: u32) {}",
            "fn f() -> (u32, u32) {}",
            "fn f(unit: ()) {}",
            "fn f(a: A, b: B, c: C, d: D, e: &[(u32, u32)]) {}",
            "fn f(a: A, b: B, c: C, d: D, done: impl FnOnce(u32, (u32, u32))) {}",
            "fn f(a: A, b: B, c: C, d: D, Wide(x, y): Wide) {}",
            "call(|(a, b): (u32, u32), (c, d): (u32, u32), (e, f): (u32, u32)| a);",
            "// fn f((a, b): (u32, u32), (c, d): (u32, u32), (e, f): (u32, u32)) {}",
            "fn take(each: fn(u32, u32) -> u32) {}",
        ] {
            assert_eq!(breaches(code), [], "{code}");
        }
    }
}
