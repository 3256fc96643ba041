//! The real daemons against real peers
