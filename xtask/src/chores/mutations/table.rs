//! The table mutation → test → verdict, and the list of mutations: pure functions of data.

use std::fmt::Write as _;
use std::time::Duration;

use super::patch::Patch;
use super::trial::Row;
use super::verdict::Verdict;

/// One line per row, in columns, and a last line with the counts.
pub(super) fn table(rows: &[Row]) -> String {
    let width = |text: fn(&Row) -> &str| {
        rows.iter()
            .map(|row| text(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (mutation_width, test_width) = (width(|row| &row.mutation), width(|row| &row.test));
    let mut table = String::new();
    for row in rows {
        let (word, reason) = words(&row.verdict);
        let elapsed = match row.elapsed {
            Duration::ZERO => String::new(),
            elapsed => format!("{:.1} s", elapsed.as_secs_f64()),
        };
        // Writing to a string cannot fail.
        let _written = writeln!(
            table,
            "{:mutation_width$}  {:test_width$}  {word:<7}  {elapsed:>8}  {reason}",
            row.mutation, row.test,
        );
    }
    let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    format!("{}\n\n{}\n", lines.join("\n"), counts(rows))
}

/// The verdict in words; capitals make a problem stand out.
fn words(verdict: &Verdict) -> (&'static str, &str) {
    match verdict {
        Verdict::Red => ("red", ""),
        Verdict::Green => ("GREEN", "the test passed all the same"),
        Verdict::Skipped(reason) => ("skipped", reason),
        Verdict::Broken(reason) => ("BROKEN", reason),
        Verdict::Sound => ("sound", ""),
    }
}

fn counts(rows: &[Row]) -> String {
    let count = |wanted: &str| rows.iter().filter(|row| words(&row.verdict).0 == wanted).count();
    let present = ["red", "sound", "GREEN", "skipped", "BROKEN"].map(|word| (count(word), word));
    let parts = present
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"));
    parts.collect::<Vec<_>>().join(", ")
}

/// Each mutation with its sentence, followed by the tests that must fail.
pub(super) fn list(patches: &[Patch]) -> String {
    let mut list = String::new();
    for patch in patches {
        let _written = writeln!(list, "{}: {}", patch.name, patch.sentence);
        for test in &patch.tests {
            let _written = writeln!(list, "    {test}");
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::super::patch::tests::patch;
    use super::*;

    fn row(mutation: &str, verdict: Verdict) -> Row {
        Row {
            mutation: mutation.into(),
            test: "p::b$t".into(),
            verdict,
            elapsed: Duration::from_millis(1250),
        }
    }

    #[test]
    fn the_table_has_columns_and_counts() {
        let broken = Verdict::Broken("it does not build".into());
        let rows = [
            row("short", Verdict::Red),
            row("longer-name", Verdict::Green),
            row("third", broken),
        ];
        let expected = "\
short        p::b$t  red         1.2 s
longer-name  p::b$t  GREEN       1.2 s  the test passed all the same
third        p::b$t  BROKEN      1.2 s  it does not build

1 red, 1 GREEN, 1 BROKEN
";
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn the_list_names_mutations_and_their_tests() {
        assert_eq!(
            list(&[patch("a")]),
            "a: something breaks\n    fixture::suite$module::notices\n"
        );
    }
}
