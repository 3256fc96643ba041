//! What a signing key is for: each purpose has a key of its own, so that no signature passes for another.

use std::fmt;

macro_rules! purposes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $text:literal;)*) => {
        /// What a signing key is for. The number stands in the token and never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Purpose { $($(#[doc = $doc])+ $name,)* }

        impl Purpose {
            /// Every purpose.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The number in the token.
            pub const fn code(self) -> u8 {
                match self { $(Self::$name => $code),* }
            }

            /// The name in files and messages.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

purposes! {
    /// Checkpoints of the audit log.
    AuditLog = 1, "audit-log";
    /// Assertions of who is logged in.
    Assertion = 2, "assertion";
}

impl Purpose {
    /// The SM2 identity under which the key signs.
    pub const fn identity(self) -> &'static [u8] {
        match self {
            Self::AuditLog | Self::Assertion => gm::sm2::DEFAULT_ID,
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
