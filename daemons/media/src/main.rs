//! RTP, prompts, tones, digits and taps: the daemon

fn main() {}
