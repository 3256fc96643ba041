//! What goes on now, pushed to whoever looks at it.
//!
//! ```text
//!   route ── Watch ──> feed (one stream, the state) ──> socket ──> browser      each filtered by the person's roles
//!   host, record ────> alarms ──────────────────────┘
//! ```
//!
//! One stream for all: it is opened with the assertion of somebody who looks, and only while somebody does. A browser
//! that does not read loses its socket and begins anew with the whole.

mod alarms;
mod feed;
mod message;
mod socket;

pub use alarms::{Alarm, Severity, Signs, alarms};
pub use feed::{Feed, start};
pub use message::{LiveMessage, sees};
pub use socket::serve;
