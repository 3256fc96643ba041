//! Settings that were shown come back with masks where passwords were. A mask means: as it is now.

use crate::{MASK, Settings};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// The text with each masked password of a phone or a trunk replaced by the one that the phone of the same
/// extension or the trunk of the same name has in `current`. A mask for one that is new there stays, and parsing
/// refuses it.
pub(crate) fn fill(text: &str, current: &Settings) -> Zeroizing<String> {
    let mut filled = Zeroizing::new(text.to_owned());
    let Ok(tree) = DeTable::parse(text) else { return filled };
    let phone = |extension: &str| {
        let phone = current.sip.phones.iter().find(|phone| phone.extension.0.as_str() == extension);
        phone.map(|phone| phone.password.reveal())
    };
    let trunk = |name: &str| {
        let trunk = current.sip.trunks.iter().find(|trunk| trunk.name.0.as_str() == name);
        trunk.and_then(|trunk| trunk.account.as_ref()).map(|account| account.password.reveal())
    };
    let phones = masks(tree.get_ref(), "phones", "extension", &[]).map(|(of, span)| (phone(of), span));
    let trunks = masks(tree.get_ref(), "trunks", "name", &["account"]).map(|(of, span)| (trunk(of), span));
    let mut masks: Vec<_> = phones.chain(trunks).collect();
    // From the end, so that the spans before stay true.
    masks.sort_by_key(|(_, span)| std::cmp::Reverse(span.start));
    for (password, span) in masks {
        if let Some(password) = password {
            filled.replace_range(span, &quoted(password));
        }
    }
    filled
}

/// Name and span of every masked password in a list of `[sip]`, `within` so many tables of its entries.
fn masks<'t>(
    tree: &'t DeTable<'_>,
    list: &'static str,
    name: &'static str,
    within: &'static [&'static str],
) -> impl Iterator<Item = (&'t str, Range<usize>)> {
    let entries =
        below(tree, "sip").and_then(|sip| sip.get_ref().as_table()).and_then(|sip| below(sip, list));
    let entries = entries.and_then(|entries| entries.get_ref().as_array()).into_iter().flatten();
    entries.filter_map(move |entry| {
        let entry = entry.get_ref().as_table()?;
        let named = below(entry, name)?.get_ref().as_str()?;
        let holder = within.iter().try_fold(entry, |table, key| below(table, key)?.get_ref().as_table())?;
        let password = below(holder, "password")?;
        (password.get_ref().as_str()? == MASK).then(|| (named, password.span()))
    })
}

fn below<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<&'t Spanned<DeValue<'i>>> {
    table.iter().find(|(known, _)| known.get_ref() == key).map(|(_, value)| value)
}

/// A TOML basic string. A password has no control characters, so these two are all that need a backslash.
fn quoted(password: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("\"{}\"", password.replace('\\', "\\\\").replace('"', "\\\"")))
}
