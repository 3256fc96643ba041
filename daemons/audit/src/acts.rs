//! The acts of the daemons below. They call nobody, so audit opens a stream down to each and confirms what is
//! durable; an act that was sent and not confirmed comes again on the next stream.

use crate::scribe::Scribe;
use audit_acts::{Act, Acts, Confirmed, Recorded, Unrecorded};
use audit_api::Event;
use mutant::mutant;
use service::{Client, Error, Interface, Method, Refusal, RefusalKind};
use std::collections::BTreeMap;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(500);

/// Takes the acts of the daemon below for ever.
pub async fn take<I>(below: Client<I>, scribe: Scribe)
where
    I: Interface,
    Acts: Method<I, Reply = Act>,
    Recorded: Method<I, Reply = Confirmed>,
    Unrecorded: Method<I, Reply = Confirmed>,
{
    let daemon = I::DAEMON;
    loop {
        let stream = async {
            let mut stream = below.stream(Acts {}).await?;
            while let Some(Act { act, event }) = stream.next().await? {
                let told = |refusal: Refusal| {
                    let why = Unrecorded { act, code: refusal.code, message: refusal.message };
                    below.call(why)
                };
                let sequence = append(&scribe, event, daemon, told).await?;
                below.call(Recorded { act, sequence }).await?;
            }
            Ok::<(), Error>(())
        };
        if let Err(error) = stream.await {
            tracing::warn!(daemon, %error, "the acts of the daemon below wait");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Makes the act durable, however long that takes: the daemon below waits with it, and is `told` why.
async fn append<Told>(
    scribe: &Scribe,
    mut event: Event,
    daemon: &str,
    told: impl Fn(Refusal) -> Told,
) -> Result<u64, Error>
where
    Told: Future<Output = Result<Confirmed, Error>>,
{
    let mut last = String::new();
    loop {
        match scribe.append(event.clone(), daemon).await {
            Ok(sequence) => return Ok(sequence),
            Err(refusal) if refusal.kind == RefusalKind::Invalid => {
                tracing::error!(daemon, %refusal, "an act is too long for the log: its facts are left out");
                event.facts = BTreeMap::from([("left_out".to_owned(), refusal.message)]);
                (event.personal, event.reason) = (BTreeMap::new(), None);
            }
            Err(refusal) => {
                if refusal.code != last && !mutant("audit-silent-below") {
                    tracing::error!(daemon, %refusal, "an act of the daemon below waits for the log");
                    last.clone_from(&refusal.code);
                    told(refusal).await?;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
