//! Route's commands, carried out: each is one input to the core, with the descriptors that it needs.

use super::{Word, Worker};
use crate::contract;
use media_core::{
    Input,
    session::{Opening, Play, Track},
    srtp::Policy,
};
use route_api::{MediaCommand, MediaEvent, MediaRefusal, Times, capture::Copying};
use service::clock;
use std::os::fd::OwnedFd;
use types::{LegId, Monotonic, Name, RecordingId};

impl Worker {
    pub(super) fn obey(&mut self, command: MediaCommand) {
        let now = clock::monotonic();
        match command {
            MediaCommand::Attached {} => {
                for copying in self.captures.going(now) {
                    self.captured(copying, None);
                }
            }
            MediaCommand::Open { leg, offer, memo, beside, over } => {
                let offer = offer.map(|description| description.0);
                let policy = self.speech.policy_of(over.as_ref());
                self.open(now, leg, offer.as_deref().map(str::as_bytes), &memo.0, (beside, policy));
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
            MediaCommand::Early { leg, answer, to } => {
                let answer = answer.0.as_bytes();
                if let Err(error) = self.handle(now, Input::Early { leg, answer, to }) {
                    // The caller hears the house's own tone, and the call goes on.
                    tracing::info!(%leg, %error, "no early media");
                }
            }
            MediaCommand::Play { leg, play, prompts, times } => self.play(now, leg, play, &prompts, times),
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
                if let Some(theirs) = self.captures.begin(now, copying.clone()) {
                    self.captured(copying, Some(theirs));
                }
            }
            MediaCommand::Close { leg } => self.follow(now, Input::Close(leg)),
        }
    }

    fn captured(&self, copying: Copying, theirs: Option<OwnedFd>) {
        let capture = copying.capture;
        if self.words.try_send(Word::Captured(copying, theirs)).is_err() {
            tracing::error!(%capture, "route listens too slowly: it does not hear of a capture");
        }
    }

    fn play(&mut self, now: Monotonic, leg: LegId, play: u32, prompts: &[Name], times: Times) {
        let names: Vec<&str> = prompts.iter().map(Name::as_str).collect();
        let wish = Play { number: play, prompts: &names, times: contract::times(times) };
        let Err(error) = self.handle(now, Input::Play(leg, wish)) else { return };
        let missing = match &error {
            media_core::Error::NoLeg(_) => return,
            media_core::Error::NoPrompt(name) => prompts.iter().find(|prompt| prompt.as_str() == name),
            _ => prompts.first(),
        };
        match missing.cloned() {
            Some(prompt) => self.say(MediaEvent::NotPlayed { leg, play, prompt, detail: error.to_string() }),
            None => tracing::error!(%leg, %error, "route asked for nothing to be played"),
        }
    }

    fn open(
        &mut self,
        now: Monotonic,
        leg: LegId,
        offer: Option<&[u8]>,
        memo: &str,
        (beside, policy): (Option<LegId>, Policy),
    ) {
        let known = self.by_leg.contains_key(&leg);
        let opened = self.prepare(leg, known).map_err(|error| (MediaRefusal::NoPort, error.to_string()));
        let outcome = opened.and_then(|(port, seed, session, keying)| {
            let address = (self.advertised, port).into();
            let codecs = self.speech.codecs.clone();
            let (codecs, keying) = (&*codecs, &keying);
            let opening = Opening { offer, memo, address, session, seed, codecs, beside, policy, keying };
            let handled = self.handle(now, Input::Open(leg, opening));
            handled.map_err(|error| (contract::refusal(&error), error.to_string()))
        });
        match outcome {
            Ok(()) if known => self.follow(now, Input::Remember(leg, memo)),
            Ok(()) => {}
            Err((reason, detail)) => {
                // A leg that stood before an offer it cannot meet goes on as it was (RFC 3261 §14.1).
                if !known {
                    self.release(leg);
                }
                self.say(MediaEvent::Refused { leg, reason, detail });
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
