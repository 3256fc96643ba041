//! What host offers to its callers: wire types and methods
