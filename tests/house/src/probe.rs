//! An outside process: calls what it is told on stdin as whoever it was started as, and tells what it found.

use house_test::attempt::{Answer, Attempt, Found};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, BufRead, BufReader, ErrorKind, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

fn main() -> Result<(), Box<dyn Error>> {
    let attempts: Vec<Attempt> = serde_json::from_reader(io::stdin())?;
    let found = attempts.iter().map(found).collect::<Result<Vec<_>, _>>()?;
    Ok(serde_json::to_writer(io::stdout(), &found)?)
}

fn found(attempt: &Attempt) -> io::Result<Found> {
    let mut answers = BTreeMap::new();
    for method in &attempt.methods {
        let stream = match UnixStream::connect(&attempt.socket) {
            Ok(stream) => stream,
            Err(error) => return Ok(Found::Refused(error.raw_os_error().unwrap_or_default())),
        };
        answers.insert(method.clone(), answer(stream, &attempt.callee, method)?);
    }
    Ok(Found::Connected(answers))
}

fn answer(mut stream: UnixStream, callee: &str, method: &str) -> io::Result<Answer> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut call = serde_json::to_vec(&json!({ "method": format!("cn.yanmen.{callee}.{method}") }))?;
    call.push(0);
    let mut reply = Vec::new();
    let exchanged = stream.write_all(&call).and_then(|()| BufReader::new(stream).read_until(0, &mut reply));
    match exchanged {
        Ok(0) => return Ok(Answer::Closed),
        Ok(_) => reply.pop(),
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Answer::Silent),
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
            return Ok(Answer::Closed);
        }
        Err(error) => return Err(error),
    };
    let reply: Value = serde_json::from_slice(&reply)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(match reply.get("error") {
        Some(error) => Answer::Error(text(error), text(&reply["parameters"]["code"])),
        None => Answer::Reply,
    })
}
