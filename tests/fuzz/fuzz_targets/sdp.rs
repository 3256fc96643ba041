//! No description makes the reader or the negotiation panic; what is read and written reads the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media_core::{
    codec::Codec,
    sdp::{self, Crypto, Description, Direction, Local, Terms},
    srtp::{Keying, Policy},
};
use std::net::{Ipv4Addr, SocketAddr};

fuzz_target!(|bytes: &[u8]| {
    let Ok(description) = Description::parse(bytes) else { return };
    let written = description.to_string();
    // The name of a connection has one family in writing; its text stays.
    assert_eq!(Description::parse(written.as_bytes()).as_ref(), Ok(&description), "{written}");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 20_000));
    let local = Local { address, session: 1, version: 1, direction: Direction::SendRecv };
    for crypto in description.streams.iter().flat_map(|stream| &stream.crypto) {
        if let Some(read) = Crypto::read(crypto) {
            let written = Crypto::write(read.tag, read.suite, &read.master);
            assert_eq!(Crypto::read(&written).map(|again| again.master), Some(read.master));
        }
    }
    let keying = Keying::new([7; Keying::LENGTH]);
    for policy in [Policy::Off, Policy::Offered, Policy::Required] {
        let terms = Terms { codecs: &Codec::ALL, policy, keying: &keying };
        if let Ok((answer, agreed)) = sdp::answer(&local, &terms, &description) {
            assert_eq!(answer.streams.len(), description.streams.len());
            assert!(Description::parse(answer.to_string().as_bytes()).is_ok());
            assert!(policy != Policy::Off || agreed.protection.is_none());
            assert!(policy != Policy::Required || agreed.protection.is_some());
        }
        let _ = sdp::accept_answer(&local, &terms, &description);
    }
});
