//! What the house is compared with: kamailio as the proxy, rtpengine without its kernel module as the relay,
//! both from Debian, each with no more than a call needs.

use crate::{Failure, Processes};
use serde_json::{Value, json};
use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Whether both are installed.
pub fn installed() -> bool {
    ["kamailio", "rtpengine"].iter().all(|name| program(name).is_some())
}

/// A program of this machine, which may lie where only root looks.
fn program(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .iter()
        .map(|folder| PathBuf::from(folder).join(name))
        .find(|path| path.is_file())
}

/// One of them, which ends when it is dropped.
struct Rival {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Rival {
    fn drop(&mut self) {
        // It ends its children when it is told to stop.
        let _gone = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _gone = self.child.wait();
    }
}

impl Rival {
    fn start(name: &str, arguments: &[String], folder: tempfile::TempDir) -> Result<Self, Failure> {
        let path = program(name).ok_or_else(|| format!("{name} is not installed"))?;
        let log = fs::File::create(folder.path().join("log"))?;
        let child = Command::new(path)
            .args(arguments)
            // Where rtpengine leaves a core when it is told to stop.
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { child, folder })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// Whether rtpengine keeps what it relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// Not.
    No,
    /// In the clear, a pcap file a call.
    Pcap,
}

/// rtpengine in userspace, on two threads.
pub struct Rtpengine {
    rival: Rival,
    control: UdpSocket,
    recording: Recording,
    /// Where it takes commands.
    pub address: SocketAddr,
}

impl Rtpengine {
    /// Starts it.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(recording: Recording) -> Result<Self, Failure> {
        // On the same disk as the house's recordings.
        let folder = crate::folder()?;
        let address = free()?;
        let mut arguments: Vec<String> = [
            "--interface=127.0.0.1",
            "--table=-1",
            "--num-threads=2",
            "--foreground",
            "--log-stderr",
            "--log-level=4",
            "--port-min=30000",
            "--port-max=39999",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.push(format!("--listen-ng={address}"));
        arguments.push(format!("--pidfile={}", folder.path().join("pid").display()));
        if recording == Recording::Pcap {
            arguments.push(format!("--recording-dir={}", folder.path().display()));
            arguments.push("--recording-method=pcap".to_owned());
        }
        let rival = Rival::start("rtpengine", &arguments, folder)?;
        let control = UdpSocket::bind("127.0.0.1:0")?;
        control.connect(address)?;
        control.set_read_timeout(Some(Duration::from_millis(500)))?;
        let rtpengine = Self { rival, control, recording, address };
        let start = Instant::now();
        while let Err(error) = rtpengine.ask(&json!({ "command": "ping" })) {
            if start.elapsed() > PATIENCE {
                return Err(format!("rtpengine: {error}\n{}", rtpengine.rival.log()).into());
            }
        }
        Ok(rtpengine)
    }

    /// Its processes.
    pub fn processes(&self) -> Processes {
        Processes::of(vec![self.rival.child.id()])
    }

    /// Relays between these two ports. Gives the ports to which each of them is to send.
    ///
    /// # Errors
    /// It refuses.
    pub fn relay(&self, call: u16, one: u16, other: u16) -> Result<(u16, u16), Failure> {
        let description = |port: u16| {
            format!(
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
            )
        };
        let flags = json!(["trust-address"]);
        let kept = if self.recording == Recording::Pcap { "yes" } else { "no" };
        let mut wish = json!({
            "command": "offer", "call-id": format!("call{call}"), "from-tag": "one", "flags": flags,
            "sdp": description(one), "record-call": kept, "ICE": "remove",
        });
        let for_other = port(&self.ask(&wish)?)?;
        wish["command"] = "answer".into();
        wish["to-tag"] = "other".into();
        wish["sdp"] = description(other).into();
        let for_one = port(&self.ask(&wish)?)?;
        Ok((for_one, for_other))
    }

    fn ask(&self, command: &Value) -> Result<Value, Failure> {
        self.control.send(format!("{} {command}", cookie(command)).as_bytes())?;
        let mut buffer = [0; 8192];
        let length = self.control.recv(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let (_, reply) = text.split_once(' ').ok_or("no cookie")?;
        let reply: Value = serde_json::from_str(reply)?;
        match reply["result"].as_str() {
            Some("ok" | "pong") => Ok(reply),
            _ => Err(format!("rtpengine refuses {}: {reply}", command["command"]).into()),
        }
    }
}

/// Names a command: the same again is answered the same.
fn cookie(command: &Value) -> String {
    let name = |key: &str| command[key].as_str().unwrap_or_default().to_owned();
    format!("{}{}{}", name("command"), name("call-id"), name("to-tag"))
}

fn port(reply: &Value) -> Result<u16, Failure> {
    let description = reply["sdp"].as_str().ok_or("no session description")?;
    let line = description.lines().find_map(|line| line.strip_prefix("m=audio ")).ok_or("no audio")?;
    Ok(line.split(' ').next().unwrap_or_default().parse()?)
}

/// kamailio as a proxy before the phones, which stays on the way of each call.
pub struct Kamailio {
    rival: Rival,
    /// Where it is called.
    pub address: SocketAddr,
}

impl Kamailio {
    /// Starts it before these phones; with an rtpengine, sound goes through that.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(phones: SocketAddr, relay: Option<&Rtpengine>) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let address = free()?;
        let path = folder.path().join("kamailio.cfg");
        fs::write(&path, configuration(address, phones, relay.map(|relay| relay.address)))?;
        let arguments = ["-DD", "-E", "-n", "2", "-Y"].map(str::to_owned);
        let mut arguments = arguments.to_vec();
        arguments.push(folder.path().display().to_string());
        arguments.extend(
            ["-P", "-f"]
                .iter()
                .zip([folder.path().join("pid"), path])
                .flat_map(|(flag, path)| [(*flag).to_owned(), path.display().to_string()]),
        );
        let kamailio = Self { rival: Rival::start("kamailio", &arguments, folder)?, address };
        let asking = UdpSocket::bind("127.0.0.1:0")?;
        asking.connect(address)?;
        asking.set_read_timeout(Some(Duration::from_millis(200)))?;
        let own = asking.local_addr()?;
        let start = Instant::now();
        let mut tries = 0;
        loop {
            tries += 1;
            let request = format!(
                "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKo{tries}\r\n\
                 From: <sip:o@{own}>;tag=o\r\nTo: <sip:{address}>\r\nCall-ID: o{tries}\r\nCSeq: 1 OPTIONS\r\n\
                 Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            );
            let _not_there_yet = asking.send(request.as_bytes());
            if asking.recv(&mut [0; 2048]).is_ok() {
                return Ok(kamailio);
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("kamailio does not come up:\n{}", kamailio.rival.log()).into());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Its processes.
    ///
    /// # Errors
    /// It has ended.
    pub fn processes(&self) -> Result<Processes, Failure> {
        Processes::with_children(self.rival.child.id())
    }
}

fn configuration(address: SocketAddr, phones: SocketAddr, relay: Option<SocketAddr>) -> String {
    let (load, offer, answer, delete) = match relay {
        Some(relay) => (
            format!(
                "loadmodule \"rtpengine.so\"\nmodparam(\"rtpengine\", \"rtpengine_sock\", \"udp:{relay}\")"
            ),
            "rtpengine_offer(\"trust-address ICE=remove\");",
            "rtpengine_answer(\"trust-address ICE=remove\");",
            "if (is_method(\"BYE\")) rtpengine_delete();",
        ),
        None => (String::new(), "", "return;", ""),
    };
    format!(
        r#"#!KAMAILIO
debug=0
log_stderror=yes
children=2
disable_tcp=yes
auto_aliases=no
listen=udp:{address}
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
{load}
request_route {{
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (has_totag()) {{
        loose_route();
        {delete}
        t_relay();
        exit;
    }}
    if (is_method("INVITE")) {{
        record_route();
        {offer}
        t_on_reply("ANSWERED");
        $du = "sip:{phones}";
        t_relay();
    }}
    exit;
}}
onreply_route[ANSWERED] {{
    if (status =~ "2[0-9][0-9]") {{ {answer} }}
}}
"#
    )
}

fn free() -> Result<SocketAddr, Failure> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}
