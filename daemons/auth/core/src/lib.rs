//! Accounts, roles and assertions: the sans-IO core
