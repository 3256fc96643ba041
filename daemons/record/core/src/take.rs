//! One life of a recording: tap frames in, bytes of one sealed file out.

use crate::Error;
use envelope::{
    Body, Dek, HEADER_LEN, Header, Media, PayloadType, Record, RtpTimestamp, Sealer, Track, TrackDescription,
};
use mutant::mutant;
use record_api::{
    Consent,
    tap::{self, Frame, Kind},
};
use std::{collections::BTreeMap, time::Duration};
use types::Monotonic;

/// One file being sealed. A track without consent is left out of it, whatever is fed.
pub struct Take {
    sealer: Sealer,
    /// The moment that the header names as the start, on the line of tap frames.
    start: Monotonic,
    tracks: BTreeMap<u8, Party>,
    counts: Counts,
}

/// One party.
struct Party {
    leg: String,
    consent: bool,
    described: Vec<u8>,
    latest: Option<Duration>,
}

/// What went into the file, and what did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets sealed.
    pub packets: u64,
    /// Packets that media had to drop before they came here.
    pub lost: u64,
    /// Packets left out: no consent, a track that nobody announced, or a moment that is yet to come.
    pub masked: u64,
}

impl Take {
    /// Begins a file; the header is to be written first. `start` is the same moment as `header.start`.
    pub fn new(dek: &Dek, header: Header, start: Monotonic) -> (Self, [u8; HEADER_LEN]) {
        let (sealer, bytes) = Sealer::new(dek, header);
        (Self { sealer, start, tracks: BTreeMap::new(), counts: Counts::default() }, bytes)
    }

    /// Admits a party, with its consent or without.
    pub fn join(&mut self, track: &record_api::Track) {
        let consent = !matches!(track.consent, Consent::Refused {}) || mutant("consent-ignored");
        let party = Party { leg: track.leg.to_string(), consent, described: Vec::new(), latest: None };
        self.tracks.insert(track.track, party);
    }

    /// Takes one batch as it came from the feed and appends whole chunks to `out`. A frame of a later moment
    /// than `now` cannot be, and is left out.
    ///
    /// # Errors
    /// The batch is malformed, which leaves the file as it was, or sealing is not possible any more.
    pub fn batch(&mut self, now: Monotonic, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let (kind, frames) = tap::read(bytes).ok_or(Error::MalformedBatch)?;
        for frame in frames {
            if Monotonic(frame.media_time) > now {
                self.counts.masked += 1;
                continue;
            }
            match kind {
                Kind::Audio => self.audio(&frame, out)?,
                Kind::Dropped => self.gap(&frame, out)?,
            }
        }
        Ok(())
    }

    /// Appends what waits as a whole chunk.
    ///
    /// # Errors
    /// Sealing is not possible any more.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        Ok(self.sealer.flush(out)?)
    }

    /// Ends the file with the chunk that says it is the last.
    ///
    /// # Errors
    /// Sealing is not possible any more.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<Counts, Error> {
        self.sealer.finish(out)?;
        Ok(self.counts)
    }

    /// What went into the file so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    fn audio(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let time = Monotonic(frame.media_time).since(self.start);
        let Some(party) = self.tracks.get_mut(&frame.track).filter(|party| party.consent) else {
            self.counts.masked += 1;
            return Ok(());
        };
        let track = Track(frame.track);
        if !party.described.contains(&frame.payload_type) {
            party.described.push(frame.payload_type);
            let description = TrackDescription {
                payload_type: PayloadType(frame.payload_type),
                party: &party.leg,
                codec: codec(frame.payload_type),
                parameters: "",
            };
            self.sealer.push(&Record { track, time, body: Body::Track(description) }, out)?;
        }
        party.latest = party.latest.max(Some(time));
        let media = Media {
            timestamp: RtpTimestamp(frame.timestamp),
            payload_type: PayloadType(frame.payload_type),
            payload: frame.payload,
        };
        self.sealer.push(&Record { track, time, body: Body::Media(media) }, out)?;
        self.counts.packets += 1;
        Ok(())
    }

    /// Media dropped frames because this side did not keep up: every track has a gap up to now.
    fn gap(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        self.counts.lost += u64::from(frame.timestamp);
        let now = Monotonic(frame.media_time).since(self.start);
        for (track, party) in &mut self.tracks {
            let Some(latest) = &mut party.latest else { continue };
            let body = Body::Gap { lasting: now.saturating_sub(*latest), cause: "hand-over-full" };
            // The next gap begins where this one ends.
            *latest = now.max(*latest);
            self.sealer.push(&Record { track: Track(*track), time: now, body }, out)?;
        }
        Ok(())
    }
}

/// The static payload types of RFC 3551 §6 that a leg can have here.
const fn codec(payload_type: u8) -> &'static str {
    match payload_type {
        0 => "PCMU/8000",
        8 => "PCMA/8000",
        9 => "G722/8000",
        18 => "G729/8000",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::{KeyReference, NoncePrefix, ObjectId, Opener, Segment};
    use record_api::{PartyRole, tap::Batch};
    use types::{LegId, Uid, Utc};

    const LATER: Monotonic = Monotonic(100_000_000_000);

    fn track(track: u8, consent: Consent) -> record_api::Track {
        record_api::Track { track, leg: LegId(Uid([track; 16])), party: PartyRole::Customer, consent }
    }

    fn frame(track: u8, n: u16) -> Vec<u8> {
        let mut batch = Batch::default();
        assert!(batch.push(&Frame {
            track,
            payload_type: 8,
            sequence: n,
            timestamp: 160 * u32::from(n),
            media_time: 1_000_000_000 + 20_000_000 * u64::from(n),
            payload: &[track; 160],
        }));
        batch.take()
    }

    /// Media payloads and gaps of a finished file.
    fn read(dek: &Dek, header: &[u8; HEADER_LEN], file: &[u8]) -> (Vec<(u8, Vec<u8>)>, usize) {
        let mut opener = Opener::new(dek, header).unwrap();
        opener.feed(file);
        let (mut media, mut gaps) = (Vec::new(), 0);
        while let Some(chunk) = opener.poll().unwrap() {
            for record in chunk.records() {
                match record.body {
                    Body::Media(m) => media.push((record.track.0, m.payload.to_vec())),
                    Body::Gap { .. } => gaps += 1,
                    _ => {}
                }
            }
        }
        assert_eq!(opener.end(), envelope::Ending::Complete);
        (media, gaps)
    }

    fn take() -> (Dek, Take, [u8; HEADER_LEN]) {
        let dek = Dek::from_bytes([7; 16]);
        let header = Header {
            object: ObjectId(Uid([1; 16])),
            key: KeyReference(Uid([2; 16])),
            segment: Segment(0),
            start: Utc(0),
            prefix: NoncePrefix([3; 7]),
        };
        let (take, bytes) = Take::new(&dek, header, Monotonic(1_000_000_000));
        (dek, take, bytes)
    }

    #[test]
    fn what_is_fed_is_sealed_in_order() {
        let (dek, mut take, header) = take();
        take.join(&track(0, Consent::Employed {}));
        let mut out = Vec::new();
        for n in 0..100 {
            take.batch(LATER, &frame(0, n), &mut out).unwrap();
        }
        let counts = take.finish(&mut out).unwrap();
        let (media, gaps) = read(&dek, &header, &out);
        assert_eq!((media.len(), gaps, counts.packets), (100, 0, 100));
    }

    #[test]
    fn a_party_without_consent_and_an_unknown_one_are_left_out() {
        let (dek, mut take, header) = take();
        take.join(&track(0, Consent::Employed {}));
        take.join(&track(1, Consent::Refused {}));
        let mut out = Vec::new();
        for n in 0..3 {
            for track in 0..3 {
                take.batch(LATER, &frame(track, n), &mut out).unwrap();
            }
        }
        let counts = take.finish(&mut out).unwrap();
        let (media, _) = read(&dek, &header, &out);
        assert!(media.iter().all(|(track, _)| *track == 0), "{media:?}");
        assert_eq!((media.len(), counts.masked), (3, 6));
    }

    #[test]
    fn dropped_frames_leave_a_gap_and_a_count() {
        let (dek, mut take, header) = take();
        take.join(&track(0, Consent::Employed {}));
        let mut out = Vec::new();
        take.batch(LATER, &frame(0, 0), &mut out).unwrap();
        take.batch(LATER, &Batch::dropped(5, 1_200_000_000), &mut out).unwrap();
        take.batch(LATER, &frame(0, 20), &mut out).unwrap();
        take.batch(Monotonic(1_100_000_000), &frame(0, 30), &mut out).unwrap();
        assert!(matches!(take.batch(LATER, b"nonsense", &mut out), Err(Error::MalformedBatch)));
        let counts = take.finish(&mut out).unwrap();
        let (media, gaps) = read(&dek, &header, &out);
        assert_eq!((media.len(), gaps, counts.lost, counts.masked), (2, 1, 5, 1));
    }
}
