//! The peers: SIPp in the place of the carrier, baresip in the place of the phone.

use crate::{House, PHONES, free_udp_port};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A registered phone that speaks from a WAV.
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

/// Who takes the phone off the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// It answers by itself.
    ByItself,
    /// It rings until [`Phone::answer`].
    ByHand,
}

impl Phone {
    /// Registers 8001 at the house; it answers by itself.
    pub fn register(house: &House, speech: &Path) -> Self {
        Self::register_speaking(house, speech, Speaking::PLAIN)
    }

    /// Registers 8001 at the house, which speaks like this; it answers by itself.
    pub fn register_speaking(house: &House, speech: &Path, speaking: Speaking) -> Self {
        Self::at(house, "8001", Answers::ByItself, None, speech, speaking)
    }

    /// Registers this extension. With `media` it receives RTP at one of the ports from there on. What a phone
    /// with protection hears is written to `baresip-EXTENSION/dump-…-dec.wav`.
    pub fn at(
        house: &House,
        extension: &str,
        answers: Answers,
        media: Option<u16>,
        speech: &Path,
        speaking: Speaking,
    ) -> Self {
        let folder = house.folder.path().join(format!("baresip-{extension}"));
        fs::create_dir_all(&folder).unwrap();
        let (codec_module, codec) = speaking.codec;
        // Accounts name their protection: its module comes before theirs.
        let modules =
            ["stdio.so", "srtp.so", "account.so", codec_module, "aufile.so", "aubridge.so", "menu.so"]
                .into_iter()
                .chain(if speaking.protection.is_empty() { None } else { Some("sndfile.so") })
                .map(|module| format!("module {module}\n"))
                .collect::<String>();
        let ports =
            media.map_or_else(String::new, |first| format!("rtp_ports {first}-{}\n", first + PORTS - 1));
        // aufile is a source only; what the phone hears goes into a bridge that nobody listens to.
        let config = format!(
            "module_path /usr/lib/baresip/modules\nsip_listen {}:0\naudio_source aufile,{}\n\
             audio_player aubridge,heard\naudio_alert aubridge,alert\nsnd_path {}\n{ports}{modules}",
            house.peers.address,
            speech.display(),
            folder.display()
        );
        fs::write(folder.join("config"), config).unwrap();
        let protection = match speaking.protection {
            "" => String::new(),
            name => format!(";mediaenc={name}"),
        };
        let mode = match answers {
            Answers::ByItself => "auto",
            Answers::ByHand => "manual",
        };
        let account = format!(
            "<sip:{extension}@{}:{}>;auth_pass={};answermode={mode};regint=60;\
             audio_codecs={codec}{protection}\n",
            house.place.address,
            house.sip,
            password(extension)
        );
        fs::write(folder.join("accounts"), account).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = house.peers.command("baresip");
        command.arg("-f").arg(&folder).stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().expect("baresip: apt-get install baresip"))
    }

    /// Takes the call that rings: baresip's key `a`.
    pub fn answer(&mut self) {
        self.press("a");
    }
}

impl Phone {
    /// Hangs up, as a hand on the phone would: baresip's key `b`.
    pub fn hang_up(&mut self) {
        self.press("b");
    }

    /// Calls a number.
    pub fn dial(&mut self, number: &str) {
        self.press(&format!("/dial {number}\n"));
    }

    /// Puts the call on hold.
    pub fn hold(&mut self) {
        self.press("/hold\n");
    }

    /// Takes it back.
    pub fn resume(&mut self) {
        self.press("/resume\n");
    }

    /// Hands the call on (REFER).
    pub fn transfer(&mut self, to: &str) {
        self.press(&format!("/transfer {to}\n"));
    }

    /// Stands still, as a phone whose network is gone: says nothing, closes nothing.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Goes on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }

    fn press(&mut self, keys: &str) {
        let keyboard = self.0.stdin.as_mut().expect("its keyboard");
        keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush()).expect("it takes keys");
    }
}

/// The password that the demonstration's settings give a phone; the first one's for those of a test.
fn password(extension: &str) -> &'static str {
    PHONES.iter().find(|(number, _)| *number == extension).unwrap_or(&PHONES[0]).1
}

impl Drop for Phone {
    fn drop(&mut self) {
        // It may have ended by itself, with what it was to prove not proved: the test says so.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// How many ports a peer may choose from.
pub const PORTS: u16 = 20;

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

/// A caller who dials over a trunk and speaks from a raw A-law file.
pub struct Caller {
    sipp: Child,
    /// From where it speaks, at the least.
    pub media: u16,
}

/// Over which trunk a caller comes, and whom it dials.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The port from which the trunk calls.
    pub trunk: u16,
    /// The number.
    pub dialled: &'a str,
    /// The first of [`PORTS`] for its RTP.
    pub media: u16,
}

impl Caller {
    /// Calls 95555 over the trunk of the house.
    pub fn call(house: &House, speech: &Path, hang_up: HangUp) -> Self {
        // SIPp takes an even port and those above it.
        let line = Line { trunk: house.trunk, dialled: "95555", media: free_udp_port() & !1 };
        Self::dial(house, line, speech, hang_up)
    }

    /// Calls 95555 from a carrier that speaks G.729 alone, from a file of its frames.
    pub fn call_in_g729(house: &House, speech: &Path, hang_up: HangUp) -> Self {
        let line = Line { trunk: house.trunk, dialled: "95555", media: free_udp_port() & !1 };
        Self::dial_as(house, line, speech, hang_up, |scenario| {
            scenario
                .replace("RTP/AVP 8\n", "RTP/AVP 18\n")
                .replace("a=rtpmap:8 PCMA/8000\n", "a=rtpmap:18 G729/8000\n      a=fmtp:18 annexb=no\n")
                .replace(",-1,8\"", ",-1,18,G729/8000\"")
        })
    }

    /// Calls.
    pub fn dial(house: &House, line: Line<'_>, speech: &Path, hang_up: HangUp) -> Self {
        Self::dial_as(house, line, speech, hang_up, |scenario| scenario)
    }

    fn dial_as(
        house: &House,
        line: Line<'_>,
        speech: &Path,
        hang_up: HangUp,
        change: impl FnOnce(String) -> String,
    ) -> Self {
        let folder = house.folder.path().join(format!("sipp-{}", line.trunk));
        fs::create_dir_all(&folder).unwrap();
        let ending = match hang_up {
            HangUp::Caller { after } => format!("<pause milliseconds=\"{after}\"/>{BYE}"),
            HangUp::Callee => AWAIT_BYE.to_owned(),
        };
        let speech = speech.display().to_string();
        let scenario = include_str!("../peers/caller.xml")
            .replace("SPEECH", &speech)
            .replace("<!-- ENDING -->", &ending)
            .replace("95555", line.dialled);
        fs::write(folder.join("caller.xml"), change(scenario)).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = house.peers.command("sipp");
        command
            .current_dir(&folder)
            .args(["-sf", "caller.xml", "-m", "1", "-i", &house.peers.address, "-nostdin", "-trace_err"])
            .args(["-recv_timeout", "120000", "-p", &line.trunk.to_string(), "-mp", &line.media.to_string()])
            .arg(format!("{}:{}", house.place.address, house.sip))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        Self { sipp: command.spawn().expect("sipp: apt-get install sip-tester"), media: line.media }
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

/// A long WAV of a third voice.
pub fn third_voice(folder: &Path) -> PathBuf {
    let at = |name: &str| folder.join(name).display().to_string();
    let words = "这里是专家坐席，您的情况我已经了解，现在为您处理。";
    let spoken = Command::new("espeak-ng")
        .args(["-v", "cmn", "-p", "20", "-w", &at("third-voice.wav"), words])
        .status();
    assert!(spoken.expect("espeak-ng: apt-get install espeak-ng").success());
    let long = Command::new("sox")
        .args([&at("third-voice.wav"), "-r", "8000", "-c", "1", "-b", "16", &at("third.wav"), "repeat", "20"])
        .status();
    assert!(long.expect("sox: apt-get install sox").success());
    folder.join("third.wav")
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
