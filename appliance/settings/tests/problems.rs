//! Every mistake is told at once, at its place, with its remedy.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use settings::{Applied, Section, Settings, diff, live};
use words::Lang;

/// `line:column code path`, one for each problem.
fn problems(text: &str) -> Vec<String> {
    let problems = Settings::parse(text).err().unwrap_or_default();
    problems.iter().map(|p| format!("{}:{} {} {}", p.line, p.column, p.code, p.path)).collect()
}

#[test]
fn all_at_once_in_the_order_of_the_file() {
    let text = r#"
[sip]
bind = ["127.0.0.1"]
relam = "x"

[[sip.phones]]
extension = "80 01"
password = "weak"

[[sip.phones]]
password = "Wild-geese-8"

[media]
ports = "20001-20010"

[auth.lock_out]
failures = -1
for = "soon"

[record]
on_disk_full = "explode"
retention = "30d"

[audit]
retention = "179d"
colour = 1

[nonsense]
"#;
    assert_eq!(
        problems(text),
        [
            "3:9 settings.address sip.bind",
            "4:1 settings.unknown-key sip.relam",
            "7:13 settings.name sip.phones.extension",
            "8:12 settings.password-weak sip.phones.password",
            "10:1 settings.missing sip.phones",
            "14:9 settings.ports-parity media.ports",
            "17:12 settings.number auth.lock_out.failures",
            "18:7 settings.period auth.lock_out.for",
            "21:16 settings.variant record.on_disk_full",
            "26:1 settings.unknown-key-plain audit.colour",
            "28:2 settings.unknown-key-plain nonsense",
        ]
    );
}

#[test]
fn checks_across_sections() {
    let text = r#"
[sip]
bind = ["0.0.0.0:20002", "0.0.0.0:20002"]
[[sip.trunks]]
name = "a"
address = "192.0.2.1:5060"
[[sip.trunks]]
name = "a"
address = "192.0.2.1:5060"
[[sip.phones]]
extension = "8001"
password = "Aa-8001-8001"
[[route.numbers]]
dialled = "95555"
flow = "servce"
[[route.numbers]]
dialled = "95555"
flow = "service"
[[route.flows]]
name = "service"
steps = [{ play = "greeting" }, { queue = "servise" }]
[[route.flows]]
name = "empty"
steps = []
[[route.queues]]
name = "service"
ring = "1s"
[[route.agents]]
name = "alice"
extension = "8009"
queues = [{ queue = "loans", level = 11 }, { queue = "loans" }]
[record]
retention = "179d"
[audit]
checkpoint = "2h"
retention = "30d"
[auth]
idle = "2h"
"#;
    assert_eq!(
        problems(text),
        [
            "3:9 settings.advertise sip.bind",
            "3:9 settings.ports-overlap sip.bind",
            "3:26 settings.ports-overlap sip.bind",
            "3:26 settings.twice sip.bind",
            "8:8 settings.twice sip.trunks.name",
            "9:11 settings.twice sip.trunks.address",
            "12:12 settings.password-extension sip.phones.password",
            "15:8 settings.flow-unknown route.numbers.flow",
            "17:11 settings.twice route.numbers.dialled",
            "21:33 settings.announce-first route.flows.steps",
            "21:43 settings.queue-unknown route.flows.steps.queue",
            "24:9 settings.steps-none route.flows.steps",
            "27:8 settings.range route.queues.ring",
            "30:13 settings.extension-unknown route.agents.extension",
            "31:21 settings.queue-unknown-plain route.agents.queues.queue",
            "31:38 settings.range route.agents.queues.level",
            "31:54 settings.queue-unknown-plain route.agents.queues.queue",
            "31:54 settings.twice route.agents.queues.queue",
            "33:13 settings.retention-floor record.retention",
            "35:14 settings.range audit.checkpoint",
            "36:13 settings.retention-floor audit.retention",
            "38:8 settings.range auth.idle",
        ]
    );
}

#[test]
fn the_sentence_names_place_and_remedy() {
    let problems = Settings::parse("[media]\nprots = \"20000-29999\"\n").err().unwrap();
    assert_eq!(
        problems[0].sentence(Lang::En, "appliance.toml"),
        "appliance.toml:2:1: there is no setting \"prots\" here: did you mean \"ports\"?"
    );
    assert_eq!(
        problems[0].sentence(Lang::ZhCn, "appliance.toml"),
        "appliance.toml:2:1: 此处没有设置项“prots”：是否应为“ports”？"
    );
}

#[test]
fn every_syntax_error_is_told() {
    let told = problems("[sip]\nrealm = \n[media]\nports = \"unclosed\n[record]\nwhen when\n");
    assert!(told.len() >= 3, "{told:?}");
    assert!(told.iter().all(|line| line.contains("settings.syntax")), "{told:?}");
}

#[test]
fn columns_count_characters() {
    let told = problems("[[route.agents]]\nqueues = [{ queue = \"张三\", leval = 3 }]\nname = \"李四\"\n");
    assert_eq!(told, ["2:27 settings.unknown-key route.agents.queues.leval"]);
}

#[test]
fn every_code_has_words() {
    let text = include_str!("../src/value.rs").to_owned()
        + include_str!("../src/read.rs")
        + include_str!("../src/check.rs")
        + include_str!("../src/check/route.rs")
        + include_str!("../src/check/sip.rs")
        + include_str!("../src/check/limits.rs");
    let known: Vec<_> = words::codes(Lang::En).collect();
    let mut seen = 0;
    for code in text.split('"').skip(1).filter(|part| part.starts_with("settings.") && part.len() > 9) {
        assert!(known.contains(&code), "{code} has no words");
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn changes_are_named_and_know_when_they_take_effect() {
    let old = "[[route.queues]]\nname = \"a\"\n[[route.queues]]\nname = \"b\"\n";
    let new = "[media]\nports = \"30000-30999\"\n[[route.queues]]\nname = \"b\"\nring = \"20s\"\n";
    let parse = |text| Settings::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let changes = diff(&parse(old), &parse(new));
    let paths: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["media.ports", "route.queues[a]", "route.queues[b].ring"]);
    assert_eq!(live(&changes[0]), Applied::AfterRestart { daemon: Section::Media });
    assert_eq!(live(&changes[2]), Applied::Live);
    assert_eq!(changes[1].new, None);
    assert_eq!(changes[2].old, Some("15s".into()));
    assert!(diff(&parse(old), &parse(old)).is_empty());
}

#[test]
fn too_much_is_bounded() {
    let many = "[sip]\n".to_owned() + &(0..500).map(|n| format!("x{n} = 1\n")).collect::<String>();
    assert_eq!(problems(&many).len(), settings::Problem::MOST);
    assert_eq!(problems(&"#".repeat(2 << 20)), ["1:1 settings.too-long "]);
}
