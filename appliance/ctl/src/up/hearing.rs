//! What the supervisor hears of a daemon: its notifications, what it writes to stderr, and its end.

use super::{child::News, notify::NotifySocket};
use house::life::PAUSE;
use std::sync::Arc;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process,
    sync::mpsc,
};

/// The longest line of a daemon that is shown, in bytes; the rest comes as another line.
const LONGEST_LINE: u64 = 8 << 10;

/// Passes on what a daemon says of itself, in all its lives.
pub async fn listen(
    notify: Arc<NotifySocket>,
    daemon: &'static str,
    news: mpsc::Sender<(&'static str, News)>,
) {
    loop {
        match notify.next().await {
            Ok(said) => {
                if news.send((daemon, News::Said(said))).await.is_err() {
                    return;
                }
            }
            // Out of descriptors, most likely: what was said is lost, the next word may come through.
            Err(error) => {
                crate::output::complain(&format!("ym: cannot hear what {daemon} says: {error}"));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Passes on what one life of a daemon writes, then how it ended.
pub async fn outlive(
    mut process: process::Child,
    name: &'static str,
    news: mpsc::Sender<(&'static str, News)>,
) {
    if let Some(stderr) = process.stderr.take() {
        let (mut stderr, mut line) = (BufReader::new(stderr), Vec::new());
        while matches!((&mut stderr).take(LONGEST_LINE).read_until(b'\n', &mut line).await, Ok(1..)) {
            let line = String::from_utf8_lossy(&std::mem::take(&mut line)).trim_end().to_owned();
            // The supervisor is gone when this fails, and so is the need.
            let _gone = news.send((name, News::Wrote(line))).await;
        }
    }
    let how = process.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
    let _gone = news.send((name, News::Ended(how))).await;
}
