//! How a daemon comes to its settings: one stream from host, kept up for ever.

use crate::{Follow, Host};
use serde::de::DeserializeOwned;
use service::{Client, Context, Failure};
use std::time::Duration;
use tokio::sync::watch;

/// The newest settings of this daemon; `changed()` tells of the next ones.
pub type Settings<T> = watch::Receiver<T>;

/// Waits for the first settings, then follows them while the daemon lives: while host is away the last ones
/// hold, and a section that does not parse is refused and leaves the last ones.
///
/// # Errors
/// The word to stop came first.
pub async fn follow<T>(house: &Context, section: &'static str) -> Result<Settings<T>, Failure>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let host = house.client::<Host>();
    let first = tokio::select! {
        first = first::<T>(&host, section) => first,
        () = house.stopping() => return Err(Failure("stopped before host gave the settings".to_owned())),
    };
    let (sender, receiver) = watch::channel(first);
    tokio::spawn(async move {
        loop {
            if let Err(error) = forward(&host, section, &sender).await {
                tracing::warn!(%error, "host is away: the last settings hold");
            }
            if sender.is_closed() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    Ok(receiver)
}

async fn first<T: DeserializeOwned>(host: &Client<Host>, section: &'static str) -> T {
    let mut pause = Duration::from_millis(20);
    loop {
        let attempt = async { host.stream(Follow {}).await?.next().await };
        match attempt.await {
            Ok(Some(sections)) => match parse(sections, section) {
                Ok(settings) => return settings,
                Err(error) => tracing::error!(%error, section, "host gave settings that do not parse"),
            },
            Ok(None) => {}
            Err(error) => tracing::info!(%error, "waiting for host to give the settings"),
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(Duration::from_secs(1));
    }
}

async fn forward<T: DeserializeOwned>(
    host: &Client<Host>,
    section: &'static str,
    sender: &watch::Sender<T>,
) -> Result<(), service::Error> {
    let mut stream = host.stream(Follow {}).await?;
    while let Some(sections) = stream.next().await? {
        match parse(sections, section) {
            Ok(settings) => sender.send_replace(settings),
            Err(error) => {
                tracing::error!(%error, section, "new settings do not parse: the last ones hold");
                continue;
            }
        };
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(mut sections: crate::Sections, section: &str) -> Result<T, serde_json::Error> {
    serde_json::from_value(sections.sections.remove(section).unwrap_or_default())
}
