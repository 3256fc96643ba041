//! Offer and answer (RFC 3264): what is chosen, what is refused, and that our own two sides agree.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by panicking.

use media_core::{
    Error,
    g711::Law,
    rtp::PayloadType,
    sdp::{self, Coding, Description, Direction, Local, Refusal},
};
use std::time::Duration;

fn local() -> Local {
    Local {
        address: "192.0.2.10:20000".parse().unwrap(),
        session: 7,
        version: 1,
        direction: Direction::SendRecv,
    }
}

fn read(media: &str) -> Description {
    let body =
        format!("v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n{media}");
    Description::parse(body.as_bytes()).unwrap()
}

fn refusal(media: &str) -> Refusal {
    match sdp::answer(&local(), &read(media)) {
        Err(Error::Negotiation(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn answers_with_the_first_law_offered_and_the_offered_event_type() {
    let offer = read(
        "m=audio 4000 RTP/AVP 96 9 8 0 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/8000\r\n\
         a=fmtp:97 0-16\r\na=ptime:30\r\n",
    );
    let (answer, agreed) = sdp::answer(&local(), &offer).unwrap();
    assert_eq!(
        answer.to_string(),
        "v=0\r\no=- 7 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
         m=audio 20000 RTP/AVP 8 97\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:97 telephone-event/8000\r\n\
         a=fmtp:97 0-15\r\na=ptime:30\r\na=sendrecv\r\n"
    );
    assert_eq!((agreed.law, agreed.packet_time), (Law::A, Duration::from_millis(30)));
    assert_eq!(agreed.remote, Some("198.51.100.1:4000".parse().unwrap()));
    assert_eq!(agreed.remote_rtcp, Some("198.51.100.1:4001".parse().unwrap()));
    assert_eq!(agreed.coding(PayloadType(97)), Some(Coding::TelephoneEvent));
    assert_eq!(agreed.coding(PayloadType(0)), None);
}

#[test]
fn takes_a_law_under_a_dynamic_payload_type() {
    let offer = read("m=audio 4000 RTP/AVP 110\r\na=rtpmap:110 pcmu/8000\r\n");
    let (answer, agreed) = sdp::answer(&local(), &offer).unwrap();
    assert_eq!(answer.streams[0].formats, ["110"]);
    assert_eq!(agreed.coding(PayloadType(110)), Some(Coding::G711(Law::Mu)));
    let wideband = read("m=audio 4000 RTP/AVP 110\r\na=rtpmap:110 PCMU/16000\r\n");
    assert_eq!(sdp::answer(&local(), &wideband).unwrap_err(), Refusal::Codec.into());
}

#[test]
fn refuses_other_streams_singly_and_keeps_their_places() {
    let offer = read(
        "m=video 5000 RTP/AVP 31\r\nm=audio 4002 RTP/SAVP 8\r\nm=audio 4000 RTP/AVP 0\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nm=audio 4004 RTP/AVP 8\r\n",
    );
    let (answer, _) = sdp::answer(&local(), &offer).unwrap();
    let ports: Vec<_> = answer.streams.iter().map(|s| (s.kind.as_str(), s.port)).collect();
    assert_eq!(ports, [("video", 0), ("audio", 0), ("audio", 20000), ("application", 0), ("audio", 0)]);
    assert_eq!(answer.streams[3].formats, ["webrtc-datachannel"]);
}

#[test]
fn says_why_an_offer_cannot_be_met() {
    assert_eq!(refusal(""), Refusal::NoAudio);
    assert_eq!(refusal("m=audio 0 RTP/AVP 8\r\n"), Refusal::NoAudio);
    assert_eq!(refusal("m=video 5000 RTP/AVP 31\r\n"), Refusal::NoAudio);
    assert_eq!(refusal("m=audio 4000 RTP/SAVP 8\r\n"), Refusal::Protocol);
    assert_eq!(refusal("m=audio 4000 RTP/AVP 9 18 101\r\n"), Refusal::Codec);
    assert_eq!(refusal("m=audio 4000 RTP/AVP 8\r\nc=IN IP4 media.example\r\n"), Refusal::NoAddress);
    assert_eq!(refusal("m=audio 4000 RTP/AVP 8\r\nc=IN IP6 2001:db8::1\r\n"), Refusal::Address);
    assert_eq!(refusal("m=audio 4000 RTP/AVP 8\r\nc=IN IP4 224.2.1.1/127\r\n"), Refusal::Address);
}

/// RFC 3264 §6.1: directions are mirrored; §8.4: `0.0.0.0` is hold too.
#[test]
fn mirrors_directions() {
    for (theirs, ours) in [
        ("sendrecv", Direction::SendRecv),
        ("sendonly", Direction::RecvOnly),
        ("recvonly", Direction::SendOnly),
        ("inactive", Direction::Inactive),
    ] {
        let (answer, agreed) =
            sdp::answer(&local(), &read(&format!("m=audio 4000 RTP/AVP 8\r\na={theirs}\r\n"))).unwrap();
        assert_eq!((agreed.direction, answer.streams[0].direction), (ours, Some(ours)));
    }
    let (_, agreed) = sdp::answer(&local(), &read("m=audio 4000 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n")).unwrap();
    assert_eq!((agreed.remote, agreed.remote_rtcp), (None, None));
}

#[test]
fn packet_time_stays_within_what_the_party_can() {
    for (wish, milliseconds) in [("ptime:10", 10), ("ptime:60", 60), ("ptime:200", 20), ("maxptime:10", 10)] {
        let (_, agreed) =
            sdp::answer(&local(), &read(&format!("m=audio 4000 RTP/AVP 8\r\na={wish}\r\n"))).unwrap();
        assert_eq!(agreed.packet_time, Duration::from_millis(milliseconds), "{wish}");
    }
}

#[test]
fn our_offer_and_our_answer_agree_over_ipv6() {
    let one = Local { address: "[2001:db8::1]:20000".parse().unwrap(), ..local() };
    let other = Local { address: "[2001:db8::2]:30000".parse().unwrap(), ..local() };
    let reread = |d: Description| Description::parse(d.to_string().as_bytes()).unwrap();
    for law in [Law::A, Law::Mu] {
        let offer = reread(sdp::offer(&one, law));
        assert_eq!(sdp::remote_address(&offer), Some(one.address.ip()));
        let (answer, answerer) = sdp::answer(&other, &offer).unwrap();
        let offerer = sdp::accept_answer(&one, &reread(answer)).unwrap();
        assert_eq!((offerer.law, answerer.law), (law, law));
        assert_eq!((offerer.remote, answerer.remote), (Some(other.address), Some(one.address)));
        assert_eq!(offerer.send.events, Some(PayloadType(101)));
    }
}

#[test]
fn an_answer_must_fit_the_offer() {
    let refused = |media| sdp::accept_answer(&local(), &read(media)).unwrap_err();
    assert_eq!(refused("m=audio 4000 RTP/AVP 8\r\nm=audio 4002 RTP/AVP 8\r\n"), Refusal::Mismatch.into());
    assert_eq!(refused("m=audio 0 RTP/AVP 8\r\n"), Refusal::NoAudio.into());
    // A party that numbers telephone events its own way is understood in both numberings.
    let agreed = sdp::accept_answer(
        &local(),
        &read("m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n"),
    )
    .unwrap();
    assert_eq!(agreed.send.events, Some(PayloadType(96)));
    assert_eq!(agreed.coding(PayloadType(96)), Some(Coding::TelephoneEvent));
    assert_eq!(agreed.coding(PayloadType(101)), Some(Coding::TelephoneEvent));
}
