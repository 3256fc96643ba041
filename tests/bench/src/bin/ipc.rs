//! A call over the house's sockets: another process serves `report`'s Save with the whole skeleton (peer check,
//! table, shapes), this one calls it as `route` does. Beside it a bare echo of as many bytes over a Unix
//! socket. The work of the daemon itself is left out.
#![allow(clippy::print_stdout, reason = "a peer says how to reach it")]

use bench::{Failure, Figures, Peer, quantile, used};
use record_api::Consent;
use report_api::{Call, CallRecord, Decision, Disposition, LegRecord, Recorded, Report, Save, Saved};
use route_api::{Cause, EndedBy, Endpoint, Party};
use stage::Stage;
use std::{
    io::{Read, Write},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    process::ExitCode,
    time::{Duration, Instant},
};
use types::{CallId, LegId, Pii, RecordingId, Uid, Utc};

const CALLS: u32 = 20_000;

fn main() -> ExitCode {
    // On the stage this program is the daemon.
    if std::env::var_os("LISTEN_FDNAMES").is_some() {
        return serve();
    }
    match std::env::args().nth(1).map_or_else(measure, |_echo| echo()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("ipc: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Failure> {
    let mut stage = Stage::new("report", std::env::current_exe()?);
    let socket = UnixListener::bind(stage.socket("report", "route"))?;
    stage.start([("peer.route".to_owned(), OwnedFd::from(socket))]);
    let client = stage.client::<Report>("route");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let save = Save { record: record() };
    let bytes = serde_json::to_vec(&save)?.len();
    let (times, cpu) = runtime.block_on(async {
        for _ in 0..CALLS / 10 {
            client.call(save.clone()).await?;
        }
        let before = used(stage.pid())?;
        let mut times = Vec::new();
        for _ in 0..CALLS {
            let (save, began) = (save.clone(), Instant::now());
            client.call(save).await?;
            times.push(began.elapsed());
        }
        Ok::<_, Failure>((times, used(stage.pid())? - before))
    })?;

    let bare = Peer::start("echo")?;
    let mut stream = UnixStream::connect(&bare.address)?;
    let (message, mut reply) = (vec![b'x'; bytes], vec![0; bytes]);
    let mut exchange = || -> Result<Duration, Failure> {
        let began = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut reply)?;
        Ok(began.elapsed())
    };
    for _ in 0..CALLS / 10 {
        exchange()?;
    }
    let before = bare.used()?;
    let bare_times = (0..CALLS).map(|_| exchange()).collect::<Result<Vec<_>, _>>()?;
    let bare_cpu = bare.used()? - before;

    let micros = |mut times: Vec<Duration>| {
        times.sort();
        times.into_iter().map(|time| time.as_secs_f64() * 1e6).collect::<Vec<_>>()
    };
    let (times, bare_times) = (micros(times), micros(bare_times));
    let mut figures = Figures::of("ipc");
    let name = "a bare echo";
    let mut over = 0.0;
    for (part, figure) in [(0.99, "a call, p99"), (0.5, "a call, p50")] {
        over = figures.beside(figure, "µs", quantile(&times, part), (name, quantile(&bare_times, part)));
    }
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / f64::from(CALLS);
    figures.beside("the daemon's part of a call", "CPU µs", each(cpu), (name, each(bare_cpu)));
    figures.end(&format!(
        "the limit is a bare echo of the same {bytes} bytes: a call takes {over:.1} × that, for JSON and four gates"
    ))
}

/// The daemon: answers as soon as it is asked.
fn serve() -> ExitCode {
    service::run("report", env!("CARGO_PKG_VERSION"), |house| async move {
        let mut calls = house.serve::<Report>()?;
        house.ready();
        while let Some(request) = calls.next().await {
            if let Call::Save(_, reply) = request.call {
                reply.send(Ok(Saved { digest: "5a".repeat(32) }));
            }
        }
        Ok(())
    })
}

fn echo() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("echo");
    let listener = UnixListener::bind(&path)?;
    println!("{}", path.display());
    let (mut stream, _) = listener.accept()?;
    let mut buffer = [0; 64 << 10];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}

/// As large as one of a short call.
fn record() -> CallRecord {
    let leg = |number: u8| LegId(Uid([number; 16]));
    let side = |number: u8| LegRecord {
        leg: leg(number),
        over: Endpoint::Phone("8001".parse().unwrap_or_else(|_| unreachable!("an extension"))),
        agent: None,
        began: Utc(1),
        answered: Some(Utc(2)),
        ended: Utc(3),
        cause: Cause::NormalClearing,
        by: EndedBy::Peer,
        reference: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6@192.0.2.7".to_owned(),
        quality: None,
        ladder: None,
    };
    CallRecord {
        call: CallId(Uid([1; 16])),
        offered: Utc(1),
        ended: Utc(3),
        from: Party { number: Pii::new("13800138000".to_owned()), display: None },
        dialled: "95555".to_owned(),
        flow: "service".to_owned(),
        queued: Vec::new(),
        legs: vec![side(2), side(3)],
        disposition: Disposition::Answered,
        recording: Recorded::Yes {
            recording: RecordingId(Uid([4; 16])),
            consents: vec![(leg(2), Consent::Employed {})],
        },
        decisions: (0..4)
            .map(|_| Decision {
                at: Utc(2),
                what: "queue.entered".to_owned(),
                why: "the flow says so".to_owned(),
            })
            .collect(),
        outcome: None,
    }
}
