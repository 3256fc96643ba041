//! The prompts that numbers and places are said with: which files there are and what each says. How a number
//! becomes a row of them is route's.
//!
//! A word is `WORD.LANGUAGE` in the directory of prompts, such as `number-7.zh-CN` or `wait-minutes.en`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A language that the house can say numbers in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Language {
    /// Mandarin.
    #[serde(rename = "zh-CN")]
    ZhCn,
    /// English.
    #[serde(rename = "en")]
    En,
}

/// A word that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// A number that has a word of its own: 0–10 and 100 in Mandarin, 1–20, the tens and 100 in English.
    Number(u8),
    /// 两: two of something, Mandarin only.
    Liang,
    /// "You are the next one."
    Next,
    /// "You are number …", 您前面还有……
    Ahead,
    /// "… in the queue", ……位
    Persons,
    /// "It will take about …"
    About,
    /// "It will take more than …"
    Over,
    /// "… minutes"
    Minutes,
    /// "It will take less than a minute."
    Soon,
}

impl Language {
    /// The tag of BCP 47.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::ZhCn => "zh-CN",
            Self::En => "en",
        }
    }

    /// Every word of the language.
    pub fn words(self) -> Vec<Word> {
        let numbers: Vec<u8> = match self {
            Self::ZhCn => (0..=10).chain([100]).collect(),
            Self::En => (1..=20).chain((30..=90).step_by(10)).chain([100]).collect(),
        };
        let own = match self {
            Self::ZhCn => vec![Word::Liang],
            Self::En => Vec::new(),
        };
        let shared =
            [Word::Next, Word::Ahead, Word::Persons, Word::About, Word::Over, Word::Minutes, Word::Soon];
        numbers.into_iter().map(Word::Number).chain(own).chain(shared).collect()
    }
}

impl Word {
    /// The prompt that says it.
    pub fn prompt(self, language: Language) -> String {
        let word = match self {
            Self::Number(number) => format!("number-{number}"),
            Self::Liang => "number-liang".to_owned(),
            Self::Next => "queue-next".to_owned(),
            Self::Ahead => "queue-ahead".to_owned(),
            Self::Persons => "queue-persons".to_owned(),
            Self::About => "wait-about".to_owned(),
            Self::Over => "wait-over".to_owned(),
            Self::Minutes => "wait-minutes".to_owned(),
            Self::Soon => "wait-soon".to_owned(),
        };
        format!("{word}.{}", language.tag())
    }
}
