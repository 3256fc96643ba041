//! The skeleton of every daemon: readiness, watchdog, IPC with streams and descriptors, peer check
