//! Random ids, salts and passwords that people can read to each other.

use crate::error::Error;
use auth_api::{Code, Password, SessionToken};
use auth_core::{FactorSecret, Fresh, RECOVERY_CODES, Salt};
use types::Uid;

/// Crockford's base 32: no letter that looks like a digit. 32 signs, so five bits each without a bias.
const SIGNS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Signs in a group.
const GROUP: usize = 4;

/// A fresh id.
pub fn uid() -> Result<Uid, Error> {
    Ok(Uid(bytes()?))
}

/// A fresh salt.
pub fn salt() -> Result<Salt, Error> {
    Ok(Salt(bytes()?))
}

/// The token of a fresh session.
pub fn token() -> Result<SessionToken, Error> {
    Ok(SessionToken::new(&bytes()?))
}

/// A secret for an authenticator app, and the recovery codes that come with its enrolment: 60 bits each,
/// `XXXX-XXXX-XXXX`.
pub fn factor() -> Result<Fresh, Error> {
    let code = || Ok(Code::try_from(String::from(groups(3)?))?);
    let recovery = (0..RECOVERY_CODES).map(|_| code()).collect::<Result<_, Error>>()?;
    Ok(Fresh { secret: FactorSecret::new(bytes()?), recovery })
}

/// A one-time password of 80 bits, `XXXX-XXXX-XXXX-XXXX`.
pub fn one_time() -> Result<Password, Error> {
    groups(4)
}

/// Half a one-time password, 40 bits: useless alone, and together with the other as good as a whole.
pub fn half() -> Result<Password, Error> {
    groups(2)
}

fn groups(number: usize) -> Result<Password, Error> {
    let random: [u8; 16] = bytes()?;
    let signs: Vec<char> = random.iter().map(|byte| char::from(SIGNS[usize::from(byte & 31)])).collect();
    let groups: Vec<String> = signs.chunks(GROUP).take(number).map(|group| group.iter().collect()).collect();
    Ok(Password::try_from(groups.join("-"))?)
}

fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    gm::random(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_readable_and_differ() {
        let (one, two) = (one_time().unwrap(), one_time().unwrap());
        assert_eq!(one.reveal().len(), 19);
        assert_ne!(one.reveal(), two.reveal());
        assert_eq!(half().unwrap().reveal().len(), 9);
        assert!(one.reveal().bytes().all(|byte| byte == b'-' || SIGNS.contains(&byte)));
    }
}
