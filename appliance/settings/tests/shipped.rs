//! The files that ship: the default file, the demonstration, and the schema.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use settings::{Section, Settings};
use std::path::{Path, PathBuf};

fn configs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(configs(name)).unwrap()
}

fn sound(text: &str) -> Settings {
    Settings::parse(text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn an_empty_file_is_a_house() {
    assert!(sound("") == Settings::default());
}

#[test]
fn the_default_file_sets_nothing() {
    assert!(sound(&read("appliance.toml")) == Settings::default());
}

/// Every commented line `# key = value` of a section is really the default of that key.
#[test]
fn the_comments_of_the_default_file_tell_the_defaults() {
    let optional = ["advertised", "certificate"];
    let mut uncommented = String::new();
    let mut inside_example = false;
    for line in read("appliance.toml").lines() {
        let plain = line.strip_prefix("# ").unwrap_or(line);
        inside_example = plain.starts_with("[[") || (inside_example && !line.starts_with('['));
        let setting = line.starts_with("# ") && plain.split_once(" = ").is_some_and(|(key, _)| is_key(key));
        let key = plain.split(' ').next().unwrap_or_default();
        if line.starts_with('[') || (setting && !inside_example && !optional.contains(&key)) {
            uncommented.push_str(plain);
            uncommented.push('\n');
        }
    }
    assert!(uncommented.contains("ports = ") && uncommented.contains("absolute = "), "{uncommented}");
    assert!(sound(&uncommented) == Settings::default());
}

/// The examples of the default file, uncommented, are a valid house but for the password left out.
#[test]
fn the_examples_of_the_default_file_are_sound() {
    let text: String = read("appliance.toml")
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|plain| {
                    plain.starts_with('[') || plain.split_once(" = ").is_some_and(|(key, _)| is_key(key))
                })
                .unwrap_or(line)
        })
        .map(|line| line.replace("\"…\"", "\"Wild-geese-8\""))
        .collect::<Vec<_>>()
        .join("\n");
    let settings = sound(&text);
    assert_eq!(settings.route.agents.len(), 1);
    assert_eq!(settings.sip.phones.len(), 1);
}

#[test]
fn the_demonstration_is_a_whole_house() {
    let settings = sound(&read("demo/appliance.toml"));
    assert_eq!(settings.route.numbers[0].dialled.as_str(), "95555");
    assert_eq!(settings.sip.phones[0].extension.to_string(), "8001");
    assert_eq!(settings.route.agents[1].name.to_string(), "张三");
    assert!(settings.sip.trunks[0].address == "127.0.0.1:5070".parse().unwrap());
}

/// Every prompt that the demonstration names lies beside it, numbers included.
#[test]
fn the_demonstration_s_prompts_are_there() {
    let present = |directory: &Path| {
        let files = std::fs::read_dir(configs("demo").join(directory)).unwrap().flatten();
        let names =
            files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".wav")?.to_owned()));
        Some(names.collect())
    };
    let problems = Settings::parse_beside(&read("demo/appliance.toml"), present, |_| Ok(())).err();
    assert!(problems.is_none(), "{problems:#?}");
}

#[test]
fn the_schema_is_the_golden_file() {
    let mut schema = serde_json::to_string_pretty(&settings::schema()).unwrap();
    schema.push('\n');
    let golden = configs("appliance.schema.json");
    if std::env::var_os("YANMEN_BLESS").is_some() {
        std::fs::write(&golden, &schema).unwrap();
    }
    assert!(
        std::fs::read_to_string(&golden).unwrap_or_default() == schema,
        "configs/appliance.schema.json is not what the types say: look at the change, then run this test with YANMEN_BLESS=1"
    );
}

#[test]
fn sections_survive_the_hand_out() {
    let settings = sound(&read("demo/appliance.toml"));
    let sip: settings::sip::Sip = serde_json::from_value(settings.section(Section::Sip)).unwrap();
    assert!(sip == settings.sip);
    let route: settings::route::Route = serde_json::from_value(settings.section(Section::Route)).unwrap();
    assert!(route == settings.route);
    for section in Section::ALL {
        assert!(settings.section(section).is_object(), "{section}");
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
