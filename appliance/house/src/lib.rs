//! The table of daemons, privileges and permitted calls, compiled in from configs/house.toml
