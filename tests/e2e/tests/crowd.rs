//! Fifty calls at a time: every one is announced, bridged and recorded, both tracks hold what their own party said
//! and nothing of any other, and nothing is left when they are over.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use e2e::{
    floor::{Floor, Queue, extension, number},
    voice::{self, Voice},
};
use std::{collections::HashMap, thread, time::Duration};

const CALLS: u8 = 50;

#[test]
fn fifty_calls_are_recorded_and_none_is_mixed_up() {
    let floor = Floor::start(&[Queue::of(CALLS)]);
    let phones: Vec<_> = (0..CALLS).map(|seat| floor.sit(0, seat)).collect();

    // Callers are voices 1 to 50, phones 101 to 150. Everybody calls at once.
    let callers: Vec<_> = (1..=CALLS)
        .map(|n| {
            let voice = Voice::new(n);
            (floor.carrier.dial(&number(0), &voice.sdp(1)), voice)
        })
        .collect();
    let answering = || {
        phones.iter().zip(101..).map(|(phone, n)| {
            let (call, voice) = (phone.called(), Voice::new(n));
            voice.speak_to(&call.invite.as_ref().unwrap().body);
            call.say(180, "");
            call.pick_up(&voice.sdp(1));
            (call, voice)
        })
    };
    let (callers, phones): (Vec<_>, Vec<_>) = thread::scope(|scope| {
        let calling = scope.spawn(|| {
            let confirm = |(mut call, voice): (e2e::ua::Dialog, Voice)| {
                voice.speak_to(&call.confirmed());
                (call, voice)
            };
            callers.into_iter().map(confirm).collect()
        });
        let answered = answering().collect();
        (calling.join().unwrap(), answered)
    });
    floor.house.until("fifty talk at a time", Duration::from_secs(60), |house| {
        let calls = house.ask_as("wang", &["calls", "live"]);
        calls["calls"].as_array().unwrap().iter().filter(|call| call["stage"] == "talking").count()
            == usize::from(CALLS)
    });
    thread::sleep(Duration::from_secs(5));

    // Half of them hang up at the caller's side, half at the phone's.
    let mut callers = callers;
    let mut phones: HashMap<String, _> = (0..CALLS).map(|seat| extension(0, seat)).zip(phones).collect();
    for (call, _) in callers.iter_mut().step_by(2) {
        call.bye();
    }
    let heard_by: HashMap<u16, u16> = phones
        .values()
        .map(|(_, voice)| {
            let heard = voice.heard();
            (voice.who(), heard.first().unwrap_or_else(|| panic!("{:x} hears nobody", voice.who())).who)
        })
        .collect();
    for (call, voice) in phones.values_mut() {
        let odd =
            callers.iter().position(|(_, caller)| caller.who() == heard_by[&voice.who()]).unwrap() % 2 == 1;
        if odd {
            call.bye();
        } else {
            call.hung_up();
        }
    }
    for (call, _) in callers.iter().skip(1).step_by(2) {
        call.hung_up();
    }

    for (call, caller) in &callers {
        let record = floor.record(&call.call_id);
        assert_eq!(record["disposition"], "answered", "{record:#}");
        let legs = record["legs"].as_array().unwrap();
        let taken_by = legs.iter().find_map(|leg| leg["over"]["phone"].as_str()).unwrap();
        let (_, phone) = &phones[taken_by];

        // Each heard the other, whole and in order, and nobody else.
        let (first, last) = voice::one_voice(&caller.heard(), phone, "what the caller heard");
        assert!(last - first >= 200, "the caller heard {first} to {last}");
        let (first, last) = voice::one_voice(&phone.heard(), caller, "what the phone heard");
        assert!(last - first >= 200, "the phone heard {first} to {last}");

        // So does the recording: the customer left, the agent right.
        let wav = floor.sound(&record);
        for (channel, voice) in [caller, phone].into_iter().enumerate() {
            let (stamps, strange) = voice::stamps(&wav, channel);
            assert_eq!(strange, 0, "samples of channel {channel} that nobody said");
            let (first, last) = voice::one_voice(&stamps, voice, &format!("channel {channel}"));
            assert!(last - first >= 200, "channel {channel} has {first} to {last}");
        }
    }
    floor.nothing_is_left();
}
