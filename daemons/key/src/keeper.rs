//! Who gets what from the token. That a caller may call the method at all has been checked by the table.

use crate::{start::replace, ticket};
use audit_acts::{Act, Confirmed, Journal, Recorded, Unrecorded};
use audit_event::{Event, EventKind, Outcome};
use envelope::ObjectId;
use key_api::{
    NewDataKey, NewDek, NewDeks, PublicKey, PublicKeyList, SharedKey, Sign, Signed, SigningPurpose, Unwrap,
    Unwrapped,
};
use mutant::mutant;
use service::{Refusal, Replies};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use token::{Purpose, Token};
use types::Utc;
use zeroize::Zeroizing;

/// Data keys that one call makes at most.
const AT_ONCE: usize = 64;

/// The token, the key of tickets, and the acts that wait for audit.
pub struct Keeper {
    token: Box<dyn Token>,
    ticket_key: Zeroizing<[u8; 32]>,
    journal: Arc<Journal>,
    announced: Announced,
}

/// Which token and epoch audit knows of: kept in a file, so that an act that was not confirmed before the
/// process ended is told again by the next.
struct Announced {
    file: PathBuf,
    /// What was announced last, confirmed or not.
    text: String,
    /// By act, what the file shall say once it is confirmed.
    under_way: BTreeMap<u64, String>,
}

impl Keeper {
    /// Takes the token over. `state` is the daemon's own directory.
    pub fn new(token: Box<dyn Token>, state: &Path, journal: Arc<Journal>) -> Result<Self, token::Error> {
        let file = state.join("announced");
        // Not there, or not readable: then it is announced once more, which harms nobody.
        let text = fs::read_to_string(&file).unwrap_or_default();
        let mut keeper = Self {
            ticket_key: token.ticket_key()?,
            token,
            journal,
            announced: Announced { file, text, under_way: BTreeMap::new() },
        };
        keeper.announce();
        Ok(keeper)
    }

    /// What the token says of itself.
    pub fn description(&self) -> &str {
        self.token.description()
    }

    /// Makes data keys for the one who seals.
    pub fn new_deks(&mut self, wanted: &NewDek) -> Result<NewDeks, Refusal> {
        if wanted.objects.len() > AT_ONCE {
            let message = format!("{} data keys at once: ask for {AT_ONCE} at most", wanted.objects.len());
            return Err(Refusal::invalid("key.too-many", message));
        }
        let mut keys = Vec::with_capacity(wanted.objects.len());
        for object in &wanted.objects {
            let (dek, wrapped) = self.token.new_dek(ObjectId(*object)).map_err(failed)?;
            keys.push(NewDataKey::new(&dek, &wrapped));
        }
        self.announce();
        Ok(NewDeks { keys })
    }

    /// Opens a wrapped data key for the object that a valid ticket names, and for no other.
    pub fn unwrap(&mut self, wanted: &Unwrap, now: Utc) -> Result<Unwrapped, Refusal> {
        if let Err(void) = ticket::check(&wanted.ticket, &self.ticket_key, wanted.object, now) {
            self.tell_refusal(wanted.object.to_string(), &[("reason", &void.to_string())]);
            return Err(Refusal::not_permitted("key.ticket-void", format!("unwrap a data key: {void}")));
        }
        let malformed = |error: key_api::Malformed| Refusal::invalid("key.not-wrapped", error.to_string());
        let wrapped = wanted.wrapped().map_err(malformed)?;
        if wrapped.object != ObjectId(wanted.object) {
            self.tell_refusal(wanted.object.to_string(), &[("reason", "the key is another object's")]);
            let message = "unwrap a data key: it belongs to another object than the ticket";
            return Err(Refusal::not_permitted("key.other-object", message));
        }
        let dek = self.token.unwrap(&wrapped).map_err(|error| match error {
            token::Error::Envelope(error) => Refusal::invalid("key.not-wrapped", error.to_string()),
            token::Error::NoEpoch(_) => Refusal::not_found("key.no-epoch", error.to_string()),
            other => failed(other),
        })?;
        // The act itself is durable already, that is what the ticket says; this is key's own word that it was used.
        let event = Event::of_daemon(EventKind::KeyUnwrapped, "key", wanted.object.to_string());
        if !mutant("key-unwrapped-untold") {
            self.journal.once(event.with("entry", wanted.ticket.sequence));
        }
        Ok(Unwrapped::new(&dek))
    }

    /// Signs for `caller`, where the purpose is its own.
    pub fn sign(&mut self, caller: &str, wanted: &Sign) -> Result<Signed, Refusal> {
        let (purpose, owner) = match wanted.purpose {
            SigningPurpose::AuditLog => (Purpose::AuditLog, "audit"),
            SigningPurpose::Assertion => (Purpose::Assertion, "auth"),
        };
        if caller != owner && !mutant("purpose-unchecked") {
            self.tell_refusal(purpose.name(), &[("caller", caller)]);
            let message = format!("sign for {caller}: the key for {purpose} is {owner}'s alone");
            return Err(Refusal::not_permitted("key.not-your-purpose", message));
        }
        let message =
            wanted.bytes().map_err(|error| Refusal::invalid("key.not-hexadecimal", error.to_string()))?;
        self.token.sign(purpose, &message).map(|signature| Signed::new(&signature)).map_err(failed)
    }

    /// The MAC key of tickets.
    pub fn ticket_key(&self) -> Result<SharedKey, Refusal> {
        Ok(SharedKey::new(&self.ticket_key))
    }

    /// The key of second factors.
    pub fn accounts_key(&self) -> Result<SharedKey, Refusal> {
        self.token.accounts_key().map(|key| SharedKey::new(&key)).map_err(failed)
    }

    /// The public halves, and what the token says of itself.
    pub fn public_keys(&self) -> Result<PublicKeyList, Refusal> {
        let key = |(purpose, of)| {
            let pem = self.token.verifying_key(of)?.to_pem()?;
            Ok(PublicKey { purpose, pem })
        };
        let purposes =
            [(SigningPurpose::AuditLog, Purpose::AuditLog), (SigningPurpose::Assertion, Purpose::Assertion)];
        let keys: Result<_, token::Error> = purposes.into_iter().map(key).collect();
        Ok(PublicKeyList { keys: keys.map_err(failed)?, token: self.description().to_owned() })
    }

    /// Audit listens to the acts from here on.
    pub fn attach(&mut self, replies: Replies<Act>) {
        self.journal.attach(replies);
    }

    /// The log takes nothing now: acts wait.
    pub fn unrecorded(&self, why: Unrecorded) -> Confirmed {
        self.journal.unrecorded(why);
        Confirmed {}
    }

    /// An act is durable.
    pub fn recorded(&mut self, recorded: &Recorded) -> Result<Confirmed, Refusal> {
        self.journal.recorded(recorded);
        if let Some(text) = self.announced.under_way.remove(&recorded.act)
            && let Err(error) = replace(&self.announced.file, text.as_bytes(), 0o600)
        {
            tracing::warn!(%error, "cannot remember what was announced: the next start tells it again");
        }
        Ok(Confirmed {})
    }

    /// Tells audit of the token and its epoch where it does not know of them.
    fn announce(&mut self) {
        let text = format!("{} {}", self.token.id().0, self.token.epoch().0);
        if text == self.announced.text {
            return;
        }
        let event = Event::of_daemon(EventKind::KeyCreated, "key", self.token.id().0.to_string())
            .with("epoch", self.token.epoch().0)
            .with("token", self.token.description());
        if let Some(act) = self.journal.once(event) {
            self.announced.under_way.insert(act, text.clone());
            self.announced.text = text;
        }
    }

    fn tell_refusal(&mut self, object: impl Into<String>, facts: &[(&str, &str)]) {
        let mut event = Event::of_daemon(EventKind::KeyRefused, "key", object);
        event.outcome = Outcome::Refused;
        for (name, fact) in facts {
            event = event.with(name, fact);
        }
        tracing::warn!(object = event.object, facts = ?event.facts, "refused");
        self.journal.once(event);
    }
}

/// The token itself failed: later, perhaps.
fn failed(error: token::Error) -> Refusal {
    tracing::error!(%error, "the token failed");
    Refusal::unavailable("key.token-failed", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::tests::ticket;
    use service::RefusalKind;
    use token::{Cost, Passphrase, Soft};
    use types::Uid;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1 };
    const OBJECT: Uid = Uid([7; 16]);
    const NOW: Utc = Utc(1_000);

    fn keeper() -> (tempfile::TempDir, Keeper) {
        let state = tempfile::tempdir().unwrap();
        let token = Soft::create(&state.path().join("token"), &Passphrase::new(vec![1]), CHEAP).unwrap();
        let keeper = Keeper::new(Box::new(token), state.path(), journal()).unwrap();
        (state, keeper)
    }

    fn reopened(state: &Path) -> Keeper {
        let token = Soft::open(&state.join("token"), &Passphrase::new(vec![1])).unwrap();
        Keeper::new(Box::new(token), state, journal()).unwrap()
    }

    fn journal() -> Arc<Journal> {
        Arc::new(Journal::new().unwrap())
    }

    fn acts(keeper: &Keeper) -> Vec<EventKind> {
        keeper.journal.waiting().into_iter().map(|act| act.event.kind).collect()
    }

    /// A new key for [`OBJECT`], and the request to open it with a ticket for `object`.
    fn request(keeper: &mut Keeper, object: Uid) -> (envelope::Dek, Unwrap) {
        let mut keys = keeper.new_deks(&NewDek { objects: vec![OBJECT] }).unwrap().keys;
        let (dek, wrapped) = keys.remove(0).open().unwrap();
        let act = EventKind::RecordingExported;
        let ticket = ticket(&keeper.ticket_key, act, &object.to_string(), Utc(2_000));
        (dek, Unwrap::new(&wrapped, ticket))
    }

    /// Mutant key-unwrapped-untold.
    #[test]
    fn a_valid_ticket_opens_its_object_and_audit_hears_of_it() {
        let (_state, mut keeper) = keeper();
        let (dek, request) = request(&mut keeper, OBJECT);
        assert_eq!(keeper.unwrap(&request, NOW).unwrap().open().unwrap().bytes(), dek.bytes());
        let act = keeper.journal.waiting().pop().unwrap().event;
        assert_eq!((act.kind, act.object.as_str()), (EventKind::KeyUnwrapped, OBJECT.to_string().as_str()));
        assert_eq!(act.facts["entry"], request.ticket.sequence.to_string());
    }

    #[test]
    fn without_a_valid_ticket_nothing_is_unwrapped_and_audit_hears_of_it() {
        let (_state, mut keeper) = keeper();
        let (_, good) = request(&mut keeper, OBJECT);
        let mut forged = good.clone();
        forged.ticket.person = "li.na".to_owned();
        for (wrong, now) in [(&forged, NOW), (&good, Utc(2_000))] {
            let refusal = keeper.unwrap(wrong, now).err().unwrap();
            assert_eq!((refusal.kind, refusal.code.as_str()), (RefusalKind::NotPermitted, "key.ticket-void"));
        }
        assert_eq!(acts(&keeper), [EventKind::KeyCreated, EventKind::KeyRefused, EventKind::KeyRefused]);
    }

    /// A ticket for one recording, shown together with the wrapped key of another.
    #[test]
    fn a_ticket_opens_no_other_object() {
        let (_state, mut keeper) = keeper();
        let (_, mut request) = request(&mut keeper, Uid([8; 16]));
        assert_eq!(keeper.unwrap(&request, NOW).err().unwrap().code, "key.ticket-void");
        request.object = Uid([8; 16]);
        assert_eq!(keeper.unwrap(&request, NOW).err().unwrap().code, "key.other-object");
    }

    #[test]
    fn a_changed_wrapped_key_is_refused() {
        let (_state, mut keeper) = keeper();
        let (_, good) = request(&mut keeper, OBJECT);
        for at in [0, 80, 160, 228] {
            let mut bad = good.clone();
            let digit = if bad.wrapped[at..].starts_with('0') { "1" } else { "0" };
            bad.wrapped.replace_range(at..=at, digit);
            assert!(keeper.unwrap(&bad, NOW).is_err(), "digit {at}");
        }
    }

    #[test]
    fn each_purpose_signs_for_its_owner_alone() {
        let (_state, mut keeper) = keeper();
        let public = keeper.public_keys().unwrap();
        assert!(public.token.contains("NOT A CERTIFIED"));
        for (purpose, owner) in [(SigningPurpose::AuditLog, "audit"), (SigningPurpose::Assertion, "auth")] {
            let request = Sign::new(purpose, b"message");
            for caller in ["audit", "auth", "record", "sip", ""] {
                match keeper.sign(caller, &request) {
                    Ok(signed) if caller == owner => {
                        let key = public.keys.iter().find(|key| key.purpose == purpose).unwrap();
                        let key = key.verifying_key().unwrap();
                        key.verify(gm::sm2::DEFAULT_ID, b"message", &signed.bytes().unwrap()).unwrap();
                    }
                    Ok(_) => panic!("{caller} signed as {owner}"),
                    Err(refusal) => {
                        assert_ne!(caller, owner);
                        assert_eq!(refusal.kind, RefusalKind::NotPermitted);
                    }
                }
            }
        }
    }

    #[test]
    fn too_many_at_once_are_refused() {
        let (_state, mut keeper) = keeper();
        assert_eq!(keeper.new_deks(&NewDek { objects: vec![OBJECT; 64] }).unwrap().keys.len(), 64);
        assert!(keeper.new_deks(&NewDek { objects: vec![OBJECT; 65] }).is_err());
    }

    #[test]
    fn the_token_is_announced_until_audit_confirms_it() {
        let (state, keeper) = keeper();
        assert_eq!(acts(&keeper), [EventKind::KeyCreated]);
        drop(keeper);
        let mut keeper = reopened(state.path());
        assert_eq!(acts(&keeper), [EventKind::KeyCreated], "it was not confirmed");
        let act = keeper.journal.waiting()[0].act;
        keeper.recorded(&Recorded { act, sequence: 0 }).unwrap();
        assert_eq!(acts(&keeper), []);
        assert_eq!(acts(&reopened(state.path())), []);
    }
}
