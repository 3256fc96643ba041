//! The vectors of RFC 7616 §3.9, RFC 2617 §3.5, and nonces that age.

use super::*;
use std::time::Duration;
use types::Monotonic;

const GET: Protected<'_> = Protected { method: b"GET", body: b"" };

#[test]
fn rfc_7616_3_9_1_sha_256_and_md5() {
    for (algorithm, response) in [
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
    ] {
        let value = format!(
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
             algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"{response}\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        );
        let authorization = Authorization::parse(value.as_bytes()).unwrap();
        assert!(authorization.proves("Circle of Life", GET), "{algorithm}");
        assert!(!authorization.proves("Circle of life", GET));
        assert!(!authorization.proves("Circle of Life", Protected { method: b"PUT", ..GET }));
    }
}

#[test]
fn rfc_2617_3_5() {
    let value = b"Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
        nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, nc=00000001, \
        cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\"";
    assert!(Authorization::parse(value).unwrap().proves("Circle Of Life", GET));
}

#[test]
fn sha_512_256_is_the_hash_of_fips_180_4() {
    let algorithm = Algorithm::parse(b"sha-512-256").unwrap();
    assert_eq!(algorithm, (Algorithm::Sha512_256, false));
    let abc = Algorithm::Sha512_256.hex(b"abc");
    assert_eq!(abc, b"53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23", "FIPS 180-4");
}

#[test]
fn what_we_answer_we_accept() {
    let credentials = Credentials { user: "8001".into(), password: "secret\"\\".into() };
    let invite = Protected { method: b"INVITE", body: b"v=0\r\n" };
    for algorithm in ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"] {
        for qop in ["", ", qop=\"auth\"", ", qop=\"auth-int\"", ", qop=\"auth-int,auth\""] {
            let value =
                format!("Digest realm=\"a\\\"b\", nonce=\"n,1\", algorithm={algorithm}{qop}, opaque=\"o\"");
            let challenge = Challenge::parse(value.as_bytes()).unwrap();
            let answer = challenge.answer(&credentials, b"sip:h".to_vec(), b"c".to_vec(), invite);
            let read = Authorization::parse(&answer.to_bytes()).unwrap();
            assert!(read.proves("secret\"\\", invite), "{value}");
            let tampered = Protected { body: b"v=1\r\n", ..invite };
            let covers_body = qop == ", qop=\"auth-int\"";
            assert_eq!(read.proves("secret\"\\", tampered), !covers_body, "{value}");
        }
    }
}

#[test]
fn the_strongest_challenge_is_taken() {
    let lines = [
        &b"Digest realm=\"r\", nonce=\"1\", algorithm=MD5"[..],
        b"Digest realm=\"r\", nonce=\"2\", algorithm=SHA-256",
        b"Digest realm=\"r\", nonce=\"3\", algorithm=NEWER",
        b"Basic realm=\"r\"",
    ];
    let strongest = Challenge::strongest(lines.into_iter().filter_map(Challenge::parse)).unwrap();
    assert_eq!(strongest.nonce, b"2");
}

/// A carrier's realm in GBK, whose 誠 ends in what looks like a backslash, goes back octet for octet.
#[test]
fn a_realm_in_gbk_goes_back_as_it_came() {
    let realm = b"realm=\"\xd5\xc5\xd5\x5c\"";
    let challenge = Challenge::parse(&[&b"Digest "[..], realm, b", nonce=\"a\\\"b\""].concat()).unwrap();
    assert_eq!(challenge.realm, [0xd5, 0xc5, 0xd5, 0x5c]);
    let known = Credentials { user: "8001".into(), password: "p".into() };
    let answer = challenge.answer(&known, b"u".to_vec(), b"c".to_vec(), GET).to_bytes();
    let has = |wanted: &[u8]| answer.windows(wanted.len()).any(|window| window == wanted);
    assert!(has(realm) && has(b"nonce=\"a\\\"b\""), "{answer:?}");
}

#[test]
fn malformed_answers_are_none() {
    for value in [
        "Basic dXNlcg==",
        "Digest",
        "Digest username",
        "Digest username=\"a\", username=\"b\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\"",
        "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\", qop=auth",
        "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\", nc=1",
        "Digest username=\"a, realm=",
    ] {
        assert_eq!(Authorization::parse(value.as_bytes()), None, "{value}");
    }
}

#[test]
fn nonces_age_and_serve_each_count_once() {
    let start = Monotonic(7_000_000_000);
    let mut nonces = Nonces::new([1; 16]);
    let nonce = nonces.issue(start, [2; 16]);
    assert_eq!(nonces.admit(start, &nonce, 1), Staleness::Fresh);
    assert_eq!(nonces.admit(start, &nonce, 1), Staleness::Stale, "a replay");
    assert_eq!(nonces.admit(start.plus(Duration::from_secs(300)), &nonce, 2), Staleness::Fresh);
    assert_eq!(nonces.admit(start.plus(Duration::from_secs(301)), &nonce, 3), Staleness::Stale);
    assert_eq!(Nonces::new([9; 16]).admit(start, &nonce, 1), Staleness::Foreign);
    let mut forged = nonce.clone();
    forged[0] = b'f';
    assert_eq!(nonces.admit(start, &forged, 1), Staleness::Foreign);
    assert_eq!(nonces.admit(start, b"", 1), Staleness::Foreign);
}
