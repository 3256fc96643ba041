//! What other libraries accepted: out-of-range signatures, points off the curve, short and changed input.

#![allow(clippy::unwrap_used, reason = "a test ends where its preparation fails")]

use ::sm2::{
    FieldBytes, ProjectivePoint, Scalar, U256,
    elliptic_curve::{PrimeField, ops::Reduce, point::AffineCoordinates},
};
use gm::{Error, sm2, sm3, sm4};
use proptest::prelude::*;

/// n, the order of the base point (GB/T 32918.5-2017 §3).
const N: U256 = U256::from_be_hex("fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123");
/// p, the prime of the field.
const P: U256 = U256::from_be_hex("fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff");

/// A key, a digest and a signature over it whose r or s is a small number, made by whoever has the key.
/// Only such small values leave room for + n below 2²⁵⁶.
struct Small {
    key: sm2::SigningKey,
    digest: sm3::Digest,
    r: U256,
    s: U256,
}

fn with_small_s() -> Small {
    let (d, k, s) = (Scalar::from(0x1234_5678_u64), Scalar::from(0x9abc_def1_u64), Scalar::from(77_u64));
    // s(1 + d) = k - r·d, so r = (k - s(1 + d)) / d and e = r - x₁.
    let r = (k - s * (d + Scalar::ONE)) * d.invert().unwrap();
    small(d, k, r, s)
}

fn with_small_r() -> Small {
    let (d, k, r) = (Scalar::from(0x1234_5678_u64), Scalar::from(0x9abc_def1_u64), Scalar::from(55_u64));
    let s = (k - r * d) * (d + Scalar::ONE).invert().unwrap();
    small(d, k, r, s)
}

fn small(d: Scalar, k: Scalar, r: Scalar, s: Scalar) -> Small {
    let x1 = (ProjectivePoint::GENERATOR * k).to_affine().x();
    let e = r - Scalar::reduce(&x1);
    Small {
        key: sm2::SigningKey::from_bytes(&d.to_repr().into()).unwrap(),
        digest: sm3::Digest(e.to_repr().into()),
        r: U256::from_be_slice(&r.to_repr()),
        s: U256::from_be_slice(&s.to_repr()),
    }
}

fn signature(r: U256, s: U256) -> sm2::Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&r.to_be_bytes());
    bytes[32..].copy_from_slice(&s.to_be_bytes());
    sm2::Signature(bytes)
}

fn refused(key: &sm2::VerifyingKey, digest: &sm3::Digest, signature: &sm2::Signature) -> bool {
    matches!(key.verify_digest(digest, signature), Err(Error::BadSignature))
}

#[test]
fn s_of_n_or_more_is_refused() {
    let Small { key, digest, r, s } = with_small_s();
    let key = key.verifying_key();
    key.verify_digest(&digest, &signature(r, s)).unwrap();
    assert!(refused(key, &digest, &signature(r, s.wrapping_add(&N))), "s + n is the same scalar");
    assert!(refused(key, &digest, &signature(r, N)));
    assert!(refused(key, &digest, &signature(r, U256::MAX)));
}

#[test]
fn r_of_n_or_more_is_refused() {
    let Small { key, digest, r, s } = with_small_r();
    let key = key.verifying_key();
    key.verify_digest(&digest, &signature(r, s)).unwrap();
    assert!(refused(key, &digest, &signature(r.wrapping_add(&N), s)), "r + n is the same scalar");
    assert!(refused(key, &digest, &signature(N, s)));
}

#[test]
fn zeros_and_their_sum_are_refused() {
    let Small { key, digest, r, s } = with_small_s();
    let key = key.verifying_key();
    assert!(refused(key, &digest, &signature(U256::ZERO, s)));
    assert!(refused(key, &digest, &signature(r, U256::ZERO)));
    assert!(refused(key, &digest, &signature(U256::ZERO, U256::ZERO)));
    assert!(refused(key, &digest, &signature(r, N.wrapping_sub(&r))), "t = r + s = 0 (step B5)");
}

/// r = e and s = -r·d / (1 + d) make [s]G + [t]P the point at infinity, whose x would count as 0.
#[test]
fn the_point_at_infinity_is_refused() {
    let d = Scalar::from(0x1234_5678_u64);
    let key = sm2::SigningKey::from_bytes(&d.to_repr().into()).unwrap();
    let digest = sm3::Digest([7; 32]);
    let r = Scalar::reduce(&FieldBytes::from(digest.0));
    let s = -(r * d) * (d + Scalar::ONE).invert().unwrap();
    let (r, s) = (U256::from_be_slice(&r.to_repr()), U256::from_be_slice(&s.to_repr()));
    assert!(refused(key.verifying_key(), &digest, &signature(r, s)));
}

#[test]
fn every_changed_bit_of_a_signature_is_refused() {
    let key = sm2::SigningKey::generate().unwrap();
    let good = key.sign(sm2::DEFAULT_ID, b"checkpoint").unwrap();
    for bit in 0..512 {
        let mut bad = good;
        bad.0[bit / 8] ^= 1 << (bit % 8);
        key.verifying_key().verify(sm2::DEFAULT_ID, b"checkpoint", &bad).unwrap_err();
    }
}

#[test]
fn private_keys_out_of_range_are_refused() {
    let one = U256::ONE;
    for (value, sound) in [
        (U256::ZERO, false),
        (one, true),
        (N.wrapping_sub(&one).wrapping_sub(&one), true),
        (N.wrapping_sub(&one), false),
        (N, false),
        (U256::MAX, false),
    ] {
        let bytes = value.to_be_bytes().into();
        assert_eq!(sm2::SigningKey::from_bytes(&bytes).is_ok(), sound, "{value}");
        assert_eq!(sm2::DecryptionKey::from_bytes(&bytes).is_ok(), sound, "{value}");
    }
}

#[test]
fn public_keys_off_the_curve_are_refused() {
    let good = sm2::SigningKey::generate().unwrap().verifying_key().to_bytes();
    sm2::VerifyingKey::from_bytes(&good).unwrap();
    let not_a_key = |bytes: &[u8]| {
        assert!(matches!(sm2::VerifyingKey::from_bytes(bytes), Err(Error::NotPublicKey)), "{bytes:02x?}");
        assert!(matches!(sm2::EncryptionKey::from_bytes(bytes), Err(Error::NotPublicKey)), "{bytes:02x?}");
    };
    for at in [1, 32, 33, 64] {
        let mut off = good;
        off[at] ^= 1;
        not_a_key(&off);
    }
    for form in [0, 2, 3, 5, 6, 7] {
        let mut other = good;
        other[0] = form;
        not_a_key(&other);
        not_a_key(&other[..33]);
    }
    for len in 0..65 {
        not_a_key(&good[..len]);
    }
    not_a_key(&[&good[..], &[0]].concat());
    not_a_key(&[&[4][..], &[0; 64]].concat());
    not_a_key(&[&[4][..], &P.to_be_bytes()[..], &good[33..]].concat());
    // The same point with x + p, where that fits, is another encoding: refused, for encodings are unique.
    let five = U256::from_be_slice(&good[1..33]).wrapping_add(&P);
    not_a_key(&[&[4][..], &five.to_be_bytes()[..], &good[33..]].concat());
}

#[test]
fn an_identity_has_at_most_8191_bytes() {
    let key = sm2::SigningKey::generate().unwrap();
    key.sign(&[b'x'; 8191], b"m").unwrap();
    assert!(matches!(key.sign(&[b'x'; 8192], b"m"), Err(Error::LongIdentity)));
}

#[test]
fn a_changed_ciphertext_shows_nothing() {
    let key = sm2::SigningKey::generate().unwrap();
    let public = sm2::EncryptionKey::from_bytes(&key.verifying_key().to_bytes()).unwrap();
    let private = sm2::DecryptionKey::from_bytes(&key.to_bytes()).unwrap();
    let good = public.encrypt(b"sixteen byte key").unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(matches!(private.decrypt(&bad), Err(Error::BadCiphertext)), "byte {at}");
        assert!(matches!(private.decrypt(&good[..at]), Err(Error::BadCiphertext)), "cut at {at}");
    }
    assert!(matches!(public.encrypt(b""), Err(Error::Encrypt)));
}

#[test]
fn a_wrong_tag_leaves_the_ciphertext() {
    let key = sm4::Key::new(&[1; 16]);
    let nonce = sm4::Nonce([2; 12]);
    let mut buffer = *b"not for your eyes, nor for theirs";
    let tag = key.seal_in_place(&nonce, b"aad", &mut buffer).unwrap();
    let sealed = buffer;
    let mut attempt = |nonce: &sm4::Nonce, aad: &[u8], tag: &sm4::Tag| {
        let refused = key.open_in_place(nonce, aad, &mut buffer, tag);
        assert!(matches!(refused, Err(Error::NotAuthentic)));
        assert_eq!(buffer, sealed);
    };
    for bit in 0..128 {
        let mut wrong = tag;
        wrong.0[bit / 8] ^= 1 << (bit % 8);
        attempt(&nonce, b"aad", &wrong);
    }
    attempt(&sm4::Nonce([3; 12]), b"aad", &tag);
    attempt(&nonce, b"aae", &tag);
    attempt(&nonce, b"", &tag);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), signature: [[u8; 32]; 2]) {
        let key = sm2::SigningKey::from_bytes(&[9; 32]).unwrap();
        let mut all = [0; 64];
        all.copy_from_slice(&signature.concat());
        prop_assert!(key.verifying_key().verify(&bytes, &bytes, &sm2::Signature(all)).is_err());
        prop_assert!(sm2::VerifyingKey::from_bytes(&bytes).is_err());
        prop_assert!(sm2::VerifyingKey::from_pem(&String::from_utf8_lossy(&bytes)).is_err());
        prop_assert!(sm2::DecryptionKey::from_bytes(&[9; 32]).unwrap().decrypt(&bytes).is_err());
    }
}
