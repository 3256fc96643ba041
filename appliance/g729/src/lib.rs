//! ITU-T G.729 (CS-ACELP): telephone speech in 8 kbit/s, as it stands in RTP (RFC 3551 §4.5.6).
//!
//! Owns hearing it: a payload becomes samples at 8 kHz, what was lost is concealed as the Recommendation says
//! (§4.4), silence that is only described (Annex B) becomes comfort noise. No input makes it panic. Speaking it is
//! [`Encode`]: a library of the customer's, handed in ([`Library`]); why, docs/adr/0010 says.
//!
//! ```text
//!   payload ─┬─ 10 octets each ─► speech, 10 ms ──┐
//!            └─ 2 octets, last ─► a description ──┤
//!   nothing came ─┬─ after speech ──► concealed ──┼─► 80 samples
//!                 └─ after a description ─► noise ┘
//! ```

use oxideav_g729::{
    annex_b::{AnnexBFrame, AnnexBOutput, AnnexBStreamDecoder, SidFrame},
    fx::{
        decoder::{DecodedFrameFx, FrameDecoderFx},
        postfilter::PostfilterFx,
    },
    parameters::unpack_bit_array,
};
use std::fmt;

/// Samples of a frame: 10 ms.
pub const SAMPLES: usize = 80;
/// Octets of a frame of speech.
pub const OCTETS: usize = 10;
/// Octets of a description of silence (Annex B §B.4.3).
pub const DESCRIPTION: usize = 2;

/// What speaks G.729.
pub trait Library: fmt::Debug + Send + Sync {
    /// An encoder at its beginning; `None` where there is no memory for one.
    fn encoder(&self) -> Option<Box<dyn Encode>>;
}

/// Speech to octets. What follows depends on all that came before.
pub trait Encode: fmt::Debug + Send {
    /// The frame of these samples: always speech, never a description of silence.
    fn encode(&mut self, samples: &[i16; SAMPLES]) -> [u8; OCTETS];
}

/// Samples that a payload of this length stands for. Octets that are neither speech nor a description stand for
/// nothing.
pub const fn samples(length: usize) -> usize {
    (length / OCTETS + (length % OCTETS == DESCRIPTION) as usize) * SAMPLES
}

/// Octets to speech. What follows depends on all that came before; after a loss it finds back by itself.
#[derive(Clone)]
pub struct Decoder {
    speech: FrameDecoderFx,
    filter: PostfilterFx,
    /// While the party is silent and says how.
    silence: Option<Box<AnnexBStreamDecoder>>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("silent", &self.silence.is_some()).finish_non_exhaustive()
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self { speech: FrameDecoderFx::new(), filter: PostfilterFx::new(), silence: None }
    }
}

impl Decoder {
    /// Appends the samples of a payload, as many as [`samples`] says.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        let (frames, rest) = payload.as_chunks::<OCTETS>();
        for frame in frames {
            self.silence = None;
            let bits = std::array::from_fn(|at| frame[at / 8] << (at % 8) & 0x80 != 0);
            let decoded = self.speech.decode_frame(&unpack_bit_array(&bits));
            self.speech.erasure_periodic = self.finish(&decoded, out);
        }
        if let Ok(description) = <[u8; DESCRIPTION]>::try_from(rest) {
            self.silence.get_or_insert_default();
            self.noise(&AnnexBFrame::Sid(described(description)), out);
        }
    }

    /// Appends the [`SAMPLES`] that are heard where a frame did not come: speech that fades, or the noise that was
    /// described last.
    pub fn conceal(&mut self, out: &mut Vec<i16>) {
        if self.silence.is_some() {
            return self.noise(&AnnexBFrame::Untransmitted, out);
        }
        if mutant::mutant("g729-loss-is-a-hole") {
            return out.extend([0; SAMPLES]);
        }
        let made = self.speech.decode_erased_frame();
        self.finish(&made, out);
    }

    /// The end of both: the post-filter (§4.2). Whether the frame is periodic, for the concealment of what follows.
    fn finish(&mut self, frame: &DecodedFrameFx, out: &mut Vec<i16>) -> bool {
        // Both halves are searched about the delay of the first (§4.2.1).
        let delay = usize::try_from(frame.sub[0].t_int).unwrap_or(0).max(1);
        let mut periodic = false;
        for (half, part) in frame.speech.as_chunks().0.iter().zip(&frame.sub) {
            let (filtered, decision) = self.filter.process_subframe(half, &part.a_q12, delay);
            periodic |= decision.gain_q15 > 0;
            out.extend(filtered);
        }
        periodic
    }

    fn noise(&mut self, frame: &AnnexBFrame, out: &mut Vec<i16>) {
        let made = self.silence.as_mut().and_then(|silence| silence.decode_frame(frame).ok());
        match made {
            Some(AnnexBOutput::ComfortNoise { pcm, .. }) => {
                out.extend(pcm.iter().map(|sample| sample.round() as i16));
            }
            _ => out.extend([0; SAMPLES]),
        }
    }
}

/// The fields of a description (Table B.2), the first in the highest bits.
fn described(octets: [u8; DESCRIPTION]) -> SidFrame {
    let bits = u16::from_be_bytes(octets);
    let field = |below: u32, width: u32| (bits >> below & ((1 << width) - 1)) as u8;
    SidFrame { lp0: field(15, 1), l1: field(10, 5), l2: field(6, 4), gain: field(1, 5) }
}

#[cfg(test)]
mod tests;
