//! The peers: SIPp in the place of the carrier, baresip in the place of the phone.

use crate::{House, PHONE_PASSWORD, free_udp_port};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A registered phone that answers by itself and speaks from a WAV.
pub struct Phone(Child);

/// How a phone speaks.
#[derive(Clone, Copy, Debug)]
pub struct Speaking {
    /// The codec's module of baresip, and its name there.
    pub codec: (&'static str, &'static str),
    /// `mediaenc` of the account, or nothing.
    pub protection: &'static str,
}

impl Speaking {
    /// As most do: A-law, in the clear.
    pub const PLAIN: Self = Self { codec: ("g711.so", "PCMA/8000/1"), protection: "" };
}

impl Phone {
    /// Registers 8001 at the house.
    pub fn register(house: &House, speech: &Path) -> Self {
        Self::register_speaking(house, speech, Speaking::PLAIN)
    }

    /// Registers 8001 at the house; what the phone hears is written to `baresip/dump-…-dec.wav`.
    pub fn register_speaking(house: &House, speech: &Path, speaking: Speaking) -> Self {
        let folder = house.folder.path().join("baresip");
        fs::create_dir_all(&folder).unwrap();
        let (codec_module, codec) = speaking.codec;
        // Accounts name their protection: its module comes before theirs.
        let modules =
            ["stdio.so", "srtp.so", "account.so", codec_module, "aufile.so", "aubridge.so", "menu.so"]
                .into_iter()
                .chain(if speaking.protection.is_empty() { None } else { Some("sndfile.so") })
                .map(|module| format!("module {module}\n"))
                .collect::<String>();
        // aufile is a source only; what the phone hears goes into a bridge that nobody listens to.
        let config = format!(
            "module_path /usr/lib/baresip/modules\nsip_listen 127.0.0.1:0\naudio_source aufile,{}\n\
             audio_player aubridge,heard\naudio_alert aubridge,alert\nsnd_path {}\n{modules}",
            speech.display(),
            folder.display()
        );
        fs::write(folder.join("config"), config).unwrap();
        let protection = match speaking.protection {
            "" => String::new(),
            name => format!(";mediaenc={name}"),
        };
        let account = format!(
            "<sip:8001@127.0.0.1:{}>;auth_pass={PHONE_PASSWORD};answermode=auto;regint=60;audio_codecs={codec}{protection}\n",
            house.sip
        );
        fs::write(folder.join("accounts"), account).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new("baresip");
        command.arg("-f").arg(&folder).stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().expect("baresip: apt-get install baresip"))
    }
}

impl Phone {
    /// Hangs up, as a hand on the phone would: baresip's key `b`.
    pub fn hang_up(&mut self) {
        let keys = self.0.stdin.as_mut().expect("its keyboard");
        keys.write_all(b"b").and_then(|()| keys.flush()).expect("it takes keys");
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        // It may have ended by itself, with what it was to prove not proved: the test says so.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Who ends the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// The caller, after so many milliseconds.
    Caller {
        /// From the answer on.
        after: u32,
    },
    /// The other side.
    Callee,
}

/// A caller who dials 95555 over the trunk and speaks from a raw A-law file.
pub struct Caller {
    sipp: Child,
    /// From where it speaks.
    pub media: u16,
}

impl Caller {
    /// Calls.
    pub fn call(house: &House, speech: &Path, hang_up: HangUp) -> Self {
        // SIPp takes an even port and those above it.
        let media = free_udp_port() & !1;
        let folder = house.folder.path().join("sipp");
        fs::create_dir_all(&folder).unwrap();
        let ending = match hang_up {
            HangUp::Caller { after } => format!("<pause milliseconds=\"{after}\"/>{BYE}"),
            HangUp::Callee => AWAIT_BYE.to_owned(),
        };
        let speech = speech.display().to_string();
        let scenario = include_str!("../peers/caller.xml")
            .replace("SPEECH", &speech)
            .replace("<!-- ENDING -->", &ending);
        fs::write(folder.join("caller.xml"), scenario).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new("sipp");
        command
            .current_dir(&folder)
            .args([
                "-sf",
                "caller.xml",
                "-m",
                "1",
                "-i",
                "127.0.0.1",
                "-nostdin",
                "-trace_err",
                "-recv_timeout",
                "120000",
            ])
            .args(["-p", &house.trunk.to_string(), "-mp", &media.to_string()])
            .arg(format!("127.0.0.1:{}", house.sip))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        Self { sipp: command.spawn().expect("sipp: apt-get install sip-tester"), media }
    }

    /// Whether the call is over, and whether it went as written.
    pub fn ended(&mut self) -> Option<bool> {
        self.sipp.try_wait().unwrap().map(|status| status.success())
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // As for the phone.
        self.sipp.kill().ok();
        self.sipp.wait().ok();
    }
}

/// The caller's speech as raw A-law and the phone's as a long WAV of another voice.
pub fn speech(folder: &Path) -> (PathBuf, PathBuf) {
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).status();
        assert!(
            status.unwrap_or_else(|error| panic!("{program}: {error}: apt-get install {program}")).success()
        );
    };
    let at = |name: &str| folder.join(name).display().to_string();
    run("espeak-ng", &["-v", "cmn", "-w", &at("caller-voice.wav"), "您好，我想查询一下我的账户余额，谢谢。"]);
    run(
        "espeak-ng",
        &["-v", "cmn", "-p", "80", "-w", &at("phone-voice.wav"), "您好，坐席为您服务，请问有什么可以帮您？"],
    );
    run(
        "sox",
        &[&at("caller-voice.wav"), "-r", "8000", "-c", "1", "-t", "al", &at("caller.al"), "repeat", "9"],
    );
    run(
        "sox",
        &[&at("phone-voice.wav"), "-r", "8000", "-c", "1", "-b", "16", &at("phone.wav"), "repeat", "20"],
    );
    (folder.join("caller.al"), folder.join("phone.wav"))
}

const BYE: &str = r#"
  <send retrans="500"><![CDATA[
      BYE [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      [routes]
      From: "Li" <sip:13800138000@[local_ip]:[local_port]>;tag=[pid]t[call_number]
      To: <sip:95555@[remote_ip]:[remote_port]>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: 2 BYE
      Max-Forwards: 70
      Content-Length: 0

  ]]></send>
  <recv response="200"/>"#;

/// The house hangs up.
pub(crate) const AWAIT_BYE: &str = r#"
  <recv request="BYE"/>
  <send><![CDATA[
      SIP/2.0 200 OK
      [last_Via:]
      [last_From:]
      [last_To:]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

  ]]></send>"#;
