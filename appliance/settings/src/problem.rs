//! One mistake in the file: where it is, and by which code `words` says what it is and how it is mended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use words::Lang;

/// One mistake in the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// The setting, such as `route.queues.ring`; empty where the text is no TOML.
    pub path: String,
    /// The message code in `words`.
    pub code: String,
    /// What the message names; never a password.
    pub args: BTreeMap<String, String>,
}

impl Problem {
    /// More than this many are not told at once.
    pub const MOST: usize = 100;

    /// `FILE:LINE:COLUMN: ` and one sentence with the remedy.
    pub fn sentence(&self, lang: Lang, file: &str) -> String {
        let args: Vec<_> = self.args.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        format!("{file}:{}:{}: {}", self.line, self.column, words::text(lang, &self.code, &args))
    }
}

/// What is wrong, before it is known where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub code: String,
    pub args: BTreeMap<String, String>,
}

impl Message {
    pub fn new<const N: usize>(code: &str, args: [(&str, String); N]) -> Self {
        let args = args.into_iter().map(|(name, value)| (name.to_owned(), short(value))).collect();
        Self { code: code.to_owned(), args }
    }

    /// Adds what the writer probably meant; where nothing is near, the code of the sentence without it.
    pub fn near(mut self, near: Option<&str>) -> Self {
        match near {
            Some(near) => self.args.insert("near".to_owned(), near.to_owned()),
            None => {
                self.code.push_str("-plain");
                None
            }
        };
        self
    }
}

/// A mistaken value may be a whole page: the message shows how it begins.
fn short(text: String) -> String {
    const MOST: usize = 80;
    if text.chars().count() <= MOST {
        return text.replace(char::is_control, " ");
    }
    let mut head: String = text.chars().take(MOST).collect();
    head = head.replace(char::is_control, " ");
    head.push('…');
    head
}

/// The known word that the writer probably meant: at most a third of its letters wrong.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.chars().count() > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.chars().count().max(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Letters to add, drop, change or swap with the neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["bind", "advertised", "realm", "trunks", "phones"];
        assert_eq!(nearest("relam", known), Some("realm"));
        assert_eq!(nearest("phone", known), Some("phones"));
        assert_eq!(nearest("advertized", known), Some("advertised"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }
}
