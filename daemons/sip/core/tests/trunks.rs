//! Trunks: registration, signs of life, fail-over, proofs, networks.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop at once")]

mod house;

use house::*;
use route_api::{
    Cause, EndedBy, Party, Reachability, RegistrationStanding, SignallingCommand, SignallingEvent,
    TargetHealth, TransferProgress, Trouble,
};
use sip_core::{
    Account, Check, Core, Flow, Input, Listener, Network, Prefix, Protocol, Seed, Settings, Trunk,
    digest::{Authorization, Credentials, Protected},
    message::{Message, Method, Name, Request, Response, Status},
};
use std::time::Duration;
use types::Pii;

const FIRST: &str = "198.51.100.7:5060";
const SECOND: &str = "198.51.100.8:5060";
const SECRET: &str = "given by the carrier";

fn account() -> Account {
    Account {
        credentials: Credentials { user: "login".into(), password: SECRET.into() },
        user: "02155550000".into(),
        domain: "ims.example.cn".into(),
        register: Some(Duration::from_secs(3_600)),
    }
}

fn settings_with(change: impl Fn(&mut Trunk)) -> Settings {
    let mut trunk = Trunk::at("carrier".parse().unwrap(), FIRST.parse().unwrap());
    change(&mut trunk);
    Settings { trunks: vec![trunk], ..settings() }
}

fn house(change: impl Fn(&mut Trunk)) -> House {
    House::of(Core::new(settings_with(change), Seed([7; 32])))
}

fn registering() -> House {
    house(|trunk| trunk.account = Some(account()))
}

fn of(house: &mut House, method: &Method) -> Request {
    let mut sent = house.sent().into_iter().filter_map(|message| match message {
        Message::Request(request) if request.method == *method => Some(request),
        _ => None,
    });
    let only = sent.next().unwrap_or_else(|| panic!("no {method:?}"));
    // What came after it are copies.
    assert!(sent.all(|copy| copy.head.vias[0].branch() == only.head.vias[0].branch()));
    only
}

fn answer(house: &mut House, request: &Request, status: u16, headers: &[(Name, &str)]) {
    let mut response = request.respond(Status(status)).tagged(b"far");
    for (name, value) in headers {
        response = response.with(name.clone(), *value);
    }
    house.datagram(FIRST, &response.to_bytes());
}

fn challenge(algorithm: &str, nonce: &str) -> (Name, String) {
    let value =
        format!("Digest realm=\"ims.example.cn\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"");
    (Name::WwwAuthenticate, value)
}

fn proof(request: &Request) -> Authorization {
    Authorization::parse(request.head.headers.first(&Name::Authorization).unwrap()).unwrap()
}

fn proves(request: &Request) -> bool {
    let protected = Protected { method: request.method.as_bytes(), body: &request.body };
    proof(request).proves(SECRET, protected)
}

/// Lets time pass until something is sent, at most so many seconds.
fn until_sent(house: &mut House, seconds: u32) {
    for _ in 0..seconds {
        if house.sent.is_empty() {
            house.pass(Duration::from_secs(1));
        }
    }
}

fn standing(house: &House) -> route_api::TrunkStanding {
    house.standings.last().unwrap().1.clone()
}

fn reachable(reachable: Reachability) -> SignallingEvent {
    SignallingEvent::Reachable { endpoint: carrier(), reachable }
}

/// Registers to the end; gives the proved REGISTER.
fn registered(house: &mut House, expires: &str) -> Request {
    let first = of(house, &Method::Register);
    let (name, value) = challenge("SHA-256", "n1");
    answer(house, &first, 401, &[(name, &value)]);
    let second = of(house, &Method::Register);
    let contact = format!("<sip:02155550000@192.0.2.1:5060>;expires={expires}");
    answer(house, &second, 200, &[(Name::Contact, &contact)]);
    second
}

#[test]
fn it_registers_from_the_start_and_refreshes_before_it_expires() {
    let mut house = registering();
    let first = of(&mut house, &Method::Register);
    assert_eq!(first.uri.to_bytes(), b"sip:ims.example.cn");
    assert_eq!(first.head.to.uri.to_bytes(), b"sip:02155550000@ims.example.cn");
    assert_eq!(first.head.headers.first(&Name::Contact), Some(&b"<sip:02155550000@192.0.2.1:5060>"[..]));
    // Two challenges: the stronger one that we know is answered (RFC 8760 §2.4).
    let (name, weak) = challenge("MD5", "weak");
    let (_, strong) = challenge("SHA-256", "strong");
    let (_, unknown) = challenge("SHA3", "unknown");
    answer(&mut house, &first, 401, &[(name.clone(), &weak), (name.clone(), &unknown), (name, &strong)]);
    let second = of(&mut house, &Method::Register);
    assert_eq!((proof(&second).nonce, proof(&second).user), (b"strong".to_vec(), b"login".to_vec()));
    assert!(proves(&second) && second.head.call_id == first.head.call_id);
    assert_eq!(second.head.cseq.number, 2);
    answer(
        &mut house,
        &second,
        200,
        &[
            (
                Name::Contact,
                "<sip:other@203.0.113.1>;expires=60, <sip:02155550000@192.0.2.1:5060>;expires=600",
            ),
            (Name::AuthenticationInfo, "nextnonce=\"fresh\", qop=auth"),
            (Name::ServiceRoute, "<sip:scscf.example.cn;lr>"),
        ],
    );
    assert_eq!(house.events(), [reachable(Reachability::Reachable)]);
    assert_eq!(standing(&house).registration, RegistrationStanding::Registered);
    house.pass(Duration::from_secs(449));
    assert!(house.sent().is_empty());
    until_sent(&mut house, 92);
    let refresh = of(&mut house, &Method::Register);
    assert_eq!((proof(&refresh).nonce, proof(&refresh).count), (b"fresh".to_vec(), 1), "nextnonce");
    assert!(proves(&refresh));
    let route = "<sip:scscf.example.cn;lr>";
    answer(&mut house, &refresh, 200, &[(Name::Expires, "600"), (Name::ServiceRoute, route)]);
    // Calls leave by the carrier's own route (RFC 3608), within its domain.
    dial(&mut house, 1);
    let invite = of(&mut house, &Method::Invite);
    assert_eq!(invite.head.headers.first(&Name::Route), Some(&b"<sip:scscf.example.cn;lr>"[..]));
    assert_eq!(invite.uri.to_bytes(), b"sip:95588@ims.example.cn");
    assert_eq!(invite.head.from.uri.to_bytes(), b"sip:400@ims.example.cn");
}

#[test]
fn a_nonce_is_used_again_and_counted() {
    let mut house = registering();
    registered(&mut house, "600");
    until_sent(&mut house, 541);
    let refresh = of(&mut house, &Method::Register);
    assert_eq!((proof(&refresh).nonce, proof(&refresh).count), (b"n1".to_vec(), 2));
    assert!(proves(&refresh));
    // It has gone stale meanwhile: asked once more, and no person is needed.
    let (name, value) = challenge("SHA-256", "n2");
    answer(&mut house, &refresh, 401, &[(name, &format!("{value}, stale=true"))]);
    let again = of(&mut house, &Method::Register);
    assert_eq!(proof(&again).nonce, b"n2");
    answer(&mut house, &again, 200, &[(Name::Expires, "600")]);
    assert_eq!(standing(&house).error, None);
}

#[test]
fn too_brief_a_registration_is_asked_for_longer() {
    let mut house = house(|trunk| {
        trunk.account = Some(Account { register: Some(Duration::from_secs(60)), ..account() });
    });
    let first = of(&mut house, &Method::Register);
    assert_eq!(first.head.headers.expires(), Some(60));
    answer(&mut house, &first, 423, &[(Name::MinExpires, "1800")]);
    let second = of(&mut house, &Method::Register);
    assert_eq!(second.head.headers.expires(), Some(1_800));
}

#[test]
fn a_wrong_password_is_told_and_tried_seldom() {
    let mut house = registering();
    let first = of(&mut house, &Method::Register);
    let (name, value) = challenge("MD5", "n1");
    answer(&mut house, &first, 401, &[(name.clone(), &value)]);
    let second = of(&mut house, &Method::Register);
    answer(&mut house, &second, 401, &[(name, &value)]);
    assert!(house.sent().is_empty(), "carriers lock accounts out");
    let standing = standing(&house);
    assert_eq!(
        (standing.registration, standing.error),
        (RegistrationStanding::Unregistered, Some(Trouble::Password))
    );
    assert_eq!(house.events(), [reachable(Reachability::Unreachable)]);
}

/// Guarded by the mutant `sip-register-gives-up`.
#[test]
fn failures_are_tried_again_ever_more_seldom_with_jitter() {
    let mut house = registering();
    let mut waits = Vec::new();
    let mut last = house.now;
    for _ in 0..12 {
        let request = of(&mut house, &Method::Register);
        answer(&mut house, &request, 500, &[]);
        while house.sent.is_empty() && house.now.since(last) < Duration::from_secs(400) {
            house.pass(Duration::from_millis(100));
        }
        waits.push(house.now.since(last).as_secs_f64());
        last = house.now;
    }
    assert!(waits[0] >= 1.0 && waits[0] <= 2.2, "{waits:?}");
    assert!(waits[3] >= 8.0 && waits[3] <= 16.2, "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 300.2) && waits[11] >= 150.0, "{waits:?}");
    let request = of(&mut house, &Method::Register);
    answer(&mut house, &request, 503, &[(Name::RetryAfter, "900 (maintenance)")]);
    house.pass(Duration::from_secs(890));
    assert!(house.sent().iter().all(|message| matches!(message, Message::Response(_))));
    house.pass(Duration::from_secs(15));
    of(&mut house, &Method::Register);
}

#[test]
fn silence_lets_the_next_target_register() {
    let mut house = house(|trunk| {
        trunk.account = Some(account());
        trunk.targets.push(SECOND.parse().unwrap());
    });
    house.pass(Duration::from_secs(33));
    let sent = house.sent_to();
    assert_eq!(sent.last().unwrap().0, SECOND.parse().unwrap());
    let Message::Request(request) = &sent.last().unwrap().1 else { panic!("{sent:?}") };
    let response = request.respond(Status(200)).tagged(b"x").with(Name::Expires, "600");
    house.datagram(SECOND, &response.to_bytes());
    assert_eq!(standing(&house).registration, RegistrationStanding::Registered);
}

#[test]
fn a_registration_outlives_a_kill() {
    let mut house = registering();
    registered(&mut house, "600");
    let written = house.written();
    house.restart_with(&written, settings_with(|trunk| trunk.account = Some(account())), &[]);
    house.sent();
    assert_eq!(house.core.attach().endpoints[0].1, Reachability::Reachable);
    house.pass(Duration::from_secs(400));
    assert!(house.sent().is_empty(), "no storm of registrations after a restart");
    until_sent(&mut house, 141);
    let refresh = of(&mut house, &Method::Register);
    assert_eq!(refresh.head.cseq.number, 3, "in the order of the life before");
}

fn checked(trunk: &mut Trunk) {
    trunk.check = Some(Check { every: Duration::from_secs(30), failures: 3 });
    trunk.targets.push(SECOND.parse().unwrap());
}

/// Answers what is asked of the second target alone, for so long.
fn second_lives(house: &mut House, time: Duration) {
    let end = house.now.plus(time);
    while house.now < end {
        house.pass(Duration::from_millis(500));
        for (to, message) in house.sent_to() {
            if let (true, Message::Request(request)) = (to == SECOND.parse().unwrap(), message) {
                house.now = house.now.plus(Duration::from_millis(3));
                house.datagram(SECOND, &request.respond(Status(404)).tagged(b"x").to_bytes());
            }
        }
    }
}

/// Guarded by the mutant `sip-dead-target-kept`.
#[test]
fn a_target_that_does_not_answer_is_left_out_until_it_does() {
    let mut house = house(checked);
    second_lives(&mut house, Duration::from_secs(60));
    let standing = standing(&house);
    assert_eq!(standing.targets[0].health, TargetHealth::Down);
    assert_eq!(standing.targets[0].error, Some(Trouble::Silent));
    assert_eq!(standing.targets[1].health, TargetHealth::Up, "404 is an answer");
    assert!(standing.targets[1].round_trip_us.is_some_and(|us| us < 1_000_000));
    assert_eq!(house.events(), [reachable(Reachability::Reachable)]);
    dial(&mut house, 1);
    assert_eq!(house.sent_to().last().unwrap().0, SECOND.parse().unwrap());
    house.pass(Duration::from_secs(90));
    assert!(house.events().contains(&reachable(Reachability::Unreachable)), "both are silent now");
    dial(&mut house, 2);
    let events = house.events();
    assert!(
        matches!(events.last(), Some(SignallingEvent::Ended { cause: Cause::DestinationOutOfOrder, .. })),
        "{events:?}"
    );
}

fn dial(house: &mut House, n: u8) {
    dial_while(house, n, None);
}

fn dial_while(house: &mut House, n: u8, silence_ms: Option<u32>) {
    house.command(SignallingCommand::Dial {
        leg: leg(n),
        over: carrier(),
        number: "95588".into(),
        from: Party { number: Pii::new("400".into()), display: None },
        description: description(ANSWER),
        memo: memo("out"),
        silence_ms,
    });
}

/// Where route has another trunk, a dead one is given up as soon as route says; guarded by the mutant
/// `sip-silence-endless`.
#[test]
fn the_last_target_is_silent_for_as_long_as_route_lets_it() {
    let mut house = two_targets();
    dial_while(&mut house, 1, Some(4_000));
    house.pass(Duration::from_millis(6_100));
    assert_eq!(house.sent_to().last().unwrap().0, SECOND.parse().unwrap(), "our own next target comes first");
    house.pass(Duration::from_millis(3_800));
    assert!(house.ends().is_empty());
    house.pass(Duration::from_millis(300));
    assert_eq!(house.ends(), [(leg(1), Cause::RecoveryOnTimerExpiry, EndedBy::Failure)]);
    house.sent();
    // Should it ring after all, it is withdrawn.
    dial_while(&mut house, 2, Some(4_000));
    let first = of(&mut house, &Method::Invite);
    answer(&mut house, &first, 503, &[]);
    let second = house.sent_to().into_iter().rev().find_map(|(_, message)| match message {
        Message::Request(request) if request.method == Method::Invite => Some(request),
        _ => None,
    });
    let second = second.unwrap();
    house.pass(Duration::from_millis(4_100));
    assert_eq!(house.ends(), [(leg(2), Cause::RecoveryOnTimerExpiry, EndedBy::Failure)]);
    house.sent();
    house.datagram(SECOND, &second.respond(Status(180)).tagged(b"late").to_bytes());
    assert_eq!(of(&mut house, &Method::Cancel).head.vias[0].branch(), second.head.vias[0].branch());
    // One that has said anything has the time that carriers take.
    dial_while(&mut house, 3, Some(4_000));
    let third = of(&mut house, &Method::Invite);
    house.datagram(FIRST, &third.respond(Status(100)).to_bytes());
    house.pass(Duration::from_secs(30));
    assert!(house.ends().is_empty());
}

fn two_targets() -> House {
    house(|trunk| trunk.targets.push(SECOND.parse().unwrap()))
}

/// Guarded by the mutant `sip-no-fail-over`.
#[test]
fn a_call_goes_to_the_next_target_where_one_cannot() {
    let mut house = two_targets();
    dial(&mut house, 1);
    let first = of(&mut house, &Method::Invite);
    answer(&mut house, &first, 503, &[]);
    let sent = house.sent_to();
    let [(_, Message::Request(ack)), (to, Message::Request(second))] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((&ack.method, to.to_string().as_str()), (&Method::Ack, SECOND));
    assert_eq!(second.uri.to_bytes(), b"sip:95588@198.51.100.8:5060");
    assert_eq!((&second.head.call_id, second.head.from.tag()), (&first.head.call_id, first.head.from.tag()));
    assert_ne!(second.head.vias[0].branch(), first.head.vias[0].branch());
    let ok = answered(second);
    house.datagram(SECOND, &ok.to_bytes());
    assert_eq!(house.request().method, Method::Ack);
    assert!(matches!(house.events()[..], [SignallingEvent::Answered { .. }]));
    // A refusal is none of the line's business: no other target hears of the call.
    dial(&mut house, 2);
    let busy = of(&mut house, &Method::Invite);
    answer(&mut house, &busy, 486, &[]);
    assert_eq!(house.request().method, Method::Ack);
    assert!(matches!(house.events()[..], [SignallingEvent::Ended { cause: Cause::UserBusy, .. }]));
}

fn answered(request: &Request) -> Response {
    let mut ok = request.respond(Status(200)).tagged(b"far").with(Name::ContentType, "application/sdp");
    ok = ok.with(Name::Contact, "<sip:gw@198.51.100.8:5060>");
    ok.body = OFFER.as_bytes().to_vec();
    ok
}

#[test]
fn silence_lets_the_next_target_ring_and_a_late_answer_of_the_first_is_ended() {
    let mut house = two_targets();
    dial(&mut house, 1);
    let first = of(&mut house, &Method::Invite);
    house.pass(Duration::from_millis(6_100));
    let sent = house.sent_to();
    assert_eq!(sent.last().unwrap().0, SECOND.parse().unwrap(), "after 6 s of silence");
    house.pass(Duration::from_secs(2));
    assert!(
        house.sent_to().iter().all(|(to, _)| *to == SECOND.parse().unwrap()),
        "the first is asked no more"
    );
    // The first rings after all: withdrawn; it answers after all: taken and ended.
    house.datagram(FIRST, &first.respond(Status(180)).tagged(b"late").to_bytes());
    assert_eq!(of(&mut house, &Method::Cancel).head.vias[0].branch(), first.head.vias[0].branch());
    house.datagram(FIRST, &first.respond(Status(180)).tagged(b"late").to_bytes());
    assert!(house.sent().is_empty(), "once");
    house.datagram(FIRST, &answered(&first).to_bytes());
    let methods: Vec<_> = house
        .sent()
        .into_iter()
        .map(|m| if let Message::Request(r) = m { r.method } else { panic!() })
        .collect();
    assert_eq!(methods, [Method::Ack, Method::Bye]);
    assert!(house.events().is_empty(), "the call itself still rings");
}

#[test]
fn a_carrier_that_wants_a_proof_of_each_request_gets_it() {
    let mut house = house(|trunk| trunk.account = Some(Account { register: None, ..account() }));
    dial(&mut house, 1);
    let first = of(&mut house, &Method::Invite);
    let value = "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256-sess, qop=\"auth-int\"";
    answer(&mut house, &first, 407, &[(Name::ProxyAuthenticate, value)]);
    let sent = house.sent();
    let Some(Message::Request(second)) = sent.last() else { panic!("{sent:?}") };
    let told = Authorization::parse(second.head.headers.first(&Name::ProxyAuthorization).unwrap()).unwrap();
    assert!(told.proves(SECRET, Protected { method: b"INVITE", body: &second.body }), "the body too");
    assert_eq!(second.head.cseq.number, 2);
    let second = second.clone();
    house.datagram(FIRST, &answered(&second).to_bytes());
    let ack = of(&mut house, &Method::Ack);
    assert_eq!(ack.head.cseq.number, 2);
    house.events();
    // The refreshes of its session too (guarded by the mutant `sip-refresh-unproved`): no call ends by them.
    for _ in 0..3 {
        house.pass(Duration::from_secs(900));
        let refresh = of(&mut house, &Method::Invite);
        answer(&mut house, &refresh, 407, &[(Name::ProxyAuthenticate, value)]);
        let sent = house.sent();
        let Some(Message::Request(again)) = sent.last() else { panic!("{sent:?}") };
        assert_eq!(again.head.cseq.number, refresh.head.cseq.number + 1);
        house.datagram(FIRST, &answered(&again.clone()).to_bytes());
        assert_eq!(of(&mut house, &Method::Ack).head.cseq.number, again.head.cseq.number);
        assert!(house.events().is_empty());
    }
    house.command(SignallingCommand::HangUp { leg: leg(1), cause: Cause::NormalClearing });
    let bye = of(&mut house, &Method::Bye);
    answer(&mut house, &bye, 401, &[(Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"b\"")]);
    let again = of(&mut house, &Method::Bye);
    assert!(proves(&again) && again.head.cseq.number == bye.head.cseq.number + 1);
    answer(&mut house, &again, 401, &[(Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"b\"")]);
    assert!(house.sent().is_empty(), "a proof that was refused is not repeated");
}

/// Guarded by the mutant `sip-proof-number-forgotten`.
#[test]
fn every_request_of_a_dialog_has_a_number_of_its_own_however_often_it_is_proved() {
    let mut house = house(|trunk| trunk.account = Some(Account { register: None, ..account() }));
    dial(&mut house, 1);
    let invite = of(&mut house, &Method::Invite);
    house.datagram(FIRST, &answered(&invite).to_bytes());
    house.sent();
    house.events();
    let tag = String::from_utf8(invite.head.from.tag().unwrap().to_vec()).unwrap();
    let call = String::from_utf8(invite.head.call_id.clone()).unwrap();
    let refer = format!(
        "REFER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {FIRST};branch=z9hG4bKr\r\nFrom: <sip:b@{FIRST}>;tag=far\r\n\
         To: <sip:a@192.0.2.1>;tag={tag}\r\nCall-ID: {call}\r\nCSeq: 1 REFER\r\nRefer-To: <sip:8002@h>\r\n\r\n"
    );
    house.datagram(FIRST, refer.as_bytes());
    assert!(matches!(house.events()[..], [SignallingEvent::Transferring { .. }]));
    let goes = |house: &mut House, progress| {
        house.command(SignallingCommand::Transfer { leg: leg(1), progress });
        of(house, &Method::Notify)
    };
    // Two words are under way before either is challenged, and each is proved once.
    let words = [goes(&mut house, TransferProgress::Accepted), goes(&mut house, TransferProgress::Ringing)];
    assert_eq!([2, 3], [&words[0], &words[1]].map(|notify| notify.head.cseq.number));
    let mut numbers = vec![2, 3];
    let challenge = (Name::ProxyAuthenticate, "Digest realm=\"r\", nonce=\"n\"");
    for notify in &words {
        answer(&mut house, notify, 407, std::slice::from_ref(&challenge));
        let again = of(&mut house, &Method::Notify);
        assert_eq!(again.body, notify.body);
        assert!(again.head.headers.first(&Name::ProxyAuthorization).is_some());
        numbers.push(again.head.cseq.number);
        answer(&mut house, &again, 200, &[]);
    }
    numbers.push(goes(&mut house, TransferProgress::Done).head.cseq.number);
    house.command(SignallingCommand::HangUp { leg: leg(1), cause: Cause::NormalClearing });
    let bye = of(&mut house, &Method::Bye);
    answer(&mut house, &bye, 407, &[challenge]);
    let again = of(&mut house, &Method::Bye);
    numbers.extend([bye.head.cseq.number, again.head.cseq.number]);
    assert_eq!(numbers, [2, 3, 4, 5, 6, 7, 8], "one after the other");
}

#[test]
fn a_proof_refused_ends_the_call() {
    let mut house = house(|trunk| trunk.account = Some(Account { register: None, ..account() }));
    dial(&mut house, 1);
    for _ in 0..2 {
        let sent = house.sent();
        let Some(Message::Request(invite)) = sent.last() else { panic!("{sent:?}") };
        answer(
            &mut house,
            &invite.clone(),
            401,
            &[(Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n\"")],
        );
    }
    assert!(matches!(
        house.events()[..],
        [SignallingEvent::Ended { cause: Cause::CallRejected, by: EndedBy::Peer, .. }]
    ));
}

#[test]
fn a_carrier_is_known_by_its_prefixes_and_by_the_account_that_it_calls() {
    let prefix = Prefix { address: "203.0.113.0".parse().unwrap(), bits: 29 };
    let mut settings = settings_with(|trunk| trunk.sources.push(prefix));
    let mut other = Trunk::at("other".parse().unwrap(), FIRST.parse().unwrap());
    other.account = Some(Account { user: "400".into(), register: None, ..account() });
    settings.trunks.push(other);
    let mut house = House::of(Core::new(settings, Seed([7; 32])));
    let over = |house: &mut House| match house.events().pop() {
        Some(SignallingEvent::Offered { over, .. }) => Some(over),
        _ => None,
    };
    let invite = house.invite("c1", "");
    house.datagram("203.0.113.6:5099", &invite);
    assert_eq!(over(&mut house), Some(carrier()), "any port of the prefix");
    let invite = house.invite("c2", "");
    house.datagram("203.0.113.9:5060", &invite);
    assert_eq!(house.statuses().last(), Some(&401), "beyond the prefix");
    let invite = house.invite("c3", "");
    house.datagram(FIRST, &invite);
    assert_eq!(over(&mut house), Some(route_api::Endpoint::Trunk("other".parse().unwrap())), "sip:400@");
}

#[test]
fn each_network_has_its_own_face_and_keeps_its_own_peers() {
    let listener = |network, advertised: &str| Listener {
        network: Network(network),
        protocol: Protocol::Udp,
        advertised: advertised.parse().unwrap(),
    };
    let mut settings = settings_with(|trunk| trunk.network = Network(1));
    settings.listeners = vec![
        listener(0, "10.0.0.1:5060"),
        listener(1, "203.0.113.200:5060"),
        listener(1, "[2001:db8::1]:5060"),
    ];
    settings.trunks.push(Trunk {
        network: Network(1),
        ..Trunk::at("six".parse().unwrap(), "[2001:db8::7]:5060".parse().unwrap())
    });
    let mut house = House::of(Core::new(settings, Seed([7; 32])));
    dial(&mut house, 1);
    assert_eq!(house.flows.last().unwrap().listener, 1);
    let invite = of(&mut house, &Method::Invite);
    assert_eq!(invite.head.vias[0].host, b"203.0.113.200");
    assert_eq!(invite.head.headers.first(&Name::Contact), Some(&b"<sip:203.0.113.200:5060>"[..]));
    house.command(SignallingCommand::Dial {
        leg: leg(2),
        over: route_api::Endpoint::Trunk("six".parse().unwrap()),
        number: "1".into(),
        from: Party { number: Pii::new("400".into()), display: None },
        description: description(ANSWER),
        memo: memo(""),
        silence_ms: None,
    });
    let invite = of(&mut house, &Method::Invite);
    assert_eq!(
        (invite.head.vias[0].host.as_slice(), invite.uri.to_bytes().as_slice()),
        (&b"[2001:db8::1]"[..], &b"sip:1@[2001:db8::7]:5060"[..])
    );
    // The carrier's address on the agents' network is a stranger's.
    let bytes = house.invite("c1", "");
    house.hand(Input::Datagram { flow: Flow::udp(0, FIRST.parse().unwrap()), bytes: &bytes });
    assert_eq!(house.statuses(), [401]);
    // And a phone of the agents' network does not register over the carrier's, with the right password.
    let first = house.registering(1, "");
    house.hand(Input::Datagram { flow: Flow::udp(1, PHONE.parse().unwrap()), bytes: &first });
    let proof = prove(&house.response(), sip_core::digest::Algorithm::Sha256, PASSWORD);
    let second = house.registering(2, &format!("Authorization: {proof}\r\n"));
    house.hand(Input::Datagram { flow: Flow::udp(1, PHONE.parse().unwrap()), bytes: &second });
    assert_eq!(house.statuses(), [401]);
}
