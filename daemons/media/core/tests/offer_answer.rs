//! Offer and answer (RFC 3264): what is chosen, what is refused, and that our own two sides agree.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by panicking.

use media_core::{
    Error,
    codec::Codec,
    rtp::PayloadType,
    sdp::{self, Coding, Crypto, Description, Direction, Local, Refusal, Reports, Terms},
    srtp::{Keying, Policy, Suite},
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

fn keying() -> &'static Keying {
    static KEYING: std::sync::OnceLock<Keying> = std::sync::OnceLock::new();
    KEYING.get_or_init(|| Keying::new(std::array::from_fn(|at| at as u8)))
}

fn terms(policy: Policy) -> Terms<'static> {
    Terms { codecs: &Codec::ALL, policy, keying: keying() }
}

fn read(media: &str) -> Description {
    let body =
        format!("v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n{media}");
    Description::parse(body.as_bytes()).unwrap()
}

fn refusal(media: &str) -> Refusal {
    match sdp::answer(&local(), &terms(Policy::Off), &read(media)) {
        Err(Error::Negotiation(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn answers_with_our_first_codec_and_the_offered_event_type() {
    let offer = read(
        "m=audio 4000 RTP/AVP 96 9 8 0 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/8000\r\n\
         a=fmtp:97 0-16\r\na=ptime:30\r\n",
    );
    let (answer, agreed) = sdp::answer(&local(), &terms(Policy::Off), &offer).unwrap();
    assert_eq!(
        answer.to_string(),
        "v=0\r\no=- 7 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
         m=audio 20000 RTP/AVP 8 97\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:97 telephone-event/8000\r\n\
         a=fmtp:97 0-15\r\na=ptime:30\r\na=sendrecv\r\n"
    );
    assert_eq!((agreed.codec, agreed.packet_time), (Codec::Pcma, Duration::from_millis(30)));
    assert_eq!(agreed.remote, Some("198.51.100.1:4000".parse().unwrap()));
    assert_eq!(agreed.remote_rtcp, Some("198.51.100.1:4001".parse().unwrap()));
    assert_eq!(agreed.coding(PayloadType(97)), Some(Coding::TelephoneEvent));
    assert_eq!(agreed.coding(PayloadType(0)), None);
}

#[test]
fn takes_a_codec_under_a_dynamic_payload_type() {
    let offer = read("m=audio 4000 RTP/AVP 110\r\na=rtpmap:110 pcmu/8000\r\n");
    let (answer, agreed) = sdp::answer(&local(), &terms(Policy::Off), &offer).unwrap();
    assert_eq!(answer.streams[0].formats, ["110"]);
    assert_eq!(agreed.coding(PayloadType(110)), Some(Coding::Speech(Codec::Pcmu)));
    let wideband = read("m=audio 4000 RTP/AVP 110\r\na=rtpmap:110 PCMU/16000\r\n");
    assert_eq!(sdp::answer(&local(), &terms(Policy::Off), &wideband).unwrap_err(), Refusal::Codec.into());
}

#[test]
fn refuses_other_streams_singly_and_keeps_their_places() {
    let offer = read(
        "m=video 5000 RTP/AVP 31\r\nm=audio 4002 RTP/SAVP 8\r\nm=audio 4000 RTP/AVP 0\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nm=audio 4004 RTP/AVP 8\r\n",
    );
    let (answer, _) = sdp::answer(&local(), &terms(Policy::Off), &offer).unwrap();
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
    assert_eq!(refusal("m=audio 4000 RTP/AVP 3 97 101\r\n"), Refusal::Codec);
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
        let (answer, agreed) = sdp::answer(
            &local(),
            &terms(Policy::Off),
            &read(&format!("m=audio 4000 RTP/AVP 8\r\na={theirs}\r\n")),
        )
        .unwrap();
        assert_eq!((agreed.direction, answer.streams[0].direction), (ours, Some(ours)));
    }
    let (_, agreed) =
        sdp::answer(&local(), &terms(Policy::Off), &read("m=audio 4000 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n"))
            .unwrap();
    assert_eq!((agreed.remote, agreed.remote_rtcp), (None, None));
}

#[test]
fn packet_time_stays_within_what_the_party_can() {
    for (wish, milliseconds) in [("ptime:10", 10), ("ptime:60", 60), ("ptime:200", 20), ("maxptime:10", 10)] {
        let (_, agreed) = sdp::answer(
            &local(),
            &terms(Policy::Off),
            &read(&format!("m=audio 4000 RTP/AVP 8\r\na={wish}\r\n")),
        )
        .unwrap();
        assert_eq!(agreed.packet_time, Duration::from_millis(milliseconds), "{wish}");
    }
}

#[test]
fn our_offer_and_our_answer_agree_over_ipv6() {
    let one = Local { address: "[2001:db8::1]:20000".parse().unwrap(), ..local() };
    let other = Local { address: "[2001:db8::2]:30000".parse().unwrap(), ..local() };
    let reread = |d: Description| Description::parse(d.to_string().as_bytes()).unwrap();
    for codec in Codec::ALL {
        let terms = &Terms { codecs: &[codec, Codec::Pcma], ..terms(Policy::Off) };
        let offer = reread(sdp::offer(&one, terms));
        assert_eq!(sdp::remote_address(&offer), Some(one.address.ip()));
        let (answer, answerer) = sdp::answer(&other, terms, &offer).unwrap();
        let offerer = sdp::accept_answer(&one, terms, &reread(answer)).unwrap();
        assert_eq!((offerer.codec, answerer.codec), (codec, codec));
        assert_eq!((offerer.remote, answerer.remote), (Some(other.address), Some(one.address)));
        assert_eq!(offerer.send.events, Some(PayloadType(101)));
    }
}

#[test]
fn an_answer_must_fit_the_offer() {
    let refused = |media| sdp::accept_answer(&local(), &terms(Policy::Off), &read(media)).unwrap_err();
    assert_eq!(refused("m=audio 4000 RTP/AVP 8\r\nm=audio 4002 RTP/AVP 8\r\n"), Refusal::Mismatch.into());
    assert_eq!(refused("m=audio 0 RTP/AVP 8\r\n"), Refusal::NoAudio.into());
    // A party that numbers telephone events its own way is understood in both numberings.
    let agreed = sdp::accept_answer(
        &local(),
        &terms(Policy::Off),
        &read("m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n"),
    )
    .unwrap();
    assert_eq!(agreed.send.events, Some(PayloadType(96)));
    assert_eq!(agreed.coding(PayloadType(96)), Some(Coding::TelephoneEvent));
    assert_eq!(agreed.coding(PayloadType(101)), Some(Coding::TelephoneEvent));
}

/// The settings' order decides among what is offered, whatever the order there.
#[test]
fn the_codec_is_ours_to_choose() {
    let offer = read("m=audio 4000 RTP/AVP 0 9 8\r\n");
    for codecs in [[Codec::G722, Codec::Pcma], [Codec::Pcma, Codec::G722], [Codec::Pcmu, Codec::Pcma]] {
        let terms = Terms { codecs: &codecs, ..terms(Policy::Off) };
        let (answer, agreed) = sdp::answer(&local(), &terms, &offer).unwrap();
        assert_eq!(agreed.codec, codecs[0]);
        assert_eq!(answer.streams[0].formats, [codecs[0].payload_type().to_string()]);
        // RFC 3551 §4.5.2: 8000, although it samples 16,000 times a second.
        assert_eq!(answer.streams[0].maps[0].clock, 8000);
    }
    let offer = read("m=audio 4000 RTP/AVP 0\r\n");
    let only = Terms { codecs: &[Codec::Pcma], ..terms(Policy::Off) };
    assert_eq!(sdp::answer(&local(), &only, &offer).unwrap_err(), Refusal::Codec.into());
    let mut ours = read(&sdp::offer(&local(), &only).streams[0].to_string());
    ours.streams[0].formats = vec!["0".to_owned()];
    ours.streams[0].maps.clear();
    assert_eq!(sdp::accept_answer(&local(), &only, &ours).unwrap_err(), Refusal::Codec.into());
}

/// RFC 5761 §5.1.1.
#[test]
fn reports_share_the_port_where_both_sides_say_so() {
    let (answer, agreed) = sdp::answer(
        &local(),
        &terms(Policy::Off),
        &read("m=audio 4000 RTP/AVP 8\r\na=rtcp:4009\r\na=rtcp-mux\r\n"),
    )
    .unwrap();
    assert!(answer.streams[0].rtcp_mux);
    assert_eq!((agreed.reports, agreed.remote_rtcp), (Reports::Muxed, agreed.remote));
    let (answer, agreed) =
        sdp::answer(&local(), &terms(Policy::Off), &read("m=audio 4000 RTP/AVP 8\r\na=rtcp:4009\r\n"))
            .unwrap();
    assert!(!answer.streams[0].rtcp_mux);
    assert_eq!(agreed.reports, Reports::Apart);
    assert_eq!(agreed.remote_rtcp.unwrap().port(), 4009);
    assert!(sdp::offer(&local(), &terms(Policy::Off)).streams[0].rtcp_mux);
}

const KEY: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

/// What each policy answers to each offer.
#[test]
fn protection_follows_the_policy() {
    let secure = format!(
        "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:x\r\n\
         a=crypto:7 AES_CM_128_HMAC_SHA1_32 {KEY}|2^31\r\n"
    );
    let plain = "m=audio 4000 RTP/AVP 8\r\n".to_owned();
    let either = format!("{plain}a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n");
    let both = format!("{plain}{secure}");
    let answered = |policy, media: &str| match sdp::answer(&local(), &terms(policy), &read(media)) {
        Ok((answer, agreed)) => Ok((
            answer.streams.iter().find(|stream| stream.port != 0).unwrap().protocol.clone(),
            agreed.protection.map(|protection| protection.suite),
        )),
        Err(Error::Negotiation(refusal)) => Err(refusal),
        Err(other) => panic!("{other:?}"),
    };
    let avp = || "RTP/AVP".to_owned();
    let savp = || "RTP/SAVP".to_owned();
    for (policy, media, outcome) in [
        (Policy::Off, &plain, Ok((avp(), None))),
        (Policy::Off, &either, Ok((avp(), None))),
        (Policy::Off, &both, Ok((avp(), None))),
        (Policy::Off, &secure, Err(Refusal::Protocol)),
        (Policy::Offered, &plain, Ok((avp(), None))),
        (Policy::Offered, &either, Ok((avp(), Some(Suite::Sha1Tag80)))),
        (Policy::Offered, &both, Ok((savp(), Some(Suite::Sha1Tag32)))),
        (Policy::Offered, &secure, Ok((savp(), Some(Suite::Sha1Tag32)))),
        (Policy::Required, &plain, Err(Refusal::Protection)),
        (Policy::Required, &either, Ok((avp(), Some(Suite::Sha1Tag80)))),
        (Policy::Required, &both, Ok((savp(), Some(Suite::Sha1Tag32)))),
        (Policy::Required, &secure, Ok((savp(), Some(Suite::Sha1Tag32)))),
    ] {
        assert_eq!(answered(policy, media), outcome, "{policy:?} {media}");
    }
    let (answer, _) = sdp::answer(&local(), &terms(Policy::Offered), &read(&secure)).unwrap();
    let crypto: Vec<_> = answer.streams[0].crypto.iter().map(|line| Crypto::read(line).unwrap()).collect();
    assert_eq!((crypto.len(), crypto[0].tag, crypto[0].suite), (1, 7, Suite::Sha1Tag32));
    assert_eq!(crypto[0].master, *keying().master(Suite::Sha1Tag32), "our key, not theirs");
    let broken = "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0Rm\r\n";
    assert_eq!(answered(Policy::Offered, broken), Err(Refusal::Protection));
}

#[test]
fn our_offer_of_protection_and_its_answers() {
    let offered = |policy| sdp::offer(&local(), &terms(policy)).streams.remove(0);
    assert!(offered(Policy::Off).crypto.is_empty());
    assert_eq!(
        (offered(Policy::Offered).protocol.as_str(), offered(Policy::Offered).crypto.len()),
        ("RTP/AVP", 3)
    );
    assert_eq!(
        (offered(Policy::Required).protocol.as_str(), offered(Policy::Required).crypto.len()),
        ("RTP/SAVP", 3)
    );
    let accepted = |policy, media: &str| {
        sdp::accept_answer(&local(), &terms(policy), &read(media))
            .map(|agreed| agreed.protection.map(|p| p.suite))
    };
    let taken = format!("m=audio 4000 RTP/AVP 8\r\na=crypto:2 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n");
    assert_eq!(accepted(Policy::Offered, &taken), Ok(Some(Suite::Sha1Tag80)));
    let other_tag = taken.replace("crypto:2", "crypto:1");
    assert_eq!(accepted(Policy::Offered, &other_tag), Err(Refusal::Protection.into()));
    assert_eq!(accepted(Policy::Offered, "m=audio 4000 RTP/AVP 8\r\n"), Ok(None));
    assert_eq!(accepted(Policy::Required, "m=audio 4000 RTP/AVP 8\r\n"), Err(Refusal::Protection.into()));
    assert_eq!(accepted(Policy::Off, &taken), Ok(None), "what was not offered is not taken");
}
