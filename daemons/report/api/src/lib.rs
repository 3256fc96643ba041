//! What report offers to its callers: wire types and methods
