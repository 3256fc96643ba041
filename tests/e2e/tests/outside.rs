//! An agent's phone calls out: through the house, over a trunk, to a carrier's gateway. Both talk, what each hears is
//! what the other said on the wire, the call is recorded as the settings say, kept, and in the log. Where a gateway
//! fails, at whichever step, the next trunk has the call.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    House, free_udp_port,
    gateway::{Does, Gateway},
    peer::{self, Answers, Phone, Speaking},
    reader::{read_independently, within},
    wire::{Capture, Rtp},
};
use serde_json::Value;
use std::{
    thread,
    time::{Duration, Instant},
};

/// A house with three trunks: `carrier` and `backup` by the dial plan, `dead` where nobody ever answers.
fn house(backup: u16, record: &str) -> House {
    let dead = free_udp_port();
    let rules = r#"outside = ["0"]
barred = ["00"]
dial_plan = [
    { begins = "0", over = [
        { trunk = "carrier", caller = "02155550000" },
        { trunk = "backup", strip = 1, prepend = "+86", caller = "+862155550001" },
    ] },
    { begins = "09", over = [{ trunk = "dead" }, { trunk = "backup" }] },
]
"#;
    let trunks = format!(
        "\n[[sip.trunks]]\nname = \"backup\"\naddress = \"127.0.0.1:{backup}\"\ncheck = \"0s\"\n\
         \n[[sip.trunks]]\nname = \"dead\"\naddress = \"127.0.0.1:{dead}\"\ncheck = \"5s\"\ncheck_failures = 1\n"
    );
    House::start_as(50, |_, settings| {
        let settings = settings.replace("[route]\n", &format!("[route]\n{rules}"));
        settings.replace("[record]\n", &format!("[record]\n{record}\n")) + &trunks
    })
}

/// The trunks over which legs of a call went, each with the number of its cause, and whether the agent's leg is there.
fn tried(record: &Value) -> Vec<(String, String)> {
    let legs = record["legs"].as_array().unwrap();
    assert_eq!(legs[0]["over"]["phone"], "8001", "{record:#}");
    let of = |leg: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&leg["over"]["trunk"]), text(&leg["cause"]))
    };
    legs[1..].iter().map(of).collect()
}

fn decided(record: &Value, what: &str) -> Vec<String> {
    let decisions = record["decisions"].as_array().unwrap().iter();
    let of = decisions.filter(|decision| decision["what"] == what);
    of.map(|decision| decision["why"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_agent_calls_out_and_the_call_is_heard_recorded_kept_and_audited() {
    let _alone = e2e::alone();
    let house = house(free_udp_port(), "outside = \"recorded\"");
    house.people();
    let (carrier_speech, phone_speech) = peer::speech(house.folder.path());
    let gateway = Gateway::start(&house, house.trunk, Does::Answer, &carrier_speech);
    let mut phone = Phone::at(
        &house,
        "8001",
        Answers::ByHand,
        Some(free_udp_port() & !1),
        &phone_speech,
        Speaking::PLAIN,
    );
    house.agent_ready();

    let capture = Capture::begin(&house);
    phone.dial("01088886666");
    house.until_stage("talking");
    thread::sleep(Duration::from_secs(8));
    phone.hang_up();
    let record = house.call_record(1);
    let wire = capture.end();

    // What the carrier was told: the number in its form, and a caller's number that it knows.
    let invite = gateway.invites().remove(0);
    assert!(invite.contains(&format!("INVITE sip:01088886666@127.0.0.1:{}", house.trunk)), "{invite}");
    assert!(invite.contains("From: <sip:02155550000@"), "{invite}");
    assert!(!invite.contains("8001"), "no number of the house: {invite}");

    // What each said is what the other heard, octet for octet.
    let of_house = |port: u16| house.media.contains(&port);
    let of_gateway = |port: u16| (gateway.media..gateway.media + 100).contains(&port);
    let speech = |packet: &&Rtp| packet.payload_type == 8;
    let between = |from: &dyn Fn(u16) -> bool, to: &dyn Fn(u16) -> bool| -> Vec<Rtp> {
        wire.iter().filter(speech).filter(|p| from(p.from) && to(p.to)).cloned().collect()
    };
    let of_phone = |port: u16| !of_house(port) && !of_gateway(port);
    let (said_outside, heard_outside) = (between(&of_gateway, &of_house), between(&of_house, &of_gateway));
    let (said_inside, heard_inside) = (between(&of_phone, &of_house), between(&of_house, &of_phone));
    let payloads = |packets: &[Rtp]| packets.iter().flat_map(|p| p.payload.clone()).collect::<Vec<u8>>();
    for (said, heard, who) in
        [(&said_inside, &heard_outside, "the carrier"), (&said_outside, &heard_inside, "the phone")]
    {
        let count = within(said, &payloads(heard), who).len();
        assert!(count > 300, "{who} heard {count} packets");
    }

    // Recorded by the rule: both sides, each as it was sent.
    let recording = record["recording"]["yes"]["recording"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    let consents = record["recording"]["yes"]["consents"].to_string();
    assert!(consents.contains("employed") && consents.contains("ruled"), "{consents}");
    house.until("the recording is sealed", Duration::from_secs(10), |house| {
        house.ask_as("wang", &["recordings", "show", recording])["state"] == "sealed"
    });
    let about = house.ask_as("wang", &["recordings", "show", recording]);
    assert_eq!(about["lost"], 0, "{about:#}");
    let parties: Vec<_> = about["tracks"].as_array().unwrap().iter().map(|track| &track["party"]).collect();
    assert_eq!(parties, ["agent", "outside"]);
    let tracks: [Vec<u8>; 2] = read_independently(&house, recording);
    for (said, track, who) in
        [(&said_inside, &tracks[0], "the phone's track"), (&said_outside, &tracks[1], "the carrier's track")]
    {
        let count = within(said, track, who).len();
        assert!(count > 300, "{who}: {count} packets");
    }

    // Kept and audited.
    assert_eq!((&record["disposition"], &record["dialled"]), (&"answered".into(), &"01088886666".into()));
    assert_eq!(tried(&record), [("carrier".to_owned(), "normal_clearing".to_owned())]);
    let entries = house.ask_as("auditadmin", &["audit", "list", "--limit", "1000"]);
    let call = record["call"].as_str().unwrap();
    for (kind, object) in
        [("record.begun", recording), ("record.sealed", recording), ("report.call-recorded", call)]
    {
        let of = |entry: &Value| entry["event"]["kind"] == kind && entry.to_string().contains(object);
        assert!(entries["entries"].as_array().unwrap().iter().any(of), "{kind} of {object}");
    }
}

#[test]
fn what_may_not_be_dialled_is_refused_and_the_next_trunk_has_a_call_whose_gateway_fails_at_any_step() {
    let _alone = e2e::alone();
    let backup_port = free_udp_port();
    let house = house(backup_port, "");
    house.people();
    let (carrier_speech, phone_speech) = peer::speech(house.folder.path());
    let mut phone = Phone::at(&house, "8001", Answers::ByHand, None, &phone_speech, Speaking::PLAIN);
    house.agent_ready();
    let mut kept = 0;
    let mut record = |house: &House| {
        kept += 1;
        house.call_record(kept)
    };

    for (number, cause, why) in [
        ("13900139000", "unallocated_number", "route.outside"),
        ("00441234567", "call_rejected", "route.barred"),
    ] {
        phone.dial(number);
        let record = record(&house);
        assert_eq!(record["legs"][0]["cause"], cause, "{record:#}");
        assert_eq!(record["legs"].as_array().unwrap().len(), 1, "no carrier hears of it: {record:#}");
        assert!(decided(&record, "call.refused")[0].contains(why), "{record:#}");
    }

    let backup = Gateway::start(&house, backup_port, Does::Answer, &carrier_speech);
    let mut answered = 0;
    // The first trunk's gateway, what becomes of it, within which time the second one has the call, and the cause.
    for (first, dies, within, cause) in [
        (None, false, 8, &["recovery_on_timer_expiry", "network_out_of_order"][..]),
        (Some(Does::Refuse(503)), false, 5, &["temporary_failure"][..]),
        (Some(Does::RingAndRefuse(503)), false, 5, &["temporary_failure"][..]),
        (Some(Does::Try), true, 18, &["no_user_responding"][..]),
    ] {
        let mut gateway = first.map(|does| Gateway::start(&house, house.trunk, does, &carrier_speech));
        let began = Instant::now();
        phone.dial("01088886666");
        if dies {
            let gateway = gateway.as_mut().unwrap();
            house.until("the first gateway is asked", Duration::from_secs(10), |_| {
                !gateway.invites().is_empty()
            });
            gateway.die();
        }
        house.until_stage("talking");
        assert!(began.elapsed() < Duration::from_secs(within), "{first:?}: {:?}", began.elapsed());
        answered += 1;
        let invites = backup.invites();
        let invite = invites.last().unwrap();
        assert!(invite.contains("INVITE sip:+861088886666@"), "{invite}");
        assert!(invite.contains("From: <sip:+862155550001@"), "{invite}");
        thread::sleep(Duration::from_secs(1));
        phone.hang_up();
        let record = record(&house);
        let tried = tried(&record);
        assert_eq!(
            (tried.len(), &*tried[0].0, &*tried[1].0),
            (2, "carrier", "backup"),
            "{first:?} {record:#}"
        );
        assert!(cause.contains(&&*tried[0].1), "{first:?} {tried:?}");
        assert_eq!(tried[1].1, "normal_clearing");
        assert!(decided(&record, "trunk.failed")[0].ends_with("backup is next"), "{record:#}");
        // Nobody outside has heard an announcement, and the settings leave them out.
        let consents = record["recording"]["yes"]["consents"].to_string();
        assert!(consents.contains("employed") && consents.contains("refused"), "{record:#}");
    }

    // What the called party says is its own answer.
    for (status, cause) in [(486, "user_busy"), (603, "call_rejected"), (404, "unallocated_number")] {
        let _gateway = Gateway::start(&house, house.trunk, Does::Refuse(status), &carrier_speech);
        phone.dial("01088886666");
        let record = record(&house);
        assert_eq!(tried(&record), [("carrier".to_owned(), cause.to_owned())], "{record:#}");
        assert_eq!(record["legs"][0]["cause"], cause, "and the phone is told: {record:#}");
    }
    assert_eq!(backup.invites().len(), answered, "no other trunk is asked");

    // A trunk that does not answer OPTIONS is passed over at once.
    house.until("the dead trunk is known to be dead", Duration::from_secs(40), |house| {
        let trunks = house.ask_as("wang", &["trunks"])["endpoints"].to_string();
        trunks.contains(r#"[{"trunk":"dead"},"unreachable"]"#)
    });
    let began = Instant::now();
    phone.dial("0999");
    house.until_stage("talking");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    phone.hang_up();
    let record = record(&house);
    assert_eq!(tried(&record), [("backup".to_owned(), "normal_clearing".to_owned())]);
    assert_eq!(decided(&record, "trunk.passed-over"), ["dead cannot be reached"]);
}
