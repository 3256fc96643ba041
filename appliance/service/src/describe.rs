//! The Varlink interface description of an interface, from the JSON Schemas of its types.
//!
//! Varlink's language has no tagged unions and no 64-bit unsigned numbers: those appear as `object` and
//! `int`. The description is what `varlinkctl introspect` shows and what the golden files hold.

use crate::interface::Interface;
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write as _};

/// The description of `I` (varlink.org, "Interface Definition").
pub fn describe<I: Interface>() -> String {
    let mut types = BTreeMap::new();
    let mut methods = String::new();
    let schemas = I::schemas();
    for (facts, (_, parameters, reply)) in I::METHODS.iter().zip(&schemas) {
        for line in facts.doc.lines().map(str::trim).filter(|line| !line.is_empty()) {
            // Writing to a String cannot fail.
            let _infallible = writeln!(methods, "# {line}");
        }
        let note = if facts.streaming { "# Streams: call it with `more`.\n" } else { "" };
        let _infallible = writeln!(
            methods,
            "{note}method {}{} -> {}\n",
            facts.name,
            structure(parameters.as_value(), &mut types),
            structure(reply.as_value(), &mut types)
        );
    }
    let mut text = format!("interface cn.yanmen.{}\n\n", I::DAEMON);
    for (name, shape) in &types {
        let _infallible = writeln!(text, "type {name} {shape}\n");
    }
    text + methods.trim_end() + "\n"
}

fn structure(schema: &Value, types: &mut BTreeMap<String, String>) -> String {
    for (name, definition) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
        let shape = shape(definition, types);
        if shape.starts_with('(') {
            types.insert(name.clone(), shape);
        }
    }
    let shape = shape(schema, types);
    if shape.starts_with('(') { shape } else { format!("(value: {shape})") }
}

fn shape(schema: &Value, types: &BTreeMap<String, String>) -> String {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return reference.rsplit('/').next().unwrap_or("object").to_owned();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return format!("({})", values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    }
    match schema.get("type") {
        Some(Value::Array(either)) => {
            let inner = either.iter().find(|kind| *kind != "null").cloned().unwrap_or(Value::Null);
            let mut plain = schema.clone();
            plain["type"] = inner;
            format!("?{}", shape(&plain, types))
        }
        Some(Value::String(kind)) => match kind.as_str() {
            "string" => "string".to_owned(),
            "integer" => "int".to_owned(),
            "number" => "float".to_owned(),
            "boolean" => "bool".to_owned(),
            "array" => {
                format!("[]{}", schema.get("items").map_or("object".to_owned(), |items| shape(items, types)))
            }
            "object" if schema.get("properties").is_some() => fields(schema, types),
            "object" if schema.get("additionalProperties").is_some_and(Value::is_object) => {
                format!("[string]{}", shape(&schema["additionalProperties"], types))
            }
            "object" => "()".to_owned(),
            _ => "()".to_owned(),
        },
        _ => match schema.get("anyOf").and_then(Value::as_array) {
            Some(either) if either.len() == 2 && either[1].get("type") == Some(&Value::from("null")) => {
                format!("?{}", shape(&either[0], types))
            }
            _ => "object".to_owned(),
        },
    }
}

fn fields(schema: &Value, types: &BTreeMap<String, String>) -> String {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let fields: Vec<String> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let shape = shape(schema, types);
            let optional = !required.contains(&name.as_str()) && !shape.starts_with('?');
            format!("{name}: {}{shape}", if optional { "?" } else { "" })
        })
        .collect();
    format!("({})", fields.join(", "))
}
