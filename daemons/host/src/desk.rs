//! The calls, one by one: who may, what it means, and in which order the disk and audit hear of it.

use crate::book::{Book, Current, Stored, digest};
use crate::disk::Files;
use crate::error::Error;
use crate::follow::follow;
use crate::health::Supervisor;
use crate::officer::Officers;
use crate::owed::{self, Owed, Slip};
use crate::prompts::Prompts;
use crate::seed::Seed;
use audit_acts::{Confirmed, Journal};
use audit_event::{Actor, Event, EventKind, Outcome, Phase, sound_reason};
use auth_api::{Assertion, Claims};
use host_api::{
    Applied, Apply, Call, Check, Checked, Diff, Difference, Differences, Host, RollBack, Shown, Version,
    VersionList, VersionNumber,
};
use mutant::mutant;
use service::{Failure, Peer, Rate, Refusal, Request, Share};
use settings::{Problem, Settings, media::LibraryLack};
use std::{
    io::ErrorKind,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, watch};
use types::Uid;
use zeroize::Zeroizing;

/// How long audit may take to make an entry durable.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most bytes of differences in one answer; what is around them must fit as well.
const LONGEST_DIFFERENCES: usize = service::MAX_MESSAGE / 2;

/// Attempts without the right that are entries, of one caller in one minute.
const REFUSED: u32 = 30;

/// Looks at the settings that are entries, of one caller in one minute.
const SHOWN: u32 = 60;

/// Answers every call. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

struct Shared {
    book: Mutex<Book<Files>>,
    current: watch::Sender<Arc<Current>>,
    journal: Arc<Journal>,
    officers: Officers,
    refused: Rate,
    shown: Rate,
    prompts: Prompts,
    supervisor: Supervisor,
}

/// What a person wants, after it is known who asks. Without a person it is the seed of the first start.
struct Wish {
    kind: EventKind,
    claims: Option<Claims>,
    origin: String,
    reason: String,
    restores: Option<VersionNumber>,
}

impl Desk {
    /// A desk over this book.
    pub fn new(
        book: Book<Files>,
        journal: Arc<Journal>,
        officers: Officers,
        prompts: Prompts,
        supervisor: Supervisor,
    ) -> Self {
        let current = watch::Sender::new(book.current());
        let (refused, shown) = (Rate::a_minute(REFUSED), Rate::a_minute(SHOWN));
        Self(Arc::new(Shared {
            book: Mutex::new(book),
            current,
            journal,
            officers,
            refused,
            shown,
            prompts,
            supervisor,
        }))
    }

    /// The first steps of a life: installs the seed of a first start, and tells audit the ends that an
    /// earlier life still owes.
    ///
    /// # Errors
    /// The seed has mistakes, or the disk refused.
    pub async fn open(&self) -> Result<(), Failure> {
        let mut book = self.0.book.lock().await;
        let owed = owed::all(&mut book).map_err(|error| Failure::of("read what is owed to audit", error))?;
        owed.into_iter().for_each(|(slip, owed)| self.tell_end(slip, owed.told(&book)));
        let Some(seed) = Seed::find(book.directory())? else { return Ok(()) };
        if book.versions().is_empty() {
            let (kind, origin) = (EventKind::SettingsApplied, "the first start".to_owned());
            let wish = Wish { kind, claims: None, origin, reason: String::new(), restores: None };
            match self.install(&mut book, wish, seed.text.clone()).await {
                Ok(Applied::Installed { .. }) => {}
                Ok(Applied::Unsound { problems }) => return Err(seed.unsound(&problems)),
                Err(refusal) => return Err(Failure::of("install the settings of the first start", refusal)),
            }
        } else {
            tracing::info!("there are settings already: the seed of a first start is not looked at");
        }
        seed.remove()
    }

    /// Answers the call, by itself or in a task.
    pub fn take(&self, request: Request<Host>) {
        let Request { peer, call, .. } = request;
        let desk = self.clone();
        match call {
            Call::Follow(_, replies) => {
                tokio::spawn(follow(replies, self.0.current.subscribe(), peer.caller.settings));
            }
            Call::Acts(_, replies) => self.0.journal.attach(replies),
            Call::Recorded(word, reply) => {
                self.0.journal.recorded(&word);
                reply.send(Ok(Confirmed {}));
            }
            Call::Unrecorded(why, reply) => {
                self.0.journal.unrecorded(why);
                reply.send(Ok(Confirmed {}));
            }
            Call::Show(show, reply) => reply.send(self.show(&peer, show.assertion.as_ref())),
            Call::Health(_, reply) => {
                let supervisor = desk.0.supervisor.clone();
                tokio::task::spawn_blocking(move || reply.send(supervisor.health()));
            }
            Call::Check(check, reply) => reply.send(self.check(&check)),
            Call::Diff(diff, reply) => {
                tokio::spawn(async move { reply.send(desk.diff(&peer, &diff).await) });
            }
            Call::Versions(_, reply) => {
                tokio::spawn(async move { reply.send(Ok(desk.versions().await)) });
            }
            Call::Apply(apply, reply) => {
                tokio::spawn(async move { reply.send(desk.apply(&peer, apply).await) });
            }
            Call::RollBack(roll_back, reply) => {
                tokio::spawn(async move { reply.send(desk.roll_back(&peer, roll_back).await) });
            }
        }
    }

    fn show(&self, peer: &Peer, assertion: Option<&Assertion>) -> Result<Shown, Refusal> {
        let current = self.0.current.borrow();
        self.seen(peer, assertion, current.number().to_string())?;
        Ok(Shown { version: current.version.clone(), settings: current.settings.to_value() })
    }

    /// Enters that somebody looks at settings. Not waited for: a house whose audit is away must be looked at to be
    /// mended.
    fn seen(&self, peer: &Peer, assertion: Option<&Assertion>, versions: String) -> Result<(), Refusal> {
        let claims = assertion.map(|assertion| self.0.officers.person(assertion)).transpose()?;
        let share = self.0.shown.one_more(peer.caller.name, Instant::now());
        if share == Share::Beyond || mutant("settings-shown-unentered") {
            return Ok(());
        }
        if share == Share::Last {
            tracing::warn!(
                caller = peer.caller.name,
                "the next looks at settings of this minute are no entries"
            );
        }
        let mut event =
            Event::of_daemon(EventKind::SettingsShown, peer.caller.name, format!("settings/{versions}"));
        if let Some(claims) = claims {
            event.actor = Actor::Person(claims.person.to_string());
        }
        event.origin = origin(peer);
        self.0.journal.once(event);
        Ok(())
    }

    fn check(&self, check: &Check) -> Result<Checked, Refusal> {
        // Nobody has to say who asks: compared with the real passwords, the differences would tell whoever
        // tries one whether it is right. So a password counts as changed unless it is masked.
        let current = self.0.current.borrow().clone();
        let disguised = match mutant("settings-check-tells-passwords") {
            true => current.settings.clone(),
            false => disguised(&current.settings).map_err(refusal)?,
        };
        let text = Settings::fill(&check.text, &disguised);
        Ok(match self.parse(&text) {
            Ok(settings) => Checked {
                problems: Vec::new(),
                advice: settings.advice(&text),
                differences: differences(&disguised, &settings),
            },
            Err(problems) => Checked { problems, advice: Vec::new(), differences: Differences::default() },
        })
    }

    /// The settings, held beside what lies on this disk.
    fn parse(&self, text: &str) -> Result<Settings, Vec<Problem>> {
        Settings::parse_beside(text, |directory| self.0.prompts.present(directory), library)
    }

    async fn diff(&self, peer: &Peer, diff: &Diff) -> Result<Differences, Refusal> {
        self.seen(peer, diff.assertion.as_ref(), format!("{}-{}", diff.from, diff.to))?;
        let book = self.0.book.lock().await;
        let from = book.settings(diff.from).map_err(refusal)?;
        let to = book.settings(diff.to).map_err(refusal)?;
        Ok(differences(&from, &to))
    }

    async fn versions(&self) -> VersionList {
        let book = self.0.book.lock().await;
        let current = book.current().version.as_ref().map(|version| version.number);
        VersionList { current, versions: book.versions().to_vec() }
    }

    async fn apply(&self, peer: &Peer, apply: Apply) -> Result<Applied, Refusal> {
        let text = Zeroizing::new(apply.text);
        let kind = EventKind::SettingsApplied;
        let claims = self.administrator(kind, peer, &apply.assertion)?;
        let mut book = self.0.book.lock().await;
        let current = book.current();
        if let Some(base) = apply.base
            && base != current.number()
        {
            let message = format!("version {} holds by now: look at it, then try again", current.number());
            return Err(Refusal::conflict("host.base", message));
        }
        let origin = origin(peer);
        let wish =
            Wish { kind, claims: Some(claims), origin, reason: reason(&apply.reason)?, restores: None };
        let text = Settings::fill(&text, &current.settings);
        self.install(&mut book, wish, text).await
    }

    async fn roll_back(&self, peer: &Peer, roll_back: RollBack) -> Result<Applied, Refusal> {
        let kind = EventKind::SettingsRolledBack;
        let claims = self.administrator(kind, peer, &roll_back.assertion)?;
        let mut book = self.0.book.lock().await;
        let restores = Some(roll_back.to).filter(|number| *number != VersionNumber(0));
        let restored = restores.ok_or(Error::NoVersion(roll_back.to)).and_then(|number| book.text(number));
        let text = restored.map_err(refusal)?;
        let reason = reason(&roll_back.reason)?;
        let wish = Wish { kind, claims: Some(claims), origin: origin(peer), reason, restores };
        self.install(&mut book, wish, text).await
    }

    /// The act itself: begun and durable in the log, then on disk, then handed out, then ended.
    async fn install(
        &self,
        book: &mut Book<Files>,
        wish: Wish,
        text: Zeroizing<String>,
    ) -> Result<Applied, Refusal> {
        let parsed = match &wish.claims {
            // A house of a first start shall come up: its prompts may be put there after it.
            None => Settings::parse(&text),
            Some(_) => self.parse(&text),
        };
        let settings = match parsed {
            Ok(settings) => settings,
            Err(problems) => return Ok(Applied::Unsound { problems }),
        };
        let current = book.current();
        let differences = differences(&current.settings, &settings);
        if current.version.is_some() && *book.text(current.number()).map_err(refusal)? == *text {
            return Err(Refusal::conflict("host.unchanged", "this text is the current version already"));
        }
        let salt = salt().map_err(refusal)?;
        let version = Version {
            number: current.number().next(),
            installed: service::clock::utc(),
            person: wish.claims.as_ref().map(|claims| claims.person.clone()),
            reason: wish.reason.clone(),
            restores: wish.restores,
            digest: digest(salt, &text),
        };
        let begun = begun(&wish, &version, differences.changes.len() + differences.left_out);
        let (name, end) = match &wish.claims {
            None => (format!("{}-seed", version.number), Event { phase: Phase::Once, ..begun }),
            Some(_) => {
                let sequence = self.durable(&begun).await?;
                (
                    format!("{}-{sequence}", version.number),
                    Event { phase: Phase::Ended, ..begun }.with("begun", sequence),
                )
            }
        };
        let owed = Owed { event: end, version: version.clone() };
        let slip = owed::keep(book, &name, &owed).map_err(refusal);
        let stored = Stored { version: version.clone(), salt, text };
        let installed = match &slip {
            Ok(_) => book.install(stored).map_err(refusal),
            Err(refusal) => Err(refusal.clone()),
        };
        if installed.is_ok() {
            self.0.current.send_replace(book.current());
            tracing::info!(
                version = version.number.0,
                changes = differences.changes.len() + differences.left_out,
                "settings installed"
            );
        }
        match slip {
            Ok(slip) => self.tell_end(slip, owed.told(book)),
            Err(_) => {
                self.0.journal.once(owed.told(book));
            }
        }
        installed.map(|()| Applied::Installed { version, differences })
    }

    /// Waits until the begun entry is durable.
    async fn durable(&self, begun: &Event) -> Result<u64, Refusal> {
        if mutant("settings-apply-without-audit") {
            self.0.journal.once(begun.clone());
            return Ok(0);
        }
        let away = || {
            if let Some(why) = self.0.journal.trouble() {
                let message =
                    format!("settings are not changed without an entry in the audit log: {}", why.message);
                let full = why.code == "audit.disk-full";
                let code = if full { "host.audit-full" } else { "host.audit-silent" };
                return Refusal::unavailable(code, message);
            }
            let message = "settings are not changed without an entry in the audit log, and audit is away: start it, then try again";
            Refusal::unavailable("host.audit-away", message)
        };
        if !self.0.journal.attached() {
            return Err(away());
        }
        if self.0.journal.trouble().is_some() {
            return Err(away());
        }
        let pending = self.0.journal.tell(begun.clone());
        match self.0.journal.word(pending, PATIENCE).await {
            Some(sequence) => Ok(sequence),
            None => {
                // The entry may be in the log although its word did not come: it gets its end.
                let end = Event { phase: Phase::Ended, outcome: Outcome::Failed, ..begun.clone() };
                let refusal = away();
                self.0.journal.once(end.with("code", &refusal.code));
                Err(refusal)
            }
        }
    }

    /// Tells audit the end, and forgets it when audit has confirmed it.
    fn tell_end(&self, slip: Slip, event: Event) {
        let desk = self.clone();
        let pending = self.0.journal.tell(event);
        tokio::spawn(async move {
            // As long as it takes: the slip on disk outlives even this process.
            if desk.0.journal.word(pending, Duration::MAX).await.is_some() {
                owed::forget(&mut *desk.0.book.lock().await, &slip);
            }
        });
    }

    fn administrator(&self, kind: EventKind, peer: &Peer, assertion: &Assertion) -> Result<Claims, Refusal> {
        self.0.officers.administrator(assertion).map_err(|refusal| self.refused(kind, peer, refusal))
    }

    /// An attempt without the right is itself an entry; attempts without end are not.
    fn refused(&self, kind: EventKind, peer: &Peer, refusal: Refusal) -> Refusal {
        let share = self.0.refused.one_more(peer.caller.name, Instant::now());
        if share == Share::Beyond && !mutant("settings-refusals-unbounded") {
            return refusal;
        }
        if share == Share::Last {
            tracing::error!(
                caller = peer.caller.name,
                "so many attempts that the next of this minute are no entries"
            );
        }
        let mut event = Event::of_daemon(kind, peer.caller.name, "settings").with("code", &refusal.code);
        event.outcome = Outcome::Refused;
        event.origin = origin(peer);
        self.0.journal.once(event);
        refusal
    }
}

fn begun(wish: &Wish, version: &Version, changes: usize) -> Event {
    let actor = match &wish.claims {
        Some(claims) => Actor::Person(claims.person.to_string()),
        None => Actor::Daemon("host".to_owned()),
    };
    let event = Event {
        phase: Phase::Begun,
        actor,
        origin: wish.origin.clone(),
        outcome: Outcome::Pending,
        reason: Some(wish.reason.clone()).filter(|reason| !reason.is_empty()),
        ..Event::of_daemon(wish.kind, "host", format!("settings/{}", version.number))
    };
    // How many and which digest; not which names: settings hold the names of people.
    let event = event.with("digest", &version.digest).with("changes", changes);
    match version.restores {
        Some(restores) => event.with("restores", restores),
        None => event,
    }
}

/// What differs, as much of it as fits one message: however much that is, settings are applied and rolled back.
fn differences(old: &Settings, new: &Settings) -> Differences {
    let mut found = Differences::default();
    let mut bytes = 0;
    for change in settings::diff(old, new) {
        let difference = Difference { effect: settings::live(&change), change };
        bytes += serde_json::to_vec(&difference).map_or(0, |form| form.len() + 1);
        if found.left_out > 0 || bytes > LONGEST_DIFFERENCES {
            found.left_out += 1;
        } else {
            found.changes.push(difference);
        }
    }
    found
}

/// The settings with other passwords, which nobody knows.
fn disguised(settings: &Settings) -> Result<Settings, Error> {
    let mut disguised = settings.clone();
    for phone in &mut disguised.sip.phones {
        if let Ok(password) = format!("Unknown-{}", salt()?).parse() {
            phone.password = password;
        }
    }
    Ok(disguised)
}

fn salt() -> Result<Uid, Error> {
    let mut bytes = [0; 16];
    gm::random(&mut bytes).map_err(Error::Random)?;
    Ok(Uid(bytes))
}

fn origin(peer: &Peer) -> String {
    format!("{} uid {}", peer.caller.name, peer.uid)
}

fn reason(text: &str) -> Result<String, Refusal> {
    let reason = sound_reason(text);
    reason.map(str::to_owned).map_err(|unsound| Refusal::invalid("host.reason", unsound.to_string()))
}

/// What keeps the library of G.729 from being loaded. It is looked at, not loaded: that is media's.
fn library(named: Option<&Path>) -> Result<(), LibraryLack> {
    bcg729::find(named).map(|_| ()).map_err(|lack| match &lack {
        bcg729::Lack::Exposed(path) => LibraryLack::Exposed(path.clone()),
        lack => LibraryLack::Missing(lack.path().to_owned()),
    })
}

fn refusal(error: Error) -> Refusal {
    match &error {
        Error::NoVersion(_) => Refusal::not_found("host.no-version", format!("{error}: list the versions")),
        Error::Disk { source, .. } if source.kind() == ErrorKind::StorageFull => {
            Refusal::unavailable("host.disk-full", error.to_string())
        }
        _ => Refusal::unavailable("host.disk", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use words::{Lang, codes};

    #[test]
    fn differences_fit_one_message_and_say_how_many_more_there_are() {
        let queues = |seconds: u32| {
            let times =
                format!("ring = \"{seconds}s\"\nwrap_up = \"{seconds}s\"\nmax_wait = \"{}s\"\n", 9 * seconds);
            let queue = |n| format!("[[route.queues]]\nname = \"queue-number-{n}\"\n{times}");
            Settings::parse(&(0..2_500).map(queue).collect::<String>()).unwrap()
        };
        let (old, new) = (queues(10), queues(11));
        let found = differences(&old, &new);
        assert!(serde_json::to_vec(&found).unwrap().len() < service::MAX_MESSAGE / 10 * 6);
        assert!(!found.changes.is_empty() && found.left_out > 0, "{}", found.left_out);
        assert_eq!(found.changes.len() + found.left_out, settings::diff(&old, &new).len());
    }

    #[test]
    fn a_full_disk_is_told_as_that() {
        let told = |kind: ErrorKind| {
            refusal(Error::Disk { attempted: "write", path: "versions/2".into(), source: kind.into() }).code
        };
        assert_eq!(told(ErrorKind::StorageFull), "host.disk-full");
        assert_eq!(told(ErrorKind::PermissionDenied), "host.disk");
        for lang in [Lang::ZhCn, Lang::En] {
            assert!(codes(lang).any(|code| code == "host.disk-full"));
        }
    }
}
