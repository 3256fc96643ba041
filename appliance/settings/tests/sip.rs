//! Networks, trunks and limits of `[sip]`: what fits, what does not, and what stays secret.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use settings::{Applied, MASK, Section, Settings, diff, live};

fn sound(text: &str) -> Settings {
    Settings::parse(text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn problems(text: &str) -> Vec<String> {
    let problems = Settings::parse(text).err().unwrap_or_default();
    problems.iter().map(|p| format!("{} {} {}", p.line, p.code, p.path)).collect()
}

const HOUSE: &str = r#"
[sip]
bind = ["10.0.0.1:5060"]
[[sip.networks]]
name = "carrier"
bind = ["192.0.2.10:5060"]
tls = ["192.0.2.10:5061"]
[[sip.trunks]]
name = "line"
address = "198.51.100.7:5061"
network = "carrier"
transport = "tls"
tls = { server_name = "ims.example.cn", authorities = "ca.pem" }
account = { user = "02155550000", password = "123456", domain = "ims.example.cn" }
[[sip.phones]]
extension = "8001"
password = "Wild-geese-8"
"#;

#[test]
fn every_mistake_is_told_where_it_is() {
    let text = r#"[sip]
digest = []
bind = ["0.0.0.0:5060", "[::1]:5060"]
[[sip.networks]]
name = "main"
[[sip.networks]]
name = "line"
tls = ["0.0.0.0:5061", "[::1]:5060"]
[sip.limits]
messages = 0
[[sip.trunks]]
name = "a"
address = "192.0.2.1:5060"
standby = ["192.0.2.1:5060"]
sources = ["192.0.2.0/33"]
[[sip.trunks]]
name = "b"
address = "192.0.2.2:5061"
transport = "tls"
network = "nowhere"
[[sip.trunks]]
name = "c"
address = "192.0.2.3:5060"
tls = { pin = "00" }
check = "1s"
[[sip.trunks]]
name = "d"
address = "192.0.2.4:5061"
transport = "tls"
tls = { server_name = "-x", pin = "0123" }
account = { user = "a b", password = "x", domain = "h:1", expires = "5s" }
"#;
    assert_eq!(problems(text), ["15 settings.prefix sip.trunks.sources"], "the other checks read it");
    assert_eq!(
        problems(&text.replace("/33", "/24")),
        [
            "2 settings.digest-none sip.digest",
            "3 settings.advertise sip.bind",
            "4 settings.bind-none sip.networks.bind",
            "5 settings.network-main sip.networks.name",
            "8 settings.advertise sip.networks.tls",
            "8 settings.twice sip.networks.tls",
            "10 settings.range sip.limits.messages",
            "14 settings.twice sip.trunks.standby",
            "16 settings.trunk-unverified sip.trunks.tls",
            "20 settings.network-unknown sip.trunks.network",
            "24 settings.trunk-no-tls sip.trunks.tls",
            "24 settings.pin sip.trunks.tls.pin",
            "25 settings.range sip.trunks.check",
            "28 settings.trunk-unreachable sip.trunks.address",
            "30 settings.host sip.trunks.tls.server_name",
            "30 settings.pin sip.trunks.tls.pin",
            "31 settings.account-word sip.trunks.account.user",
            "31 settings.host sip.trunks.account.domain",
            "31 settings.range sip.trunks.account.expires",
        ]
    );
}

#[test]
fn a_carriers_password_is_masked_filled_in_and_handed_to_sip_alone() {
    let settings = sound(HOUSE);
    assert!(!serde_json::to_string(&settings).unwrap().contains("123456"));
    for section in Section::ALL {
        let handed = settings.section(section).to_string();
        assert_eq!(handed.contains("123456"), section == Section::Sip, "{section}");
    }
    let shown = HOUSE.replace("123456", MASK).replace("Wild-geese-8", MASK);
    assert!(Settings::parse(&shown).is_err(), "a mask is no password");
    let filled = sound(&Settings::fill(&shown, &settings));
    assert_eq!(filled.sip.trunks[0].account.as_ref().unwrap().password.reveal(), "123456");
    assert_eq!(filled.sip.phones[0].password.reveal(), "Wild-geese-8");
    let changes = diff(&settings, &sound(&HOUSE.replace("123456", "654321")));
    assert_eq!(changes[0].path, "sip.trunks[line].account.password");
    assert_eq!((changes[0].new.clone(), live(&changes[0])), (Some(MASK.into()), Applied::Live));
}

#[test]
fn sockets_take_a_restart_and_lines_do_not() {
    let change = |from: &str, to: &str| live(&diff(&sound(HOUSE), &sound(&HOUSE.replace(from, to)))[0]);
    let restart = Applied::AfterRestart { daemon: Section::Sip };
    assert_eq!(change("192.0.2.10:5060", "192.0.2.11:5060"), restart);
    assert_eq!(change("198.51.100.7:5061", "198.51.100.8:5061"), Applied::Live);
    assert_eq!(change("ca.pem", "other.pem"), Applied::Live);
}
