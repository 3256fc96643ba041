//! No packet makes the opening of SRTP or SRTCP panic, none of them is genuine, and what this side sealed opens
//! unless a byte of it was changed. The first byte chooses the suite, RTP or RTCP, and what is changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media_core::srtp::{Inbound, Master, Mki, Outbound, Protection, Suite};

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    let suite = Suite::ALL[usize::from(how) % 3];
    let theirs = Master::new(&[7; 30][..16 + suite.salt()]).expect("it is as long as the suite's");
    let mki = (how & 0x40 != 0).then_some(Mki { value: 1, length: 1 });
    let inbound = Inbound::new(&Protection { suite, theirs, mki });
    let open = |packet: &[u8]| {
        let (mut inbound, mut packet) = (inbound.clone(), packet.to_vec());
        let opened = if how & 0x80 == 0 { inbound.open_rtp(&mut packet) } else { inbound.open_rtcp(&mut packet) };
        opened.map(|()| packet)
    };
    assert!(open(bytes).is_err(), "nobody guesses a tag");

    let mut outbound = Outbound::new(suite, theirs);
    let mut sealed = bytes.to_vec();
    let sent = if how & 0x80 == 0 {
        // This side writes neither sources nor extensions.
        if let Some(flags) = sealed.first_mut() {
            *flags &= 0xe0;
        }
        outbound.seal_rtp(&mut sealed, 0)
    } else {
        outbound.seal_rtcp(&mut sealed, 0)
    };
    if !sent || mki.is_some() {
        return;
    }
    assert_eq!(open(&sealed).expect("it is genuine")[1..], bytes[1..]);
    let at = usize::from(how) * 31 % sealed.len();
    sealed[at] ^= how | 1;
    assert!(open(&sealed).is_err(), "byte {at} was changed");
});
