//! How things are shown: tables for people, JSON for programs.

use serde::Serialize;
use serde_json::Value;
use std::io::Write as _;

/// For whom the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// People: aligned columns.
    Human,
    /// Programs: one JSON document, as the API gives it.
    Json,
}

/// The language of the person at the terminal, by the locale: English for `en…`, else Chinese, the first
/// language of the product.
pub fn language() -> words::Lang {
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    words::Lang::of_locale(&["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(set).unwrap_or_default())
}

/// The words of this code in that language.
pub fn text(code: &str, arguments: &[(&str, &str)]) -> String {
    words::text(language(), code, arguments)
}

/// Writes one line to stdout. A closed pipe ends the output, not the program.
pub fn say(line: &str) {
    // `ym calls list | head` closes the pipe early; nothing is left to tell then.
    let _closed = writeln!(std::io::stdout(), "{}", harmless(line));
}

/// Writes one line to stderr.
pub fn complain(line: &str) {
    // Without stderr nobody reads it anyway.
    let _closed = writeln!(std::io::stderr(), "{}", harmless(line));
}

/// The text without control characters: names and headers come from strangers, and a terminal obeys what it is
/// shown (ECMA-48).
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// Shows a reply: as JSON, or by `human`.
pub fn show<T: Serialize>(form: Form, reply: &T, human: impl FnOnce(&T)) {
    match form {
        Form::Human => human(reply),
        Form::Json => match serde_json::to_string_pretty(reply) {
            Ok(text) => say(&text),
            Err(error) => complain(&format!("ym: the reply has no JSON form: {error}")),
        },
    }
}

/// Shows that an act was done: the reply as JSON, or a sentence.
pub fn done<T: Serialize>(form: Form, reply: &T, sentence: &str) {
    show(form, reply, |_| say(sentence));
}

/// Shows rows under headings, each column as wide as its widest cell; `empty` where there are none.
pub fn table(headings: &[&str], rows: &[Vec<String>], empty: &str) {
    if rows.is_empty() {
        return say(empty);
    }
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| columns(cell))
            .chain([columns(headings[column])])
            .max()
    };
    let widths: Vec<usize> = (0..headings.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(columns(cell)))))
            .collect();
        say(padded.join("  ").trim_end());
    };
    line(&mut headings.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
}

/// A value of the API in words: `signed_out` is "signed out", and what carries a reason shows it behind.
pub fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text.replace(['_', '-'], " "),
        Ok(Value::Object(only)) => only
            .iter()
            .map(|(name, inside)| match inside {
                Value::String(reason) => format!("{} ({reason})", name.replace('_', " ")),
                _ => name.replace('_', " "),
            })
            .collect(),
        Ok(other) => other.to_string(),
        Err(_unencodable) => "–".to_owned(),
    }
}

/// How many terminal columns a text takes: two for each character of the wide East Asian blocks
/// (UAX #11), one for others.
pub fn columns(text: &str) -> usize {
    text.chars().map(|c| if matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}') { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::{columns, harmless};

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        assert_eq!(harmless("a\u{1b}[2J\u{9b}b\r\n\t张"), "a\u{fffd}[2J\u{fffd}b\u{fffd}\n\t张");
    }

    #[test]
    fn chinese_takes_two_columns() {
        assert_eq!((columns("ym"), columns("雁门"), columns("a（b")), (2, 4, 4));
    }
}
