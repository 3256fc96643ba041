//! Why a log does not pass, in words.

use audit_log::checkpoint::NoteError;
use audit_log::frame::FrameError;
use audit_log::order::OrderFault;

/// What is wrong at the first bad byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The header of a segment is no header, or does not continue the segment before.
    Header,
    /// The bytes are no whole entry, or the entry's check does not match.
    Frame(FrameError),
    /// The entry may not follow the one before.
    Order(OrderFault),
    /// The entries up to a checkpoint are not those that were signed.
    Root,
    /// The checkpoint is malformed, of another log, or wrongly signed.
    Note(NoteError),
    /// A checkpoint covers no more than the one before.
    NoteOrder,
    /// Entries that a checkpoint or the next segment tells of are not there.
    EntriesGone,
    /// The segment of a checkpoint file is not there.
    SegmentGone,
}

impl Reason {
    /// A word for programs; it does not change.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Frame(_) => "entry",
            Self::Order(OrderFault::Sequence { .. }) => "sequence",
            Self::Order(_) => "time",
            Self::Root => "root",
            Self::Note(NoteError::BadSignature | NoteError::UnknownKey) => "signature",
            Self::Note(_) => "checkpoint",
            Self::NoteOrder => "checkpoint-order",
            Self::EntriesGone => "entries-gone",
            Self::SegmentGone => "segment-gone",
        }
    }

    /// In Chinese.
    pub const fn zh_cn(&self) -> &'static str {
        match self {
            Self::Header => "日志段的文件头不正确，或与前一段不相连",
            Self::Frame(_) => "条目不完整，或与其校验值不符",
            Self::Order(OrderFault::Sequence { .. }) => "条目序号不连续",
            Self::Order(_) => "条目的时间顺序不正确",
            Self::Root => "条目与已签名检查点的根哈希不符",
            Self::Note(NoteError::BadSignature) => "检查点的签名无效",
            Self::Note(NoteError::UnknownKey) => "检查点不是由受信任的密钥签名",
            Self::Note(_) => "检查点格式不正确，或属于另一份日志",
            Self::NoteOrder => "检查点的顺序不正确",
            Self::EntriesGone => "检查点所覆盖的条目已缺失",
            Self::SegmentGone => "检查点所属的日志段已缺失",
        }
    }

    /// In English.
    pub fn en(&self) -> String {
        match self {
            Self::Header => {
                "the segment's header is wrong or does not continue the segment before".to_owned()
            }
            Self::Frame(error) => error.to_string(),
            Self::Order(error) => error.to_string(),
            Self::Root => "the entries do not lead to the root that a checkpoint signed".to_owned(),
            Self::Note(error) => error.to_string(),
            Self::NoteOrder => "the checkpoint covers no more than the one before".to_owned(),
            Self::EntriesGone => "entries that a checkpoint or the next segment tells of are gone".to_owned(),
            Self::SegmentGone => "the segment of a checkpoint file is gone".to_owned(),
        }
    }
}
