//! Two readings of one message, and the kinds of disagreement between them.

use crate::facts::{Peer, Reading};
use std::{
    collections::BTreeMap,
    panic::{self, AssertUnwindSafe},
};

/// Every kind of disagreement that was met: how often, and the first message of it.
#[derive(Default)]
pub struct Disagreements(pub BTreeMap<String, (usize, Vec<u8>, String)>);

impl Disagreements {
    /// Holds our reading against a peer's.
    pub fn compare(&mut self, subject: &str, peer: &Peer, ours: &Reading, bytes: &[u8]) {
        let theirs = panic::catch_unwind(AssertUnwindSafe(|| (peer.read)(bytes)));
        let name = format!("{subject} {}", peer.name);
        match (ours, theirs) {
            (_, Err(_)) => self.note(format!("{name}: panics"), bytes, String::new()),
            (Err(_), Ok(Err(_))) => {}
            (Err(fault), Ok(Ok(_))) => {
                self.note(format!("{name}: we refuse {}", kind(fault)), bytes, String::new())
            }
            (Ok(_), Ok(Err(why))) => self.note(format!("{name}: it refuses {}", kind(&why)), bytes, why),
            (Ok(ours), Ok(Ok(theirs))) => {
                for (fact, theirs) in &theirs {
                    let ours = ours.get(fact).map_or("", String::as_str);
                    if ours != theirs {
                        let both = format!("{ours:?} and {theirs:?}");
                        self.note(format!("{name}: {fact} differs"), bytes, both);
                    }
                }
            }
        }
    }

    fn note(&mut self, kind: String, bytes: &[u8], detail: String) {
        let met = self.0.entry(kind).or_insert_with(|| (0, bytes.to_vec(), detail));
        met.0 += 1;
    }
}

/// What a reader says without the message's own words: of a grammar's report the sections alone.
fn kind(why: &str) -> String {
    let mut sections = why.split("in section '").skip(1).filter_map(|rest| rest.split('\'').next());
    if let Some(section) = sections.next() {
        return section.to_owned();
    }
    if let Some((_, reason)) = why.split_once("reason: \"") {
        return reason.split('"').next().unwrap_or_default().to_owned();
    }
    let words: Vec<&str> = why
        .split(|c: char| !(c.is_ascii_alphabetic() || c == '-'))
        .filter(|word| word.len() > 2)
        .take(5)
        .collect();
    words.join(" ")
}
