//! A carrier's gateway that the house calls: SIPp, which answers, refuses, falls silent, or dies.

use crate::{House, free_udp_port};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

/// What it does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Rings, answers, says its speech, and waits for the end.
    Answer,
    /// Refuses at once.
    Refuse(u16),
    /// Rings, and refuses then.
    RingAndRefuse(u16),
    /// Says that it tries, and nothing more.
    Try,
}

/// A running gateway.
pub struct Gateway {
    sipp: Child,
    folder: PathBuf,
    /// From where it speaks, at the least.
    pub media: u16,
}

impl Gateway {
    /// Listens at this port.
    pub fn start(house: &House, port: u16, does: Does, speech: &Path) -> Self {
        let folder = house.folder.path().join(format!("gateway-{port}-{}", free_udp_port()));
        fs::create_dir_all(&folder).unwrap();
        let acts = match does {
            Does::Answer => [RINGING, &answer(speech), crate::peer::AWAIT_BYE].concat(),
            Does::Refuse(status) => refusal(status),
            Does::RingAndRefuse(status) => {
                [RINGING, "<pause milliseconds=\"500\"/>", &refusal(status)].concat()
            }
            Does::Try => [TRYING, "<pause milliseconds=\"60000\"/>"].concat(),
        };
        fs::write(folder.join("gateway.xml"), format!("{BEGIN}{acts}</scenario>\n")).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let media = free_udp_port() & !1;
        let sipp = house
            .peers
            .command("sipp")
            .current_dir(&folder)
            .args(["-sf", "gateway.xml", "-i", &house.peers.address, "-nostdin", "-trace_err", "-trace_msg"])
            .args(["-p", &port.to_string(), "-mp", &media.to_string(), "-recv_timeout", "120000"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("sipp: apt-get install sip-tester");
        let gateway = Self { sipp, folder, media };
        house.until("the gateway listens", crate::ua::PATIENCE, |_| {
            fs::read_to_string(format!("/proc/{}/net/udp", gateway.sipp.id()))
                .is_ok_and(|table| table.contains(&format!(":{port:04X} ")))
        });
        gateway
    }

    /// The INVITEs that it was sent, whole.
    pub fn invites(&self) -> Vec<String> {
        let files = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        let logs = files.filter(|path| path.to_string_lossy().ends_with("_messages.log"));
        let text: String = logs.map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
        let messages = text.split("----------------------------------------------- ");
        messages.filter(|message| message.contains("\nINVITE ")).map(str::to_owned).collect()
    }

    /// Ends it in the middle of what it does: kill -9.
    pub fn die(&mut self) {
        self.sipp.kill().ok();
        self.sipp.wait().ok();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.die();
    }
}

const BEGIN: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="gateway">
  <recv request="INVITE" rrs="true"/>"#;

const TRYING: &str = r#"
  <send><![CDATA[
      SIP/2.0 100 Trying
      [last_Via:]
      [last_From:]
      [last_To:]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

  ]]></send>"#;

const RINGING: &str = r#"
  <send><![CDATA[
      SIP/2.0 180 Ringing
      [last_Via:]
      [last_From:]
      [last_To:];tag=[pid]g[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:gateway@[local_ip]:[local_port]>
      Content-Length: 0

  ]]></send>"#;

fn refusal(status: u16) -> String {
    format!(
        r#"
  <send retrans="500"><![CDATA[
      SIP/2.0 {status} Said
      [last_Via:]
      [last_From:]
      [last_To:];tag=[pid]g[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

  ]]></send>
  <recv request="ACK"/>"#
    )
}

fn answer(speech: &Path) -> String {
    format!(
        r#"
  <pause milliseconds="500"/>
  <send retrans="500"><![CDATA[
      SIP/2.0 200 OK
      [last_Via:]
      [last_Record-Route:]
      [last_From:]
      [last_To:];tag=[pid]g[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:gateway@[local_ip]:[local_port]>
      Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=- 1 1 IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [rtpstream_audio_port] RTP/AVP 8
      a=rtpmap:8 PCMA/8000
      a=ptime:20
  ]]></send>
  <recv request="ACK"/>
  <nop><action><exec rtp_stream="{},-1,8"/></action></nop>"#,
        speech.display()
    )
}
