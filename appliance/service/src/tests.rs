//! Two ends on a real socket: what passes, what is refused, and what a hostile peer gets.
#![allow(missing_docs, dead_code, reason = "an interface for these tests alone")]

use crate::{
    Client, Connection, Error, MAX_DESCRIPTORS, Refusal, RefusalKind,
    peer::Privileges,
    refusals::{Refusals, Refused},
    server::{self, Calls},
};
use nix::unistd::Uid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::mpsc,
};

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Sign {
    pub purpose: String,
}
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct TicketKey {}
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Unwrap {}
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Acts {
    pub count: u32,
}
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Word {
    pub word: String,
}

crate::interface! {
    /// A daemon under test, in the place of `key`, called by `audit`.
    pub interface Fake = "key" {
        /// Echoes.
        call Sign -> Word;
        /// Reads the descriptor, and hands another one back.
        call TicketKey -> Word;
        /// The table gives it to record alone.
        call Unwrap -> Word;
        /// Counts.
        stream Acts -> Word;
    }
}

struct House {
    /// Holds the sockets until the test is over.
    directory: TempDir,
    path: PathBuf,
    calls: Calls<Fake>,
    refused: mpsc::Receiver<Refused>,
}

fn house(privileges: Privileges) -> House {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("audit");
    let audit = house::daemon("audit").unwrap();
    let listeners = [&path, &path.with_extension("2")].map(|path| (audit, UnixListener::bind(path).unwrap()));
    let (refusals, refused) = mpsc::channel(8);
    let calls = server::serve(listeners.into(), privileges, Refusals::into(refusals));
    House { directory, path, calls, refused }
}

fn ours() -> Privileges {
    Privileges::Single(Uid::effective().as_raw())
}

/// Serves as the daemon would.
async fn serve(mut calls: Calls<Fake>) {
    while let Some(request) = calls.next().await {
        match request.call {
            Call::Sign(sign, reply) => reply.send(match sign.purpose.as_str() {
                "" => Err(Refusal::invalid("key.purpose", "no purpose")),
                "silence" => continue,
                long if long.starts_with('"') => Ok(Word { word: long.repeat(2) }),
                _ => Ok(Word { word: sign.purpose }),
            }),
            Call::TicketKey(_, reply) => {
                let mut text = String::new();
                let mut file = File::from(request.descriptors.into_iter().next().unwrap());
                file.rewind().unwrap();
                file.read_to_string(&mut text).unwrap();
                reply.send_with(Ok(Word { word: text }), vec![OwnedFd::from(file)]);
            }
            Call::Unwrap(_unwrap, _reply) => panic!("the table does not give it"),
            Call::Acts(acts, replies) => {
                tokio::spawn(async move {
                    if acts.count == u32::MAX {
                        replies.send(Word { word: "x".repeat(crate::MAX_MESSAGE) }).await.unwrap();
                    }
                    for n in 0..acts.count {
                        replies.send(Word { word: n.to_string() }).await.unwrap();
                    }
                    replies.gone().await;
                });
            }
        }
    }
}

fn client(house: House) -> (Client<Fake>, mpsc::Receiver<Refused>, TempDir) {
    tokio::spawn(serve(house.calls));
    (Client::at(house.path), house.refused, house.directory)
}

#[tokio::test]
async fn replies_refusals_streams_and_descriptors_pass() {
    let (client, _refused, _directory) = client(house(ours()));
    let word = client.call(Sign { purpose: "雁门".into() }).await.unwrap();
    assert_eq!(word.word, "雁门");

    let Err(Error::Refused(refusal)) = client.call(Sign { purpose: String::new() }).await else { panic!() };
    assert_eq!((refusal.kind, refusal.code.as_str()), (RefusalKind::Invalid, "key.purpose"));

    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"sealed").unwrap();
    let (word, descriptors) =
        client.call_with(TicketKey {}, vec![file.into()], Duration::from_secs(5)).await.unwrap();
    assert_eq!((word.word.as_str(), descriptors.len()), ("sealed", 1));

    let mut stream = client.stream(Acts { count: 200 }).await.unwrap();
    for n in 0..200 {
        assert_eq!(stream.next().await.unwrap().unwrap().word, n.to_string());
    }
}

#[tokio::test]
async fn what_is_called_together_is_answered_in_its_order() {
    let (client, _refused, _directory) = client(house(ours()));
    let mut signs: Vec<Sign> = (0..150).map(|n| Sign { purpose: n.to_string() }).collect();
    signs[70].purpose = String::new();
    let (replies, broken) = client.call_all(&signs).await;
    assert!(broken.is_none() && replies.len() == 150, "{broken:?}");
    for (n, reply) in replies.into_iter().enumerate() {
        match reply {
            Ok(word) => assert_eq!(word.word, n.to_string()),
            Err(refusal) => assert_eq!((n, refusal.code.as_str()), (70, "key.purpose")),
        }
    }
}

#[tokio::test]
async fn a_call_without_an_answer_is_told() {
    let (client, _refused, _directory) = client(house(ours()));
    let Err(Error::Refused(refusal)) = client.call(Sign { purpose: "silence".into() }).await else {
        panic!()
    };
    assert_eq!(refusal.code, "house.no-answer");
}

#[tokio::test]
async fn the_table_refuses_before_the_parameters_are_read() {
    let (client, mut refused, _directory) = client(house(ours()));
    let Err(Error::Refused(refusal)) = client.call(Unwrap {}).await else { panic!("permitted") };
    assert_eq!((refusal.kind, refusal.code.as_str()), (RefusalKind::NotPermitted, "house.not-in-table"));
    let report = refused.recv().await.unwrap();
    assert_eq!((report.caller, report.method.as_str()), ("audit", "Unwrap"));
}

#[tokio::test]
async fn another_uid_gets_no_answer() {
    let stranger = Privileges::Separated(BTreeMap::from([("audit", Uid::effective().as_raw() + 1)]));
    let (client, mut refused, _directory) = client(house(stranger));
    assert!(matches!(client.call(Sign { purpose: "x".into() }).await, Err(Error::Broken { .. })));
    assert_eq!(refused.recv().await.unwrap().uid, Uid::effective().as_raw());
}

#[tokio::test]
async fn a_caller_s_full_queue_answers_busy_and_loses_nothing() {
    let house = house(ours());
    let mut done = flood(&house.path, 150);
    for _ in 0..150 - 128 {
        let Some(Err(Error::Refused(refusal))) = done.recv().await else {
            panic!("answered before it was served")
        };
        assert_eq!(refusal.kind, RefusalKind::Busy);
    }
    tokio::spawn(serve(house.calls));
    for _ in 0..128 {
        assert_eq!(done.recv().await.unwrap().unwrap().word, "flood");
    }
}

/// Mutant callers-by-arrival.
#[tokio::test]
async fn a_caller_that_floods_neither_refuses_nor_delays_another() {
    let mut house = house(ours());
    let mut flooding = flood(&house.path, 150);
    // The queue of the one is full, and it is told so.
    assert!(flooding.recv().await.unwrap().is_err());
    let other = Client::<Fake>::at(house.path.with_extension("2"));
    let asked = tokio::spawn(async move { other.call(Sign { purpose: "other".into() }).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut served = Vec::new();
    for _ in 0..2 {
        if let Call::Sign(sign, reply) = house.calls.next().await.unwrap().call {
            served.push(sign.purpose.clone());
            reply.send(Ok(Word { word: sign.purpose }));
        }
    }
    assert_eq!(served, ["flood", "other"]);
    assert_eq!(asked.await.unwrap().unwrap().word, "other");
}

/// So many calls at the same time; what comes of each.
fn flood(path: &Path, calls: usize) -> mpsc::Receiver<Result<Word, Error>> {
    let (outcomes, done) = mpsc::channel(calls);
    let client = Client::<Fake>::at(path.to_owned());
    for _ in 0..calls {
        let (client, outcomes) = (client.clone(), outcomes.clone());
        tokio::spawn(async move {
            let call =
                client.call_with(Sign { purpose: "flood".into() }, Vec::new(), Duration::from_secs(30));
            // A test that has seen enough does not wait for the rest.
            let _seen_enough = outcomes.send(call.await.map(|(word, _)| word)).await;
        });
    }
    done
}

#[tokio::test]
async fn nonsense_ends_the_connection_and_nothing_else() {
    let house = house(ours());
    let path = house.path.clone();
    let (client, _refused, _directory) = client(house);
    let too_long = vec![b'x'; crate::MAX_MESSAGE + (64 << 10)];
    for nonsense in [b"\0".as_slice(), b"{}\0", b"[1,2\0", b"\xff\xfe\0", &too_long] {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        // The far end may close before it has taken all of it.
        let _closed = stream.write_all(nonsense).await;
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(client.call(Sign { purpose: "alive".into() }).await.unwrap().word, "alive");
}

/// Mutant message-unbounded.
#[tokio::test]
async fn what_is_too_long_for_one_message_is_told_as_that() {
    let (client, _refused, _directory) = client(house(ours()));
    let asked = client.call(Sign { purpose: "x".repeat(crate::MAX_MESSAGE) }).await;
    // What is asked fits; the answer is twice as long.
    let answered = client.call(Sign { purpose: "\"".repeat(crate::MAX_MESSAGE / 2 - 64) }).await;
    let told = client.stream(Acts { count: u32::MAX }).await.unwrap().next().await;
    for outcome in [asked.map(drop), answered.map(drop), told.map(drop)] {
        let Err(Error::Refused(refusal)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((refusal.kind, refusal.code.as_str()), (RefusalKind::Invalid, "house.too-long"));
    }
    assert_eq!(client.call(Sign { purpose: "alive".into() }).await.unwrap().word, "alive");
}

#[tokio::test]
async fn descriptors_beyond_the_bound_end_the_connection_and_are_closed() {
    let house = house(ours());
    let path = house.path.clone();
    let (client, _refused, _directory) = client(house);
    for count in [MAX_DESCRIPTORS + 1, 200] {
        let (mut left, right) = UnixStream::pair().unwrap();
        let right = OwnedFd::from(right.into_std().unwrap());
        let copies: Vec<OwnedFd> = (0..count).map(|_| right.try_clone().unwrap()).collect();
        drop(right);
        let mut hostile = Connection::new(UnixStream::connect(&path).await.unwrap());
        hostile.write(&json!({ "method": "cn.yanmen.key.TicketKey" }), &copies).await.unwrap();
        drop(copies);
        let answer = hostile.read().await;
        assert!(!matches!(answer, Ok(Some(_))), "{count} descriptors were taken");
        let closed = tokio::time::timeout(Duration::from_secs(5), left.read(&mut [0])).await;
        assert!(matches!(closed, Ok(Ok(0))), "a copy is still open");
    }
    assert_eq!(client.call(Sign { purpose: "alive".into() }).await.unwrap().word, "alive");
}

#[tokio::test]
async fn varlink_tools_can_introspect() {
    let (client, _refused, _directory) = client(house(ours()));
    let mut stream = UnixStream::connect(client.path()).await.unwrap();
    let call = b"{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"cn.yanmen.key\"}}\0";
    stream.write_all(call).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    let text = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(
        text.contains("interface cn.yanmen.key")
            && text.contains("method Sign(purpose: string) -> (word: string)"),
        "{text}"
    );
}
