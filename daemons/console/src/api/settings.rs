//! The settings: as they are, what a draft would change, and their versions. Passwords are masks, on the way out and,
//! where they stay as they were, on the way in.

use super::{Asked, Body, Desk, fields::Reason, person::Person};
use crate::problem::{Problem, language};
use axum::{Json, extract::State, http::HeaderMap};
use host_api::{
    Applied, Apply, Check, Checked, Diff, Differences, RollBack, Show, Shown, Version, VersionList,
    VersionNumber, Versions,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// An entry is written and confirmed before settings hold.
const PATIENCE: Duration = Duration::from_secs(25);
/// The longest draft, in bytes, its JSON around it.
pub const LONGEST: usize = 700 * 1024;

/// Settings that nobody obeys yet: the text of a file, or the same as a document.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Draft {
    /// A settings file in TOML.
    Text(#[schemars(length(max = 524_288))] String),
    /// The sections, as [`Show`] gives them.
    Settings(Map<String, Value>),
}

/// A draft to be obeyed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Applying {
    /// What shall hold.
    draft: Draft,
    /// Why, for the history and the audit log.
    reason: Reason,
    /// The version that the person looked at: refused where another has been installed since.
    #[serde(default)]
    base: Option<VersionNumber>,
}

/// An earlier version to be obeyed again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Back {
    /// Which.
    to: VersionNumber,
    /// Why, for the history and the audit log.
    reason: Reason,
}

/// Between which versions.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// The older side; 0, which is taken where it is left out, are the built-in defaults.
    #[serde(default)]
    from: VersionNumber,
    /// The newer side.
    #[serde(default)]
    to: VersionNumber,
}

/// What is wrong with a draft, and what it would change.
#[derive(Serialize, JsonSchema)]
pub struct Judged {
    /// Every mistake; none of a sound draft.
    mistakes: Vec<Mistake>,
    /// What is no mistake, and is to be known.
    advice: Vec<Mistake>,
    /// What a sound draft would change now.
    differences: Differences,
}

/// One mistake, with its remedy in the language of the browser.
#[derive(Serialize, JsonSchema)]
pub struct Mistake {
    /// In the text, from 1. Of a document it says nothing: `path` does.
    line: u32,
    /// From 1, in characters.
    column: u32,
    /// The setting, such as `route.queues.ring`.
    path: String,
    /// The code of the sentence.
    code: String,
    /// What is wrong and how it is mended.
    message: String,
}

/// What became of a draft.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// It holds now.
    Installed {
        /// As this version.
        version: Version,
        /// What it changed.
        differences: Differences,
    },
    /// Nothing was changed.
    Unsound {
        /// Every mistake.
        mistakes: Vec<Mistake>,
    },
}

pub async fn show(State(desk): State<Desk>, person: Person) -> Result<Json<Shown>, Problem> {
    Ok(Json(desk.host().call(Show { assertion: Some(person.assertion()) }).await?))
}

pub async fn check(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Body(draft): Body<Draft>,
) -> Result<Json<Judged>, Problem> {
    let Checked { problems, differences, advice } =
        desk.host().call(Check { text: draft.into_text()? }).await?;
    Ok(Json(Judged { mistakes: told(problems, &headers), advice: told(advice, &headers), differences }))
}

pub async fn apply(
    State(desk): State<Desk>,
    person: Person,
    headers: HeaderMap,
    Body(applying): Body<Applying>,
) -> Result<Json<Outcome>, Problem> {
    let Applying { draft, reason, base } = applying;
    let apply =
        Apply { text: draft.into_text()?, assertion: person.assertion(), reason: reason.into_text(), base };
    let (applied, _) = desk.host().call_with(apply, Vec::new(), PATIENCE).await?;
    Ok(Json(outcome(applied, &headers)))
}

pub async fn roll_back(
    State(desk): State<Desk>,
    person: Person,
    headers: HeaderMap,
    Body(back): Body<Back>,
) -> Result<Json<Outcome>, Problem> {
    let back = RollBack { to: back.to, assertion: person.assertion(), reason: back.reason.into_text() };
    let (applied, _) = desk.host().call_with(back, Vec::new(), PATIENCE).await?;
    Ok(Json(outcome(applied, &headers)))
}

pub async fn versions(State(desk): State<Desk>) -> Result<Json<VersionList>, Problem> {
    Ok(Json(desk.host().call(Versions {}).await?))
}

pub async fn diff(
    State(desk): State<Desk>,
    person: Person,
    Asked(between): Asked<Between>,
) -> Result<Json<Differences>, Problem> {
    Ok(Json(
        desk.host()
            .call(Diff { from: between.from, to: between.to, assertion: Some(person.assertion()) })
            .await?,
    ))
}

impl Draft {
    fn into_text(self) -> Result<String, Problem> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Settings(sections) => {
                // TOML has no null: what is not set is left out.
                toml::to_string(&present(Value::Object(sections))).map_err(|_untomlable| Problem::Malformed)
            }
        }
    }
}

/// The value without what is null.
fn present(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let some = fields.into_iter().filter(|(_, field)| !field.is_null());
            Value::Object(some.map(|(name, field)| (name, present(field))).collect())
        }
        Value::Array(items) => {
            Value::Array(items.into_iter().filter(|item| !item.is_null()).map(present).collect())
        }
        other => other,
    }
}

fn outcome(applied: Applied, headers: &HeaderMap) -> Outcome {
    match applied {
        Applied::Installed { version, differences } => Outcome::Installed { version, differences },
        Applied::Unsound { problems } => Outcome::Unsound { mistakes: told(problems, headers) },
    }
}

fn told(problems: Vec<::settings::Problem>, headers: &HeaderMap) -> Vec<Mistake> {
    let lang = language(headers);
    problems
        .into_iter()
        .map(|problem| {
            let args: Vec<_> =
                problem.args.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let message = words::text(lang, &problem.code, &args);
            let ::settings::Problem { line, column, path, code, args: _ } = problem;
            Mistake { line, column, path, code, message }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_is_the_same_as_its_text() {
        let Value::Object(sections) = json!({ "auth": { "idle": "10m", "lock_out": { "for": null } }, "route": { "queues": [{ "name": "q" }] } })
        else {
            panic!()
        };
        let text = Draft::Settings(sections).into_text().ok().unwrap();
        assert!(text.contains("idle = \"10m\"") && text.contains("[[route.queues]]"), "{text}");
        assert!(!text.contains("for"), "{text}");
        assert_eq!(toml::from_str::<toml::Table>(&text).unwrap()["auth"]["idle"].as_str(), Some("10m"));
    }
}
