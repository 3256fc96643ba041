//! What auth offers to its callers: wire types and methods
