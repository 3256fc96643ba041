//! Numbers and places as a row of prompts, in Mandarin and English.

use settings::speech::{Language, Word};
use std::time::Duration;

/// The greatest number that is said.
pub const GREATEST: u32 = 999;
/// A longer wait is said as more than this.
const LONGEST: u32 = 60;

/// A number from 0 to [`GREATEST`]; greater ones are said as that. English has no word for 0 here.
pub fn number(language: Language, number: u32) -> Vec<Word> {
    let number = number.min(GREATEST);
    let word = |number: u32| Word::Number(u8::try_from(number).unwrap_or(u8::MAX));
    let (hundreds, rest) = (number / 100, number % 100);
    let mut said = Vec::new();
    if hundreds > 0 {
        said.extend([word(hundreds), word(100)]);
    }
    match language {
        Language::En => match rest {
            0 => {}
            1..=20 => said.push(word(rest)),
            _ => {
                said.push(word(rest - rest % 10));
                said.extend((rest % 10 > 0).then(|| word(rest % 10)));
            }
        },
        Language::ZhCn => {
            let (tens, ones) = (rest / 10, rest % 10);
            match tens {
                // 一百零五
                0 if hundreds > 0 && ones > 0 => said.push(word(0)),
                0 => {}
                // 十五, but 一百一十五
                1 if hundreds == 0 => said.push(word(10)),
                _ => said.extend([word(tens), word(10)]),
            }
            if ones > 0 || number == 0 {
                said.push(word(ones));
            }
        }
    }
    said
}

/// So many of something: 两位, not 二位.
fn count(language: Language, count: u32) -> Vec<Word> {
    match (language, count) {
        (Language::ZhCn, 2) => vec![Word::Liang],
        _ => number(language, count),
    }
}

/// A place in a queue, for somebody with so many ahead. Nothing where it is too far back to be said.
pub fn place(language: Language, ahead: u32) -> Vec<Word> {
    let said = match language {
        // "There are so many ahead of you."
        Language::ZhCn => ahead,
        // "You are number so many."
        Language::En => ahead + 1,
    };
    match ahead {
        0 => vec![Word::Next],
        _ if said > GREATEST => Vec::new(),
        _ => [vec![Word::Ahead], count(language, said), vec![Word::Persons]].concat(),
    }
}

/// How long it will take, in minutes rounded up.
pub fn wait(language: Language, wait: Duration) -> Vec<Word> {
    let minutes = u32::try_from(wait.as_secs().div_ceil(60)).unwrap_or(u32::MAX);
    match minutes {
        0 | 1 => vec![Word::Soon],
        2..=LONGEST => [vec![Word::About], count(language, minutes), vec![Word::Minutes]].concat(),
        _ => [vec![Word::Over], count(language, LONGEST), vec![Word::Minutes]].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[Word]) -> String {
        let word = |word: &Word| match word {
            Word::Number(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        words.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn numbers_are_said_as_people_say_them() {
        for (value, chinese, english) in [
            (1, "1", "1"),
            (10, "10", "10"),
            (12, "10 2", "12"),
            (20, "2 10", "20"),
            (21, "2 10 1", "20 1"),
            (90, "9 10", "90"),
            (100, "1 100", "1 100"),
            (105, "1 100 0 5", "1 100 5"),
            (110, "1 100 1 10", "1 100 10"),
            (115, "1 100 1 10 5", "1 100 15"),
            (999, "9 100 9 10 9", "9 100 90 9"),
            (4000, "9 100 9 10 9", "9 100 90 9"),
        ] {
            assert_eq!(said(&number(Language::ZhCn, value)), chinese);
            assert_eq!(said(&number(Language::En, value)), english);
        }
        assert_eq!(said(&number(Language::ZhCn, 0)), "0");
    }

    #[test]
    fn every_word_that_is_said_has_a_prompt() {
        for language in [Language::ZhCn, Language::En] {
            let words = language.words();
            for value in 0..=1200 {
                let waits = wait(language, Duration::from_secs(u64::from(value) * 7));
                for word in place(language, value).into_iter().chain(waits) {
                    assert!(words.contains(&word), "{word:?} of {language:?}");
                }
            }
        }
    }

    #[test]
    fn places_and_waits() {
        assert_eq!(said(&place(Language::ZhCn, 0)), "Next");
        assert_eq!(said(&place(Language::ZhCn, 2)), "Ahead Liang Persons");
        assert_eq!(said(&place(Language::En, 2)), "Ahead 3 Persons");
        assert_eq!(said(&place(Language::En, 999)), "");
        assert_eq!(said(&wait(Language::En, Duration::from_secs(60))), "Soon");
        assert_eq!(said(&wait(Language::En, Duration::from_secs(61))), "About 2 Minutes");
        assert_eq!(said(&wait(Language::ZhCn, Duration::from_secs(61))), "About Liang Minutes");
        assert_eq!(said(&wait(Language::En, Duration::from_secs(9000))), "Over 60 Minutes");
    }
}
