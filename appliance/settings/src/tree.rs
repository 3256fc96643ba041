//! Ways through the TOML tree: from a span to its entry, and from a path to its span.

use crate::check::Path;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// The keys that lead to the entry with this span, and whether there is one.
pub(crate) fn trail(table: &DeTable<'_>, span: &Range<usize>, keys: &mut Vec<String>) -> bool {
    table.iter().any(|(key, value)| {
        keys.push(key.get_ref().to_string());
        // Below first: a table that only its sub-table names has the same span as that one.
        let found = trail_value(value, span, keys) || key.span() == *span || value.span() == *span;
        if !found {
            keys.pop();
        }
        found
    })
}

/// Whether the table with this span has the key.
pub(crate) fn stands(table: &DeTable<'_>, span: &Range<usize>, key: &str) -> bool {
    table.values().any(|value| stands_value(value, span, key))
}

fn stands_value(value: &Spanned<DeValue<'_>>, span: &Range<usize>, key: &str) -> bool {
    match value.get_ref() {
        DeValue::Table(table) => {
            let here = value.span() == *span && table.keys().any(|known| known.get_ref() == key);
            here || stands(table, span, key)
        }
        DeValue::Array(items) => items.iter().any(|item| stands_value(item, span, key)),
        _ => false,
    }
}

fn trail_value(value: &Spanned<DeValue<'_>>, span: &Range<usize>, keys: &mut Vec<String>) -> bool {
    match value.get_ref() {
        DeValue::Table(table) => trail(table, span, keys),
        DeValue::Array(items) => {
            items.iter().any(|item| trail_value(item, span, keys) || item.span() == *span)
        }
        _ => false,
    }
}

/// Takes the deepest entry with this span out of the tree; says whether there was one.
pub(crate) fn take_out(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    if table.iter_mut().any(|(_, value)| take_out_value(value, span)) {
        return true;
    }
    let found = table.iter().find(|(key, value)| key.span() == *span || value.span() == *span);
    let Some(key) = found.map(|(key, _)| key.clone()) else { return false };
    table.remove(&key).is_some()
}

fn take_out_value(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    match value.get_mut() {
        DeValue::Table(table) => take_out(table, span),
        DeValue::Array(items) => {
            if items.iter_mut().any(|item| take_out_value(item, span)) {
                return true;
            }
            let Some(index) = items.iter().position(|item| item.span() == *span) else { return false };
            let all = std::mem::replace(items, DeArray::new()).into_iter().enumerate();
            *items = all.filter(|(at, _)| *at != index).map(|(_, item)| item).collect();
            true
        }
        _ => false,
    }
}

/// The span of the entry at the path, or of the nearest one above it that stands in the file.
pub(crate) fn locate(tree: &Spanned<DeTable<'_>>, path: &Path) -> Option<Range<usize>> {
    let mut table = tree.get_ref();
    let mut found = None;
    for step in path.steps() {
        let (_, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == step.key.as_ref())?;
        let mut value = value;
        found = Some(value.span());
        if let Some(index) = step.index {
            let Some(item) = value.get_ref().as_array().and_then(|items| items.get(index)) else {
                return found;
            };
            value = item;
            found = Some(value.span());
        }
        match value.get_ref() {
            DeValue::Table(below) => table = below,
            _ => return found,
        }
    }
    found
}
