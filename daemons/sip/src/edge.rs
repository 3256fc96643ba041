//! The edge to route: one stream on which its commands come back, and events down, one after another.

use route_api::{AttachSignalling, Route, Signal, SignallingCommand, SignallingEvent};
use service::{Client, Stream};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Events that route is told at once.
const TOGETHER: usize = 64;

/// What the edge tells the engine.
pub enum Order {
    /// Gives what route is to be told now, and the events from now on.
    Attach(oneshot::Sender<Standing>),
    /// Route has taken what is alive.
    Attached,
    /// Route wants something.
    Command(SignallingCommand),
    /// Route is gone.
    Detached,
}

/// How things stand, for a life of route that may know nothing.
pub struct Standing {
    /// What is said again before the attachment.
    pub again: Vec<SignallingEvent>,
    /// What is alive.
    pub alive: AttachSignalling,
    /// What comes after.
    pub events: mpsc::Receiver<SignallingEvent>,
}

/// The engine is gone, and the daemon with it.
struct Over;

/// Attaches to route for as long as the engine lives.
pub async fn attend(route: Client<Route>, engine: mpsc::Sender<Order>) {
    let mut pause = Duration::from_millis(20);
    loop {
        let attached = attach(&route, &engine).await;
        if engine.send(Order::Detached).await.is_err() {
            return;
        }
        match attached {
            Err(Over) => return,
            Ok(Attached::Once) => pause = Duration::from_millis(20),
            Ok(Attached::Never) => pause = (2 * pause).min(Duration::from_secs(1)),
        }
        tokio::time::sleep(pause).await;
    }
}

/// Whether route was there at all.
enum Attached {
    Once,
    Never,
}

async fn attach(route: &Client<Route>, engine: &mpsc::Sender<Order>) -> Result<Attached, Over> {
    let (ask, told) = oneshot::channel();
    engine.send(Order::Attach(ask)).await.map_err(|_| Over)?;
    let Standing { again, alive, events } = told.await.map_err(|_| Over)?;
    let (legs, said_again) = (alive.legs.len(), again.len());
    let (pages, last) = alive.in_pages(service::clock::monotonic().0);
    for event in again {
        if let Err(error) = route.call(Signal { event }).await {
            tracing::debug!(%error, "waiting for route");
            return Ok(Attached::Never);
        }
    }
    for page in pages {
        if let Err(error) = route.call(page).await {
            tracing::debug!(%error, "waiting for route");
            return Ok(Attached::Never);
        }
    }
    let mut commands = match route.stream(last).await {
        Ok(commands) => commands,
        Err(error) => {
            tracing::debug!(%error, "waiting for route");
            return Ok(Attached::Never);
        }
    };
    match commands.next().await {
        Ok(Some(SignallingCommand::Attached {})) => {}
        Ok(other) => {
            tracing::warn!(ended = other.is_none(), "route did not begin the stream as agreed");
            return Ok(Attached::Never);
        }
        Err(error) => {
            tracing::debug!(%error, "waiting for route");
            return Ok(Attached::Never);
        }
    }
    tracing::info!(legs, said_again, "attached to route");
    engine.send(Order::Attached).await.map_err(|_| Over)?;
    tokio::select! {
        outcome = obey(&mut commands, engine) => outcome?,
        () = tell(route, events) => {}
    }
    Ok(Attached::Once)
}

/// Passes commands on until the stream ends.
async fn obey(commands: &mut Stream<SignallingCommand>, engine: &mpsc::Sender<Order>) -> Result<(), Over> {
    loop {
        match commands.next().await {
            Ok(Some(command)) => engine.send(Order::Command(command)).await.map_err(|_| Over)?,
            Ok(None) => {
                tracing::warn!("route ended the stream of its commands");
                return Ok(());
            }
            Err(error) => {
                tracing::warn!(%error, "lost the stream of route's commands");
                return Ok(());
            }
        }
    }
}

/// Passes events on in their order, those that wait together; ends when one was not heard. Then route is told
/// everything anew.
async fn tell(route: &Client<Route>, mut events: mpsc::Receiver<SignallingEvent>) {
    let mut waiting = Vec::with_capacity(TOGETHER);
    while events.recv_many(&mut waiting, TOGETHER).await > 0 {
        let told: Vec<Signal> = waiting.drain(..).map(|event| Signal { event }).collect();
        let (heard, broken) = route.call_all(&told).await;
        let refused = heard.into_iter().find_map(Result::err).map(service::Error::from);
        if let Some(error) = refused.or(broken) {
            tracing::warn!(%error, "route did not hear an event");
            return;
        }
    }
}
