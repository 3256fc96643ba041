//! What can still be read of a file that was cut off or damaged.

use crate::{Chunk, Dek, Ending, Error, FRAME_LEN, Frame, HEADER_LEN, Opener, Position};

/// What a salvage found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvage {
    /// Chunks that opened.
    pub opened: u32,
    /// Chunks that are there but were refused.
    pub damaged: Vec<u32>,
    /// How the file ended.
    pub ending: Ending,
}

/// Opens every whole chunk of `file` and hands it to `each`; a refused chunk is stepped over as long as the
/// next frame stands where it says. Fails only where the header itself is not right for `dek`.
pub fn salvage(dek: &Dek, file: &[u8], mut each: impl FnMut(Chunk)) -> Result<Salvage, Error> {
    let (header, mut rest) =
        file.split_first_chunk::<HEADER_LEN>().ok_or(Error::Malformed("shorter than a header"))?;
    let opener = Opener::new(dek, header)?;
    let mut found = Salvage { opened: 0, damaged: Vec::new(), ending: truncated(0, rest) };
    let mut expected = 0_u32;
    while let Some((frame, sealed, behind)) = next(rest, expected) {
        let opened = opener.open(frame, sealed);
        let last = opened.is_ok() && frame.position == Position::Last;
        match opened {
            Ok(chunk) => {
                found.opened = found.opened.saturating_add(1);
                each(chunk);
            }
            // The reason is always the same, that this chunk is not authentic; its index says which.
            Err(_not_authentic) => found.damaged.push(expected),
        }
        let Some(following) = expected.checked_add(1) else { break };
        (expected, rest) = (following, behind);
        if last && rest.is_empty() {
            found.ending = Ending::Complete;
            return Ok(found);
        }
        found.ending = truncated(expected, rest);
    }
    Ok(found)
}

/// The whole chunk at the front of `rest` with this index, and what is behind it.
fn next(rest: &[u8], expected: u32) -> Option<(Frame, &[u8], &[u8])> {
    let (frame, behind) = rest.split_first_chunk::<FRAME_LEN>()?;
    let frame = Frame::from_bytes(frame).ok().filter(|frame| frame.index == expected)?;
    let (sealed, behind) = behind.split_at_checked(frame.sealed_len)?;
    Some((frame, sealed, behind))
}

const fn truncated(missing: u32, rest: &[u8]) -> Ending {
    Ending::Truncated { missing, torn: rest.len() }
}
