//! The disk dies at each step in turn: one version holds afterwards, whole, and it is the old or the new one.

use super::*;
use crate::disk::Files;
use crate::owed::{self, Owed};
use audit_event::{Event, EventKind, Outcome};
use std::io;
use types::Utc;

const OLD: &str = "[sip]\nrealm = \"old\"\n";
const SALT: Uid = Uid([9; 16]);
const NEW: &str = "[sip]\nrealm = \"new\"\n";

/// Does so many steps, then none; the step at which it dies is half done where it can be.
struct Dying {
    steps: usize,
}

impl Dying {
    fn step(&mut self) -> io::Result<()> {
        let Some(left) = self.steps.checked_sub(1) else { return Err(io::Error::other("dead")) };
        self.steps = left;
        Ok(())
    }
}

impl Disk for Dying {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.steps == 0 {
            Files.write(path, &bytes[..bytes.len() / 2])?;
        }
        self.step()?;
        Files.write(path, bytes)
    }
    fn link(&mut self, target: &Path, path: &Path) -> io::Result<()> {
        self.step()?;
        Files.link(target, path)
    }
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        Files.rename(from, to)
    }
    fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        Files.sync_directory(path)
    }
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        Files.remove(path)
    }
}

fn version(number: u64, text: &str) -> Version {
    Version {
        number: VersionNumber(number),
        installed: Utc(i64::try_from(number).unwrap()),
        person: Some("alice".parse().unwrap()),
        reason: String::new(),
        restores: None,
        digest: digest(SALT, text),
    }
}

fn stored(number: u64, text: &str) -> Stored {
    Stored { version: version(number, text), salt: SALT, text: Zeroizing::new(text.to_owned()) }
}

fn open(directory: &Path) -> Book<Files> {
    Book::open(directory.to_owned(), Files).unwrap()
}

fn with_old() -> (tempfile::TempDir, Owed) {
    let home = tempfile::tempdir().unwrap();
    open(home.path()).install(stored(1, OLD)).unwrap();
    let event = Event::of_daemon(EventKind::SettingsApplied, "host", "settings/2");
    (home, Owed { event, version: version(2, NEW) })
}

#[test]
fn whatever_interrupts_it_one_version_holds_and_its_end_is_told() {
    let mut outcomes = Vec::new();
    for steps in 0.. {
        let (home, owed) = with_old();
        let mut dying = Book::open(home.path().to_owned(), Dying { steps: usize::MAX }).unwrap();
        dying.disk.steps = steps;
        let done = owed::keep(&mut dying, "2-7", &owed).and_then(|_| dying.install(stored(2, NEW)));
        drop(dying);

        let mut book = open(home.path());
        let current = book.current();
        let pointed = fs::read_to_string(home.path().join("current.toml")).unwrap();
        assert!(Settings::parse(&pointed).is_ok_and(|pointed| pointed == current.settings));
        let (number, realm) = (current.number().0, current.settings.sip.realm.clone());
        assert!(
            (number, realm.as_str()) == (1, "old") || (number, realm.as_str()) == (2, "new"),
            "{number} {realm}"
        );
        assert_eq!(book.versions().len() as u64, number, "no half version is left");
        let told: Vec<_> =
            owed::all(&mut book).unwrap().iter().map(|(_, owed)| owed.told(&book).outcome).collect();
        match (number, told.as_slice()) {
            (2, [Outcome::Done]) | (1, [] | [Outcome::Failed]) => {}
            wrong => panic!("after {steps} steps: {wrong:?}"),
        }
        // The same installation works after the accident.
        if number == 1 {
            book.install(stored(2, NEW)).unwrap();
            assert_eq!(open(home.path()).current().number(), VersionNumber(2));
        }
        outcomes.push(number);
        if done.is_ok() && number == 2 && steps > 16 {
            break;
        }
    }
    assert!(outcomes.contains(&1) && outcomes.contains(&2), "{outcomes:?}");
    assert!(outcomes.is_sorted(), "there is one step that makes it current: {outcomes:?}");
}

#[test]
fn versions_stay_and_come_back() {
    let (home, _) = with_old();
    open(home.path()).install(stored(2, NEW)).unwrap();
    let book = open(home.path());
    assert_eq!(book.versions().len(), 2);
    assert_eq!(book.text(VersionNumber(1)).unwrap().as_str(), OLD);
    assert_eq!(book.settings(VersionNumber(1)).ok().unwrap().sip.realm, "old");
    assert!(matches!(book.text(VersionNumber(3)), Err(Error::NoVersion(_))));
    assert!(book.settings(VersionNumber(0)).is_ok_and(|settings| settings == Settings::default()));
}

#[test]
fn a_changed_byte_is_seen() {
    let (home, _) = with_old();
    let path = home.path().join("versions/1.toml");
    let changed = fs::read_to_string(&path).unwrap().replace("old", "odd");
    fs::write(&path, changed).unwrap();
    let error = Book::open(home.path().to_owned(), Files).err().unwrap();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[test]
fn only_this_user_reads_a_version() {
    use std::os::unix::fs::PermissionsExt;
    let (home, _) = with_old();
    let mode = fs::metadata(home.path().join("versions/1.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
