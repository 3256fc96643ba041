//! The quadrature mirror filters (G.722 §3.1, §4.4): 24 taps that split a band in two and join two into one.

use crate::band::saturate;

/// Every other tap of the filter; the rest are the same backwards (G.722 Table 11).
const TAPS: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// The samples that a filter still needs: pairs, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Qmf([[i32; 2]; 12]);

/// Sound at 8 kHz made sound at 16 kHz, by the filter that joins the bands, with a high band of nothing.
#[derive(Clone, Debug, Default)]
pub struct Doubler(Qmf);

impl Qmf {
    /// Low and high band of two samples (XL, XH).
    pub fn split(&mut self, [one, two]: [i16; 2]) -> (i32, i32) {
        let (first, second) = self.filter([one.into(), two.into()]);
        ((second + first) >> 14, (second - first) >> 14)
    }

    /// Two samples of low and high band.
    pub fn join(&mut self, low: i32, high: i32) -> [i16; 2] {
        let (two, one) = self.filter([low + high, low - high]);
        [one, two].map(|sample| saturate(sample >> 11) as i16)
    }

    fn filter(&mut self, newest: [i32; 2]) -> (i32, i32) {
        self.0.rotate_left(1);
        self.0[11] = newest;
        let pairs = self.0.iter().zip(TAPS).zip(TAPS.iter().rev());
        pairs.fold((0, 0), |(first, second), ((pair, tap), mirrored)| {
            (first + pair[0] * tap, second + pair[1] * mirrored)
        })
    }
}

impl Doubler {
    /// The two samples that stand for one, 0.75 ms late.
    pub fn double(&mut self, sample: i16) -> [i16; 2] {
        self.0.join(i32::from(sample) >> 1, 0)
    }
}
