//! Settings that were shown come back with masks where passwords were. A mask means: as it is now.

use crate::{MASK, Settings};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// The text with each masked phone password replaced by the one that the phone of the same extension has in
/// `current`. A mask for a phone that is new there stays, and parsing refuses it as a weak password.
pub(crate) fn fill(text: &str, current: &Settings) -> Zeroizing<String> {
    let mut filled = Zeroizing::new(text.to_owned());
    let Ok(tree) = DeTable::parse(text) else { return filled };
    let mut masks: Vec<_> = masks(tree.get_ref()).collect();
    // From the end, so that the spans before stay true.
    masks.sort_by_key(|(_, span)| std::cmp::Reverse(span.start));
    for (extension, span) in masks {
        let phone = current.sip.phones.iter().find(|phone| phone.extension.0.as_str() == extension);
        if let Some(phone) = phone {
            filled.replace_range(span, &quoted(phone.password.reveal()));
        }
    }
    filled
}

/// Extension and span of every masked password.
fn masks<'t>(tree: &'t DeTable<'_>) -> impl Iterator<Item = (&'t str, Range<usize>)> {
    let phones =
        below(tree, "sip").and_then(|sip| sip.get_ref().as_table()).and_then(|sip| below(sip, "phones"));
    let phones = phones.and_then(|phones| phones.get_ref().as_array()).into_iter().flatten();
    phones.filter_map(|phone| {
        let phone = phone.get_ref().as_table()?;
        let extension = below(phone, "extension")?.get_ref().as_str()?;
        let password = below(phone, "password")?;
        (password.get_ref().as_str()? == MASK).then(|| (extension, password.span()))
    })
}

fn below<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<&'t Spanned<DeValue<'i>>> {
    table.iter().find(|(known, _)| known.get_ref() == key).map(|(_, value)| value)
}

/// A TOML basic string. A password has no control characters, so these two are all that need a backslash.
fn quoted(password: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("\"{}\"", password.replace('\\', "\\\\").replace('"', "\\\"")))
}
