//! The vectors of RFC 3711 Appendix B and RFC 7714 §16 and §17, and what a stranger, a storm of old packets and a
//! killed process come to.

use super::{
    transform::{Cipher, Place},
    *,
};
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The master key of RFC 3711 B.3.
fn master() -> Master {
    Master::new(&hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6")).unwrap()
}

/// Both sides of one direction.
fn sides(suite: Suite) -> (Outbound, Inbound) {
    let theirs = Master::new(&hex("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB696")).unwrap();
    let theirs = if suite == Suite::Gcm128 { theirs } else { master() };
    (Outbound::new(suite, theirs), Inbound::new(&Protection { suite, theirs, mki: None }))
}

fn packet(sequence: u16) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    [&[0x80, 8, high, low, 0, 0, 0, 1, 0xca, 0xfe, 0xba, 0xbe][..], &[high ^ low; 160]].concat()
}

fn sealed(outbound: &mut Outbound, sequence: u16) -> Vec<u8> {
    let mut sealed = packet(sequence);
    assert!(outbound.seal_rtp(&mut sealed, 0));
    sealed
}

/// RFC 3711 B.2 and B.3: keystream and derived keys, seen through what they make of zeros.
#[test]
fn counter_mode_and_key_derivation_of_rfc_3711() {
    let place = Place { ssrc: 0, index: 0, clear: 0, word: [0; 4] };
    let cipher = Cipher::counter(
        &hex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().unwrap(),
        hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap(),
    );
    let mut zeros = vec![0; 32];
    assert!(cipher.seal(&mut zeros, 0, &place, false));
    assert_eq!(zeros[..32], hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB"));
    let mut key = [0; 16];
    transform::derive(&master(), 0, &mut key);
    assert_eq!(key[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
    let mut salt = [0; 14];
    transform::derive(&master(), 2, &mut salt);
    assert_eq!(salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
    let mut authentication = [0; 94];
    transform::derive(&master(), 1, &mut authentication);
    let told = hex("CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327A\
        D175578EF722709863 71C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2");
    assert_eq!(authentication[..], told[..94]);
}

/// The packets that libsrtp proves itself by, under the key of RFC 3711 B.3.
#[test]
fn whole_packets_under_the_key_of_rfc_3711() {
    let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let cipher = hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb");
    let (mut outbound, mut inbound) = sides(Suite::Sha1Tag80);
    let mut buffer = [&[1, 2, 3], &plain[..]].concat();
    assert!(outbound.seal_rtp(&mut buffer, 3));
    assert_eq!(buffer[3..], cipher, "what lies before it in the buffer stays");
    let mut opened = cipher;
    assert_eq!(inbound.open_rtp(&mut opened), Ok(()));
    assert_eq!(opened, plain);

    let plain = hex("81c8000bcafebabe abababababababababababababababab");
    let cipher = hex("81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798");
    let mut buffer = plain.clone();
    assert!(outbound.seal_rtcp(&mut buffer, 0));
    assert_eq!(buffer, cipher);
    assert_eq!(inbound.open_rtcp(&mut buffer), Ok(()));
    assert_eq!(buffer, plain);
}

/// RFC 7714 §16.1.1, §17.1.
#[test]
fn gcm_of_rfc_7714() {
    let cipher = Cipher::gcm(
        &hex("000102030405060708090a0b0c0d0e0f").try_into().unwrap(),
        hex("517569642070726f2071756f0000").try_into().unwrap(),
    );
    let mut packet = hex(
        "8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e697320646976697361 20696e207061727465732074726573",
    );
    let plain = packet.clone();
    let place = Place { ssrc: 0x5501_a0b2, index: 0xf17b, clear: 12, word: [0; 4] };
    assert!(cipher.seal(&mut packet, 0, &place, false));
    assert_eq!(
        packet[12..],
        hex(
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833 899d7f27beb16a9152cf765ee4390cce"
        )
    );
    let (text, tag) = packet.split_at_mut(plain.len());
    assert!(cipher.open(text, tag, &place, false).is_ok());
    assert_eq!(*text, plain);

    let mut packet = hex(
        "81c8000d4d617273 4e5450314e545032525450200000042a0000e9304c756e61 deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    );
    let place = Place { ssrc: 0x4d61_7273, index: 0x5d4, clear: 8, word: [0x80, 0, 5, 0xd4] };
    assert!(cipher.seal(&mut packet, 0, &place, true));
    assert_eq!(
        packet,
        hex(
            "81c8000d4d617273 63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade 800005d4"
        )
    );
}

#[test]
fn a_stream_is_followed_over_the_wrap_and_each_packet_opens_once() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = sides(suite);
        let mut wire: Vec<_> = (0..200_u32).map(|n| sealed(&mut outbound, (65_400 + n) as u16)).collect();
        // Three overtake each other about the wrap, one is lost there.
        wire.swap(135, 137);
        wire.remove(136);
        for sealed in &wire {
            let mut opened = sealed.clone();
            assert_eq!(inbound.open_rtp(&mut opened), Ok(()), "{suite:?}");
            let sequence = u16::from_be_bytes([opened[2], opened[3]]);
            assert_eq!(opened, packet(sequence));
        }
        for sealed in &wire {
            assert_eq!(inbound.open_rtp(&mut sealed.clone()), Err(Rejection::Replayed));
        }
    }
}

#[test]
fn nothing_changed_or_foreign_opens_and_it_changes_nothing() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = sides(suite);
        let genuine = sealed(&mut outbound, 7);
        for at in 0..genuine.len() {
            let mut changed = genuine.clone();
            changed[at] ^= 0x40;
            assert!(inbound.open_rtp(&mut changed).is_err(), "{suite:?} octet {at}");
        }
        for length in 0..genuine.len() {
            assert!(inbound.open_rtp(&mut genuine[..length].to_vec()).is_err());
        }
        assert!(inbound.open_rtp(&mut packet(7)).is_err(), "plain");
        assert!(inbound.streams.is_empty(), "a forged packet begins no stream");
        assert_eq!(inbound.open_rtp(&mut genuine.clone()), Ok(()));
        let mut report = hex("80c90001cafebabe");
        assert!(outbound.seal_rtcp(&mut report, 0));
        for at in 0..report.len() {
            let mut changed = report.clone();
            changed[at] ^= 1;
            assert!(inbound.open_rtcp(&mut changed).is_err(), "{suite:?} octet {at}");
        }
        assert_eq!(inbound.open_rtcp(&mut report.clone()), Ok(()));
        assert_eq!(inbound.open_rtcp(&mut report), Err(Rejection::Replayed));
    }
}

#[test]
fn a_key_s_name_stands_where_it_was_agreed() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = sides(suite);
        inbound.mki = Some(Mki { value: 5, length: 2 });
        let mut named = sealed(&mut outbound, 7);
        let tag = if suite == Suite::Gcm128 { 0 } else { if suite == Suite::Sha1Tag80 { 10 } else { 4 } };
        assert!(inbound.open_rtp(&mut named.clone()).is_err());
        let at = named.len() - tag;
        named.splice(at..at, [0, 5]);
        assert_eq!(inbound.open_rtp(&mut named), Ok(()));
        assert_eq!(named, packet(7));
    }
}

/// The process is killed at any moment: what its next life seals was never sealed before, and the party follows.
#[test]
fn no_index_is_used_twice_over_a_kill() {
    let (mut outbound, mut inbound) = sides(Suite::Sha1Tag80);
    let mut used = std::collections::BTreeSet::new();
    let mut next = 65_000_u64;
    let mut kept = None;
    for life in 0..3 {
        // Snapshots every 50 packets; after the last one many more than any second has, until it refuses.
        let mut sent = 0;
        for n in 0..20_000_u64 {
            if n < 500 && n % 50 == 0 {
                kept = Some((serde_json::to_string(&outbound).unwrap(), next));
                outbound.kept(next as u16);
            }
            let mut buffer = packet(next as u16);
            if !outbound.seal_rtp(&mut buffer, 0) {
                break;
            }
            assert!(used.insert(next), "life {life}: index {next} was used");
            assert_eq!(inbound.open_rtp(&mut buffer), Ok(()), "life {life}");
            next += 1;
            sent += 1;
        }
        assert_eq!(sent, 450 + LEAP, "as far as the snapshot grants, and no further");
        let (state, at) = kept.take().unwrap();
        outbound = serde_json::from_str(&state).unwrap();
        assert!(!outbound.seal_rtp(&mut packet(at as u16), 0), "not before it leapt");
        next = at;
        if outbound.take_leap(at as u16) {
            next += LEAP;
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), reports: bool) {
        for suite in Suite::ALL {
            let (_, mut inbound) = sides(suite);
            let mut bytes = bytes.clone();
            let opened = if reports { inbound.open_rtcp(&mut bytes) } else { inbound.open_rtp(&mut bytes) };
            prop_assert!(opened.is_err());
        }
    }

    /// Whatever comes in whatever order: no index is admitted twice.
    #[test]
    fn every_index_is_admitted_once(steps in proptest::collection::vec(-70_i64..90, 1..300)) {
        let (mut window, mut seen, mut index) = (Window::default(), std::collections::HashSet::new(), 1_000_u64);
        for step in steps {
            index = index.checked_add_signed(step).unwrap_or(0);
            if window.admits(index) {
                prop_assert!(seen.insert(index));
                window.note(index);
            }
        }
    }

    /// RFC 3711 §3.3.1: within half the circle the estimate is right.
    #[test]
    fn the_estimate_follows(newest in 0_u64..1 << 40, ahead in -32_768_i64..32_768) {
        if let Some(index) = newest.checked_add_signed(ahead) {
            prop_assert_eq!(estimate(Some(newest), index as u16), index);
        }
    }
}
