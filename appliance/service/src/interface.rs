//! How an API crate declares what a daemon offers, once, for callers, the daemon, the permission table and
//! introspection.

use crate::error::Refusal;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{marker::PhantomData, os::fd::OwnedFd};
use tokio::sync::{mpsc, oneshot};

/// What one daemon offers. Declared by [`interface!`](crate::interface!).
pub trait Interface: 'static {
    /// The daemon, as named in `configs/house.toml`.
    const DAEMON: &'static str;
    /// All methods, in the order of declaration.
    const METHODS: &'static [MethodFacts];
    /// An enum with one variant a method: its parameters and where the reply goes.
    type Call: Send + 'static;

    /// Decodes one call.
    #[doc(hidden)]
    fn decode(method: &str, parameters: &str, answer: Answer) -> Decoded<Self::Call>;

    /// Refuses one call.
    #[doc(hidden)]
    fn refuse(call: Self::Call, refusal: Refusal);

    /// JSON Schemas of parameters and reply, by method: what introspection and the golden files show.
    fn schemas() -> Vec<(&'static str, schemars::Schema, schemars::Schema)>;
}

/// One method of the interface `I`: the type is its parameters. Interfaces may share a type.
pub trait Method<I: Interface>: Serialize + DeserializeOwned + Send + 'static {
    /// What a reply holds.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    /// The name on the wire.
    const NAME: &'static str;
}

/// What is known of a method without its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodFacts {
    /// The name on the wire.
    pub name: &'static str,
    /// Whether replies go on until one side ends (Varlink's `more`).
    pub streaming: bool,
    /// The first lines of its documentation.
    pub doc: &'static str,
}

/// Declares an interface. Each method is a struct of its parameters whose name is known in the same module.
///
/// ```ignore
/// service::interface! {
///     /// Sealed recordings.
///     pub interface Record = "record" {
///         /// Begins a recording.
///         call Begin -> Begun;
///         /// Follows what changes.
///         stream Follow -> Change;
///     }
/// }
/// ```
#[macro_export]
macro_rules! interface {
    (
        $(#[$doc:meta])*
        pub interface $name:ident = $daemon:literal {
            $($(#[doc = $about:literal])+ $kind:ident $method:ident -> $reply:ty;)*
        }
    ) => {
        $(#[$doc])*
        pub enum $name {}

        /// One call as the daemon receives it: the parameters, and where the reply goes.
        pub enum Call {
            $($(#[doc = $about])+ $method($method, $crate::interface!(@answer $kind $reply)),)*
        }

        impl $crate::Interface for $name {
            const DAEMON: &'static str = $daemon;
            const METHODS: &'static [$crate::MethodFacts] = &[$($crate::MethodFacts {
                name: stringify!($method),
                streaming: $crate::interface!(@streaming $kind),
                doc: concat!($($about, "\n"),+),
            }),*];
            type Call = Call;

            fn decode(
                method: &str,
                parameters: &str,
                answer: $crate::Answer,
            ) -> $crate::private::Decoded<Call> {
                match method {
                    $(stringify!($method) => match $crate::private::from_str::<$method>(parameters) {
                        Ok(parameters) => {
                            $crate::private::Decoded::Call(Call::$method(parameters, answer.into()))
                        }
                        Err(error) => $crate::private::Decoded::Malformed(error, answer),
                    },)*
                    _ => $crate::private::Decoded::NoMethod(answer),
                }
            }

            fn refuse(call: Call, refusal: $crate::Refusal) {
                match call {
                    $(Call::$method(_, reply) => reply.refuse(refusal),)*
                }
            }

            fn schemas() -> Vec<(&'static str, $crate::private::Schema, $crate::private::Schema)> {
                vec![$((
                    stringify!($method),
                    $crate::private::schema_for::<$method>(),
                    $crate::private::schema_for::<$reply>(),
                )),*]
            }
        }

        $(impl $crate::Method<$name> for $method {
            type Reply = $reply;
            const NAME: &'static str = stringify!($method);
        })*
    };
    (@answer call $reply:ty) => { $crate::Reply<$reply> };
    (@answer stream $reply:ty) => { $crate::Replies<$reply> };
    (@streaming call) => { false };
    (@streaming stream) => { true };
}

/// What [`interface!`](crate::interface!) expands to needs; no one else.
#[doc(hidden)]
pub mod private {
    pub use super::Decoded;
    pub use schemars::Schema;
    pub use serde_json::from_str;

    pub fn schema_for<T: schemars::JsonSchema>() -> Schema {
        schemars::SchemaGenerator::default().into_root_schema_for::<T>()
    }
}

/// What became of a call's text.
#[doc(hidden)]
pub enum Decoded<C> {
    /// The call.
    Call(C),
    /// Its parameters have another shape.
    Malformed(serde_json::Error, Answer),
    /// There is no such method.
    NoMethod(Answer),
}

/// Where the frames of one answer go: the connection that asked.
#[doc(hidden)]
pub enum Answer {
    /// One frame.
    #[doc(hidden)]
    Once(Once),
    /// Frames until one side ends.
    #[doc(hidden)]
    Many(Many),
}

/// The way of one frame.
#[doc(hidden)]
pub struct Once(pub(crate) oneshot::Sender<Outgoing>);

/// The way of many.
#[doc(hidden)]
pub struct Many(pub(crate) mpsc::Sender<Outgoing>);

impl Answer {
    /// The last frame. Where it does not go, the connection is gone, or so far behind that its end is what it will
    /// see.
    fn last(self, outcome: Result<Box<RawValue>, Refusal>, descriptors: Vec<OwnedFd>) {
        let last = Outgoing::Last(outcome, descriptors);
        match self {
            Self::Once(Once(once)) => drop(once.send(last)),
            Self::Many(Many(many)) => drop(many.try_send(last)),
        }
    }

    pub(crate) fn refuse(self, refusal: Refusal) {
        self.last(Err(refusal), Vec::new());
    }

    pub(crate) fn say(self, outcome: Result<Box<RawValue>, Refusal>) {
        self.last(outcome, Vec::new());
    }
}

/// One frame on its way to the caller.
pub(crate) enum Outgoing {
    Last(Result<Box<RawValue>, Refusal>, Vec<OwnedFd>),
    More(Box<RawValue>),
}

/// The one reply of a call. Dropped without a reply, the caller is told Unavailable.
pub struct Reply<T> {
    answer: Answer,
    reply: PhantomData<fn(T)>,
}

impl<T> From<Answer> for Reply<T> {
    fn from(answer: Answer) -> Self {
        Self { answer, reply: PhantomData }
    }
}

impl<T: Serialize> Reply<T> {
    /// Answers. A caller that is gone is no error of ours: nothing is left to tell.
    pub fn send(self, outcome: Result<T, Refusal>) {
        self.send_with(outcome, Vec::new());
    }

    /// Refuses.
    pub fn refuse(self, refusal: Refusal) {
        self.answer.refuse(refusal);
    }

    /// Answers with descriptors beside the reply.
    pub fn send_with(self, outcome: Result<T, Refusal>, descriptors: Vec<OwnedFd>) {
        self.answer.last(outcome.and_then(|reply| encode(&reply)), descriptors);
    }
}

/// The replies of a streaming call. Dropped, the stream ends.
pub struct Replies<T> {
    answer: Option<mpsc::Sender<Outgoing>>,
    reply: PhantomData<fn(T)>,
}

impl<T> From<Answer> for Replies<T> {
    fn from(answer: Answer) -> Self {
        // A call that wants one reply is refused before it comes here: its stream would be over at once.
        let answer = match answer {
            Answer::Many(Many(many)) => Some(many),
            Answer::Once(_) => None,
        };
        Self { answer, reply: PhantomData }
    }
}

/// The caller of a stream is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the caller is gone")]
pub struct Gone;

impl<T: Serialize> Replies<T> {
    /// Sends one reply; waits while the caller is behind.
    ///
    /// # Errors
    /// [`Gone`] when the caller has left.
    pub async fn send(&self, reply: T) -> Result<(), Gone> {
        let frame = Outgoing::More(encode(&reply).map_err(|_unencodable| Gone)?);
        self.answer.as_ref().ok_or(Gone)?.send(frame).await.map_err(|_| Gone)
    }

    /// Sends one reply if the caller is not behind by more than the bound of 64 replies.
    ///
    /// # Errors
    /// [`Gone`] when the caller has left or is too far behind; the stream shall then be dropped.
    pub fn try_send(&self, reply: T) -> Result<(), Gone> {
        let frame = Outgoing::More(encode(&reply).map_err(|_unencodable| Gone)?);
        self.answer.as_ref().ok_or(Gone)?.try_send(frame).map_err(|_| Gone)
    }

    /// Ends the stream with a refusal.
    pub fn refuse(self, refusal: Refusal) {
        if let Some(many) = self.answer {
            Answer::Many(Many(many)).refuse(refusal);
        }
    }

    /// Resolves when the caller has left.
    pub async fn gone(&self) {
        if let Some(many) = &self.answer {
            many.closed().await;
        }
    }
}

pub(crate) fn encode<T: Serialize>(reply: &T) -> Result<Box<RawValue>, Refusal> {
    serde_json::value::to_raw_value(reply).map_err(|error| {
        Refusal::unavailable("house.unencodable", format!("a reply has no JSON form: {error}"))
    })
}
