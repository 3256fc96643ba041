//! Which numbers outside the house may be dialled, over which trunks, and in which form.

use crate::value::Dialled;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::TrunkId;

/// One rule of the dial plan. Of several the one counts whose `begins` is the longest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DialRule {
    /// How the numbers begin that it carries; every number where it is left out.
    #[serde(default)]
    pub begins: Option<Dialled>,
    /// The trunks, in the order in which they are tried.
    pub over: Vec<TrunkWay>,
}

/// One trunk of a rule, and the form in which its carrier takes numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkWay {
    /// The trunk, one of `[[sip.trunks]]`.
    pub trunk: TrunkId,
    /// How many characters are taken away at the front, at most those of `begins`.
    #[serde(default)]
    pub strip: u8,
    /// What stands in front instead.
    #[serde(default)]
    pub prepend: Option<Dialled>,
    /// The caller's number that this carrier is shown: one that it has given. The caller's own where it is left out.
    #[serde(default)]
    pub caller: Option<Dialled>,
}

impl DialRule {
    /// Whether a number is one of its numbers.
    pub fn carries(&self, number: &str) -> bool {
        self.begins.as_ref().is_none_or(|begins| number.starts_with(begins.as_str()))
    }

    /// How many characters of a number it looks at.
    pub fn length(&self) -> usize {
        self.begins.as_ref().map_or(0, |begins| begins.as_str().len())
    }
}

impl TrunkWay {
    /// The number as this carrier takes it; `None` where nothing is left of it.
    pub fn written(&self, number: &str) -> Option<String> {
        let rest = number.get(usize::from(self.strip)..)?;
        let front = self.prepend.as_ref().map_or("", Dialled::as_str);
        Some([front, rest].concat()).filter(|number| !number.is_empty())
    }
}

/// Police, fire, ambulance and traffic accidents in China.
pub(super) fn emergency() -> Vec<Dialled> {
    ["110", "119", "120", "122"].iter().filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_gets_the_number_in_its_own_form() {
        let way = |strip, prepend: &str| TrunkWay {
            trunk: "carrier".parse().unwrap(),
            strip,
            prepend: (!prepend.is_empty()).then(|| prepend.parse().unwrap()),
            caller: None,
        };
        for (strip, prepend, written) in [
            (0, "", Some("9010888")),
            (1, "", Some("010888")),
            (2, "+86", Some("+8610888")),
            (7, "+86", Some("+86")),
            (7, "", None),
            (8, "", None),
        ] {
            assert_eq!(way(strip, prepend).written("9010888").as_deref(), written, "{strip} {prepend}");
        }
    }

    #[test]
    fn a_rule_without_a_beginning_carries_every_number() {
        let rule = |begins: Option<&str>| DialRule {
            begins: begins.map(|begins| begins.parse().unwrap()),
            over: Vec::new(),
        };
        assert!(rule(None).carries("1") && rule(Some("01")).carries("010"));
        assert!(!rule(Some("01")).carries("0") && !rule(Some("+86")).carries("86"));
    }
}
