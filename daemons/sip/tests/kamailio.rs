//! kamailio as a carrier that demands SHA-256: we register with it over UDP, TCP and TLS, it calls us as its
//! subscriber, and it is told what went wrong where the password is another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop"
)]

use route_api::{
    Cause, Endpoint, Memo, Party, RegistrationStanding, SessionDescription, SignallingCommand,
    SignallingEvent, TargetHealth, Trouble,
};
use serde_json::json;
use stage::{Signalling, free};
use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use types::{LegId, Pii, Uid};

const PASSWORD: &str = "carrier's own";

struct Kamailio {
    child: Child,
    plain: SocketAddr,
    tls: SocketAddr,
    folder: tempfile::TempDir,
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // It ends its children when it is told to stop.
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.child.id() as i32), nix::sys::signal::SIGTERM)
            .ok();
        self.child.wait().ok();
    }
}

impl Kamailio {
    /// `None` where it is not installed.
    fn start() -> Option<Self> {
        Command::new("kamailio").arg("-v").output().ok()?;
        let (plain, tls) = (free(), free());
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["sip.carrier.example".to_owned()];
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        let path = folder.path().display();
        let tls_config = format!(
            "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n\
             private_key = {path}/key.pem\ncertificate = {path}/cert.pem\n"
        );
        fs::write(folder.path().join("tls.cfg"), tls_config).unwrap();
        let config = format!(
            r#"#!KAMAILIO
debug=2
log_stderror=yes
children=1
tcp_children=1
enable_tls=yes
disable_core_dump=yes
mhomed=0
alias="ims.example.cn"
listen=udp:{plain}
listen=tcp:{plain}
listen=tls:{tls}
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "tls.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "tmx.so"
loadmodule "xlog.so"
loadmodule "rr.so"
loadmodule "ctl.so"
modparam("ctl", "binrpc", "unix:{path}/ctl")
modparam("tls", "config", "{path}/tls.cfg")
modparam("auth", "algorithm", "SHA-256")
modparam("auth", "secret", "nonces")
modparam("registrar", "max_expires", 600)
modparam("registrar", "min_expires", 120)
request_route {{
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("ims.example.cn", "{PASSWORD}", "0")) {{
            www_challenge("ims.example.cn", "1");
            exit;
        }}
        save("location");
        exit;
    }}
    if (is_method("INVITE") && !has_totag()) {{
        if (!pv_proxy_authenticate("ims.example.cn", "{PASSWORD}", "0")) {{
            proxy_challenge("ims.example.cn", "1");
            exit;
        }}
        # The subscriber is called: whoever dials the account's number reaches us again.
        consume_credentials();
        record_route();
        if ($rU == "02155550000" && lookup("location")) {{
            t_relay();
            exit;
        }}
        sl_send_reply("486", "Busy Here");
        exit;
    }}
    if (has_totag()) {{
        loose_route();
        t_relay();
        exit;
    }}
    if (is_method("CANCEL") && t_check_trans()) {{
        t_relay();
    }}
}}
"#
        );
        let file = folder.path().join("kamailio.cfg");
        fs::write(&file, config).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("kamailio");
        command
            .args(["-DD", "-E", "-w"])
            .arg(folder.path())
            .arg("-Y")
            .arg(folder.path())
            .arg("-f")
            .arg(&file);
        command.args(["-m", "32", "-M", "4"]).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let kamailio = Self { child, plain, tls, folder };
        let start = Instant::now();
        while TcpStream::connect(plain).is_err() || TcpStream::connect(tls).is_err() {
            assert!(start.elapsed() < Duration::from_secs(15), "kamailio does not start: {}", kamailio.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(kamailio)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn certificate(&self) -> std::path::PathBuf {
        self.folder.path().join("cert.pem")
    }
}

fn trunk(address: SocketAddr, transport: &str, password: &str, authorities: &Path) -> serde_json::Value {
    let mut trunk = json!({
        "name": "carrier", "address": address, "transport": transport, "check": "5s",
        "account": {
            "user": "02155550000", "password": password, "domain": "ims.example.cn", "expires": "60s",
        },
    });
    if transport == "tls" {
        trunk["tls"] = json!({ "server_name": "sip.carrier.example", "authorities": authorities });
    }
    trunk
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_sip");
const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// Runs where kamailio is installed (`apt-get install kamailio kamailio-tls-modules`); elsewhere it says so and
/// proves nothing.
#[test]
fn we_register_with_sha_256_and_call_over_each_transport() {
    let Some(kamailio) = Kamailio::start() else {
        println!("SKIPPED: kamailio is not installed, nothing was proved");
        return;
    };
    for transport in ["udp", "tcp", "tls"] {
        let address = if transport == "tls" { kamailio.tls } else { kamailio.plain };
        let trunk = trunk(address, transport, PASSWORD, &kamailio.certificate());
        let stage =
            Signalling::with(PROGRAM, &json!({ "tls": [free()], "trunks": [trunk] }), |event| match event {
                SignallingEvent::Offered { leg, .. } => vec![SignallingCommand::Answer {
                    leg: *leg,
                    description: SessionDescription(SDP.into()),
                    memo: Memo("called".into()),
                }],
                _ => Vec::new(),
            });
        stage.attached();
        // 60 s is too brief for this carrier (423, Min-Expires 120): it is asked again for longer.
        let standing = stage.standing(|standing| {
            standing.registration == RegistrationStanding::Registered
                && standing.targets[0].health == TargetHealth::Up
        });
        assert_eq!(standing.error, None, "{transport}: {}", kamailio.log());
        println!("{transport}: round trip {} us", standing.targets[0].round_trip_us.unwrap());
        // We call the number of our own account: proved by 407, routed to our Contact, answered by us.
        let dialled = LegId(Uid([9; 16]));
        stage.command(SignallingCommand::Dial {
            leg: dialled,
            over: Endpoint::Trunk("carrier".parse().unwrap()),
            number: "02155550000".into(),
            from: Party { number: Pii::new("02155550000".into()), display: None },
            description: SessionDescription(SDP.into()),
            memo: Memo("calls".into()),
            silence_ms: None,
        });
        let (mut answered, mut confirmed, mut called) = (false, false, None);
        while !(answered && confirmed) {
            match stage.event() {
                SignallingEvent::Offered { leg, dialled, .. } => {
                    assert_eq!(dialled, "02155550000");
                    called = Some(leg);
                }
                SignallingEvent::Answered { leg, .. } => answered = leg == dialled,
                SignallingEvent::Confirmed { .. } => confirmed = true,
                SignallingEvent::Reachable { .. } | SignallingEvent::Ringing { .. } => {}
                other => panic!("{transport}: {other:?} {}", kamailio.log()),
            }
        }
        // The BYE goes by the carrier's Record-Route and ends the other leg.
        stage.command(SignallingCommand::HangUp { leg: dialled, cause: Cause::NormalClearing });
        let mut ended = Vec::new();
        while ended.len() < 2 {
            if let SignallingEvent::Ended { leg, cause, .. } = stage.event() {
                assert_eq!(cause, Cause::NormalClearing, "{transport}");
                ended.push(leg);
            }
        }
        assert!(ended.contains(&called.unwrap()));
    }
}

#[test]
fn a_wrong_password_is_told_as_such() {
    let Some(kamailio) = Kamailio::start() else {
        println!("SKIPPED: kamailio is not installed, nothing was proved");
        return;
    };
    let trunk = trunk(kamailio.plain, "udp", "not the one", &kamailio.certificate());
    let stage = Signalling::with(PROGRAM, &json!({ "trunks": [trunk] }), |_| Vec::new());
    stage.attached();
    let standing = stage.standing(|standing| standing.error.is_some());
    assert_eq!(standing.error, Some(Trouble::Password));
    assert_eq!(standing.registration, RegistrationStanding::Unregistered);
}
