//! The document: what clients are made from.

use super::house::House;
use crate::api::document;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

/// `UPDATE_GOLDEN=1 cargo test -p console openapi` writes it anew.
#[test]
fn the_document_is_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/api/console.openapi.json");
    let now = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(golden, now, "a change of the API is a change of a contract: UPDATE_GOLDEN=1, and say so");
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
    let document = document();
    let mut references = BTreeSet::new();
    walk(&document, &mut references);
    for reference in &references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    assert!(references.len() > 40, "{}", references.len());
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let names: Vec<&str> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert_eq!(document["openapi"], "3.1.0");
}

#[tokio::test]
async fn it_is_served_as_it_is() {
    let house = House::new();
    assert_eq!(house.get("/openapi.json").await.json(), document());
}

fn walk(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let ("$ref", Value::String(reference)) = (name.as_str(), field) {
                    references.insert(reference.clone());
                }
                walk(field, references);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, references)),
        _ => {}
    }
}
