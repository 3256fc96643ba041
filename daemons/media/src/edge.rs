//! The ways to route and record: what they want goes to the worker, what the worker says goes to them, in
//! order and again until it is heard.

use crate::{
    prompts::Prompts,
    worker::{Handle, Order, Word},
};
use record_api::{Feed, Record};
use route_api::{AttachMedia, Captured, Hear, MediaCommand, Route, capture::Copying};
use service::{Client, Stream};
use std::{os::fd::OwnedFd, time::Duration};
use tokio::sync::mpsc;
use types::RecordingId;

const PAUSE: Duration = Duration::from_millis(200);
/// Events that route is told at once.
const TOGETHER: usize = 64;
/// How often a feed is offered to a record side that is away. Then its end is closed, and the worker, which
/// notices, makes another.
const OFFERS: u32 = 50;

/// Attaches to route, and again whenever the stream ends; follows what comes.
pub async fn attach(route: Client<Route>, worker: Handle, mut prompts: Prompts) {
    loop {
        let standing = AttachMedia { legs: worker.legs().await, ..AttachMedia::default() };
        match open(&route, standing).await {
            Ok(mut commands) => loop {
                match commands.next().await {
                    Ok(Some(command)) => {
                        if let MediaCommand::Play { prompts: wanted, .. } = &command {
                            wanted.iter().for_each(|prompt| prompts.load(&worker, prompt));
                        }
                        worker.order(Order::Media(command));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "route's commands ended");
                        break;
                    }
                }
            },
            Err(error) => tracing::info!(%error, "waiting for route"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Lists what stands, and attaches with the last page of it.
async fn open(route: &Client<Route>, standing: AttachMedia) -> Result<Stream<MediaCommand>, service::Error> {
    let (pages, last) = standing.in_pages(service::clock::monotonic().0);
    for page in pages {
        route.call(page).await?;
    }
    route.stream(last).await
}

/// Passes on what the worker says, until it ends: what waits for route together.
pub async fn listen(mut words: mpsc::Receiver<Word>, route: Client<Route>, record: Client<Record>) {
    let mut waiting = Vec::with_capacity(TOGETHER);
    while words.recv_many(&mut waiting, TOGETHER).await > 0 {
        let mut events = Vec::new();
        for word in waiting.drain(..) {
            match word {
                Word::Event(event) => events.push(Hear { event }),
                Word::Captured(copying, descriptor) => {
                    tokio::spawn(offer_capture(route.clone(), copying, descriptor));
                }
                Word::Feed(recording, descriptor) => {
                    tokio::spawn(hand_over(record.clone(), recording, descriptor));
                }
            }
        }
        tell(&route, &events).await;
    }
}

/// Gives route its end of a capture, or the news that an earlier life's goes on.
async fn offer_capture(route: Client<Route>, copying: Copying, descriptor: Option<OwnedFd>) {
    let capture = copying.capture;
    let descriptors = descriptor.into_iter().collect();
    let handed = route.call_with(Captured { copying }, descriptors, Duration::from_secs(5)).await;
    if let Err(error) = handed {
        tracing::warn!(%capture, %error, "route did not take a capture");
    }
}

/// In order, and again until each is heard.
async fn tell(route: &Client<Route>, mut events: &[Hear]) {
    while !events.is_empty() {
        let (heard, broken) = route.call_all(events).await;
        for refusal in heard.iter().filter_map(|heard| heard.as_ref().err()) {
            tracing::error!(%refusal, "route refused an event");
        }
        events = events.get(heard.len()..).unwrap_or_default();
        if let Some(error) = broken {
            tracing::warn!(%error, "route is away: events wait");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn hand_over(record: Client<Record>, recording: RecordingId, descriptor: OwnedFd) {
    for _ in 0..OFFERS {
        let Ok(copy) = descriptor.try_clone() else { break };
        match record.call_with(Feed { recording }, vec![copy], Duration::from_secs(5)).await {
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%recording, %error, "the record side took no feed: it is offered again")
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    tracing::error!(%recording, "the record side took no feed");
}
