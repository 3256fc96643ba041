//! RTP, prompts, tones, digits and taps: the sans-IO core
