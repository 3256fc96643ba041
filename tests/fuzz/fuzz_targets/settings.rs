//! Any text either is a house or has problems at places that are in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use settings::{Problem, Section, Settings, diff};
use std::sync::LazyLock;
use words::Lang;

const HOUSE: &str = "[[sip.phones]]\nextension = \"8001\"\npassword = 'Wild\"geese\\8'\n";

fuzz_target!(|text: &str| {
    static CURRENT: LazyLock<Settings> =
        LazyLock::new(|| Settings::parse(HOUSE).ok().expect("the house is sound"));
    parse(text);
    parse(&Settings::fill(text, &CURRENT));
});

fn parse(text: &str) {
    match Settings::parse(text) {
        Ok(settings) => {
            assert!(diff(&settings, &settings).is_empty());
            for section in Section::ALL {
                assert!(settings.section(section).is_object());
            }
        }
        Err(problems) => {
            assert!((1..=Problem::MOST).contains(&problems.len()));
            let lines = text.split('\n').count();
            for problem in problems {
                assert!((1..=lines).contains(&(problem.line as usize)));
                assert!(!problem.sentence(Lang::ZhCn, "appliance.toml").contains("settings.syntax"));
            }
        }
    }
}
