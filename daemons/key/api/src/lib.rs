//! What key offers to its callers: wire types and methods
