//! tracing to the journal when stderr is the journal's, else to stderr as text.

use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

pub(crate) fn start(daemon: &'static str) {
    let filter = EnvFilter::try_from_env("YANMEN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let journal = std::env::var_os("JOURNAL_STREAM")
        .and_then(|_| tracing_journald::layer().ok())
        .map(|layer| layer.with_syslog_identifier(daemon.to_owned()));
    let text = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .without_time()
            .with_target(false)
    });
    let layers = journal.map(Layer::boxed).or_else(|| text.map(Layer::boxed));
    // A second start in one process (a test) keeps the first subscriber.
    let _kept = tracing_subscriber::registry().with(layers.with_filter(filter)).try_init();
}
