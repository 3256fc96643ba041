//! Typed tables on sled with group commit, idempotency ids, a change feed and leases
