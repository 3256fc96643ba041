//! Any text either is a house or has problems at places that are in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use settings::{Problem, Section, Settings, diff};
use words::Lang;

fuzz_target!(|text: &str| match Settings::parse(text) {
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
});
