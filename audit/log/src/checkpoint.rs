//! Checkpoints: a tree head as a C2SP signed note in the SM2 profile.
//!
//! ```text
//!   origin LF
//!   size in decimal LF
//!   base64(root) LF
//!   LF
//!   — origin base64(key id [4] ‖ r [32] ‖ s [32]) LF
//! ```
//!
//! The signature covers the first three lines, by SM2 with SM3 under the identity `1234567812345678`. The key
//! id is SM3(name ‖ 0x0A ‖ 0xff ‖ "sm2-sm3-v1" ‖ 04 ‖ X ‖ Y)[..4]. The name of a log's key is the log's
//! origin. Lines of other signers (witnesses) may follow; who does not know them passes over them.

use crate::base64;
use crate::hash::{Digest, Sm3, TreeHash};
use crate::proof::Head;
use gm::sm2::{DEFAULT_ID, Signature, VerifyingKey};

/// The signature type of this profile in key ids: 0xff and a name, as C2SP signed-note asks of types outside
/// its own list.
const SIGNATURE_TYPE: &[u8] = b"\xffsm2-sm3-v1";
/// How a signature line begins: an em dash and a space.
const DASH: &str = "— ";

/// Why a note or a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The text ends within the note: a torn write, if it is the last one of a file.
    #[error("the note is cut off")]
    Truncated,
    /// The text is no note of this form.
    #[error("the note is malformed")]
    Malformed,
    /// The note is of another log.
    #[error("the note is of another log")]
    Origin,
    /// None of the trusted keys signed the note.
    #[error("no trusted key signed the note")]
    UnknownKey,
    /// A line claims a trusted key, and its signature is wrong.
    #[error("the signature is wrong")]
    BadSignature,
    /// A name is empty or holds a space, a control character or `+`.
    #[error("no name of a key")]
    Name,
    /// The text is no verifier key, or its id is not that of the key.
    #[error("no verifier key")]
    Key,
}

/// Who signs for the log: the key daemon, or a key in a test.
pub trait Signer {
    /// Why there is no signature.
    type Error;
    /// Signs `text` by SM2 under [`DEFAULT_ID`]; gives r ‖ s.
    fn sign(&self, text: &[u8]) -> Result<[u8; 64], Self::Error>;
}

/// A public key with the name under which it signs. As text `name+id+base64(0xff "sm2-sm3-v1" 04 X Y)`, the
/// id in hexadecimal (C2SP signed-note).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Names a key.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        let sound =
            !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+');
        if sound { Ok(Self { name: name.to_owned(), key }) } else { Err(NoteError::Name) }
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let key = base64::decode(key).ok_or(NoteError::Key)?;
        let point = key.strip_prefix(SIGNATURE_TYPE).ok_or(NoteError::Key)?;
        let key = Self::new(name, VerifyingKey::from_bytes(point).map_err(|_point| NoteError::Key)?)?;
        if key.to_text() == text { Ok(key) } else { Err(NoteError::Key) }
    }

    /// The text form, in which the key reaches an auditor.
    pub fn to_text(&self) -> String {
        let id = u32::from_be_bytes(self.id());
        let key = [SIGNATURE_TYPE, &self.key.to_bytes()].concat();
        format!("{}+{id:08x}+{}", self.name, base64::encode(&key))
    }

    /// The name: the origin of the log whose checkpoints the key signs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SM3(name ‖ LF ‖ signature type ‖ key).
    pub fn id(&self) -> [u8; 4] {
        let digest = Sm3::digest(&[self.name.as_bytes(), b"\n", SIGNATURE_TYPE, &self.key.to_bytes()]);
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

/// A tree head that is yet to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    /// The name of the log.
    pub origin: String,
    /// Its size and root.
    pub head: Head,
}

impl Unsigned {
    /// The three lines that the signature covers.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.head.size, base64::encode(&self.head.root))
    }

    /// Lets `signer`, the holder of `key`, sign.
    pub fn sign<S: Signer>(self, key: &VerifierKey, signer: &S) -> Result<Checkpoint, S::Error> {
        let signature = signer.sign(self.text().as_bytes())?;
        Ok(self.signed(key, signature))
    }

    /// Attaches a signature r ‖ s that was made elsewhere. It is checked where the checkpoint is used.
    pub fn signed(self, key: &VerifierKey, signature: [u8; 64]) -> Checkpoint {
        let line = SignatureLine { name: key.name.clone(), bytes: [&key.id()[..], &signature].concat() };
        Checkpoint { body: self, lines: vec![line] }
    }
}

/// A signed tree head. That it parsed says nothing of its signatures: see [`Checkpoint::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// What is signed.
    pub body: Unsigned,
    lines: Vec<SignatureLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SignatureLine {
    name: String,
    /// The key id and what the signature type puts behind it.
    bytes: Vec<u8>,
}

impl Checkpoint {
    /// Reads the note at the beginning of `text`; returns what follows it.
    pub fn parse(text: &str) -> Result<(Self, &str), NoteError> {
        let (origin, rest) = line(text)?;
        let (size, rest) = line(rest)?;
        let (root, rest) = line(rest)?;
        let (blank, mut rest) = line(rest)?;
        let number = size.parse().map_err(|_no_number| NoteError::Malformed)?;
        let root: Digest =
            base64::decode(root).and_then(|root| root.try_into().ok()).ok_or(NoteError::Malformed)?;
        let head = Head { size: number, root };
        if origin.is_empty() || !blank.is_empty() || number.to_string() != size {
            return Err(NoteError::Malformed);
        }
        let mut lines = Vec::new();
        while lines.is_empty() || rest.starts_with(DASH) {
            let (signature, more) = line(rest)?;
            lines.push(SignatureLine::parse(signature)?);
            rest = more;
        }
        Ok((Self { body: Unsigned { origin: origin.to_owned(), head }, lines }, rest))
    }

    /// The note.
    pub fn to_text(&self) -> String {
        let mut out = self.body.text();
        out.push('\n');
        for line in &self.lines {
            out.push_str(&format!("{DASH}{} {}\n", line.name, base64::encode(&line.bytes)));
        }
        out
    }

    /// The head, if at least one of the trusted `keys` signed it and none of their signatures is wrong.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Head, NoteError> {
        let mut verified = Err(NoteError::UnknownKey);
        for line in &self.lines {
            let Some((id, signature)) = line.bytes.split_first_chunk::<4>() else {
                return Err(NoteError::Malformed);
            };
            let Some(key) = keys.iter().find(|key| key.name == line.name && key.id() == *id) else {
                continue;
            };
            if key.name != self.body.origin {
                return Err(NoteError::Origin);
            }
            let signature = Signature(signature.try_into().map_err(|_length| NoteError::Malformed)?);
            key.key
                .verify(DEFAULT_ID, self.body.text().as_bytes(), &signature)
                .map_err(|_opaque| NoteError::BadSignature)?;
            verified = Ok(self.body.head);
        }
        verified
    }
}

impl SignatureLine {
    fn parse(line: &str) -> Result<Self, NoteError> {
        let (name, bytes) =
            line.strip_prefix(DASH).and_then(|line| line.split_once(' ')).ok_or(NoteError::Malformed)?;
        let bytes = base64::decode(bytes).filter(|bytes| bytes.len() > 4).ok_or(NoteError::Malformed)?;
        if name.is_empty() { Err(NoteError::Malformed) } else { Ok(Self { name: name.to_owned(), bytes }) }
    }
}

/// The first line of `text` without its LF, and the rest.
fn line(text: &str) -> Result<(&str, &str), NoteError> {
    text.split_once('\n').ok_or(NoteError::Truncated)
}
