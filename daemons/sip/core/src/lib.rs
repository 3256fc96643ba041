//! SIP trunks and phones: the sans-IO core
