//! A function may have at most five parameters, which clippy counts. A tuple would hide several.

use super::code;
use super::floors::Breach;

/// The functions of a file with a tuple parameter, with the line of each.
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
        if let Some(tuple) = parameters(signature)
            .into_iter()
            .find(|parameter| is_tuple(parameter))
        {
            let tuple = tuple.split_whitespace().collect::<Vec<_>>().join(" ");
            let message = format!(
                "`{name}` takes the tuple `{tuple}`, which hides several parameters: make it a struct"
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

/// Whether the pattern or the type of a parameter is a tuple.
fn is_tuple(parameter: &str) -> bool {
    let (pattern, kind) = parameter.split_once(':').unwrap_or((parameter, ""));
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
    let is_of_several = || {
        let inside = kind.strip_prefix('(');
        inside.is_some_and(|inside| parts(inside).len() > 1)
    };
    pattern.trim_start().starts_with('(') || is_of_several()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_is_found_with_its_line_and_the_rule() {
        for parameters in [
            "(a, b): (u32, u32)",
            "to: (&Path, u64)",
            "&self, from: &'a mut (String, String)",
            "each: impl Fn(u32) -> u32,\n    (bytes, check): (&[u8], &Check),\n",
        ] {
            let text =
                format!("//! Head.\n    pub(crate) async fn f<T: Fn(u8) -> u8>({parameters}) -> T {{}}\n");
            let breaches = breaches(&text);
            let [(2, message)] = breaches.as_slice() else {
                panic!("{parameters}: {breaches:?}")
            };
            assert!(
                message.starts_with("`f` takes the tuple `") && message.ends_with("make it a struct"),
                "{message}"
            );
        }
    }

    #[test]
    fn parameters_without_a_tuple_are_allowed() {
        for code in [
            "fn f() -> (u32, u32) {}",
            "fn f(unit: ()) {}",
            "fn f(all: &[(u32, u32)], by: HashMap<u32, (u32, u32)>) {}",
            "fn f(reader: &mut (impl AsyncRead + Unpin), done: impl FnOnce(u32, (u32, u32))) {}",
            "fn f(Wide(a, b): Wide) {}",
            "call(|(a, b): (u32, u32)| a);",
            "// fn f((a, b): (u32, u32)) {}",
            "fn take(each: fn(u32, u32) -> u32) {}",
        ] {
            assert_eq!(breaches(code), [], "{code}");
        }
    }
}
