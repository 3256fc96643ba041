//! Route's commands, carried out: each is one input to the core, with the descriptors that it needs.

use super::{Word, Worker};
use crate::contract;
use media_core::{
    Input,
    g711::Law,
    session::{Opening, Play, Track},
};
use route_api::{MediaCommand, MediaEvent, MediaRefusal};
use service::clock;
use types::{LegId, Monotonic, RecordingId};

impl Worker {
    pub(super) fn obey(&mut self, command: MediaCommand) {
        let now = clock::monotonic();
        match command {
            MediaCommand::Attached {} => {}
            MediaCommand::Open { leg, offer, memo } => {
                let offer = offer.map(|description| description.0);
                self.open(now, leg, offer.as_deref().map(str::as_bytes), &memo.0);
            }
            MediaCommand::Accept { leg, answer } => {
                if let Err(error) = self.handle(now, Input::Accept(leg, answer.0.as_bytes())) {
                    self.say(MediaEvent::Refused {
                        leg,
                        reason: contract::refusal(&error),
                        detail: error.to_string(),
                    });
                    self.follow(now, Input::Close(leg));
                }
            }
            MediaCommand::Play { leg, play, prompt, times } => {
                let wish = Play { number: play, prompt: prompt.as_str(), times: contract::times(times) };
                match self.handle(now, Input::Play(leg, wish)) {
                    Ok(()) | Err(media_core::Error::NoLeg(_)) => {}
                    Err(error) => {
                        self.say(MediaEvent::NotPlayed { leg, play, prompt, detail: error.to_string() });
                    }
                }
            }
            MediaCommand::Stop { leg } => self.follow(now, Input::Stop(leg)),
            MediaCommand::Bridge { leg, with } => self.follow(now, Input::Bridge(leg, with)),
            MediaCommand::Part { leg } => self.follow(now, Input::Part(leg)),
            MediaCommand::Tap { leg, recording, track } => {
                if self.handle(now, Input::Tap(leg, recording, Track(track))).is_ok() {
                    self.feed(recording);
                }
            }
            MediaCommand::Untap { leg } => self.follow(now, Input::Untap(leg)),
            MediaCommand::Remember { leg, memo } => self.follow(now, Input::Remember(leg, &memo.0)),
            MediaCommand::Capture(copying) => {
                let capture = copying.capture;
                if let Some(theirs) = self.captures.begin(now, copying)
                    && self.words.try_send(Word::Captured(capture, theirs)).is_err()
                {
                    tracing::error!(%capture, "route listens too slowly: it does not hear of a capture");
                }
            }
            MediaCommand::Close { leg } => self.follow(now, Input::Close(leg)),
        }
    }

    fn open(&mut self, now: Monotonic, leg: LegId, offer: Option<&[u8]>, memo: &str) {
        let known = self.by_leg.contains_key(&leg);
        let opened = self.prepare(leg, known).map_err(|error| {
            let detail = error.to_string();
            MediaEvent::Refused { leg, reason: MediaRefusal::NoPort, detail }
        });
        let outcome = opened.and_then(|(port, seed, session)| {
            let address = (self.advertised, port).into();
            let opening = Opening { offer, memo, address, session, seed, preferred: Law::A };
            self.handle(now, Input::Open(leg, opening)).map_err(|error| MediaEvent::Refused {
                leg,
                reason: contract::refusal(&error),
                detail: error.to_string(),
            })
        });
        match outcome {
            Ok(()) if known => self.follow(now, Input::Remember(leg, memo)),
            Ok(()) => {}
            Err(refused) => {
                // A leg that stood before an offer it cannot meet goes on as it was (RFC 3261 §14.1).
                if !known {
                    self.release(leg);
                }
                self.say(refused);
            }
        }
    }

    /// Makes sure that a recording has a way to the record side.
    pub(super) fn feed(&mut self, recording: RecordingId) {
        match self.feeds.open(recording) {
            Ok(None) => {}
            Ok(Some(theirs)) => {
                if self.words.try_send(Word::Feed(recording, theirs)).is_err() {
                    tracing::error!(%recording, "the record side's end of a feed is lost");
                }
            }
            Err(error) => tracing::error!(%error, %recording, "no feed: its batches are dropped and counted"),
        }
    }
}
