//! The web console: HTTPS, web sessions, REST for the page, and the page itself.
//!
//! Owns the listening socket, the certificate and the cookies of this node, and in memory, for a while, the sound that
//! a person asked for with a reason. Never holds an account or a key of the house: what a person may see is the word of
//! the daemons below, each asked with the person's own assertion. Whoever takes this process over can do what the persons do who are logged in, and
//! no more.
//!
//! ```text
//!   browser ── TLS ──> serving ──> guard (headers, origin, token) ──┬─> pages: the files within this program
//!    __Host- cookie     bounds                                      └─> api ──> sessions ── Renew ──> auth
//!                                                                        ├── assertion ──> every daemon below
//!                                                                        └── live <── one stream ── route
//! ```

mod api;
mod certificate;
mod error;
mod guard;
mod listening;
mod live;
mod pages;
mod playing;
mod problem;
mod randomness;
mod range;
mod serving;
mod sessions;
#[cfg(test)]
mod tests;

use api::{Desk, Floors};
use certificate::Certificate;
use service::{Context, Failure};
use serving::Server;
use settings::console::Console;

fn main() -> std::process::ExitCode {
    service::run("console", env!("CARGO_PKG_VERSION"), serve)
}

async fn serve(house: Context) -> Result<(), Failure> {
    // A change of the address takes a restart, which the settings say to whoever makes it.
    let listen = host_api::follow::<Console>(&house, "console").await?.borrow().listen;
    let certificate = Certificate::of(&house.state_directory(), listen)
        .map_err(|error| Failure::of("prepare the certificate", error))?;
    let listener = listening::open(&house, listen).map_err(|error| Failure::of("open HTTPS", error))?;
    audit_api::announce(&house, house.client());
    let floors = Floors {
        host: house.client(),
        auth: house.client(),
        route: house.client(),
        record: house.client(),
        report: house.client(),
        audit: house.client(),
    };
    let desk = Desk::new(floors, certificate.facts());
    live::start(&desk);
    let server = Server::new(&certificate, pages::router().merge(api::router(desk)))
        .map_err(|error| Failure::of("set TLS up", error))?;

    tracing::info!(%listen, sha256 = certificate.fingerprint(), "HTTPS");
    house.ready();
    house.status(&format!("https://{listen}/ certificate SHA-256 {}", certificate.fingerprint()));
    server.run(listener, house.stopping()).await;
    Ok(())
}
