//! The second factor: a code of the minute from an app on the person's phone (TOTP, RFC 6238), and recovery codes for
//! the day on which the phone is lost.
//!
//! ```text
//!   None ──right password──> Offered{secret shown} ──its code──> Enrolled{secret, recovery codes}
//!     ^                          │ shown anew, or lapsed             │ each step once, each recovery code once
//!     └──────────────────────────┴── recovery by two officers ───────┘
//! ```
//!
//! The parameters are those that every authenticator app takes: HMAC-SHA-1, 30 s, 6 digits (RFC 6238 §4, RFC 4226
//! §5.3). SHA-1's collisions do not touch HMAC.

use auth_api::Code;
use hmac::{Hmac, KeyInit, Mac};
use mutant::mutant;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sm3::Sm3;
use std::{fmt, time::Duration};
use subtle::ConstantTimeEq as _;
use types::{PersonId, Utc};
use zeroize::Zeroizing;

/// Bytes of a secret: as long as the hash (RFC 4226 §4, R6).
pub const SECRET: usize = 20;
/// Recovery codes that come with an enrolment.
pub const RECOVERY_CODES: usize = 10;
/// The time step (RFC 6238 §4.1).
const STEP: i64 = 30;
/// A clock may be so many steps off, either way (RFC 6238 §5.2).
const DRIFT: u64 = 1;
const DIGITS: usize = 6;
/// An offered secret must be confirmed within this long.
const OFFERED: Duration = Duration::from_secs(10 * 60);

/// What app and house share. Whoever has it makes the codes: it has no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u8; SECRET]", into = "[u8; SECRET]")]
pub struct FactorSecret(Zeroizing<[u8; SECRET]>);

impl fmt::Debug for FactorSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactorSecret(…)")
    }
}

impl From<[u8; SECRET]> for FactorSecret {
    fn from(bytes: [u8; SECRET]) -> Self {
        Self::new(bytes)
    }
}

impl From<FactorSecret> for [u8; SECRET] {
    fn from(secret: FactorSecret) -> Self {
        *secret.0
    }
}

/// The second factor of one account, as it is stored: sealed, apart from the account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Factor {
    /// None yet.
    #[default]
    None,
    /// The secret was shown; the app has not proved that it has it.
    Offered {
        /// Shown once.
        secret: FactorSecret,
        /// When.
        at: Utc,
    },
    /// Asked for at every log-in.
    Enrolled(Enrolled),
}

/// A second factor in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    secret: FactorSecret,
    /// The last step whose code was taken: neither it nor one before it is taken again (RFC 6238 §5.2).
    used: u64,
    /// Hashes of the recovery codes that are left.
    recovery: Vec<CodeHash>,
}

/// HMAC-SM3 of a recovery code under the account's own secret. A code has 60 random bits and the store is sealed, so
/// that no slow hash is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CodeHash([u8; 32]);

/// What chance brings to a log-in: used only where it enrols.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// For an offer.
    pub secret: FactorSecret,
    /// For an enrolment.
    pub recovery: Vec<Code>,
}

/// What a code was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    /// The code of a step.
    Step,
    /// A recovery code.
    Recovery,
}

impl FactorSecret {
    /// The secret of these random bytes.
    pub fn new(random: [u8; SECRET]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// The secret in base 32 (RFC 4648 §6) without padding, as apps take it.
    pub fn base32(&self) -> String {
        const SIGNS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let bits = |at: usize| self.0.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
        (0..SECRET * 8)
            .step_by(5)
            .map(|from| (from..from + 5).fold(0, |sign, at| sign << 1 | bits(at)))
            .filter_map(|sign| SIGNS.get(usize::from(sign)))
            .map(|sign| char::from(*sign))
            .collect()
    }

    /// The secret of base 32, for programs that stand in for an app.
    pub fn of_base32(text: &str) -> Option<Self> {
        let (mut bytes, mut held, mut bits) = (Vec::with_capacity(SECRET), 0_u32, 0);
        for c in text.chars() {
            let sign = match c {
                'A'..='Z' => c as u32 - 'A' as u32,
                '2'..='7' => c as u32 - '2' as u32 + 26,
                _ => return None,
            };
            held = held << 5 | sign;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
            }
        }
        bytes.try_into().ok().map(Self::new)
    }

    /// What a phone's camera reads: the key URI of authenticator apps.
    pub fn uri(&self, person: &PersonId) -> String {
        let label: String = person
            .0
            .as_str()
            .bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect();
        let secret = self.base32();
        format!(
            "otpauth://totp/Yanmen:{label}?secret={secret}&issuer=Yanmen&algorithm=SHA1&digits=6&period=30"
        )
    }

    /// The code of the step that holds this moment (RFC 6238 §4.2).
    pub fn code(&self, at: Utc) -> String {
        self.of_step(step(at))
    }

    /// RFC 4226 §5.3.
    fn of_step(&self, step: u64) -> String {
        let mut mac = <Hmac<Sha1> as KeyInit>::new(&self.block().into());
        mac.update(&step.to_be_bytes());
        let digest: [u8; 20] = mac.finalize().into_bytes().into();
        let offset = digest.last().map_or(0, |last| usize::from(last & 0xf));
        let word = digest.get(offset..offset + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
        let word = u32::from_be_bytes(word.unwrap_or_default()) & 0x7fff_ffff;
        format!("{:06}", word % 1_000_000)
    }

    /// The step whose code this is, after `used` and near `now`.
    fn step_of(&self, code: &str, now: Utc, used: u64) -> Option<u64> {
        let present = step(now);
        let near = present.saturating_sub(DRIFT)..=present.saturating_add(DRIFT);
        let mut fresh = near.filter(|step| *step > used || mutant("auth-code-replayed"));
        fresh.find(|step| self.of_step(*step).as_bytes().ct_eq(code.as_bytes()).into())
    }

    fn hash(&self, code: &str) -> CodeHash {
        let mut mac = <Hmac<Sm3> as KeyInit>::new(&self.block().into());
        mac.update(b"yanmen recovery code v1\0");
        mac.update(code.as_bytes());
        CodeHash(mac.finalize().into_bytes().into())
    }

    /// The key filled up to the block of both hashes (RFC 2104 §2).
    fn block(&self) -> [u8; 64] {
        let mut block = [0; 64];
        block.iter_mut().zip(*self.0).for_each(|(to, from)| *to = from);
        block
    }
}

impl Factor {
    /// Whether every log-in needs a code.
    pub const fn is_enrolled(&self) -> bool {
        matches!(self, Self::Enrolled(_))
    }

    /// What it becomes by this code, and for what the code was good: `None` where it is good for nothing.
    pub(crate) fn spend(&self, code: &Code, now: Utc) -> Option<(Self, Spent)> {
        let Self::Enrolled(enrolled) = self else { return None };
        enrolled.spend(&plain(code), now).map(|(left, spent)| (Self::Enrolled(left), spent))
    }

    /// Enrols by a code of the secret that was offered.
    pub(crate) fn confirm(&self, code: &Code, recovery: &[Code], now: Utc) -> Option<Self> {
        let Self::Offered { secret, at } = self else { return None };
        if now.since(*at) > OFFERED {
            return None;
        }
        let used = secret.step_of(&plain(code), now, 0)?;
        let recovery = recovery.iter().map(|code| secret.hash(&plain(code))).collect();
        Some(Self::Enrolled(Enrolled { secret: secret.clone(), used, recovery }))
    }
}

impl Enrolled {
    /// Recovery codes that are left.
    pub fn recovery_codes(&self) -> usize {
        self.recovery.len()
    }

    fn spend(&self, code: &str, now: Utc) -> Option<(Self, Spent)> {
        if code.len() == DIGITS {
            let used = self.secret.step_of(code, now, self.used)?;
            return Some((Self { used, ..self.clone() }, Spent::Step));
        }
        let hash = self.secret.hash(code);
        let found = self.recovery.iter().position(|kept| kept.0.ct_eq(&hash.0).into())?;
        let mut left = self.clone();
        left.recovery.remove(found);
        Some((left, Spent::Recovery))
    }
}

/// The code as it is compared: people put blanks and hyphens in, and write small letters.
fn plain(code: &Code) -> Zeroizing<String> {
    let signs = code.reveal().chars().filter(|c| !matches!(c, ' ' | '-'));
    Zeroizing::new(signs.map(|c| c.to_ascii_uppercase()).collect())
}

/// Whole steps since 1970.
fn step(at: Utc) -> u64 {
    u64::try_from(at.seconds().div_euclid(STEP)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        text.to_owned().try_into().unwrap()
    }

    fn at(seconds: i64) -> Utc {
        Utc(seconds * 1_000_000_000)
    }

    /// RFC 6238, Appendix B, SHA-1: the last six of its eight digits.
    #[test]
    fn the_vectors_of_rfc_6238() {
        let secret = FactorSecret::new(*b"12345678901234567890");
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            // The last one is beyond what an i64 of nanoseconds holds.
            let step = u64::try_from(seconds / STEP).unwrap();
            assert_eq!(secret.of_step(step), code, "{seconds}");
        }
        assert_eq!(secret.base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(FactorSecret::of_base32(&secret.base32()), Some(secret));
        assert_eq!(FactorSecret::of_base32("GEZDGNBV"), None);
    }

    #[test]
    fn a_code_is_taken_once_and_no_older_one_after_it() {
        let secret = FactorSecret::new([7; SECRET]);
        let offered = Factor::Offered { secret: secret.clone(), at: at(3_000) };
        let spare = [code("ABCD-EFGH-JKMN")];
        let enrolled = offered.confirm(&code(&secret.code(at(3_000))), &spare, at(3_000)).unwrap();
        assert!(enrolled.spend(&code(&secret.code(at(3_000))), at(3_000)).is_none(), "the enrolment took it");
        assert!(enrolled.spend(&code(&secret.code(at(2_970))), at(3_000)).is_none(), "older");
        let early = enrolled.spend(&code(&secret.code(at(3_030))), at(3_000));
        let (early, _) = early.expect("the phone is half a minute ahead");
        assert!(early.spend(&code(&secret.code(at(3_030))), at(3_030)).is_none());
        let (late, spent) = early.spend(&code(&secret.code(at(3_060))), at(3_090)).expect("behind");
        assert_eq!(spent, Spent::Step);
        assert!(late.spend(&code(&secret.code(at(3_180))), at(3_120)).is_none(), "two steps ahead");
    }

    #[test]
    fn a_recovery_code_is_taken_once_however_it_is_written() {
        let secret = FactorSecret::new([7; SECRET]);
        let offered = Factor::Offered { secret: secret.clone(), at: at(3_000) };
        let spare = [code("ABCD-EFGH-JKMN"), code("1111-2222-3333")];
        let enrolled = offered.confirm(&code(&secret.code(at(3_000))), &spare, at(3_000)).unwrap();
        let (left, spent) = enrolled.spend(&code("abcd efgh jkmn"), at(3_000)).unwrap();
        assert_eq!(spent, Spent::Recovery);
        assert!(left.spend(&code("ABCD-EFGH-JKMN"), at(9_000)).is_none());
        let Factor::Enrolled(enrolled) = &left else { panic!() };
        assert_eq!(enrolled.recovery_codes(), 1);
        assert!(left.spend(&code("1111-2222-3333"), at(9_000)).is_some());
        for wrong in ["", "000", "ABCD-EFGH-JKMM", "ABCDEFGHJKMNP"] {
            assert!(left.spend(&code(wrong), at(3_000)).is_none(), "{wrong}");
        }
    }

    #[test]
    fn an_offer_lapses_and_opens_nothing_by_itself() {
        let secret = FactorSecret::new([9; SECRET]);
        let offered = Factor::Offered { secret: secret.clone(), at: at(3_000) };
        assert!(offered.spend(&code(&secret.code(at(3_000))), at(3_000)).is_none());
        assert!(offered.confirm(&code(&secret.code(at(3_601))), &[], at(3_601)).is_none());
        assert!(offered.confirm(&code(&secret.code(at(3_599))), &[], at(3_599)).is_some());
        assert!(!format!("{offered:?}").contains('9'), "{offered:?}");
    }

    #[test]
    fn every_script_stands_in_the_uri() {
        let uri = FactorSecret::new([0; SECRET]).uri(&PersonId("张三".parse().unwrap()));
        assert!(uri.starts_with("otpauth://totp/Yanmen:%E5%BC%A0%E4%B8%89?secret=AAAA"), "{uri}");
    }
}
