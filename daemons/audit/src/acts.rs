//! The acts of the daemons below. They call nobody, so audit opens a stream down to each and confirms what is
//! durable; an act that was sent and not confirmed comes again on the next stream.

use crate::scribe::Scribe;
use audit_api::Event;
use host_api::Host;
use key_api::Key;
use service::{Client, Error, Interface, Method, RefusalKind};
use std::collections::BTreeMap;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(500);

/// Takes the acts of `key` for ever.
pub async fn of_key(key: Client<Key>, scribe: Scribe) {
    let number = |act: key_api::Act| (act.act, act.event);
    let recorded = |act, sequence| key_api::Recorded { act, sequence };
    take("key", key, || key_api::Acts {}, number, recorded, scribe).await;
}

/// Takes the acts of `host` for ever.
pub async fn of_host(host: Client<Host>, scribe: Scribe) {
    let number = |act: host_api::Act| (act.act, act.event);
    let recorded = |act, sequence| host_api::Recorded { act, sequence };
    take("host", host, || host_api::Acts {}, number, recorded, scribe).await;
}

async fn take<I, Acts, Recorded>(
    daemon: &'static str,
    below: Client<I>,
    acts: impl Fn() -> Acts,
    number: impl Fn(Acts::Reply) -> (u64, Event),
    recorded: impl Fn(u64, u64) -> Recorded,
    scribe: Scribe,
) where
    I: Interface,
    Acts: Method<Interface = I>,
    Recorded: Method<Interface = I>,
{
    loop {
        let stream = async {
            let mut stream = below.stream(acts()).await?;
            while let Some(act) = stream.next().await? {
                let (act, event) = number(act);
                let sequence = append(&scribe, event, daemon).await;
                below.call(recorded(act, sequence)).await?;
            }
            Ok::<(), Error>(())
        };
        if let Err(error) = stream.await {
            tracing::warn!(daemon, %error, "the acts of the daemon below wait");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Makes the act durable, however long that takes: the daemon below waits with it.
async fn append(scribe: &Scribe, mut event: Event, daemon: &str) -> u64 {
    loop {
        match scribe.append(event.clone(), daemon).await {
            Ok(sequence) => return sequence,
            Err(refusal) if refusal.kind == RefusalKind::Invalid => {
                tracing::error!(daemon, %refusal, "an act is too long for the log: its facts are left out");
                event.facts = BTreeMap::from([("left_out".to_owned(), refusal.message)]);
                (event.personal, event.reason) = (BTreeMap::new(), None);
            }
            Err(refusal) => {
                tracing::error!(daemon, %refusal, "an act of the daemon below waits for the log");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
