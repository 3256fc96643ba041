//! No description makes the reader or the negotiation panic; what is read and written reads the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media_core::sdp::{self, Description, Direction, Local};
use std::net::{Ipv4Addr, SocketAddr};

fuzz_target!(|bytes: &[u8]| {
    let Ok(description) = Description::parse(bytes) else { return };
    let written = description.to_string();
    // The name of a connection has one family in writing; its text stays.
    assert_eq!(Description::parse(written.as_bytes()).as_ref(), Ok(&description), "{written}");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 20_000));
    let local = Local { address, session: 1, version: 1, direction: Direction::SendRecv };
    if let Ok((answer, _)) = sdp::answer(&local, &description) {
        assert_eq!(answer.streams.len(), description.streams.len());
        assert!(Description::parse(answer.to_string().as_bytes()).is_ok());
    }
    let _ = sdp::accept_answer(&local, &description);
});
