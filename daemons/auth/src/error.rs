//! What can go wrong in the daemon itself.

/// What was attempted and failed. Callers hear of it as Unavailable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store.
    #[error("keep the accounts: {0}")]
    Store(#[from] store::Error),
    /// The store refused a batch that expected nothing.
    #[error("keep the accounts: the batch was refused: {0:?}")]
    Refused(store::Outcome),
    /// The kernel's random source.
    #[error("draw random bytes: {0}")]
    Random(#[from] gm::Error),
    /// argon2.
    #[error(transparent)]
    Hash(#[from] auth_core::HashError),
    /// A password that was made here is too long.
    #[error("make a password: {0}")]
    Password(#[from] auth_api::TooLong),
    /// The file of the set-up password.
    #[error("write {path}: {source}")]
    File {
        /// Which.
        path: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A second factor was sealed under another token's key, or its row was changed.
    #[error(
        "open the second factor of {0}: it was sealed under another token, or changed (bring back the token that \
         belongs to these accounts)"
    )]
    Sealed(types::PersonId),
    /// A factor has no form in bytes.
    #[error("keep a second factor: {0}")]
    Form(postcard::Error),
    /// A code that was made here is too long.
    #[error("make a recovery code: {0}")]
    Code(#[from] auth_api::CodeTooLong),
    /// A hand of the hashing is gone.
    #[error("hash a password: {0}")]
    Worker(String),
    /// key answered something that is no signature.
    #[error("sign an assertion: key answered no signature")]
    NoSignature,
}

impl From<Error> for service::Refusal {
    fn from(error: Error) -> Self {
        tracing::error!(%error, "an act failed");
        Self::unavailable("auth.unavailable", error.to_string())
    }
}
