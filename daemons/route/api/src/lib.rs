//! What route offers to its callers: wire types and methods
