//! Sealed recordings: begun by route, fed by media, listened to with a ticket.
//!
//! Owns the sealed files and their wrapped keys, in two directories apart. Never sees a packet's header, a
//! master key or a call's signalling; never opens a recording without audit's ticket.
//!
//! ```text
//!  route ── Begin, Join, Finish ──▶ recorder ──▶ disk (one thread: append, one shared sync every 4 s)
//!  media ── Feed(descriptor) ─────▶    │  ▲
//!                                key ◀─┘  └─ a feed's batches, sealed as they come
//!  route ◀─ ─ ─ outcome, disk ─ ─ ─ herald      on the stream that route opened
//!  ctl, console ── List, Show, Export, Verify ──▶ desk ──▶ audit: entry and ticket ──▶ key: the data key
//!               ── Hold, Release ──────────────▶ desk ──▶ audit: entry ──▶ recorder
//! ```

mod catalogue;
mod desk;
mod disk;
mod feed;
mod health;
mod herald;
mod open;
mod recorder;
mod shelf;
#[cfg(test)]
mod tests;

use audit_api::Audit;
use auth_api::Verifier;
use desk::Desk;
use disk::Disk;
use health::Watchman;
use herald::Herald;
use key_api::Key;
use record_api::{Begun, Call, Record};
use recorder::Recorder;
use service::{Context, Failure};
use shelf::Shelf;
use std::{process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    service::run("record", env!("CARGO_PKG_VERSION"), serve)
}

async fn serve(house: Context) -> Result<(), Failure> {
    gm::selftest().map_err(|error| Failure::of("test the cryptography", error))?;
    let settings = host_api::follow::<settings::record::Record>(&house, "record").await?;
    let verifier = Verifier::of_house(&house).await?;
    let (key, audit) = (house.client::<Key>(), house.client::<Audit>());
    audit_api::announce(&house, audit.clone());
    let shelf =
        Shelf::at(&house.state_directory()).map_err(|error| Failure::of("open the recordings", error))?;
    let disk =
        Disk::start(shelf.recordings()).map_err(|error| Failure::of("start the disk thread", error))?;
    let herald = Arc::new(Herald::default());
    let looked = Watchman::new(shelf.clone(), disk.clone(), settings.clone()).watch(
        &house,
        audit.clone(),
        Arc::clone(&herald),
    );
    let recorder = Arc::new(Recorder::new(
        shelf.clone(),
        disk,
        key.clone(),
        audit.clone(),
        settings,
        Arc::clone(&herald),
    ));
    recorder.take_up_what_a_crash_left();
    recorder.delete_what_is_due();
    let desk = Arc::new(Desk::new(shelf, Arc::clone(&recorder), verifier, key, audit));
    let mut calls = house.serve::<Record>()?;
    house.ready();
    loop {
        tokio::select! {
            () = house.stopping() => {
                recorder.stop().await;
                return Ok(());
            }
            Some(request) = calls.next() => {
                let (recorder, desk, herald) = (Arc::clone(&recorder), Arc::clone(&desk), Arc::clone(&herald));
                let descriptor = request.descriptors.into_iter().next();
                let looked = *looked.borrow();
                tokio::spawn(async move {
                    match request.call {
                        Call::Begin(begin, reply) => reply.send(recorder.begin(begin).await.map(|()| Begun {})),
                        Call::Join(join, reply) => reply.send(recorder.join(join).await.map(|()| Begun {})),
                        Call::Finish(finish, reply) => reply.send(recorder.finish(finish).await),
                        Call::Feed(feed, reply) => {
                            reply.send(recorder.feed(feed.recording, descriptor).await.map(|()| Begun {}));
                        }
                        Call::List(list, reply) => reply.send(desk.list(list).await),
                        Call::Show(show, reply) => reply.send(desk.show(show).await),
                        Call::Export(export, reply) => reply.send(desk.export(export, descriptor).await),
                        Call::Hold(hold, reply) => reply.send(desk.hold(hold).await),
                        Call::Release(release, reply) => reply.send(desk.release(release).await),
                        Call::Attach(_attach, notices) => herald.attach(notices),
                        Call::Disk(_disk, reply) => reply.send(Ok(looked.report())),
                        Call::Noted(noted, reply) => reply.send(recorder.noted(noted).await.map(|()| Begun {})),
                        Call::Verify(verify, reply) => reply.send(desk.verify(verify).await),
                    }
                });
            }
        }
    }
}
