//! All cores on one fake clock and a seeded lossy network
