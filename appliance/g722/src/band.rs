//! One band's adaptive differential coder (G.722 §3, §4): quantiser, scale factor, predictor.
//!
//! Names of blocks are those of the Recommendation's clause 6. All sums fit 32 bits: factors are 16 bits wide.

/// What both sides of a band know.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    /// The predictor's word for the next sample, and its part from the zeros.
    predicted: i32,
    from_zeros: i32,
    /// Reconstructed signal, partly reconstructed signal, quantised differences: the newest first.
    reconstructed: [i32; 2],
    partial: [i32; 2],
    differences: [i32; 6],
    poles: [i32; 2],
    zeros: [i32; 6],
    /// The scale factor as a logarithm (NBL, NBH) and as it is (DETL, DETH).
    logarithm: i32,
    scale: i32,
}

/// A 6-bit codeword of the low band.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Low(pub u8);

/// A 2-bit codeword of the high band.
#[derive(Clone, Copy, Debug)]
pub(crate) struct High(pub u8);

impl Band {
    /// As both sides begin (G.722 §6.2.1.1, Table 15: DETL 32).
    pub const fn low() -> Self {
        Self::scaled(32)
    }

    /// As both sides begin (DETH 8).
    pub const fn high() -> Self {
        Self::scaled(8)
    }

    const fn scaled(scale: i32) -> Self {
        Self {
            predicted: 0,
            from_zeros: 0,
            reconstructed: [0; 2],
            partial: [0; 2],
            differences: [0; 6],
            poles: [0; 2],
            zeros: [0; 6],
            logarithm: 0,
            scale,
        }
    }

    /// LOGSCL and SCALEL, or LOGSCH and SCALEH.
    fn rescale(&mut self, step: i32, most: i32, exponent: i32) {
        self.logarithm = (((self.logarithm * 127) >> 7) + step).clamp(0, most);
        let mantissa = at(&ILB, (self.logarithm >> 6 & 31) as usize);
        let shift = exponent - (self.logarithm >> 11);
        self.scale = if shift < 0 { mantissa << -shift } else { mantissa >> shift } << 2;
    }

    /// Block 4: RECONS, PARREC, UPPOL2, UPPOL1, UPZERO, DELAYA, FILTEP, FILTEZ, PREDIC.
    fn predict(&mut self, difference: i32) {
        let reconstructed = saturate(self.predicted + difference);
        let partial = saturate(self.from_zeros + difference);
        let same = |one: i32, other: i32| (one < 0) == (other < 0);

        let [first, second] = self.poles;
        let lean = saturate(first << 2);
        let lean = if same(partial, self.partial[0]) { -lean } else { lean }.min(32767);
        let pull = if same(partial, self.partial[1]) { 128 } else { -128 };
        let second = ((lean >> 7) + pull + ((second * 32512) >> 15)).clamp(-12288, 12288);
        let pull = if same(partial, self.partial[0]) { 192 } else { -192 };
        let limit = saturate(15360 - second);
        let first = saturate(pull + ((first * 32640) >> 15)).clamp(-limit, limit);
        self.poles = [first, second];

        let step = if difference == 0 { 0 } else { 128 };
        for (zero, before) in self.zeros.iter_mut().zip(self.differences) {
            let step = if same(before, difference) { step } else { -step };
            *zero = saturate(step + ((*zero * 32640) >> 15));
        }

        self.differences.rotate_right(1);
        self.differences[0] = difference;
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.partial = [partial, self.partial[0]];

        let filter = |factor: i32, signal: i32| (factor * saturate(signal << 1)) >> 15;
        let from_poles = saturate(filter(first, reconstructed) + filter(second, self.reconstructed[1]));
        let sum: i32 = self.zeros.iter().zip(self.differences).map(|(zero, d)| filter(*zero, d)).sum();
        self.from_zeros = saturate(sum);
        self.predicted = saturate(from_poles + self.from_zeros);
    }
}

impl Low {
    /// QUANTL: the codeword of a sample.
    pub fn quantise(band: &Band, sample: i32) -> Self {
        let error = saturate(sample - band.predicted);
        let magnitude = magnitude(error);
        let level = Q6.iter().skip(1).take_while(|q| magnitude >= (**q * band.scale) >> 12).count();
        let table = if error < 0 { &NEGATIVE } else { &POSITIVE };
        Self(table.get(level).copied().unwrap_or(table[29]))
    }

    /// INVQBL and RECONS by all 6 bits, LIMIT: what is heard.
    pub fn reconstruct(self, band: &Band) -> i32 {
        (band.predicted + inverse(band, at(&QM6, self.0.into()))).clamp(-16384, 16383)
    }

    /// INVQAL by the upper 4 bits, then scale and predictor.
    pub fn adapt(self, band: &mut Band) {
        let code = usize::from(self.0 >> 2);
        let difference = inverse(band, at(&QM4, code));
        band.rescale(at(&WL, at(&RL42, code) as usize), 18432, 8);
        band.predict(difference);
    }
}

impl High {
    /// QUANTH.
    pub fn quantise(band: &Band, sample: i32) -> Self {
        let error = saturate(sample - band.predicted);
        let outer = magnitude(error) >= (564 * band.scale) >> 12;
        Self(match (error < 0, outer) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        })
    }

    /// RECONS, LIMIT.
    pub fn reconstruct(self, band: &Band) -> i32 {
        (band.predicted + inverse(band, at(&QM2, self.0.into()))).clamp(-16384, 16383)
    }

    /// INVQAH, then scale and predictor.
    pub fn adapt(self, band: &mut Band) {
        let difference = inverse(band, at(&QM2, self.0.into()));
        band.rescale(if self.0 & 1 == 0 { 798 } else { -214 }, 22528, 10);
        band.predict(difference);
    }
}

pub(crate) fn saturate(value: i32) -> i32 {
    value.clamp(-32768, 32767)
}

const fn magnitude(error: i32) -> i32 {
    if error >= 0 { error } else { -(error + 1) }
}

const fn inverse(band: &Band, level: i32) -> i32 {
    (band.scale * level) >> 15
}

/// The entry of a table that is as long as the codeword is wide.
fn at(table: &[i32], index: usize) -> i32 {
    table.get(index).copied().unwrap_or_default()
}

/// Decision levels of the low band.
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121,
    1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// Codewords by decision interval.
const NEGATIVE: [u8; 30] = [
    63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7,
    6, 5, 4,
];
const POSITIVE: [u8; 30] = [
    61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36,
    35, 34, 33, 32,
];

/// What each 4-bit code adds to the logarithm, by way of RL42.
const WL: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];
const RL42: [i32; 16] = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0];

/// 2^(n/32), scaled by 2048.
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// Output levels by codeword: 4 and 6 bits of the low band, 2 of the high one.
const QM4: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
    -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856,
    7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    -432, -136,
];
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];
