//! The core's words in the words of the leg contract. The simulation (`tests/sim`) is built with this file too:
//! it knows no clock.

use media_core::{
    Error, Event,
    codec::Codec,
    session::{Extent, Quality, Times},
    srtp::Suite,
};
use route_api::{MediaEvent, MediaRefusal, PlayedPrompt, SessionDescription};
use types::{Monotonic, Name, Utc};

/// An event as route hears it at `now`, which the calendar calls `utc`; `None` for what concerns route not.
pub fn event(event: Event, now: Monotonic, utc: Utc) -> Option<MediaEvent> {
    // The calendar's word for a moment near now.
    let calendar = |moment: Monotonic| {
        let nanoseconds = i64::try_from(i128::from(moment.0) - i128::from(now.0)).unwrap_or(0);
        Utc(utc.0.saturating_add(nanoseconds))
    };
    Some(match event {
        Event::Opened { leg, description } => {
            MediaEvent::Opened { leg, description: SessionDescription(description) }
        }
        Event::Accepted { leg } => MediaEvent::Accepted { leg },
        Event::Played { leg, play, prompts, began, ended, extent } => MediaEvent::Played {
            leg,
            play,
            // They were names when they were asked for.
            prompts: prompts
                .into_iter()
                .filter_map(|(prompt, digest)| {
                    Some(PlayedPrompt { prompt: prompt.parse::<Name>().ok()?, digest: digest.to_string() })
                })
                .collect(),
            began: calendar(began),
            ended: calendar(ended),
            extent: match extent {
                Extent::Whole => route_api::Extent::Whole,
                Extent::Part => route_api::Extent::Part,
            },
        },
        Event::Digit { leg, digit, .. } => MediaEvent::Digit { leg, digit: digit.into() },
        Event::Held { leg } => MediaEvent::Held { leg },
        Event::Resumed { leg } => MediaEvent::Resumed { leg },
        Event::Silent { leg } => MediaEvent::Silent { leg },
        Event::TapEnded { .. } => return None,
        Event::TapLost { recording, batches } => {
            MediaEvent::TapLost { recording, batches: u32::try_from(batches).unwrap_or(u32::MAX) }
        }
        Event::Closed { leg, quality: figures } => MediaEvent::Closed { leg, quality: quality(&figures) },
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

fn quality(quality: &Quality) -> route_api::Quality {
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    route_api::Quality {
        codec: quality.codec.map_or("", Codec::encoding).to_owned(),
        srtp: quality.protection.map(Suite::name).map(str::to_owned),
        received: quality.received.received,
        lost: quality.received.lost,
        reordered: quality.received.reordered,
        foreign: quality.foreign,
        forged: quality.dropped.forged + quality.dropped.replayed,
        sent: quality.sent,
        jitter_us: micros(quality.received.jitter),
        round_trip_us: quality.round_trip.map(micros),
        far_lost: quality.far.map(|far| far.lost),
        far_jitter_us: quality.far.map(|far| micros(far.jitter)),
        mos: quality.mos.map(|mos| route_api::Mos::hundredths(mos.0)),
    }
}
