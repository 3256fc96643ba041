//! linphone as the phone: it proves its password with SHA-256, which baresip 1.0 cannot.

use crate::{House, free_udp_port};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A linphone that answers by itself, speaks from a WAV and writes down what it hears.
pub struct Linphone {
    child: Child,
    folder: PathBuf,
    /// From where it speaks, at the least.
    pub media: u16,
}

impl Linphone {
    /// Registers this extension at the house.
    pub fn register(house: &House, extension: &str, password: &str, speech: &Path) -> Self {
        let folder = house.folder.path().join(format!("linphone-{extension}"));
        fs::create_dir_all(folder.join(".local/share/linphone")).unwrap();
        // It takes even ports and the odd ones above.
        let (sip, rtp, at) = (free_udp_port(), free_udp_port() & !1, house.sip);
        let codecs = ["opus/48000", "speex/16000", "speex/8000", "PCMU/8000", "PCMA/8000"];
        let codecs: String = (0..)
            .zip(codecs)
            .map(|(number, codec)| {
                let (mime, rate) = codec.split_once('/').unwrap();
                let enabled = u8::from(mime == "PCMA");
                format!("[audio_codec_{number}]\nmime={mime}\nrate={rate}\nchannels=1\nenabled={enabled}\n")
            })
            .collect();
        let config = format!(
            "[sip]\nsip_port={sip}\nsip_tcp_port=0\nsip_tls_port=0\nbind_address=127.0.0.1\ndefault_proxy=0\n\
             [net]\nmtu=1300\n[rtp]\naudio_rtp_port={rtp}\n\
             [proxy_0]\nreg_proxy=<sip:127.0.0.1:{at};transport=udp>\nreg_identity=sip:{extension}@127.0.0.1:{at}\n\
             reg_expires=120\nreg_sendregister=1\npublish=0\n\
             [auth_info_0]\nusername={extension}\npasswd={password}\n{codecs}"
        );
        fs::write(folder.join("rc"), config).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new("linphonec");
        command.args(["-a", "-c", "rc", "-d", "5", "-l", "trace"]).current_dir(&folder).env("HOME", &folder);
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().expect("linphonec: apt-get install linphone-cli");
        let mut linphone = Self { child, folder, media: rtp };
        linphone.key("soundcard use files");
        linphone.key(&format!("play {}", speech.display()));
        linphone.key(&format!("record {}", linphone.heard().display()));
        linphone
    }

    /// What it has heard: a WAV.
    pub fn heard(&self) -> PathBuf {
        self.folder.join("heard.wav")
    }

    /// Puts the call on hold.
    pub fn hold(&mut self) {
        self.key("pause");
    }

    /// Calls a number; a talk that it has is on hold.
    pub fn call(&mut self, house: &House, number: &str) {
        self.key(&format!("call sip:{number}@127.0.0.1:{}", house.sip));
    }

    /// Hands its first call on (REFER).
    pub fn transfer(&mut self, house: &House, number: &str) {
        self.key(&format!("transfer 1 sip:{number}@127.0.0.1:{}", house.sip));
    }

    /// Hands its first call on to the other side of its second (REFER with Replaces).
    pub fn join_calls(&mut self) {
        self.key("transfer 1 --to-call 2");
    }

    /// Hangs up.
    pub fn hang_up(&mut self) {
        self.key("terminate");
    }

    /// How many messages it received and sent that begin so.
    pub fn messages(&self, start: &str) -> usize {
        let trace = fs::read(self.folder.join("trace")).unwrap_or_default();
        String::from_utf8_lossy(&trace).lines().filter(|line| line.starts_with(start)).count()
    }

    fn key(&mut self, line: &str) {
        let keys = self.child.stdin.as_mut().expect("its keyboard");
        writeln!(keys, "{line}").and_then(|()| keys.flush()).expect("it takes commands");
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        // It may have ended by itself, with what it was to prove not proved: the test says so.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
