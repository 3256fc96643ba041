//! Every mistake is told at once, at its place, with its remedy.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use settings::{Applied, Section, Settings, diff, live, media::LibraryLack};
use std::path::Path;
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
fn codecs_and_protection_of_sound() {
    let of = |text: &str| problems(&format!("[media]\n{text}\n"));
    assert_eq!(of("codecs = []"), ["2:10 settings.codecs-none media.codecs"]);
    assert_eq!(of("codecs = [\"PCMA\", \"G722\", \"PCMA\"]"), ["2:27 settings.twice media.codecs"]);
    assert_eq!(of("codecs = [\"G723\"]"), ["2:11 settings.variant media.codecs"]);
    assert_eq!(of("srtp = \"maybe\""), ["2:8 settings.variant media.srtp"]);
    assert!(of("codecs = [\"G722\", \"PCMA\"]\nsrtp = \"required\"").is_empty());
}

/// Guarded by the mutant `settings-srtp-keys-unsaid`.
#[test]
fn sound_is_protected_endpoint_by_endpoint_and_keys_in_the_clear_are_told_of() {
    let text = r#"
[sip]
bind = ["127.0.0.1:5060"]
tls = []
[[sip.trunks]]
name = "carrier"
address = "192.0.2.1:5060"
[[sip.phones]]
extension = "8001"
password = "Wild-geese-8"
[[sip.phones]]
extension = "8002"
password = "Wild-geese-8"
[media]
srtp = "off"
[[media.trunks]]
name = "carrier"
srtp = "offered"
[[media.phones]]
extension = "8001"
srtp = "required"
"#;
    let advice = |text: &str| -> Vec<String> {
        let settings = Settings::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let told = settings.advice(text);
        told.iter().map(|a| format!("{}:{} {} {}", a.line, a.column, a.code, a.args["name"])).collect()
    };
    let code = "settings.srtp-keys-in-clear";
    assert_eq!(advice(text), [format!("18:8 {code} carrier"), format!("21:8 {code} 8001")]);
    let all = text.replace("srtp = \"off\"", "srtp = \"offered\"");
    assert_eq!(advice(&all).len(), 3, "and 8002 by the rule for all: {:?}", advice(&all));
    let phones = text.replace("tls = []", "tls = [\"127.0.0.1:5061\"]");
    assert_eq!(advice(&phones), [format!("18:8 {code} carrier")]);
    let sealed = "transport = \"tls\"\ntls = { authorities = \"ca.pem\" }\n";
    let sealed =
        phones.replace("address = \"192.0.2.1:5060\"\n", &format!("address = \"192.0.2.1:5060\"\n{sealed}"));
    assert!(advice(&sealed).is_empty(), "{:?}", advice(&sealed));
    assert!(advice("").is_empty());
    let wrong = text
        .replace("[[media.phones]]", "[[media.trunks]]\nname = \"carier\"\nsrtp = \"off\"\n[[media.phones]]");
    assert_eq!(problems(&wrong), ["20:8 settings.trunk-unknown media.trunks.name"]);
    let twice = text.to_owned() + "[[media.phones]]\nextension = \"8001\"\nsrtp = \"off\"\n";
    assert_eq!(problems(&twice), ["23:13 settings.twice media.phones.extension"]);
}

#[test]
fn a_dial_plan_carries_what_may_be_called() {
    let text = r#"
[[sip.trunks]]
name = "carrier"
address = "192.0.2.1:5060"
[[sip.phones]]
extension = "120"
password = "Wild-geese-8"
[route]
outside = ["0", "1", "+86"]
barred = ["00", "00"]
outside_calls = 0
emergency = ["120", "119"]
[[route.dial_plan]]
begins = "0"
over = [{ trunk = "carier", strip = 2 }, { trunk = "carrier" }, { trunk = "carrier", prepend = "x" }]
[[route.dial_plan]]
begins = "010"
over = []
"#;
    assert_eq!(problems(text), ["15:96 settings.dialled route.dial_plan.over.prepend"]);
    assert_eq!(
        problems(&text.replace("\"x\"", "\"9\"")),
        [
            "9:17 settings.outside-uncarried route.outside",
            "9:22 settings.outside-uncarried route.outside",
            "10:17 settings.twice route.barred",
            "11:17 settings.range route.outside_calls",
            "12:14 settings.emergency-taken route.emergency",
            "15:19 settings.trunk-unknown route.dial_plan.over.trunk",
            "15:37 settings.dial-plan-strip route.dial_plan.over.strip",
            "15:75 settings.twice route.dial_plan.over.trunk",
            "18:8 settings.dial-plan-empty route.dial_plan.over",
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
fn a_flow_is_a_sound_graph() {
    let text = r#"
[[route.flows]]
name = "service"
[[route.flows.steps]]
announce = "recorded"
[[route.flows.steps]]
name = "menu"
menu = { prompt = "menu", choices = { "1" = "loans", "12" = "lones", "x" = "menu" }, first_digit = "0s" }
[[route.flows.steps]]
name = "loans"
queue = { name = "loans", full = "busy" }
[[route.flows.steps]]
play = "a"
hang_up = "normal-clearing"
[[route.flows.steps]]
name = "open"
hours = { calendar = "offices", closed = "menu" }
[[route.calendars]]
name = "office"
zone = "Asia/Beijing"
weekly = ["mon-fri 9:00-18:00"]
holidays = ["2026-10-01/2026-10-8"]
"#;
    assert_eq!(
        problems(text),
        [
            "8:70 settings.keys route.flows.steps.menu.choices.x",
            "12:1 settings.step route.flows.steps",
            "20:8 settings.zone route.calendars.zone",
            "21:10 settings.hours route.calendars.weekly",
            "22:12 settings.days route.calendars.holidays",
        ]
    );
    let text = r#"
[[route.flows]]
name = "service"
[[route.flows.steps]]
announce = "recorded"
[[route.flows.steps]]
name = "menu"
menu = { prompt = "menu", choices = { "1" = "loans", "2" = "loan" }, first_digit = "0s" }
[[route.flows.steps]]
name = "loans"
queue = { name = "loans", full = "busy" }
[[route.flows.steps]]
name = "open"
hours = { calendar = "offices", closed = "menu" }
[[route.flows.steps]]
name = "loans"
menu = { prompt = "menu", choices = {} }
[[route.queues]]
name = "loans"
while_waiting = { estimate = true, languages = [] }
[[route.calendars]]
name = "office"
weekly = ["tue-fri 09:00-18:00"]
holidays = ["2026-10-01/2026-10-07"]
make_up_days = ["2026-10-07"]
"#;
    assert_eq!(
        problems(text),
        [
            "8:60 settings.step-unknown route.flows.steps.menu.choices.2",
            "8:84 settings.range route.flows.steps.menu.first_digit",
            "11:34 settings.step-unknown-plain route.flows.steps.queue.full",
            "14:22 settings.calendar-unknown route.flows.steps.hours.calendar",
            "16:8 settings.twice route.flows.steps.name",
            "17:37 settings.menu-empty route.flows.steps.menu.choices",
            "20:17 settings.while-waiting-silent route.queues.while_waiting",
            "25:17 settings.day-both route.calendars.make_up_days",
            "25:17 settings.make-up-monday route.calendars.make_up_days",
        ]
    );
}

#[test]
fn a_flow_neither_goes_round_without_the_caller_nor_holds_steps_that_nobody_reaches() {
    let text = r#"
[[route.flows]]
name = "round"
[[route.flows.steps]]
play = "a"
[[route.flows.steps]]
name = "menu"
menu = { prompt = "menu", choices = { "1" = "menu" }, no_input = { next = "sorry" } }
[[route.flows.steps]]
name = "sorry"
play = "sorry"
next = "menu"
[[route.flows.steps]]
name = "island"
play = "b"
[[route.flows]]
name = "sound"
[[route.flows.steps]]
name = "menu"
menu = { prompt = "menu", choices = { "1" = "menu", "2" = "people" } }
[[route.flows.steps]]
hang_up = "normal-clearing"
[[route.flows.steps]]
name = "people"
announce = "recorded"
[[route.flows.steps]]
name = "wait"
queue = { name = "people", overdue = "patience", full = "end" }
[[route.flows.steps]]
name = "patience"
play = "patience"
next = "wait"
[[route.flows.steps]]
name = "end"
hang_up = "user-busy"
[[route.queues]]
name = "people"
"#;
    // "invalid" of the first menu falls through to "sorry" as well; a wait between two turns is no circle.
    assert_eq!(
        problems(text),
        ["6:1 settings.flow-circle route.flows.steps", "13:1 settings.step-unreachable route.flows.steps",]
    );
    let told = Settings::parse(text).err().unwrap();
    assert!(told[0].sentence(Lang::En, "x").contains("(menu → sorry)"), "{told:?}");
}

/// Guarded by the mutant `settings-announce-any-way`.
#[test]
fn every_way_to_people_passes_the_announcement() {
    let text = r#"
[[route.flows]]
name = "service"
steps = [
    { menu = { prompt = "menu", choices = { "1" = "told", "0" = "people" } } },
    { name = "told", announce = "recorded" },
    { name = "people", queue = "people" },
]
[[route.queues]]
name = "people"
"#;
    assert_eq!(problems(text), ["7:5 settings.announce-first route.flows.steps"]);
}

/// Guarded by the mutant `settings-prompts-unchecked`.
#[test]
fn a_prompt_without_a_file_is_told() {
    let text = r#"
[media]
prompts = "voices"
[[route.flows]]
name = "service"
steps = [
    { play = "greting" },
    { announce = "recorded" },
    { name = "menu", menu = { prompt = "menu", choices = { "1" = "people" }, invalid = { prompt = "wrong" } } },
    { name = "people", queue = "people" },
]
[[route.queues]]
name = "people"
music = "waiting"
while_waiting = { position = true, languages = ["en"] }
"#;
    let present = |directory: &std::path::Path| {
        assert_eq!(directory, std::path::Path::new("voices"));
        let number = |word: settings::speech::Word| word.prompt(settings::speech::Language::En);
        let words = settings::speech::Language::En.words().into_iter().map(number);
        let named = ["greeting", "recorded", "menu", "waiting"].map(str::to_owned);
        Some(words.filter(|word| word != "number-7.en").chain(named).collect())
    };
    let told = Settings::parse_beside(text, present, |_| Ok(())).err().unwrap();
    let told: Vec<_> =
        told.iter().map(|p| format!("{}:{} {} {}", p.line, p.column, p.code, p.args["name"])).collect();
    assert_eq!(
        told,
        [
            "7:14 settings.prompt-missing greting",
            "9:99 settings.prompt-missing-plain wrong",
            "15:48 settings.prompt-missing number-7.en",
        ]
    );
    assert!(
        Settings::parse_beside(text, |_| None, |_| Ok(())).is_ok(),
        "what cannot be listed is not missed"
    );
}

/// The library that speaks G.729 is looked for where the settings say, and only where they name that codec.
#[test]
fn a_codec_whose_library_is_not_there_is_a_mistake() {
    let told = |text: &str, lack: Option<LibraryLack>| {
        let look = |named: Option<&Path>| {
            assert_eq!(named, text.contains("/opt/").then(|| Path::new("/opt/bcg729.so")));
            lack.map_or(Ok(()), Err)
        };
        let problems = Settings::parse_beside(text, |_| None, look).err().unwrap_or_default();
        let told =
            problems.iter().map(|p| format!("{}:{} {} {:?}", p.line, p.column, p.code, p.args.get("path")));
        told.collect::<Vec<_>>()
    };
    let text = "[media]\ncodecs = [\"PCMA\", \"G729\"]\ng729_library = \"/opt/bcg729.so\"\n";
    let missing = || Some(LibraryLack::Missing("/opt/bcg729.so".into()));
    assert_eq!(told(text, missing()), ["2:19 settings.g729-missing Some(\"/opt/bcg729.so\")"]);
    let exposed = Some(LibraryLack::Exposed("/opt".into()));
    assert_eq!(told(text, exposed), ["2:19 settings.g729-exposed Some(\"/opt\")"]);
    assert!(told(text, None).is_empty());
    let by_default = "[media]\ncodecs = [\"G729\"]\n";
    assert_eq!(told(by_default, missing()).len(), 1);
    let unwanted = "[media]\ncodecs = [\"PCMA\"]\ng729_library = \"/opt/bcg729.so\"\n";
    assert!(told(unwanted, missing()).is_empty(), "nobody misses it");
    let relative = "[media]\ng729_library = \"bcg729.so\"\n";
    assert_eq!(told(relative, None), ["2:16 settings.library-path None"]);
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
        + include_str!("../src/check/flow.rs")
        + include_str!("../src/check/prompts.rs")
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
    assert_eq!(problems(&"#".repeat(513 << 10)), ["1:1 settings.too-long "]);
}

/// Mutant settings-unbounded: each queue is one short line here, and eight times as long for those who follow it.
#[test]
fn settings_that_fit_no_message_with_their_defaults_are_too_long() {
    let queues =
        |count: usize| (0..count).map(|n| format!("[[route.queues]]\nname = \"q{n}\"\n")).collect::<String>();
    assert_eq!(problems(&queues(2_000)), [""; 0]);
    assert_eq!(problems(&queues(9_000)), ["1:1 settings.too-long "]);
}

#[test]
fn addresses_are_those_of_one_machine() {
    let text = r#"[sip]
bind = ["127.0.0.1:0", "224.0.0.1:5060", "192.0.2.1:5060"]
advertised = "0.0.0.0"
[media]
bind = "ff02::1"
advertised = "255.255.255.255"
[console]
listen = "[::1]:0"
"#;
    assert_eq!(
        problems(text),
        [
            "2:9 settings.listen-address sip.bind",
            "2:24 settings.listen-address sip.bind",
            "3:14 settings.advertised-address sip.advertised",
            "5:8 settings.listen-address media.bind",
            "6:14 settings.advertised-address media.advertised",
            "8:10 settings.listen-address console.listen",
        ]
    );
}

/// Who is to be told must hear something, and the file must be there.
#[test]
fn an_announcement_for_parties_outside_is_named_and_there() {
    assert_eq!(
        problems("[record]\noutside = \"announced\"\n"),
        ["2:11 settings.announcement-missing record.outside"]
    );
    let named = "[record]\noutside = \"announced\"\nannouncement = \"told\"\n";
    assert_eq!(problems(named), [""; 0]);
    let beside = |files: &[&str]| {
        let files = files.iter().map(|name| (*name).to_owned()).collect();
        Settings::parse_beside(named, |_| Some(files), |_| Ok(())).err().unwrap_or_default()
    };
    assert!(beside(&["told"]).is_empty());
    let missing = beside(&["tolled"]);
    assert_eq!((missing[0].line, missing[0].path.as_str()), (3, "record.announcement"));
}
