//! What an edge has said that it has, page after page, until it attaches with the last.

use route_api::{
    AttachMedia, AttachSignalling, Endpoint, ListMedia, ListSignalling, LiveLeg, LiveMedia, Page,
    Reachability,
};
use service::Refusal;

/// Entries of one list: more than the settings allow of anything.
const MOST: usize = 100_000;

/// The lists that edges are about to attach with.
#[derive(Default)]
pub struct Listed {
    legs: List<LiveLeg>,
    endpoints: List<(Endpoint, Reachability)>,
    media: List<LiveMedia>,
}

impl Listed {
    /// Takes a page of signalling.
    pub fn signalling(&mut self, list: ListSignalling) -> Result<(), Refusal> {
        self.endpoints.take(list.page, list.endpoints)?;
        self.legs.take(list.page, list.legs)
    }

    /// Takes the last page of signalling; gives the whole.
    pub fn attach_signalling(&mut self, last: AttachSignalling) -> Result<AttachSignalling, Refusal> {
        self.endpoints.take(last.page, last.endpoints)?;
        self.legs.take(last.page, last.legs)?;
        let (legs, endpoints) = (self.legs.whole(), self.endpoints.whole());
        Ok(AttachSignalling { page: last.page, legs, endpoints })
    }

    /// Takes a page of media.
    pub fn media(&mut self, list: ListMedia) -> Result<(), Refusal> {
        self.media.take(list.page, list.legs)
    }

    /// Takes the last page of media; gives the whole.
    pub fn attach_media(&mut self, last: AttachMedia) -> Result<AttachMedia, Refusal> {
        self.media.take(last.page, last.legs)?;
        Ok(AttachMedia { page: last.page, legs: self.media.whole() })
    }
}

/// Pages of one list.
struct List<T> {
    next: Page,
    entries: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { next: Page::default(), entries: Vec::new() }
    }
}

impl<T> List<T> {
    fn take(&mut self, page: Page, mut entries: Vec<T>) -> Result<(), Refusal> {
        if page.number == 0 {
            *self = Self { next: page, entries: Vec::new() };
        }
        if page != self.next {
            return Err(Refusal::conflict(
                "route.page-missing",
                "a page before this one is missing: begin anew",
            ));
        }
        if self.entries.len() + entries.len() > MOST {
            *self = Self::default();
            return Err(Refusal::invalid(
                "route.list-too-long",
                format!("no edge has more than {MOST} of these"),
            ));
        }
        self.next.number = page.number.saturating_add(1);
        self.entries.append(&mut entries);
        Ok(())
    }

    fn whole(&mut self) -> Vec<T> {
        std::mem::take(&mut self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_in_order_or_not_at_all() {
        let page = |list, number| Page { list, number };
        let mut list = List::default();
        list.take(page(1, 0), vec!['a']).unwrap();
        list.take(page(1, 1), vec!['b']).unwrap();
        list.take(page(2, 2), vec!['x']).unwrap_err();
        list.take(page(1, 3), vec!['x']).unwrap_err();
        list.take(page(1, 2), vec!['c']).unwrap();
        assert_eq!(list.whole(), ['a', 'b', 'c']);
        // Another attempt, and a life that knows nothing of the one before.
        list.take(page(3, 0), vec!['d']).unwrap();
        list.take(page(4, 0), vec!['e']).unwrap();
        assert_eq!(list.whole(), ['e']);
        List::default().take(page(4, 1), vec!['f']).unwrap_err();
        list.take(page(5, 0), vec!['g'; MOST + 1]).unwrap_err();
    }
}
