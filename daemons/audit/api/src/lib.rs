//! What audit offers to its callers: wire types and methods
