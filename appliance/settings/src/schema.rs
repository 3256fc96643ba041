//! The JSON Schema of the file, from the very types that parse it.

use crate::Settings;

/// The schema, for editors and for the page of settings: `configs/appliance.schema.json`.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Settings)
}
