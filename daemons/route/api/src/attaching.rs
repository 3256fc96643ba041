//! What an edge has as it attaches, in pages that each fit into a message of the wire (1 MiB).
//!
//! ```text
//!  ListSignalling, page 0 ─► Heard    16 legs, or 1,000 endpoints
//!  ListSignalling, page 1 ─► Heard
//!  AttachSignalling, page 2 ─► Attached, commands …      the last page
//! ```
//!
//! Route takes a page only after the one before it of the same list: killed in between, its next life refuses
//! the rest, and the edge begins a list anew.

use crate::{AttachMedia, AttachSignalling, Endpoint, LiveLeg, LiveMedia, Reachability};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Legs of a page: 16 memos of 8 KiB in which every octet has to be escaped take 800 KiB.
const LEGS: usize = 16;
/// Endpoints of a page.
const ENDPOINTS: usize = 1_000;

/// Which page of which list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page {
    /// The edge's number of the list, another one at each attempt.
    pub list: u64,
    /// Pages before this one.
    pub number: u32,
}

/// Some of what a signalling edge has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListSignalling {
    /// Which page.
    pub page: Page,
    /// Legs that are alive now.
    pub legs: Vec<LiveLeg>,
    /// Endpoints, and whether they can be called now.
    pub endpoints: Vec<(Endpoint, Reachability)>,
}

/// Some of what the media edge has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListMedia {
    /// Which page.
    pub page: Page,
    /// Legs whose media stands now.
    pub legs: Vec<LiveMedia>,
}

impl AttachSignalling {
    /// The pages that go before, and the last one, which attaches. `list` is the number of this attempt.
    pub fn in_pages(self, list: u64) -> (Vec<ListSignalling>, Self) {
        let mut pages = Vec::new();
        let mut next = |legs, endpoints| {
            let page = Page { list, number: number(pages.len()) };
            pages.push(ListSignalling { page, legs, endpoints });
        };
        let (endpoints, last_endpoints) = split(self.endpoints, ENDPOINTS);
        let (legs, last_legs) = split(self.legs, LEGS);
        endpoints.into_iter().for_each(|page| next(Vec::new(), page));
        legs.into_iter().for_each(|page| next(page, Vec::new()));
        let page = Page { list, number: number(pages.len()) };
        (pages, Self { page, legs: last_legs, endpoints: last_endpoints })
    }
}

impl AttachMedia {
    /// The pages that go before, and the last one, which attaches. `list` is the number of this attempt.
    pub fn in_pages(self, list: u64) -> (Vec<ListMedia>, Self) {
        let (pages, legs) = split(self.legs, LEGS);
        let page = Page { list, number: number(pages.len()) };
        let number = |at| Page { list, number: number(at) };
        let pages = pages.into_iter().enumerate();
        (pages.map(|(at, legs)| ListMedia { page: number(at), legs }).collect(), Self { page, legs })
    }
}

/// All pages but the last, and the last one.
fn split<T>(mut items: Vec<T>, most: usize) -> (Vec<Vec<T>>, Vec<T>) {
    let most = if mutant::mutant("edge-lists-at-once") { usize::MAX } else { most };
    let mut pages = Vec::new();
    while items.len() > most {
        let rest = items.split_off(most);
        pages.push(std::mem::replace(&mut items, rest));
    }
    (pages, items)
}

fn number(pages: usize) -> u32 {
    u32::try_from(pages).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use crate::{LegState, Memo};
    use types::{LegId, Uid};

    #[test]
    fn every_page_is_a_message_and_nothing_is_left_out() {
        let legs = (0..1_000_u128).map(|n| LegId(Uid(n.to_be_bytes())));
        // An octet that JSON writes in six.
        let memo = Memo("\u{1}".repeat(8_192));
        let legs: Vec<_> =
            legs.map(|leg| LiveLeg { leg, state: LegState::Established, memo: memo.clone() }).collect();
        let phone =
            |n: usize| (Endpoint::Phone(format!("{n:032}").parse().unwrap()), Reachability::Reachable);
        let endpoints: Vec<_> = (0..20_000).map(phone).collect();
        let whole =
            AttachSignalling { page: Page::default(), legs: legs.clone(), endpoints: endpoints.clone() };
        let (pages, last) = whole.in_pages(7);
        let numbers: Vec<u32> = pages.iter().map(|page| page.page.number).collect();
        assert_eq!(numbers, (0..last.page.number).collect::<Vec<_>>());
        assert!(pages.iter().all(|page| size(page) < 1 << 20) && size(&last) < 1 << 20);
        let listed = pages.iter().flat_map(|page| &page.legs).chain(&last.legs);
        assert!(listed.eq(&legs));
        let listed = pages.iter().flat_map(|page| &page.endpoints).chain(&last.endpoints);
        assert!(listed.eq(&endpoints));
    }

    fn size(page: &impl Serialize) -> usize {
        serde_json::to_vec(page).unwrap().len()
    }
}
