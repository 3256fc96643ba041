//! Live contacts, queues, agents and flows: the sans-IO core
