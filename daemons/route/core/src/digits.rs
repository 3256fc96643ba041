//! Digits that a caller has pressed: where they came from, and what a menu makes of them.

use mutant::mutant;
use serde::{Deserialize, Serialize};
use settings::route::{Keys, Menu};
use std::time::Duration;
use types::Monotonic;

/// Digits that wait for a menu at most; what is pressed beyond is dropped.
const MOST: usize = 32;
/// One press may come both with the media and by signalling; the second telling of it comes within this.
const TWICE: Duration = Duration::from_secs(1);

/// What a caller has pressed and no menu has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digits {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    waiting: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Press>,
}

/// The last digit that counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Press {
    at: Monotonic,
    digit: char,
    source: Source,
}

/// By which way a digit came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// RFC 4733, or in the sound.
    Media,
    /// SIP INFO.
    Signalling,
}

/// What the digits mean to a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<'a> {
    /// Nothing was pressed.
    Nothing,
    /// More may come.
    More,
    /// This choice; so many digits were its.
    Choice(&'a Keys, usize),
    /// None; these were tried.
    Invalid(usize),
}

impl Digits {
    /// Takes a press; `false` where it is no key of a phone, the second telling of one press, or too many.
    pub fn press(&mut self, at: Monotonic, digit: char, source: Source) -> bool {
        let told = self
            .last
            .is_some_and(|last| last.digit == digit && last.source != source && at.since(last.at) < TWICE);
        let key = digit.is_ascii_digit() || matches!(digit, '*' | '#' | 'A'..='D');
        if (told && !mutant("route-press-counts-twice")) || !key {
            return false;
        }
        self.last = Some(Press { at, digit, source });
        let room = self.waiting.len() < MOST;
        if room {
            self.waiting.push(digit);
        }
        room
    }

    /// What waits.
    pub fn waiting(&self) -> &str {
        &self.waiting
    }

    /// Takes the first so many away.
    pub fn take(&mut self, count: usize) -> String {
        let rest = self.waiting.split_off(count.min(self.waiting.len()));
        std::mem::replace(&mut self.waiting, rest)
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Keeps no digit, not even that one was pressed.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Reads what was pressed at a menu: the longest choice that fits. `ended` says that nothing more is waited
/// for.
pub fn read<'a>(menu: &'a Menu, pressed: &str, ended: bool) -> Reading<'a> {
    let choice = |keys: &str| menu.choices.keys().find(|choice| choice.as_str() == keys);
    let begins = |keys: &str| {
        menu.choices
            .keys()
            .any(|choice| choice.as_str().len() > keys.len() && choice.as_str().starts_with(keys))
    };
    let mut fits = None;
    for length in 1..=pressed.len() {
        let Some(keys) = pressed.get(..length) else { break };
        if let Some(choice) = choice(keys) {
            fits = Some((choice, length));
        }
        if begins(keys) {
            continue;
        }
        return match fits {
            // # ends an entry that could go on.
            Some((choice, taken)) if taken + 1 == length && keys.ends_with('#') => {
                Reading::Choice(choice, length)
            }
            Some((choice, taken)) => Reading::Choice(choice, taken),
            None => Reading::Invalid(length),
        };
    }
    match fits {
        _ if pressed.is_empty() => Reading::Nothing,
        Some((choice, taken)) if ended && taken == pressed.len() => Reading::Choice(choice, taken),
        _ if ended => Reading::Invalid(pressed.len()),
        _ => Reading::More,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu(choices: &[&str]) -> Menu {
        let choices: serde_json::Map<_, _> =
            choices.iter().map(|keys| ((*keys).to_owned(), "x".into())).collect();
        serde_json::from_value(serde_json::json!({ "prompt": "menu", "choices": choices })).unwrap()
    }

    #[test]
    fn the_longest_choice_that_fits_is_meant() {
        let menu = menu(&["1", "12", "2", "3#", "34", "*"]);
        for (pressed, ended, expected) in [
            ("", false, None),
            ("", true, None),
            ("2", false, Some(("2", 1))),
            ("21", false, Some(("2", 1))),
            ("1", true, Some(("1", 1))),
            ("1#", false, Some(("1", 2))),
            ("12", false, Some(("12", 2))),
            ("13", false, Some(("1", 1))),
            ("3#", false, Some(("3#", 2))),
            ("*", false, Some(("*", 1))),
        ] {
            let found = match read(&menu, pressed, ended) {
                Reading::Choice(keys, taken) => Some((keys.as_str(), taken)),
                Reading::Nothing => None,
                other => panic!("{pressed}: {other:?}"),
            };
            assert_eq!(found, expected, "{pressed}");
        }
        assert_eq!(read(&menu, "1", false), Reading::More);
        assert_eq!(read(&menu, "3", false), Reading::More);
        assert_eq!(read(&menu, "3", true), Reading::Invalid(1));
        assert_eq!(read(&menu, "35", false), Reading::Invalid(2));
        assert_eq!(read(&menu, "9", false), Reading::Invalid(1));
        assert_eq!(read(&menu, "A", false), Reading::Invalid(1));
    }

    #[test]
    fn one_press_that_comes_twice_counts_once() {
        let mut digits = Digits::default();
        let at = |millis: u64| Monotonic(millis * 1_000_000);
        assert!(digits.press(at(0), '1', Source::Media));
        assert!(!digits.press(at(60), '1', Source::Signalling), "the same press, told by INFO too");
        assert!(digits.press(at(300), '1', Source::Media), "pressed again");
        assert!(!digits.press(at(360), '1', Source::Signalling));
        assert!(digits.press(at(400), '2', Source::Signalling));
        assert!(digits.press(at(2000), '2', Source::Media), "a second later it is another");
        assert!(!digits.press(at(3000), 'x', Source::Media));
        assert_eq!(digits.waiting(), "1122");
        assert_eq!((digits.take(3).as_str(), digits.waiting()), ("112", "2"));
        for at_ms in 0..100 {
            digits.press(at(10_000 + at_ms), '5', Source::Media);
        }
        assert_eq!(digits.waiting().len(), MOST);
    }
}
