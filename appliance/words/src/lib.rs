//! What the product says to people, in zh-CN and en, by message code.
//!
//! Owns the two word lists and nothing else. Code emits a code such as `settings.missing` and arguments; only
//! at the screen does [`text`] make a sentence of them. A test holds the two lists to equal codes and equal
//! placeholders.

use std::collections::BTreeMap;
use std::sync::OnceLock;

const ZH_CN: &str = include_str!("../zh-CN.toml");
const EN: &str = include_str!("../en.toml");

/// A language of the product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    /// Simplified Chinese: the first language of the product.
    #[default]
    ZhCn,
    /// English.
    En,
}

impl Lang {
    /// The language of a locale such as `zh_CN.UTF-8`, of a tag such as `en-GB`: English where it says so,
    /// Chinese otherwise.
    pub fn of_locale(locale: &str) -> Self {
        if locale.starts_with("en") { Self::En } else { Self::ZhCn }
    }
}

/// The sentence of the code with each `{name}` replaced by its argument. A code that nobody wrote words for
/// is shown as it is: a strange message is better than none.
pub fn text(lang: Lang, code: &str, args: &[(&str, &str)]) -> String {
    let Some(mut rest) = list(lang).get(code).map(String::as_str) else { return code.to_owned() };
    let mut sentence = String::with_capacity(rest.len());
    // One pass from left to right, so that an argument with braces is never taken for a placeholder.
    while let Some((before, after)) = rest.split_once('{') {
        sentence.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            rest = after;
            break;
        };
        match args.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => sentence.push_str(value),
            None => sentence.push_str(name),
        }
        rest = after;
    }
    sentence.push_str(rest);
    sentence
}

/// Every code that has words.
pub fn codes(lang: Lang) -> impl Iterator<Item = &'static str> {
    list(lang).keys().map(String::as_str)
}

fn list(lang: Lang) -> &'static BTreeMap<String, String> {
    static LISTS: [OnceLock<BTreeMap<String, String>>; 2] = [OnceLock::new(), OnceLock::new()];
    match lang {
        Lang::ZhCn => LISTS[0].get_or_init(|| flat(ZH_CN)),
        Lang::En => LISTS[1].get_or_init(|| flat(EN)),
    }
}

/// `[settings] missing = "…"` becomes `settings.missing`. The lists are part of the program, and a test reads
/// them: one that is no TOML cannot ship.
fn flat(source: &str) -> BTreeMap<String, String> {
    let mut list = BTreeMap::new();
    if let Ok(tables) = toml::from_str::<toml::Table>(source) {
        walk("", &tables, &mut list);
    }
    list
}

fn walk(prefix: &str, table: &toml::Table, list: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let code = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(below) => walk(&code, below, list),
            toml::Value::String(words) => {
                list.insert(code, words.clone());
            }
            // Words are texts: anything else is caught by the test below.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn placeholders(words: &str) -> BTreeSet<&str> {
        words.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn both_lists_are_toml_of_texts() {
        for source in [ZH_CN, EN] {
            let tables: toml::Table = source.parse().unwrap();
            for (section, words) in tables {
                for (code, words) in words.as_table().expect("words stand in a section") {
                    assert!(words.is_str(), "{section}.{code} is no text");
                }
            }
        }
    }

    #[test]
    fn both_lists_have_equal_codes_and_placeholders() {
        let (zh_cn, en) = (list(Lang::ZhCn), list(Lang::En));
        let codes = |list: &BTreeMap<String, String>| list.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(codes(zh_cn), codes(en));
        for (code, words) in zh_cn {
            assert_eq!(placeholders(words), placeholders(&en[code]), "{code}");
            assert!(!words.trim().is_empty() && !en[code].trim().is_empty(), "{code}");
        }
    }

    #[test]
    fn chinese_sentences_are_chinese() {
        for (code, words) in list(Lang::ZhCn) {
            assert!(words.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{code}: {words}");
        }
    }

    #[test]
    fn an_argument_is_never_a_placeholder() {
        let said = text(Lang::En, "settings.unknown-key-plain", &[("key", "{key}{setting}")]);
        assert!(said.contains("{key}{setting}"), "{said}");
        assert_eq!(text(Lang::En, "no.such.code", &[]), "no.such.code");
    }
}
