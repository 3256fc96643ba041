//! What the supervisor hears of a daemon: its notifications, what it writes to stderr, and its end.

use super::{child::News, notify::NotifySocket};
use house::life::PAUSE;
use mutant::mutant;
use std::sync::Arc;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process,
    sync::mpsc,
};

/// The longest line of a daemon that is shown, in bytes; the rest comes as another line.
const LONGEST_LINE: u64 = 8 << 10;

/// The most notifications that a daemon leaves behind: the kernel's queue of one socket is shorter, and whoever
/// else writes to it shall not keep the end from being heard.
const LEFT_BEHIND: usize = 1024;

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

/// Passes on what one life of a daemon writes, then what it said last, then how it ended. In this order: a
/// descriptor that it gave into keeping just before it was killed is for its next life.
pub async fn outlive(
    mut process: process::Child,
    notify: Arc<NotifySocket>,
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
    for _ in 0..LEFT_BEHIND {
        match notify.left() {
            Ok(Some(said)) if !mutant("up-last-words-lost") => {
                let _gone = news.send((name, News::Said(said))).await;
            }
            _ => break,
        }
    }
    let _gone = news.send((name, News::Ended(how))).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    };

    /// Mutant up-last-words-lost.
    #[tokio::test]
    async fn what_a_daemon_said_before_its_end_is_heard_before_it() {
        let notify = Arc::new(NotifySocket::new("last-words").unwrap());
        let name = notify.address().trim_start_matches('@');
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let daemon = UnixDatagram::unbound().unwrap();
        for word in ["FDSTORE=1\nFDNAME=one", "FDSTOREREMOVE=1\nFDNAME=two"] {
            daemon.send_to_addr(word.as_bytes(), &address).unwrap();
        }
        let (news, mut heard) = mpsc::channel(8);
        let process = process::Command::new("true").spawn().unwrap();
        outlive(process, notify, "sip", news).await;
        let mut told = Vec::new();
        while let Some((_, word)) = heard.recv().await {
            told.push(match word {
                News::Said(said) => said.lines[1].1.clone(),
                News::Wrote(line) => line,
                News::Ended(how) => how,
            });
        }
        assert_eq!(told, ["one", "two", "exit status: 0"]);
    }
}
