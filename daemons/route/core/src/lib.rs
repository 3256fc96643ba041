//! The core of route: live calls, queues and agents, without a clock, a socket or a thread.
//!
//! Owns every decision about a live call: which flow takes it, who waits where and in which order, whom an
//! offer goes to, when a recording begins, and what its call record says. Never speaks SIP or RTP, never
//! reads a clock, never waits: [`Router::handle`] takes one [`Input`] and the moment, then [`Router::poll`]
//! gives the [`Output`]s, and [`Router::wake`] says when to come again.
//!
//! ```text
//!                        Choosing (a menu)
//!                          ▲ │
//!                          │ ▼
//!  Offered ─► Arriving ─► Playing ─► Waiting ◄───────── RONA, refused, lost phone ─┐
//!                │           │          │  └─► Offering (open, dial, ring, connect) ┤
//!                │           │          │            │ answered                     │
//!                │           │          │            ▼                              │
//!                │           │          │         Talking                           │
//!                ▼           ▼          ▼            ▼                              │
//!              Ending ── every leg over, or a bounded time passed ──► call record   │
//!                                                                                   │
//!  SignedOut ◄─► Aux ◄─► Ready ─► Offered ─► Talking ─► WrapUp ─► Ready             │
//!                 ▲                  └── no answer ─────────────────────────────────┘
//!                 └────────────────────── with a reason
//! ```
//!
//! Every call ends in exactly one call record. An agent is Offered or Talking only with a live call that
//! says the same. A caller keeps its place in a queue until somebody has answered. What route must find again
//! after a restart travels as the memo of the caller's leg (calls, until all of them is kept) and as a
//! [`Roster`] (agents).

mod agent;
mod bench;
mod calendar;
mod call;
mod digits;
mod estimate;
mod flows;
mod history;
mod ids;
mod input;
mod leg;
mod memo;
mod outside;
mod plan;
mod router;
mod saying;
mod trial;

pub use agent::Roster;
pub use flows::{FlowVersion, Flows};
pub use input::{DeskError, Edge, Input, Moment, NotBegun, Output};
pub use memo::MOST as MEMO_MOST;
pub use router::Router;
pub use trial::{Trial, TrialEnd};
