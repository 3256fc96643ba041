//! What a loss of power leaves of a file: it ends anywhere, and may be zeros from there on.

use super::*;

impl House {
    /// A recording that a kill cut off, and its bytes.
    async fn cut_off(&mut self) -> Vec<u8> {
        self.begin().await.unwrap();
        let feed = self.feed().await;
        let recorder = Arc::clone(&self.recorder);
        recorder.take_up_what_a_crash_left();
        for n in 0..4 {
            say(&feed, CALLER, n);
            // Longer than what waits is kept back: each is a chunk.
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        let path = self.shelf().sealed_path(RECORDING, Segment(0));
        let bytes = fs::read(&path).unwrap();
        self.restart();
        // Nobody writes there any more.
        let aside = path.with_extension("cut");
        fs::rename(&path, &aside).unwrap();
        fs::copy(aside, &path).unwrap();
        bytes
    }
}

/// Mutant record-zeros-are-damage.
#[tokio::test]
async fn a_file_that_is_zeros_from_somewhere_on_opens_up_to_there_and_is_called_truncated() {
    let mut house = House::new();
    let bytes = house.cut_off().await;
    let path = house.shelf().sealed_path(RECORDING, Segment(0));
    let index = |bytes: &[u8]| {
        let mut index = envelope::Index::new();
        while let Some(at) = index.wanted().map(|at| at as usize).filter(|at| at + 16 <= bytes.len()) {
            index.push(bytes[at..at + 16].try_into().unwrap()).unwrap();
        }
        index.chunks().iter().map(|chunk| chunk.offset as usize).collect::<Vec<_>>()
    };
    let chunks = index(&bytes);
    assert!(chunks.len() >= 3, "{chunks:?}");
    let (last, end) = (*chunks.last().unwrap(), bytes.len());
    let whole = |left: usize| {
        chunks.iter().zip(chunks.iter().skip(1).chain([&end])).filter(|(_, end)| **end <= left).count()
    };
    fs::write(&path, &bytes).unwrap();
    house.finish().await.unwrap();
    for left in [0, 10, 104, 110, last, last + 3, last + 16, last + 40, end - 17, end] {
        for zeros in [0, 1, 20, 5_000, 20_000] {
            if left == end && zeros > 0 && zeros < 16 {
                continue;
            }
            let mut torn = bytes[..left].to_vec();
            torn.resize(left + zeros, 0);
            fs::write(&path, &torn).unwrap();
            let found = house.verify().await;
            assert_eq!(
                (found.first_bad_byte, found.chunks),
                (None, whole(left) as u64),
                "{left} bytes, {zeros} zeros"
            );
            assert!(
                house.export(Role::Supervisor, "what is left").await.0.is_ok(),
                "{left} bytes, {zeros} zeros"
            );
            let tail = open::tail(&path).unwrap();
            assert!(matches!(tail, open::Tail::CutOff { .. }), "{left} bytes, {zeros} zeros: {tail:?}");
        }
    }
    for changed in [104, last - 1, last + 20, end - 1] {
        let mut other = bytes.clone();
        other[changed] ^= 1;
        fs::write(&path, &other).unwrap();
        assert!(house.verify().await.first_bad_byte.is_some(), "byte {changed} is another");
    }
}
