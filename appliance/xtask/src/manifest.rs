//! The manifests of the workspace, as far as the rules need them.

use crate::{failure::Failure, repository::Repository};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// One crate of the workspace.
pub struct Manifest {
    /// Its name.
    pub name: String,
    /// Its folder, from the top of the repository.
    pub folder: PathBuf,
    /// What it is built with; what only its tests need is left out.
    pub dependencies: Vec<Dependency>,
    /// Its features, by name.
    pub features: BTreeMap<String, Vec<String>>,
}

/// One dependency.
pub struct Dependency {
    /// The crate's name.
    pub name: String,
    /// Whether its default features are taken.
    pub defaults: bool,
    /// The further features taken.
    pub features: Vec<String>,
}

/// Which part of a daemon a crate is, by its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `daemons/NAME`: the process.
    Shell,
    /// `daemons/NAME/api`: what it offers.
    Api,
    /// `daemons/NAME/core`: what it decides.
    Core,
}

impl Manifest {
    /// The daemon and the part of it that this crate is; `None` for libraries.
    pub fn part(&self) -> Option<(&str, Part)> {
        let mut parts =
            self.folder.strip_prefix("daemons").ok()?.iter().map(|part| part.to_str().unwrap_or_default());
        match (parts.next()?, parts.next()) {
            (daemon, None) => Some((daemon, Part::Shell)),
            (daemon, Some("api")) => Some((daemon, Part::Api)),
            (daemon, Some("core")) => Some((daemon, Part::Core)),
            _ => None,
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// It is no manifest of a crate.
    pub fn parse(folder: &Path, text: &str) -> Result<Self, Failure> {
        let written: Written = toml::from_str(text)
            .map_err(|error| Failure::plain(format!("{}/Cargo.toml: {error}", folder.display())))?;
        let every = written.dependencies.into_iter().chain(written.build_dependencies);
        Ok(Self {
            name: written.package.name,
            folder: folder.to_owned(),
            dependencies: every.map(|(name, entry)| entry.dependency(name)).collect(),
            features: written.features,
        })
    }
}

/// Every crate of the workspace.
///
/// # Errors
/// A manifest cannot be read.
pub fn workspace(repository: &Repository) -> Result<Vec<Manifest>, Failure> {
    let root: Root = toml::from_str(&repository.read("Cargo.toml")?)
        .map_err(|error| Failure::plain(format!("Cargo.toml: {error}")))?;
    root.workspace
        .members
        .iter()
        .map(|folder| Manifest::parse(Path::new(folder), &repository.read(format!("{folder}/Cargo.toml"))?))
        .collect()
}

#[derive(Deserialize)]
struct Root {
    workspace: Workspace,
}

#[derive(Deserialize)]
struct Workspace {
    members: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    package: Package,
    #[serde(default)]
    dependencies: BTreeMap<String, Entry>,
    #[serde(default)]
    build_dependencies: BTreeMap<String, Entry>,
    #[serde(default)]
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Version(#[expect(dead_code, reason = "only its being there counts")] String),
    #[serde(rename_all = "kebab-case")]
    Table {
        package: Option<String>,
        default_features: Option<bool>,
        #[serde(default)]
        features: Vec<String>,
    },
}

impl Entry {
    fn dependency(self, name: String) -> Dependency {
        match self {
            Self::Version(_) => Dependency { name, defaults: true, features: Vec::new() },
            Self::Table { package, default_features, features } => Dependency {
                name: package.unwrap_or(name),
                defaults: default_features.unwrap_or(true),
                features,
            },
        }
    }
}
