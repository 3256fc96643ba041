//! x
pub struct Trial;
pub struct TrialEnd;
