//! baresip as the phone: it registers with digest, is rung, answers, and is hung up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop"
)]

use route_api::{Cause, EndedBy, Endpoint, Memo, Party, Reachability, SessionDescription};
use route_api::{SignallingCommand, SignallingEvent};
use stage::{PASSWORD, Signalling};
use std::{
    fs,
    process::{Child, Command, Stdio},
};
use types::{LegId, Pii, Uid};

const OFFER: &str = "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
const MODULES: [&str; 5] = ["g711.so", "aubridge.so", "account.so", "menu.so", "stdio.so"];

struct Phone(Child);

impl Drop for Phone {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Runs where baresip is installed (`apt-get install baresip`); elsewhere it says so and proves nothing.
#[test]
fn baresip_registers_is_rung_and_is_hung_up() {
    if Command::new("baresip").arg("-h").output().is_err() {
        println!("baresip is not installed: nothing was proved");
        return;
    }
    let stage = Signalling::new(env!("CARGO_BIN_EXE_sip"), &[], |_| Vec::new());
    stage.attached();
    let folder = tempfile::tempdir().unwrap();
    let modules = MODULES.map(|module| format!("module {module}\n")).concat();
    let config = format!(
        "module_path /usr/lib/baresip/modules\nsip_listen 127.0.0.1:0\naudio_player aubridge,x\naudio_source aubridge,x\n\
         audio_alert aubridge,y\n{modules}"
    );
    fs::write(folder.path().join("config"), config).unwrap();
    let account = format!("<sip:8001@{}>;auth_pass={PASSWORD};answermode=auto;regint=60\n", stage.address());
    fs::write(folder.path().join("accounts"), account).unwrap();
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let mut command = Command::new("baresip");
    command.arg("-f").arg(folder.path()).stdin(Stdio::piped());
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let _phone = Phone(command.spawn().unwrap());

    let endpoint = Endpoint::Phone("8001".parse().unwrap());
    let reachable = Reachability::Reachable;
    // What baresip said stands in its log if this waits in vain.
    assert_eq!(stage.event(), SignallingEvent::Reachable { endpoint: endpoint.clone(), reachable });

    let leg = LegId(Uid([1; 16]));
    stage.command(SignallingCommand::Dial {
        leg,
        over: endpoint,
        number: String::new(),
        from: Party { number: Pii::new("13800138000".into()), display: Some(Pii::new("李".into())) },
        description: SessionDescription(OFFER.into()),
        memo: Memo::default(),
        silence_ms: None,
    });
    let answer = loop {
        match stage.event() {
            SignallingEvent::Ringing { .. } => {}
            SignallingEvent::Answered { description, .. } => break description.expect("its answer"),
            other => panic!("{other:?}"),
        }
    };
    assert!(answer.0.contains("PCMU/8000"), "{answer:?}");
    stage.command(SignallingCommand::HangUp { leg, cause: Cause::NormalClearing });
    assert_eq!(stage.end(), (leg, Cause::NormalClearing, EndedBy::House));
    stage.until("the phone has hung up", || {
        fs::read_to_string(folder.path().join("log")).unwrap().contains("session closed")
    });
}
