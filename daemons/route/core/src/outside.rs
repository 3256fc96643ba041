//! Numbers beyond the house: which may be called, over which trunks, in which form. Looks up the settings and decides;
//! knows no call and no trunk's health.

use crate::plan::Plan;
use mutant::mutant;
use route_api::Cause;
use serde::{Deserialize, Serialize};
use settings::{Dialled, route::TrunkWay};
use std::collections::VecDeque;
use types::{Monotonic, TrunkId};

/// One way to a number outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    pub trunk: TrunkId,
    /// The number as this carrier takes it.
    pub number: String,
    /// Who is shown as caller, where it is not the caller's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
}

/// The ways of one attempt: the one that is tried, and what is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ways {
    pub present: Way,
    pub rest: VecDeque<Way>,
    /// After this moment no other way is tried.
    pub until: Monotonic,
}

/// Why a number outside is not called.
pub type NotCalled = (Cause, &'static str);

impl Plan {
    /// Whether it is a number for help.
    pub fn is_emergency(&self, number: &str) -> bool {
        self.route.emergency.iter().any(|known| known.as_str() == number)
            && !mutant("route-emergency-as-any-other")
    }

    /// The ways to a number outside, the first to be tried at the head; `trunks` are all there are, in their order.
    pub fn outside<'a>(
        &self,
        number: &str,
        trunks: impl Iterator<Item = &'a TrunkId>,
    ) -> Result<VecDeque<Way>, NotCalled> {
        let emergency = self.is_emergency(number);
        if !emergency {
            self.allowed(number)?;
        }
        let rule = self.route.dial_plan.iter().filter(|rule| rule.carries(number));
        let plain = |trunk: &TrunkId| Way { trunk: trunk.clone(), number: number.to_owned(), caller: None };
        let ways: VecDeque<Way> = match rule.max_by_key(|rule| rule.length()) {
            Some(rule) => rule.over.iter().filter_map(|way| written(way, number)).collect(),
            None if self.route.dial_plan.is_empty() || emergency => trunks.map(plain).collect(),
            None => return Err((Cause::NoCircuitAvailable, "no rule of the dial plan carries it")),
        };
        if ways.is_empty() {
            return Err((Cause::NoCircuitAvailable, "there is no trunk for it"));
        }
        Ok(ways)
    }

    /// Of what is allowed and what is barred the longer beginning counts.
    fn allowed(&self, number: &str) -> Result<(), NotCalled> {
        let digits = number.strip_prefix('+').unwrap_or(number);
        let sound = (1..=32).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
        if !sound {
            return Err((Cause::UnallocatedNumber, "it is nobody of this house, and no number"));
        }
        let longest = |list: &[Dialled]| {
            let begins = list.iter().map(Dialled::as_str).filter(|begins| number.starts_with(begins));
            begins.map(str::len).max()
        };
        match (longest(&self.route.outside), longest(&self.route.barred)) {
            _ if mutant("route-anywhere-outside") => Ok(()),
            (None, _) => Err((Cause::UnallocatedNumber, "the settings allow no such number (route.outside)")),
            (Some(allowed), Some(barred)) if barred >= allowed && !mutant("route-barred-called") => {
                Err((Cause::CallRejected, "the settings bar it (route.barred)"))
            }
            (Some(_), _) => Ok(()),
        }
    }
}

fn written(way: &TrunkWay, number: &str) -> Option<Way> {
    Some(Way {
        trunk: way.trunk.clone(),
        number: way.written(number)?,
        caller: way.caller.as_ref().map(ToString::to_string),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use settings::{Settings, record::Record};

    fn plan(text: &str) -> Plan {
        let text = format!(
            "[[sip.trunks]]\nname = \"a\"\naddress = \"192.0.2.1:5060\"\n\
             [[sip.trunks]]\nname = \"b\"\naddress = \"192.0.2.2:5060\"\n[route]\n{text}"
        );
        let route = Settings::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}")).route;
        Plan::new(route, Record::default())
    }

    fn called(plan: &Plan, number: &str) -> Result<Vec<String>, u8> {
        let trunks: Vec<TrunkId> = ["a", "b"].map(|name| name.parse().unwrap()).into();
        let ways = plan.outside(number, trunks.iter()).map_err(|(cause, _)| cause.q850())?;
        let shown = |way: &Way| {
            let caller = way.caller.as_ref().map_or(String::new(), |caller| format!(" from {caller}"));
            format!("{}:{}{caller}", way.trunk, way.number)
        };
        Ok(ways.iter().map(shown).collect())
    }

    /// Guarded by the mutants `route-anywhere-outside` and `route-barred-called`.
    #[test]
    fn only_what_is_allowed_is_called_and_the_longer_beginning_counts() {
        let plan = plan("outside = [\"0\", \"0086\"]\nbarred = [\"00\", \"0900\"]\n");
        for (number, outcome) in [
            ("02155550000", Ok(())),
            ("008610", Ok(())),
            ("0044", Err(21)),
            ("09001234", Err(21)),
            ("13900139000", Err(1)),
            ("+8610", Err(1)),
            ("", Err(1)),
            ("+", Err(1)),
            ("0x", Err(1)),
            ("0；", Err(1)),
        ] {
            assert_eq!(called(&plan, number).map(drop), outcome, "{number}");
        }
        assert_eq!(called(&plan, &"0".repeat(33)), Err(1));
        assert_eq!(called(&self::plan(""), "02155550000"), Err(1), "nothing is allowed by itself");
    }

    #[test]
    fn the_longest_rule_says_which_trunks_and_in_which_form() {
        let plan = plan(
            "outside = [\"0\", \"9\", \"1\"]\n\
             [[route.dial_plan]]\nbegins = \"0\"\nover = [{ trunk = \"a\", caller = \"02155550000\" }, { trunk = \"b\", strip = 1, prepend = \"+86\" }]\n\
             [[route.dial_plan]]\nbegins = \"010\"\nover = [{ trunk = \"b\" }]\n\
             [[route.dial_plan]]\nbegins = \"9\"\nover = [{ trunk = \"b\", strip = 1 }]\n\
             [[route.dial_plan]]\nbegins = \"10086\"\nover = [{ trunk = \"a\" }]\n",
        );
        let ways = |number| called(&plan, number);
        assert_eq!(ways("0755123").unwrap(), ["a:0755123 from 02155550000", "b:+86755123"]);
        assert_eq!(ways("010888").unwrap(), ["b:010888"]);
        assert_eq!(ways("9010888").unwrap(), ["b:010888"]);
        assert_eq!(ways("9"), Err(34), "nothing is left of it");
        assert_eq!(ways("10010"), Err(34), "no rule carries it");
        assert_eq!(called(&self::plan("outside = [\"0\"]\n"), "010").unwrap(), ["a:010", "b:010"]);
    }

    /// Guarded by the mutant `route-emergency-as-any-other`.
    #[test]
    fn help_is_called_whatever_else_is_allowed() {
        let all = plan("");
        assert_eq!(called(&all, "110").unwrap(), ["a:110", "b:110"]);
        assert_eq!(called(&all, "1100"), Err(1), "the very number");
        let ruled = plan(
            "[[route.dial_plan]]\nbegins = \"1\"\nover = [{ trunk = \"b\", prepend = \"021\" }]\n\
             [[route.dial_plan]]\nbegins = \"0\"\nover = [{ trunk = \"a\" }]\n",
        );
        assert_eq!(called(&ruled, "120").unwrap(), ["b:021120"]);
        let other =
            plan("barred = [\"1\"]\n[[route.dial_plan]]\nbegins = \"0\"\nover = [{ trunk = \"a\" }]\n");
        assert_eq!(called(&other, "119").unwrap(), ["a:119", "b:119"]);
    }
}
