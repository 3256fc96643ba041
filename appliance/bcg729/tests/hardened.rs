//! Under the unit of media the library loads too: `MemoryDenyWriteExecute=yes` in its strictest form, which the kernel
//! itself keeps (PR_SET_MDWE, Linux 6.3). The whole process of this test is bound by it, so it stands alone.
#![allow(clippy::unwrap_used, reason = "tests")]

use bcg729::Library;
use g729::{Library as _, OCTETS, SAMPLES};
use std::io::{Write, stderr};

const PR_SET_MDWE: i32 = 65;
const PR_MDWE_REFUSE_EXEC_GAIN: u64 = 1;

#[test]
fn it_loads_where_no_memory_becomes_executable() {
    // SAFETY: takes numbers and changes nothing but what this process may do with its memory.
    let bound = unsafe { nix::libc::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0_u64, 0_u64, 0_u64) } == 0;
    if !bound || bcg729::find(None).is_err() {
        let _gone = writeln!(stderr(), "SKIPPED: no Linux 6.3, or no libbcg729-0");
        return;
    }
    let mut speaker = Library::load(None).unwrap().encoder().unwrap();
    assert_ne!(speaker.encode(&[1000; SAMPLES]), [0; OCTETS]);
}
