//! Hands a daemon its own sections, and again after each change of one of them.

use crate::book::Current;
use host_api::Sections;
use service::Replies;
use std::sync::Arc;
use tokio::sync::watch;

/// Runs until the daemon leaves.
pub async fn follow(
    replies: Replies<Sections>,
    mut current: watch::Receiver<Arc<Current>>,
    sections: &'static [&'static str],
) {
    let mut handed = None;
    loop {
        let next = own(&current.borrow_and_update(), sections);
        if handed.as_ref() != Some(&next.sections) {
            if replies.send(next.clone()).await.is_err() {
                return;
            }
            handed = Some(next.sections);
        }
        tokio::select! {
            changed = current.changed() => if changed.is_err() { return },
            () = replies.gone() => return,
        }
    }
}

/// The sections of these names; a name that is no section is left out.
fn own(current: &Current, sections: &[&str]) -> Sections {
    let named = sections.iter().filter_map(|name| name.parse().ok());
    Sections {
        version: current.number(),
        sections: named
            .map(|section: settings::Section| (section.to_string(), current.settings.section(section)))
            .collect(),
    }
}
