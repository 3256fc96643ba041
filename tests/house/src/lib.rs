//! The permission matrix, units and imports held to configs/house.toml
