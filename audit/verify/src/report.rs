//! The verdict, for people and for programs.

use crate::Reason;
use audit_log::hash::Digest;

/// What the verifier says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// 通过: everything that a checkpoint covers is what was signed.
    Passed,
    /// 不通过: something is wrong, and where is known.
    Failed,
    /// 无法判定: unreadable, nothing signed, or no trusted key.
    #[default]
    Undetermined,
}

impl Verdict {
    /// The exit status: 0, 1 or 2.
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Undetermined => 2,
        }
    }
}

/// The first bad byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file's name within the log's folder.
    pub file: String,
    /// The byte, or the beginning of the entry or note that it stands in.
    pub offset: u64,
    /// What is wrong there.
    pub reason: Reason,
}

/// What a reader of the verdict must know besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The last segment ends in a torn write from this byte on; it was never acknowledged.
    TornTail {
        /// Where it begins.
        offset: u64,
    },
    /// The last checkpoint file ends in a torn write from this byte on.
    TornNote {
        /// Where it begins.
        offset: u64,
    },
    /// So many of the oldest entries are no longer kept; their hashes are.
    Dropped {
        /// How many.
        entries: u64,
    },
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// Entries seen, the dropped ones included.
    pub entries: u64,
    /// Entries that the last checkpoint vouches for.
    pub covered: u64,
    /// Checkpoints read.
    pub checkpoints: u64,
    /// The root that the last checkpoint signed.
    pub root: Option<Digest>,
    /// The first bad byte.
    pub fault: Option<Fault>,
    /// Why the log could not be read.
    pub unreadable: Option<String>,
    /// What else there is to know.
    pub notices: Vec<Notice>,
}

impl Report {
    pub(crate) fn settle(&mut self, trustless: bool) {
        self.verdict = if self.fault.is_some() {
            Verdict::Failed
        } else if self.unreadable.is_some() || self.covered == 0 || trustless {
            Verdict::Undetermined
        } else {
            Verdict::Passed
        };
    }

    /// Lines for people, Chinese and English.
    pub fn text(&self) -> String {
        let mut out = match self.verdict {
            Verdict::Passed => "通过 passed\n".to_owned(),
            Verdict::Failed => "不通过 failed\n".to_owned(),
            Verdict::Undetermined => "无法判定 cannot be determined\n".to_owned(),
        };
        let Self { entries, covered, checkpoints, .. } = self;
        let mut line = |text: std::fmt::Arguments<'_>| {
            out.push_str(&text.to_string());
            out.push('\n');
        };
        line(format_args!(
            "条目 entries {entries}; 检查点覆盖 covered {covered}; 检查点 checkpoints {checkpoints}"
        ));
        if let Some(root) = &self.root {
            line(format_args!("根 root {}", hex(root)));
        }
        if let Some(Fault { file, offset, reason }) = &self.fault {
            line(format_args!("首个错误字节 first bad byte: {file} @ {offset}"));
            line(format_args!("{} — {}", reason.zh_cn(), reason.en()));
        }
        if let Some(what) = &self.unreadable {
            line(format_args!("无法读取 unreadable: {what}"));
        }
        if self.covered == 0 && self.fault.is_none() {
            line(format_args!("没有已签名的检查点 nothing is covered by a checkpoint"));
        }
        for notice in &self.notices {
            match notice {
                Notice::TornTail { offset } => line(format_args!(
                    "末尾未完成的写入（未曾确认） a torn write at the end, never acknowledged, from byte {offset}"
                )),
                Notice::TornNote { offset } => {
                    line(format_args!("末尾未完成的检查点 a torn checkpoint at the end, from byte {offset}"))
                }
                Notice::Dropped { entries } => line(format_args!(
                    "最早的 {entries} 条已按保留期限移除 the oldest {entries} entries are no longer kept"
                )),
            }
        }
        out
    }

    /// One JSON object in one line.
    pub fn json(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Undetermined => "undetermined",
        };
        let Self { entries, covered, checkpoints, .. } = self;
        let mut out = format!(
            r#"{{"verdict":"{verdict}","entries":{entries},"covered":{covered},"checkpoints":{checkpoints}"#
        );
        if let Some(root) = &self.root {
            out += &format!(r#","root":"{}""#, hex(root));
        }
        if let Some(Fault { file, offset, reason }) = &self.fault {
            // File names and reasons hold neither quotes nor control characters.
            let (code, what) = (reason.code(), reason.en());
            out += &format!(r#","file":"{file}","offset":{offset},"reason":"{code}","what":"{what}""#);
        }
        if let Some(what) = &self.unreadable {
            out += &format!(r#","unreadable":"{}""#, what.replace(['"', '\\'], "'"));
        }
        let notices: Vec<String> = self.notices.iter().map(Notice::json).collect();
        out + &format!(r#","notices":[{}]}}"#, notices.join(","))
    }
}

impl Notice {
    fn json(&self) -> String {
        match self {
            Self::TornTail { offset } => format!(r#"{{"notice":"torn-tail","offset":{offset}}}"#),
            Self::TornNote { offset } => format!(r#"{{"notice":"torn-checkpoint","offset":{offset}}}"#),
            Self::Dropped { entries } => format!(r#"{{"notice":"dropped","entries":{entries}}}"#),
        }
    }
}

fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
