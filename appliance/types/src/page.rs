//! Which part of a list is asked for.

use crate::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const ROWS: u32 = 100;
const MOST_ROWS: u32 = 1000;

/// The time from which a list tells, and how much of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page {
    /// At this time or later.
    #[serde(default)]
    pub from: Option<Utc>,
    /// Before this time.
    #[serde(default)]
    pub until: Option<Utc>,
    /// How many at most; 100 where it is not given, never more than 1000, and never none.
    #[serde(default)]
    pub limit: Option<u32>,
}

impl Page {
    /// The first so many.
    pub fn of(limit: u32) -> Self {
        Self { limit: Some(limit), ..Self::default() }
    }

    /// Whether a moment lies within.
    pub fn holds(&self, at: Utc) -> bool {
        self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until)
    }

    /// How many at most.
    pub fn rows(&self) -> usize {
        self.limit.unwrap_or(ROWS).clamp(1, MOST_ROWS) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_with_its_first_moment_and_ends_before_its_last() {
        let page = Page { from: Some(Utc(5)), until: Some(Utc(7)), limit: None };
        assert_eq!([4, 5, 6, 7].map(|at| page.holds(Utc(at))), [false, true, true, false]);
        assert!(Page::default().holds(Utc(i64::MIN)));
    }

    #[test]
    fn a_page_is_bounded_and_never_empty() {
        assert_eq!([0, 1, 1000, u32::MAX].map(|limit| Page::of(limit).rows()), [1, 1, 1000, 1000]);
        assert_eq!(Page::default().rows(), 100);
    }

    #[test]
    fn what_is_left_out_on_the_wire_is_not_asked_for() {
        let page: Page = serde_json::from_str(r#"{"until":7}"#).unwrap();
        assert_eq!(page, Page { until: Some(Utc(7)), ..Page::default() });
    }
}
