//! What goes into the core and what comes out of it.

use record_api::{Begin, DiskHealth, Finish, Join, Outcome};
use report_api::CallRecord;
use route_api::{
    AttachMedia, AttachSignalling, MediaCommand, MediaEvent, SignallingCommand, SignallingEvent,
};
use settings::{record::Record, route::Route};
use types::{CallId, Extension, Monotonic, RecordingId, Utc};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// For reckoning.
    pub monotonic: Monotonic,
    /// For people and evidence.
    pub utc: Utc,
}

/// What happens to the core.
#[derive(Clone, Debug)]
pub enum Input {
    /// The signalling edge opened its stream.
    SignallingAttached(AttachSignalling),
    /// The media edge opened its stream.
    MediaAttached(AttachMedia),
    /// The stream of an edge ended; it is expected back.
    Lost(Edge),
    /// Something happened to a leg or an endpoint.
    Signalling(SignallingEvent),
    /// Media heard, played or lost something.
    Media(MediaEvent),
    /// record holds the key and the file: taps may be set.
    Begun(RecordingId),
    /// record cannot.
    NotBegun(RecordingId, NotBegun),
    /// record writes this track from now on.
    Joined(RecordingId, u8),
    /// record takes this track not.
    NotJoined(RecordingId, u8),
    /// record has ended the recording, or has none.
    Finished(RecordingId),
    /// An earlier life of record left a recording whose call may be gone.
    LeftBehind(Box<Outcome>),
    /// report has kept the call record.
    Saved(CallId),
    /// How the disk of recordings is from now on.
    Disk(DiskHealth),
    /// New settings hold.
    Settings(Box<Route>),
    /// A new rule of recording holds.
    Rule(Box<Record>),
    /// Time went on.
    Tick,
}

/// What the core wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A command for the signalling edge.
    Signalling(SignallingCommand),
    /// A command for the media edge.
    Media(MediaCommand),
    /// Begin a recording; answered by [`Input::Begun`] or [`Input::NotBegun`].
    RecordBegin(Begin),
    /// Add a party; answered by [`Input::Joined`] or [`Input::NotJoined`].
    RecordJoin(Join),
    /// End a recording: after everything else of this recording, until record has taken it; answered by
    /// [`Input::Finished`], or by [`Input::NotBegun`] where it never began.
    RecordFinish(Finish),
    /// Keep a call record, again and again until report has it; answered by [`Input::Saved`].
    Save(Box<CallRecord>),
}

/// One of the streams that commands go out on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// sip.
    Signalling,
    /// media.
    Media,
}

/// Why record has not begun a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotBegun {
    /// It could not: key, audit or record itself.
    Failed,
    /// The disk has no room, or takes nothing: the settings say what becomes of the call.
    DiskFull,
}

/// Why a person's request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// The settings know no such agent.
    #[error("there is no such agent: add the account under [[route.agents]]")]
    UnknownAgent,
    /// The signalling edge knows no such phone.
    #[error("there is no such phone: add it under [[sip.phones]]")]
    UnknownPhone,
    /// Another agent is signed in there.
    #[error("another agent is signed in at this phone")]
    PhoneTaken,
    /// No state can be set before signing in.
    #[error("the agent is not signed in: sign in with a phone first")]
    SignedOut,
    /// The agent talks, at a phone that cannot be exchanged now.
    #[error("the agent is on a call: change the phone after it")]
    OnCall,
    /// Only Ready, Aux and SignedOut are set by people.
    #[error("a person sets Ready, Aux or SignedOut and nothing else")]
    NotSettable,
    /// A phone that cannot be reached rings for nobody.
    #[error("phone {0} cannot be reached: see that it is on and registered, or sign in at another")]
    PhoneLost(Extension),
    /// The settings name the reasons.
    #[error("auxiliary work has one of these reasons here: {0}")]
    AuxReason(String),
    /// Only a call has after-call work.
    #[error("there is no call whose after-call work this could be")]
    NothingToWrapUp,
    /// The call is over or never was.
    #[error("there is no such live call")]
    UnknownCall,
}
