//! What is read: the 49 messages of RFC 4475, the corpus of the fuzz targets, and mutants of all of them from a seed.

use std::{fs, io, path::Path};

/// Every file of a folder, by name.
///
/// # Errors
/// It cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.is_file() && path.extension().is_none_or(|kind| kind != "md"));
    paths.sort();
    let read = |path: &std::path::PathBuf| Ok((path.display().to_string(), fs::read(path)?));
    paths.iter().filter(|path| !path.ends_with(".gitattributes")).map(read).collect()
}

/// Chance from a seed (SplitMix64).
pub struct Chance(pub u64);

impl Chance {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound.max(1) as u64) as usize
    }

    /// One of the seeds, changed in one to four places.
    pub fn mutant(&mut self, seeds: &[(String, Vec<u8>)]) -> Vec<u8> {
        const TEXTS: [&[u8]; 14] = [
            b"\r\n",
            b" ",
            b"\t",
            b";",
            b",",
            b"\"",
            b"<",
            b">",
            b"%00",
            b"%",
            b":",
            b"\xd5\xc5",
            b"99999999999",
            b"=",
        ];
        let mut bytes = seeds[self.below(seeds.len())].1.clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => drop(bytes.splice(at..at, TEXTS[self.below(TEXTS.len())].iter().copied())),
                3 => bytes.truncate(at),
                // A line twice, or in the place of another.
                kind => {
                    let mut lines: Vec<Vec<u8>> =
                        bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
                    if lines.len() > 1 {
                        let (from, to) = (self.below(lines.len()), 1 + self.below(lines.len() - 1));
                        if kind == 4 {
                            lines.insert(to, lines[from].clone());
                        } else {
                            lines.swap(from, to);
                        }
                        bytes = lines.concat();
                    }
                }
            }
        }
        bytes
    }
}
