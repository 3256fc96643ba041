//! RTP, prompts, tones, digits and taps: the daemon.
//!
//! Owns the RTP ports and the thread that serves them ([`worker`]); talks to route and record beside it
//! ([`edge`]), so that no other daemon can delay audio. Holds no key, and writes nothing to a disk.

mod contract;
mod edge;
mod error;
mod prompts;
#[cfg(test)]
mod tests;
mod worker;

use media_core::{
    Core,
    codec::{Codec, Library},
    session::Limits,
    srtp::Policy,
};
use prompts::Prompts;
use route_api::Endpoint;
use service::{Context, Failure};
use std::{os::fd::BorrowedFd, path::Path, sync::Arc, thread};
use worker::{Beginning, Keeper, Kept, Order, Ports, Speech, Worker};

fn main() -> std::process::ExitCode {
    service::run("media", env!("CARGO_PKG_VERSION"), |house| async move {
        let mut settings = host_api::follow::<settings::media::Media>(&house, "media").await?;
        let media = settings.borrow_and_update().clone();
        let (worker, handle, words) = Worker::new(Beginning {
            core: Core::new(Limits::default()),
            ports: Ports::new(media.bind, media.ports.first(), media.ports.last()),
            advertised: media.advertised.unwrap_or(media.bind),
            speech: speech(&media),
            library: library(&media),
            keeper: Box::new(Supervisor(house.clone())),
            kept: kept(&house),
        })
        .map_err(|error| Failure::of("begin to serve RTP", error))?;
        // The working directory lies in the home of the house.
        let mut prompts = Prompts::of(Path::new("..").join(&media.prompts));
        prompts.load_all(&handle);
        audit_api::announce(&house, house.client());

        let (ended, end) = tokio::sync::oneshot::channel();
        let thread = thread::Builder::new().name("rtp".to_owned()).spawn(move || {
            // The daemon that waits for it may have ended first.
            let _gone = ended.send(worker.run());
        });
        thread.map_err(|error| Failure::of("start the thread of RTP", error))?;
        tokio::spawn(edge::listen(words, house.client(), house.client()));
        tokio::spawn(edge::attach(house.client(), handle.clone(), prompts));
        let speaker = handle.clone();
        tokio::spawn(async move {
            while settings.changed().await.is_ok() {
                let media = settings.borrow_and_update().clone();
                speaker.order(Order::Equip(library(&media)));
                speaker.order(Order::Speak(speech(&media)));
            }
        });
        house.ready();

        let mut end = end;
        tokio::select! {
            () = house.stopping() => handle.order(Order::Stop),
            outcome = &mut end => return over(outcome.ok()),
        }
        over(end.await.ok())
    })
}

/// What the settings say that legs speak.
fn speech(media: &settings::media::Media) -> Speech {
    let codec = |codec: &settings::media::Codec| match codec {
        settings::media::Codec::Pcma => Codec::Pcma,
        settings::media::Codec::Pcmu => Codec::Pcmu,
        settings::media::Codec::G722 => Codec::G722,
        settings::media::Codec::G729 => Codec::G729,
    };
    let policy = |srtp| match srtp {
        settings::media::Srtp::Off => Policy::Off,
        settings::media::Srtp::Offered => Policy::Offered,
        settings::media::Srtp::Required => Policy::Required,
    };
    let trunks = media.trunks.iter().map(|own| (Endpoint::Trunk(own.name.clone()), policy(own.srtp)));
    let phones = media.phones.iter().map(|own| (Endpoint::Phone(own.extension.clone()), policy(own.srtp)));
    Speech {
        codecs: media.codecs.iter().map(codec).collect(),
        policy: policy(media.srtp),
        policies: Arc::new(trunks.chain(phones).collect()),
    }
}

/// What speaks G.729, where the settings want it and it is there.
fn library(media: &settings::media::Media) -> Library {
    if !media.codecs.contains(&settings::media::Codec::G729) {
        return Library::default();
    }
    match bcg729::Library::load(media.g729_library.as_deref()) {
        Ok(library) => Library::of(library),
        Err(lack) => {
            tracing::error!(
                %lack,
                "G.729 is not offered: install bcg729 (Debian: libbcg729-0) or set media.g729_library, and start \
                 media again; or take G729 out of media.codecs"
            );
            Library::default()
        }
    }
}

/// The thread of RTP ended: by the word to stop, by a failure, or by a fault of ours.
fn over(outcome: Option<Result<(), error::Error>>) -> Result<(), Failure> {
    match outcome {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(Failure::of("serve RTP", error)),
        None => Err(Failure("serve RTP: its thread ended without a word".to_owned())),
    }
}

/// The supervisor's descriptor store.
struct Supervisor(Context);

impl Keeper for Supervisor {
    fn keep(&self, name: &str, descriptors: &[BorrowedFd<'_>]) {
        self.0.keep_together(name, descriptors);
    }

    fn forget(&self, name: &str) {
        self.0.forget(name);
    }
}

fn kept(house: &Context) -> Kept {
    house.kept_names().into_iter().map(|name| (name.clone(), house.kept(&name))).collect()
}
