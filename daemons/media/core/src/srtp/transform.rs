//! Session keys and ciphers: AES in counter mode with HMAC-SHA1 (RFC 3711 §4), AES-GCM (RFC 7714).
//!
//! Owns one packet at a time; never which packet it is.

use super::{Master, Suite};
use aes::{
    Aes128,
    cipher::{BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipher},
};
use aes_gcm::{AeadInOut, Aes128Gcm};
use ctr::CtrCore;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

type Counter = ctr::Ctr128BE<Aes128>;

/// What of a master key a direction's packets use.
#[derive(Clone)]
pub(super) struct Keys {
    pub rtp: Cipher,
    pub rtcp: Cipher,
}

/// The cipher of RTP or of RTCP.
#[derive(Clone)]
pub(super) struct Cipher {
    salt: [u8; 14],
    way: Way,
}

#[derive(Clone)]
enum Way {
    Counter { aes: Aes128, mac: Hmac<Sha1>, tag: usize },
    Gcm(Aes128Gcm),
}

/// Which of a packet's octets are not enciphered, and what else is authenticated.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The packet's name on the wire.
    pub ssrc: u32,
    /// 48 bits for RTP, 31 for RTCP.
    pub index: u64,
    /// Octets of the header.
    pub clear: usize,
    /// What is authenticated behind the packet: the roll-over counter, or the word with the index.
    pub word: [u8; 4],
}

/// The packet is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forged;

impl Keys {
    /// RFC 3711 §4.3.1 with a key derivation rate of 0; RFC 7714 §11 for GCM.
    pub fn derive(suite: Suite, master: &Master) -> Self {
        // Of a shorter salt no more is used than the party was told.
        let mut master = *master;
        master.salt.iter_mut().skip(suite.salt()).for_each(|octet| *octet = 0);
        let label = |encryption: u8, tag: usize| {
            let mut key = [0; 16];
            derive(&master, encryption, &mut key);
            let mut salt = [0; 14];
            derive(&master, encryption + 2, salt.get_mut(..suite.salt()).unwrap_or_default());
            let way = match suite {
                Suite::Gcm128 => Way::Gcm(Aes128Gcm::new(&key.into())),
                Suite::Sha1Tag80 | Suite::Sha1Tag32 => {
                    let mut authentication = [0; 20];
                    derive(&master, encryption + 1, &mut authentication);
                    Way::Counter { aes: Aes128::new(&key.into()), mac: keyed(&authentication), tag }
                }
            };
            Cipher { salt, way }
        };
        // RTCP's tag is long in either suite (RFC 4568 §6.2.2).
        Self { rtp: label(0, if suite == Suite::Sha1Tag32 { 4 } else { 10 }), rtcp: label(3, 10) }
    }
}

impl Cipher {
    /// Octets of a tag.
    pub const fn tag(&self) -> usize {
        match &self.way {
            Way::Counter { tag, .. } => *tag,
            Way::Gcm(_) => 16,
        }
    }

    /// Enciphers a packet from `start` to the end of `buffer` and appends the tag. For RTCP the word with the
    /// index goes before a tag of HMAC and behind one of GCM. `false` where it cannot be sealed: what lies in the
    /// buffer must not be sent.
    #[must_use]
    pub fn seal(&self, buffer: &mut Vec<u8>, start: usize, place: &Place, put_word: bool) -> bool {
        let clear = start + place.clear;
        match &self.way {
            Way::Counter { aes, mac, tag } => {
                if let Some(text) = buffer.get_mut(clear..) {
                    self.stream(aes, place, text);
                }
                if put_word {
                    buffer.extend(place.word);
                }
                let mut mac = mac.clone();
                mac.update(buffer.get(start..).unwrap_or_default());
                if !put_word {
                    mac.update(&place.word);
                }
                let full = mac.finalize().into_bytes();
                buffer.extend(full.iter().take(*tag));
                true
            }
            Way::Gcm(gcm) => {
                let nonce = self.nonce(place).into();
                let Some((header, text)) = buffer.split_at_mut_checked(clear) else { return false };
                let mut known = [0; KNOWN];
                let Some(known) = aad(&mut known, header.get(start..), place, put_word) else { return false };
                let Ok(tag) = gcm.encrypt_inout_detached(&nonce, known, text.into()) else { return false };
                buffer.extend(tag);
                if put_word {
                    buffer.extend(place.word);
                }
                true
            }
        }
    }

    /// Checks a packet (without MKI; of RTCP without its word) against its tag and deciphers it where it lies.
    pub fn open(&self, packet: &mut [u8], tag: &[u8], place: &Place, has_word: bool) -> Result<(), Forged> {
        match &self.way {
            Way::Counter { aes, mac, .. } => {
                let mut mac = mac.clone();
                mac.update(packet);
                mac.update(&place.word);
                let full = mac.finalize().into_bytes();
                let genuine = full.get(..tag.len()).is_some_and(|ours| bool::from(ours.ct_eq(tag)));
                if (tag.is_empty() || !genuine) && !mutant::mutant("srtp-tag-ignored") {
                    return Err(Forged);
                }
                self.stream(aes, place, packet.get_mut(place.clear..).ok_or(Forged)?);
                Ok(())
            }
            Way::Gcm(gcm) => {
                let nonce = self.nonce(place).into();
                let (header, text) = packet.split_at_mut_checked(place.clear).ok_or(Forged)?;
                let mut known = [0; KNOWN];
                let known = aad(&mut known, Some(header), place, has_word).ok_or(Forged)?;
                let tag = tag.try_into().map_err(|_| Forged)?;
                gcm.decrypt_inout_detached(&nonce, known, text.into(), tag).map_err(|_| Forged)
            }
        }
    }

    /// RFC 3711 §4.1.1: the keystream of a packet, laid over it.
    fn stream(&self, aes: &Aes128, place: &Place, text: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        lay(&mut iv[4..8], &place.ssrc.to_be_bytes());
        lay(&mut iv[8..14], &place.index.to_be_bytes()[2..]);
        let core = CtrCore::inner_iv_init(aes.clone(), &iv.into());
        Counter::from_core(core).apply_keystream(text);
    }

    /// RFC 7714 §8.1, §9.1.
    fn nonce(&self, place: &Place) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&self.salt[..12]);
        lay(&mut nonce[2..6], &place.ssrc.to_be_bytes());
        lay(&mut nonce[6..12], &place.index.to_be_bytes()[2..]);
        nonce
    }
}

#[cfg(test)]
impl Cipher {
    /// By the session key itself, as vectors name it.
    pub fn counter(key: &[u8; 16], salt: [u8; 14]) -> Self {
        Self { salt, way: Way::Counter { aes: Aes128::new(key.into()), mac: keyed(&[0; 20]), tag: 10 } }
    }

    /// By the session key itself, as vectors name it.
    pub fn gcm(key: &[u8; 16], salt: [u8; 14]) -> Self {
        Self { salt, way: Way::Gcm(Aes128Gcm::new(key.into())) }
    }
}

/// The longest header of RTP that is authenticated: 15 sources and an extension of some length.
const KNOWN: usize = 1024;

/// What GCM authenticates beside the text: the header, and of RTCP the word with the index (RFC 7714 §9.2).
fn aad<'a>(room: &'a mut [u8; KNOWN], header: Option<&[u8]>, place: &Place, word: bool) -> Option<&'a [u8]> {
    let header = header?;
    let length = header.len() + if word { 4 } else { 0 };
    let known = room.get_mut(..length)?;
    known.get_mut(..header.len())?.copy_from_slice(header);
    if word {
        known.get_mut(header.len()..)?.copy_from_slice(&place.word);
    }
    Some(known)
}

fn lay(over: &mut [u8], octets: &[u8]) {
    over.iter_mut().zip(octets).for_each(|(one, other)| *one ^= other);
}

/// The pseudo-random function AES_CM_PRF of RFC 3711 §4.3.3.
pub(super) fn derive(master: &Master, label: u8, out: &mut [u8]) {
    let mut block = [0; 16];
    block[..14].copy_from_slice(&master.salt);
    block[7] ^= label;
    let aes = Aes128::new(&master.key.into());
    for (piece, number) in out.chunks_mut(16).zip(0_u16..) {
        let mut block = block;
        block[14..].copy_from_slice(&number.to_be_bytes());
        let mut stream = block.into();
        aes.encrypt_block(&mut stream);
        piece.iter_mut().zip(stream).for_each(|(octet, key)| *octet = key);
    }
}

fn keyed(key: &[u8; 20]) -> Hmac<Sha1> {
    let mut block = [0; 64];
    block[..20].copy_from_slice(key);
    // HMAC pads a shorter key with zeros (RFC 2104 §2): the same key, and a length that cannot fail.
    <Hmac<Sha1> as KeyInit>::new(&block.into())
}
