//! A password leaves by the hand-out to its own daemon alone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use proptest::prelude::*;
use settings::{Change, MASK, Section, Settings, diff};
use words::Lang;

fn house(password: &str, realm: &str) -> String {
    format!("[sip]\nrealm = \"{realm}\"\n[[sip.phones]]\nextension = \"8001\"\npassword = \"{password}\"\n")
}

fn sound(text: &str) -> Settings {
    Settings::parse(text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn every_output_but_the_hand_out_is_masked() {
    const PASSWORD: &str = "Wild-geese-8";
    let settings = sound(&house(PASSWORD, "bank"));
    let shown = serde_json::to_string(&settings).unwrap();
    assert!(!shown.contains(PASSWORD) && shown.contains(MASK), "{shown}");
    assert!(!settings.to_value().to_string().contains(PASSWORD));
    for section in Section::ALL {
        let handed = settings.section(section).to_string();
        assert_eq!(handed.contains(PASSWORD), section == Section::Sip, "{section}");
    }
}

#[test]
fn a_new_password_is_a_change_between_two_masks() {
    let (old, new) = (house("Wild-geese-8", "bank"), house("Grey-geese-99", "bank"));
    let masked = Some(serde_json::Value::from(MASK));
    let expected = Change { path: "sip.phones[8001].password".to_owned(), old: masked.clone(), new: masked };
    assert_eq!(diff(&sound(&old), &sound(&new)), [expected]);

    let added = diff(&sound(""), &sound(&new));
    assert_eq!(added.len(), 2, "{added:?}");
    assert!(!format!("{added:?}").contains("Grey"), "{added:?}");
}

#[test]
fn a_mask_that_comes_back_is_the_password_that_was() {
    const PASSWORD: &str = r#"Wild\"geese\8"#;
    let toml = |password: &str| house(&password.replace('\\', r"\\").replace('"', "\\\""), "bank");
    let current = sound(&toml(PASSWORD));
    assert_eq!(current.sip.phones[0].password.reveal(), PASSWORD);
    let filled = sound(&Settings::fill(&house(MASK, "new realm"), &current));
    assert_eq!(filled.sip.phones[0].password.reveal(), PASSWORD);
    assert_eq!(filled.sip.realm, "new realm");

    let stranger = house(MASK, "bank").replace("8001", "8002");
    assert!(Settings::parse(&Settings::fill(&stranger, &current)).is_err());
}

proptest! {
    /// Whatever is wrong around it, no problem quotes the password.
    #[test]
    fn no_problem_tells_a_password(
        password in "[A-Z]{6}[a-z0-9]{0,4}",
        form in prop::sample::select(vec![
            "password = \"{}\"", "password = {}", "password = [\"{}\"]", "pasword = \"{}\"", "password = \"{}", "password = {a = \"{}\"}",
            "password = '{}'\npassword = '{}'", "password = \"8001{}\"", "password.{} = 1", "password = 1979-05-27{}",
        ]),
    ) {
        // A key is no secret: in `password.KEY` it may be named.
        prop_assume!(!form.contains(".{}"));
        let text = format!("[[sip.phones]]\nextension = \"8001\"\n{}\n", form.replace("{}", &password));
        if let Err(problems) = Settings::parse(&text) {
            for problem in problems {
                let told = format!("{problem:?} {}", problem.sentence(Lang::En, "appliance.toml"));
                prop_assert!(!told.contains(&password), "{told}");
            }
        }
    }
}
