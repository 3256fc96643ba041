//! Known answers of the standards, and round trips.

#![allow(clippy::unwrap_used, reason = "a test ends where its preparation fails")]

use gm::{sm2, sm3, sm4};
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

#[test]
fn selftest_passes() {
    gm::selftest().unwrap();
}

/// GB/T 32905-2016, A.1 and A.2.
#[test]
fn sm3_of_the_standard() {
    let abc = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0";
    let abcd = "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732";
    assert_eq!(sm3::digest(b"abc").to_string(), abc);
    assert_eq!(sm3::digest(&b"abcd".repeat(16)).to_string(), abcd);
    assert_eq!(sm3::digest_parts(&[b"a", b"", b"bc"]).to_string(), abc);
    assert_eq!(
        sm3::digest(b"").to_string(),
        "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b"
    );
}

/// GM/T 0042-2015, D.3.
#[test]
fn hmac_of_the_standard() {
    let key: Vec<u8> = (1..=32).collect();
    let message = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".repeat(2);
    let code = hex("ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a");
    let (head, tail) = message.split_at(50);
    assert_eq!(sm3::hmac(&key, &[&message]).to_vec(), code);
    sm3::verify_hmac(&key, &[head, tail], &code).unwrap();
    for at in 0..32 {
        let mut wrong = code.clone();
        wrong[at] ^= 0x80;
        sm3::verify_hmac(&key, &[&message], &wrong).unwrap_err();
    }
    sm3::verify_hmac(&key, &[&message], &code[..31]).unwrap_err();
    sm3::verify_hmac(&key, &[&message], &[]).unwrap_err();
}

const RFC_KEY: &str = "0123456789ABCDEFFEDCBA9876543210";

/// RFC 8998, A.1.
#[test]
fn sm4_gcm_of_the_rfc() {
    let key = sm4::Key::new(&array(RFC_KEY));
    let nonce = sm4::Nonce(array("00001234567800000000ABCD"));
    let aad = hex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2");
    let plaintext = hex("AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD
         EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA");
    let ciphertext = hex("17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735
         D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D");
    let mut buffer = plaintext.clone();
    let tag = key.seal_in_place(&nonce, &aad, &mut buffer).unwrap();
    assert_eq!(buffer, ciphertext);
    assert_eq!(tag.0, array("83DE3541E4C2B58177E065A9BF7B62EC"));
    key.open_in_place(&nonce, &aad, &mut buffer, &tag).unwrap();
    assert_eq!(buffer, plaintext);
}

const PRIVATE: &str = "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8";
const PUBLIC: &str = "0409F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020
                      CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13";

/// GB/T 32918.5-2017, A.2.
#[test]
fn sm2_signature_of_the_standard() {
    let signature = sm2::Signature(array(
        "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
         B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA",
    ));
    let key = sm2::SigningKey::from_bytes(&array(PRIVATE)).unwrap();
    assert_eq!(key.verifying_key().to_bytes().to_vec(), hex(PUBLIC));
    assert_eq!(key.to_bytes().to_vec(), hex(PRIVATE));
    let verifying = sm2::VerifyingKey::from_bytes(&hex(PUBLIC)).unwrap();
    verifying.verify(sm2::DEFAULT_ID, b"message digest", &signature).unwrap();
    verifying.verify(sm2::TLS_ID, b"message digest", &signature).unwrap_err();
    let e = sm3::Digest(array("F0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640"));
    verifying.verify_digest(&e, &signature).unwrap();
}

/// GB/T 32918.5-2017, A.3.
#[test]
fn sm2_encryption_of_the_standard() {
    let c1_c3_c2 = hex("0404EBFC718E8D1798620432268E77FEB6415E2EDE0E073C0F4F640ECD2E149A73
         E858F9D81E5430A57B36DAAB8F950A3C64E6EE6A63094D99283AFF767E124DF0
         59983C18F809E262923C53AEC295D30383B54E39D609D160AFCB1908D0BD8766
         21886CA989CA9C7D58087307CA93092D651EFA");
    let key = sm2::DecryptionKey::from_bytes(&array(PRIVATE)).unwrap();
    assert_eq!(key.decrypt(&c1_c3_c2).unwrap().as_slice(), b"encryption standard");
    let public = sm2::EncryptionKey::from_bytes(&hex(PUBLIC)).unwrap();
    for message in [&b"\0\0leading zeros"[..], b"\0", &[7; 1000]] {
        let ciphertext = public.encrypt(message).unwrap();
        assert_eq!(ciphertext.len(), message.len() + 97);
        assert_eq!(key.decrypt(&ciphertext).unwrap().as_slice(), message);
    }
}

/// The key of A.2 as `openssl pkey -pubout` of OpenSSL 3.0 writes it.
#[test]
fn public_key_as_pem() {
    let key = sm2::VerifyingKey::from_bytes(&hex(PUBLIC)).unwrap();
    let pem = key.to_pem().unwrap();
    assert_eq!(
        pem,
        "-----BEGIN PUBLIC KEY-----\n\
         MFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAECfnfMR5UIaFQ3X0WHkvFxnIXn60Y\n\
         M/wHa7CP81bzUCDM6kkM4md1pS3G6nGMwapgCu0F+/NeCEpmMvYHLamtEw==\n\
         -----END PUBLIC KEY-----\n"
    );
    assert_eq!(sm2::VerifyingKey::from_pem(&pem).unwrap(), key);
    sm2::VerifyingKey::from_pem(&pem.replace('A', "B")).unwrap_err();
}

#[test]
fn fresh_keys_differ_and_sign() {
    let (one, other) = (sm2::SigningKey::generate().unwrap(), sm2::SigningKey::generate().unwrap());
    assert_ne!(one.verifying_key(), other.verifying_key());
    let signature = one.sign(sm2::DEFAULT_ID, b"").unwrap();
    one.verifying_key().verify(sm2::DEFAULT_ID, b"", &signature).unwrap();
    other.verifying_key().verify(sm2::DEFAULT_ID, b"", &signature).unwrap_err();
    assert_ne!(signature, one.sign(sm2::DEFAULT_ID, b"").unwrap(), "k is drawn anew");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn gcm_opens_what_it_sealed(key: [u8; 16], nonce: [u8; 12], aad: Vec<u8>, plaintext: Vec<u8>) {
        let (key, nonce) = (sm4::Key::new(&key), sm4::Nonce(nonce));
        let mut buffer = plaintext.clone();
        let tag = key.seal_in_place(&nonce, &aad, &mut buffer).unwrap();
        key.open_in_place(&nonce, &aad, &mut buffer, &tag).unwrap();
        prop_assert_eq!(buffer, plaintext);
    }

    #[test]
    fn pieces_do_not_change_a_digest(message: Vec<u8>, cuts: Vec<u8>) {
        let mut hash = sm3::Sm3::new();
        let mut rest = message.as_slice();
        for cut in cuts {
            let (piece, behind) = rest.split_at(usize::from(cut).min(rest.len()));
            hash.update(piece);
            rest = behind;
        }
        hash.update(rest);
        prop_assert_eq!(hash.finish(), sm3::digest(&message));
    }
}
