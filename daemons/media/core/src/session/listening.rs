//! A party's voice on its way to an [`Ear`].

use crate::{
    codec::{Codec, Decoder},
    sound::{Ear, Heard},
};

#[derive(Clone, Debug)]
pub(super) struct Listening {
    codec: Codec,
    decoder: Decoder,
    ear: Ear,
    samples: Vec<i16>,
}

impl Listening {
    pub fn new(codec: Codec) -> Self {
        Self { codec, decoder: Decoder::new(codec), ear: Ear::default(), samples: Vec::new() }
    }

    pub fn is_to(&self, codec: Codec) -> bool {
        self.codec == codec
    }

    pub fn listen(&mut self, payload: &[u8], keys: impl FnMut(Heard)) {
        self.samples.clear();
        self.decoder.decode(payload, &mut self.samples);
        self.ear.listen(self.samples.iter().copied(), keys);
    }
}
