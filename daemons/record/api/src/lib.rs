//! What record offers to its callers: wire types and methods
