//! The disk of recordings takes nothing for a while, or is full; the disk of the audit log is full. With live calls: nobody
//! hears it, somebody is told, the settings say what becomes of calls, and afterwards all goes on.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use e2e::{House, crowd::Crowd, mount::Mounted};
use power_cut::Disk;
use serde_json::{Value, json};
use std::{fs, io::Write, thread, time::Duration};
use tempfile::TempDir;

/// Longer than it takes to find out that a disk has stalled.
const TALK: Duration = Duration::from_secs(14);

/// A crowd of two whose daemon has a disk of its own.
fn crowd_with(daemon: &str, mebibytes: u64) -> Option<(Crowd, Mounted, Disk)> {
    let disk = match Disk::new(mebibytes) {
        Ok(disk) => disk,
        Err(error) => {
            println!("SKIPPED: no disk that can be stalled (root, ext4, loop devices): {error}");
            return None;
        }
    };
    let folder = TempDir::new().unwrap();
    let mounted = Mounted::at(folder.path(), daemon, &disk).unwrap();
    Some((Crowd::start(folder, 2, TALK, ""), mounted, disk))
}

/// Waits until record says this of its disk, to people and in the log.
fn alarmed(crowd: &Crowd, health: &str) {
    let said = |house: &e2e::House| {
        let list =
            house.ask_as("auditadmin", &["audit", "list", "--kind", "record.disk-alarm", "--limit", "1"]);
        list["entries"][0]["event"]["facts"]["health"] == health
    };
    crowd.house.until(&format!("the disk is {health}"), Duration::from_secs(40), said);
    let word = if health == "good" { "free" } else { health };
    let shown = |house: &e2e::House| house.daemon("record").to_string().to_lowercase().contains(word);
    crowd.house.until("ym status says so", Duration::from_secs(10), shown);
}

fn talking(crowd: &Crowd, calls: usize) {
    crowd.house.until("they talk", Duration::from_secs(30), |house| {
        let live = house.ask_as("wang", &["calls", "live"])["calls"].take();
        live.as_array().unwrap().iter().filter(|call| call["stage"] == "talking").count() == calls
    });
}

fn over(crowd: &Crowd) {
    crowd.house.until("no call is left", Duration::from_secs(30), |house| {
        house.ask_as("wang", &["calls", "live"])["calls"].as_array().unwrap().is_empty()
    });
}

/// The newest calls, the newest first.
fn newest(crowd: &Crowd, calls: usize) -> Vec<Value> {
    let list = crowd.house.ask_as("wang", &["calls", "list", "--limit", &calls.to_string()]);
    list["calls"].as_array().unwrap().clone()
}

fn decided(call: &Value, what: &str) -> bool {
    call["decisions"].as_array().unwrap().iter().any(|decision| decision["what"] == what)
}

/// What each party said came, all of it and in time.
fn heard_well(call: &Value) {
    for leg in call["legs"].as_array().unwrap() {
        let quality = &leg["quality"];
        assert!(quality["received"].as_u64().unwrap() >= 45 * (TALK.as_secs() - 1), "{call:#}");
        assert_eq!(quality["lost"], 0, "{call:#}");
    }
}

/// Calls so often and all go as they should.
fn call_well(crowd: &Crowd, calls: usize) {
    crowd.call(calls, 2.0).ended().unwrap_or_else(|errors| panic!("{errors}"));
}

/// A new caller is refused.
fn refused(crowd: &Crowd) {
    let errors = crowd.call(1, 2.0).ended().err().unwrap_or_default();
    assert!(errors.contains("503"), "it was taken: {errors}");
}

#[test]
fn a_disk_of_recordings_that_takes_nothing_delays_no_word_and_the_settings_say_what_becomes_of_calls() {
    let Some((crowd, mounted, disk)) = crowd_with("record", 600) else { return };
    // They go on without.
    let mut callers = crowd.call(2, 2.0);
    talking(&crowd, 2);
    // They are recorded by now.
    thread::sleep(Duration::from_secs(2));
    disk.freeze().unwrap();
    callers.ended().unwrap_or_else(|errors| panic!("{errors}"));
    alarmed(&crowd, "stalled");
    call_well(&crowd, 1);
    let unrecorded = newest(&crowd, 1).remove(0);
    assert_eq!(unrecorded["recording"]["no"]["reason"], "failed", "{unrecorded:#}");
    assert!(decided(&unrecorded, "recording.none"), "{unrecorded:#}");
    disk.thaw().unwrap();
    alarmed(&crowd, "good");
    call_well(&crowd, 2);
    let verdict = crowd.reconciled(5, Duration::from_secs(60));
    assert_eq!(
        (&verdict["recorded"], &verdict["unrecorded"]["failed"]),
        (&json!(4), &json!(1)),
        "{verdict:#}"
    );
    let calls = newest(&crowd, 5);
    calls.iter().for_each(heard_well);
    assert!(calls[..2].iter().all(|call| call["outcome"]["state"] == "sealed"), "{calls:#?}");
    assert!(calls[3..].iter().any(|call| decided(call, "recording.stalled")), "{calls:#?}");

    // They are ended, and no new ones are taken.
    let settings = crowd.house.folder.path().join("appliance.toml");
    let text = fs::read_to_string(&settings)
        .unwrap()
        .replace("[record]\n", "[record]\non_disk_full = \"end-calls\"\n");
    fs::write(&settings, text).unwrap();
    let apply = ["settings", "apply", settings.to_str().unwrap(), "--reason", "no call unrecorded"];
    crowd.house.ym_as("sysadmin", &apply, "");
    let mut callers = crowd.call(2, 2.0);
    talking(&crowd, 2);
    disk.freeze().unwrap();
    over(&crowd);
    callers.vanish();
    refused(&crowd);
    disk.thaw().unwrap();
    alarmed(&crowd, "good");

    // Full, and then full to the last byte in the midst of a call.
    let ballast = disk.fill(100).unwrap();
    alarmed(&crowd, "full");
    refused(&crowd);
    fs::remove_file(ballast).unwrap();
    alarmed(&crowd, "good");
    let mut callers = crowd.call(1, 2.0);
    talking(&crowd, 1);
    let ballast = disk.fill(0).unwrap();
    over(&crowd);
    callers.vanish();
    let saved = |_: &House| !decided(&newest(&crowd, 1)[0], "call.refused");
    crowd.house.until("the record of the call is kept", Duration::from_secs(30), saved);
    let ended = newest(&crowd, 1).remove(0);
    assert!(decided(&ended, "recording.stalled"), "{ended:#}");
    fs::remove_file(ballast).unwrap();
    alarmed(&crowd, "good");
    call_well(&crowd, 1);
    let known = newest(&crowd, 100).len();
    let verdict = crowd.reconciled(known, Duration::from_secs(60));
    assert!(verdict["truncated"].as_u64().unwrap() >= 1, "{verdict:#}");
    let last = newest(&crowd, 1).remove(0);
    assert_eq!(last["outcome"]["state"], "sealed", "{last:#}");
    drop((crowd, mounted, disk));
}

#[test]
fn a_full_disk_of_the_audit_log_is_called_that_and_all_goes_on_when_there_is_room() {
    let Some((crowd, mounted, disk)) = crowd_with("audit", 64) else { return };
    call_well(&crowd, 1);
    let ballast = disk.fill(0).unwrap();
    fill_to_the_last_entry(&crowd, &disk);
    let settings = crowd.house.folder.path().join("appliance.toml");
    let text =
        fs::read_to_string(&settings).unwrap().replace("realm = \"demo.yanmen\"", "realm = \"other.yanmen\"");
    fs::write(&settings, text).unwrap();
    let apply = ["settings", "apply", settings.to_str().unwrap(), "--reason", "another realm"];
    let export = |out: &str| {
        let id = newest(&crowd, 1)[0]["recording"]["yes"]["recording"].as_str().unwrap().to_owned();
        crowd.house.try_ym_as("wang", &["recordings", "export", &id, "--reason", "why", "--out", out], "")
    };
    let out = crowd.house.folder.path().join("out.wav");
    for (language, words) in
        [("en", "the disk of the audit log is full"), ("zh_CN.UTF-8", "审计日志所在磁盘已满")]
    {
        for output in [
            crowd.house.try_ym_in_language("sysadmin", language, &apply),
            crowd.house.try_ym_in_language("auditadmin", language, &["audit", "list"]),
        ] {
            let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
            assert!(!output.status.success() && said.contains(words) && said.contains("audit"), "{said}");
        }
    }
    let output = export(out.to_str().unwrap());
    assert!(!output.status.success(), "no entry, no sound");
    assert_eq!(out.metadata().map_or(0, |file| file.len()), 0);
    // A call goes on all the same: what cannot be proved is not recorded, and the record says so.
    call_well(&crowd, 1);
    fs::remove_file(ballast).unwrap();
    let _none = fs::remove_file(disk.root().join("crumbs"));
    crowd.house.until("settings are applied again", Duration::from_secs(30), |house| {
        let output = house.try_ym_as("sysadmin", &apply, "");
        output.status.success()
    });
    call_well(&crowd, 1);
    let verdict = crowd.reconciled(3, Duration::from_secs(90));
    assert_eq!(
        (&verdict["recorded"], &verdict["unrecorded"]["failed"]),
        (&json!(2), &json!(1)),
        "{verdict:#}"
    );
    assert_eq!(crowd.house.ask_as("auditadmin", &["audit", "verify"])["damage"], Value::Null);
    drop((crowd, mounted, disk));
}

/// Leaves no byte: not in whole blocks, and not in the last block of the log.
fn fill_to_the_last_entry(crowd: &Crowd, disk: &Disk) {
    if let Ok(mut file) = fs::File::create(disk.root().join("crumbs")) {
        while file.write_all(&[1; 512]).is_ok() {}
    }
    let mut refused = 0;
    crowd.house.until("no entry is taken", Duration::from_secs(60), |house| {
        let taken = house.try_ym_as("auditadmin", &["audit", "list", "--limit", "1"], "").status.success();
        refused = if taken { 0 } else { refused + 1 };
        refused == 3
    });
}
