//! The directory of prompts: `NAME.wav` each, read when it is asked for and when its file changed. Names that begin
//! with `tone.` are tones and no files.

use crate::{
    error::Error,
    worker::{Handle, Order},
};
use media_core::session::Prompt;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};
use types::Name;

/// Which files are with the worker, and in which state.
pub struct Prompts {
    directory: PathBuf,
    loaded: BTreeMap<Name, (SystemTime, u64)>,
}

impl Prompts {
    /// The prompts of a directory.
    pub const fn of(directory: PathBuf) -> Self {
        Self { directory, loaded: BTreeMap::new() }
    }

    /// Gives the worker every tone, and every prompt that there is; says of each file that cannot be one why.
    pub fn load_all(&mut self, worker: &Handle) {
        for (name, tone) in Prompt::tones() {
            worker.order(Order::Load(name.to_owned(), tone));
        }
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(directory = %self.directory.display(), %error, "there are no prompts");
                return;
            }
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".wav"));
            if let Some(Ok(name)) = name.map(str::parse::<Name>) {
                self.load(worker, &name);
            }
        }
    }

    /// Gives the worker this prompt, if its file is new or another than before.
    pub fn load(&mut self, worker: &Handle, name: &Name) {
        let path = self.directory.join(format!("{name}.wav"));
        if name.as_str().starts_with(types::TONE) {
            if path.exists() {
                tracing::error!(path = %path.display(), "a prompt cannot be used: its name is reserved for tones");
            }
            return;
        }
        let state = fs::metadata(&path).and_then(|file| Ok((file.modified()?, file.len())));
        let Ok(state) = state else { return };
        if self.loaded.get(name) == Some(&state) {
            return;
        }
        match read(&path) {
            Ok(prompt) => {
                tracing::info!(prompt = %name, digest = %prompt.digest(), "prompt loaded");
                self.loaded.insert(name.clone(), state);
                worker.order(Order::Load(name.to_string(), prompt));
            }
            Err(error) => tracing::error!(%error, "a prompt cannot be used"),
        }
    }
}

fn read(path: &Path) -> Result<Prompt, Error> {
    let reason = |reason: String| Error::Prompt { path: path.display().to_string(), reason };
    let length = fs::metadata(path).map_err(|error| reason(error.to_string()))?.len();
    if length > media_core::wav::MAX_FILE as u64 {
        return Err(reason(format!("{length} bytes are too many")));
    }
    let file = fs::read(path).map_err(|error| reason(error.to_string()))?;
    Prompt::read(&file).map_err(|error| reason(error.to_string()))
}
