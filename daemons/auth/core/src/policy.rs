//! What is asked of passwords, sessions and patience (GB/T 22239-2019 §8.1.4.1). Settings may ask for more,
//! never for less.

use crate::password::Cost;
use auth_api::{Password, Role};
use std::{collections::BTreeSet, time::Duration};
use types::PersonId;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A password has at least this many characters.
    pub length: usize,
    /// Of lower case, upper case, digits and others a password has at least this many.
    pub classes: usize,
    /// A chosen password must be changed after this long.
    pub age: Duration,
    /// A new password differs from the present one and this many before it; at most 24 are remembered.
    pub history: usize,
    /// So many failures lock a person, and an origin.
    pub failures: u32,
    /// For this long.
    pub lock: Duration,
    /// A session ends after so long without a sign of the person.
    pub idle: Duration,
    /// A session ends after so long in any case.
    pub absolute: Duration,
    /// A one-time password is void after this long.
    pub one_time: Duration,
    /// A recovery that was requested must be approved within this long.
    pub recovery: Duration,
    /// A person has at most so many sessions; one more ends the oldest.
    pub sessions: usize,
    /// Whoever holds one of these roles logs in with a second factor.
    pub second_factor: BTreeSet<Role>,
    /// The work of one guess.
    pub cost: Cost,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            length: 8,
            classes: 3,
            age: 90 * DAY,
            history: 5,
            failures: 5,
            lock: 10 * MINUTE,
            idle: 15 * MINUTE,
            absolute: 12 * HOUR,
            one_time: 3 * DAY,
            recovery: DAY,
            sessions: 3,
            second_factor: BTreeSet::from(Role::OFFICERS),
            cost: Cost::RFC_9106,
        }
    }
}

impl Policy {
    /// This policy, each rule at least as strict as the default.
    #[must_use]
    pub fn at_least_default(self) -> Self {
        let floor = Self::default();
        Self {
            length: self.length.max(floor.length),
            classes: self.classes.clamp(floor.classes, 4),
            age: self.age.min(floor.age),
            history: self.history.clamp(floor.history, 24),
            failures: self.failures.clamp(1, floor.failures),
            lock: self.lock.max(floor.lock),
            idle: self.idle.min(floor.idle),
            absolute: self.absolute.min(floor.absolute),
            second_factor: self.second_factor.union(&floor.second_factor).copied().collect(),
            ..floor
        }
    }

    /// Whether a person may have this password, as far as its text tells.
    ///
    /// # Errors
    /// The first [`Weakness`].
    pub fn accepts(&self, person: &PersonId, password: &Password) -> Result<(), Weakness> {
        let text = password.reveal();
        if text.chars().count() < self.length {
            return Err(Weakness::Short);
        }
        if classes(text) < self.classes {
            return Err(Weakness::Uniform);
        }
        if contains_name(text, person.0.as_str()) {
            return Err(Weakness::ContainsName);
        }
        if is_common(text) {
            return Err(Weakness::Common);
        }
        Ok(())
    }
}

/// Why a password is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Weakness {
    /// Fewer characters than the policy asks for.
    #[error("the password has too few characters")]
    Short,
    /// Fewer classes of characters than the policy asks for.
    #[error("the password mixes too few of lower case, upper case, digits and other characters")]
    Uniform,
    /// The person's name, forwards or backwards, is in it.
    #[error("the password contains the person's name")]
    ContainsName,
    /// It is among the first that anyone tries.
    #[error("the password is among those that are tried first")]
    Common,
    /// It is the present one or one of the last.
    #[error("the password was used before")]
    Used,
}

fn classes(text: &str) -> usize {
    let tests: [fn(char) -> bool; 4] = [char::is_lowercase, char::is_uppercase, char::is_numeric, |c| {
        !c.is_lowercase() && !c.is_uppercase() && !c.is_numeric()
    }];
    tests.iter().filter(|test| text.chars().any(test)).count()
}

fn contains_name(text: &str, name: &str) -> bool {
    let text = text.to_lowercase();
    let name = name.to_lowercase();
    // One letter is in nearly every password; two, as in most Chinese names, say something.
    let parts = name.split(['.', '_', '-']).filter(|part| part.chars().count() >= 3);
    let whole = Some(name.as_str()).filter(|name| name.chars().count() >= 2);
    whole
        .into_iter()
        .chain(parts)
        .any(|part| text.contains(part) || text.contains(&part.chars().rev().collect::<String>()))
}

/// Whether the password is a common word, also with digits for letters, and also with the digits and signs
/// that people append to satisfy rules: `P@ssw0rd!`, `Admin@123`.
fn is_common(text: &str) -> bool {
    let text = text.to_lowercase();
    let word = text.trim_end_matches(|c: char| !c.is_alphabetic());
    let plain: String = word.chars().map(unleet).collect();
    KEYBOARD.contains(&text.as_str()) || WORDS.contains(&word) || WORDS.contains(&plain.as_str())
}

const fn unleet(c: char) -> char {
    match c {
        '@' | '4' => 'a',
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '$' | '5' => 's',
        '7' => 't',
        other => other,
    }
}

/// The stems of what tops every published list, and of what an installer of this product would type.
const WORDS: &[&str] = &[
    "",
    "a",
    "aa",
    "aaa",
    "abc",
    "abcd",
    "abcde",
    "abcdef",
    "account",
    "admin",
    "administrator",
    "agent",
    "audit",
    "auditor",
    "bank",
    "callcenter",
    "callcentre",
    "changeme",
    "china",
    "cisco",
    "default",
    "demo",
    "dragon",
    "guest",
    "hello",
    "huawei",
    "iloveyou",
    "initial",
    "letmein",
    "login",
    "manager",
    "master",
    "mima",
    "monkey",
    "pass",
    "passwd",
    "password",
    "pwd",
    "q",
    "qaz",
    "qazwsx",
    "qq",
    "qwe",
    "qwer",
    "qwert",
    "qwerty",
    "root",
    "secret",
    "security",
    "service",
    "summer",
    "supervisor",
    "super",
    "support",
    "sys",
    "system",
    "sysadmin",
    "temp",
    "test",
    "tester",
    "user",
    "welcome",
    "winter",
    "woaini",
    "yanmen",
    "zaq",
    "zxc",
    "zxcvbn",
    "密码",
    "管理员",
    "雁门",
];

/// Walks over the keyboard that no stem catches.
const KEYBOARD: &[&str] = &[
    "!qaz2wsx",
    "!qaz@wsx",
    "1q2w3e4r",
    "1q2w3e4r!",
    "1q2w3e4r5t",
    "1q2w#e4r",
    "1qaz!qaz",
    "1qaz2wsx",
    "1qaz@wsx",
    "1qaz@wsx3edc",
    "123qwe!@#",
    "123!@#qwe",
    "a1b2c3d4",
    "abc123!@#",
    "asdf1234!",
    "q1w2e3r4",
    "q1w2e3r4!",
    "qwe123!@#",
    "qwer!234",
    "zaq1@wsx",
    "zaq12wsx",
    "zaq1zaq1",
    "zaq1xsw2",
    "zaq!2wsx",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(name: &str, text: &str) -> Result<(), Weakness> {
        let person = PersonId(name.parse().unwrap());
        Policy::default().accepts(&person, &text.to_owned().try_into().unwrap())
    }

    #[test]
    fn eight_characters_of_three_classes() {
        assert_eq!(judge("li", "Tr0ub4!"), Err(Weakness::Short));
        assert_eq!(judge("li", "troub4dorx"), Err(Weakness::Uniform));
        assert_eq!(judge("li", "Troub4dor"), Ok(()));
        assert_eq!(judge("li", "雁门关外3xw!"), Ok(()));
    }

    #[test]
    fn without_the_name() {
        assert_eq!(judge("zhangsan", "9ZhangSan!x"), Err(Weakness::ContainsName));
        assert_eq!(judge("zhangsan", "9nasgnahZ!x"), Err(Weakness::ContainsName));
        assert_eq!(judge("wang.xiaoming", "Xiaoming#77"), Err(Weakness::ContainsName));
        assert_eq!(judge("张三", "Ab3张三!!xx"), Err(Weakness::ContainsName));
        assert_eq!(judge("x", "Fx9!mmpq"), Ok(()));
    }

    #[test]
    fn none_of_those_that_are_tried_first() {
        for common in
            ["P@ssw0rd!", "Admin@123", "Abc@12345", "1qaz@WSX", "Yanmen@2026", "Qwer!234", "Passw0rd1"]
        {
            assert_eq!(judge("li", common), Err(Weakness::Common), "{common}");
        }
    }

    #[test]
    fn settings_can_only_tighten() {
        let lax = Policy {
            length: 4,
            classes: 1,
            age: 400 * DAY,
            history: 0,
            failures: 100,
            lock: MINUTE,
            idle: HOUR,
            absolute: 48 * HOUR,
            second_factor: BTreeSet::new(),
            ..Policy::default()
        };
        assert_eq!(lax.at_least_default(), Policy::default());
        let strict = Policy { length: 14, failures: 3, idle: 5 * MINUTE, ..Policy::default() };
        assert_eq!(strict.clone().at_least_default(), strict);
        assert_eq!(Policy { classes: 9, failures: 0, ..Policy::default() }.at_least_default().classes, 4);
    }
}
