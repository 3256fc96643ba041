//! media's words in the words of the leg contract, as its shell says them.

use media_core::{
    Error, Event,
    session::{self, Times},
};
use route_api::{Extent, MediaEvent, MediaRefusal, Quality, SessionDescription};
use types::{Monotonic, Utc};

/// 2026-11-21 in UTC, at the beginning of the fake clock.
const EPOCH: i64 = 1_795_219_200_000_000_000;

/// The calendar's word for a moment.
pub fn utc(moment: Monotonic) -> Utc {
    Utc(EPOCH + moment.0 as i64)
}

/// An event as route hears it.
pub fn event(event: Event) -> Option<MediaEvent> {
    Some(match event {
        Event::Opened { leg, description } => {
            MediaEvent::Opened { leg, description: SessionDescription(description) }
        }
        Event::Accepted { leg } => MediaEvent::Accepted { leg },
        Event::Played { leg, play, prompt, digest, began, ended, extent } => MediaEvent::Played {
            leg,
            play,
            prompt: prompt.parse().ok()?,
            digest: digest.to_string(),
            began: utc(began),
            ended: utc(ended),
            extent: match extent {
                session::Extent::Whole => Extent::Whole,
                session::Extent::Part => Extent::Part,
            },
        },
        Event::Digit { leg, digit, .. } => MediaEvent::Digit { leg, digit: digit.into() },
        Event::Silent { leg } => MediaEvent::Silent { leg },
        Event::TapEnded { .. } => return None,
        Event::TapLost { recording, batches } => MediaEvent::TapLost { recording, batches: batches as u32 },
        Event::Closed { leg, quality } => {
            let received = quality.received;
            MediaEvent::Closed {
                leg,
                quality: Quality {
                    received: received.received,
                    lost: received.lost,
                    foreign: quality.foreign,
                    sent: quality.sent,
                    ..Quality::default()
                },
            }
        }
    })
}

/// How often, in the core's word.
pub const fn times(times: route_api::Times) -> Times {
    match times {
        route_api::Times::Once => Times::Once,
        route_api::Times::Endless => Times::Endless,
    }
}

/// Why a leg cannot be opened, for route.
pub const fn refusal(error: &Error) -> MediaRefusal {
    match error {
        Error::Sdp { .. } => MediaRefusal::Malformed,
        Error::Full(_) | Error::OddPort(_) => MediaRefusal::NoPort,
        _ => MediaRefusal::NotAcceptable,
    }
}
