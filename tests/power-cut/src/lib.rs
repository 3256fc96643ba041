//! Nothing acknowledged is lost when the power goes.
//!
//! `kill -9` proves little: what a process has written, the kernel still has. Here the file system itself is
//! cut off, with its journal unflushed, at a moment that a seed chose:
//!
//! ```text
//!  ext4 on a loop file ◀── writer (a process): batches as fast as it can, an acknowledgement a line
//!        │  EXT4_IOC_SHUTDOWN(NOLOGFLUSH) ── the writer meets EIO and must end by itself
//!        ▼
//!  unmounted, mounted again ── every acknowledged row, index entry and outcome must be there
//! ```

mod disk;
mod workload;

pub use disk::Disk;
pub use workload::{Ack, Acknowledged, check, write};
