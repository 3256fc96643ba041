//! What report offers: the call record, and queries over call records.

mod call_record;
#[cfg(feature = "wire")]
mod query;

pub use call_record::*;
#[cfg(feature = "wire")]
pub use query::*;
/// What became of a recording, as record tells it.
pub use record_api::Outcome as RecordingOutcome;

#[cfg(feature = "wire")]
service::interface! {
    /// Call records and figures.
    pub interface Report = "report" {
        /// Keeps a call record; durable when answered. The same call again changes nothing.
        call Save -> Saved;
        /// Call records, the newest first.
        call List -> CallRecordList;
        /// One call record.
        call Show -> CallRecord;
        /// Says what became of a recording; durable when answered.
        call Amend -> Amended;
        /// What proves calls, for `ym reconcile`.
        call Ledger -> LedgerPage;
    }
}
