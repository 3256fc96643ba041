//! What crosses the wire changes only on purpose: the interface descriptions are golden files.

use house_test::{idl, interfaces};
use std::{env, fs, path::Path};

#[test]
fn the_interfaces_are_the_golden_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/api");
    let mut changed = Vec::new();
    for offered in interfaces::all() {
        let path = folder.join(format!("{}.varlink", offered.daemon));
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &offered.description).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != offered.description {
            changed.push(offered.daemon);
        }
    }
    assert!(
        changed.is_empty(),
        "interfaces changed: {changed:?}. If on purpose: UPDATE_GOLDEN=1 cargo test -p house-test --test golden"
    );
}

#[test]
fn every_description_is_varlink_and_defines_what_it_names() {
    for offered in interfaces::all() {
        let read = idl::read(&offered.description)
            .unwrap_or_else(|told| panic!("{}: {told}:\n{}", offered.daemon, offered.description));
        let methods: Vec<&str> = offered.methods.iter().map(|facts| facts.name).collect();
        assert_eq!(
            (read.interface, read.methods),
            (format!("cn.yanmen.{}", offered.daemon), methods.iter().map(ToString::to_string).collect())
        );
    }
}

/// A description has one list of types: two of them with one name would become one.
#[test]
fn a_name_is_one_type_in_a_whole_interface() {
    for offered in interfaces::all() {
        let mut seen = std::collections::BTreeMap::new();
        for schema in &offered.schemas {
            for (name, definition) in
                schema.get("$defs").and_then(serde_json::Value::as_object).into_iter().flatten()
            {
                let first = seen.entry(name.clone()).or_insert_with(|| definition.clone());
                assert_eq!(first, definition, "{}: {name}", offered.daemon);
            }
        }
    }
}

#[test]
fn the_table_gives_methods_that_exist_and_every_method_is_given_to_someone() {
    let all = interfaces::all();
    for caller in house::DAEMONS {
        for calls in caller.calls {
            let offered = all.iter().find(|offered| offered.daemon == calls.callee).unwrap();
            for method in calls.methods {
                assert!(
                    offered.methods.iter().any(|facts| facts.name == *method),
                    "{} has no {method}",
                    calls.callee
                );
            }
        }
    }
    for offered in &all {
        for method in offered.methods {
            assert!(
                house::DAEMONS.iter().any(|caller| house::permits(caller.name, offered.daemon, method.name)),
                "{}.{} can be called by no one",
                offered.daemon,
                method.name
            );
        }
    }
}
