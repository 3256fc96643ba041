//! The systemd units of one daemon: its service, and one socket for each caller of the table.
//!
//! The contract between a daemon and whoever starts it stands in appliance/service/README.md; `ym up` keeps
//! the same one at a desk.

use house::{Daemon, Network, life};
use std::{fmt::Write as _, time::Duration};

/// `ym-record.service`.
pub fn service_name(daemon: &Daemon) -> String {
    format!("ym-{}.service", daemon.name)
}

/// `ym-record-route.socket`: on which route calls record.
pub fn socket_name(callee: &Daemon, caller: &Daemon) -> String {
    format!("ym-{}-{}.socket", callee.name, caller.name)
}

/// The socket on which `caller` calls `callee`; it outlives both, so a caller waits instead of failing.
pub fn socket(callee: &Daemon, caller: &Daemon) -> String {
    let admitted = if caller.runs() {
        format!("SocketUser={}\nSocketMode=0600\n", caller.user())
    } else {
        "SocketGroup=yanmen\nSocketMode=0660\n".to_owned()
    };
    let (to, from) = (callee.name, caller.name);
    format!(
        "[Unit]
Description=Yanmen: {from} calls {to}

[Socket]
ListenStream=/run/yanmen/{to}/{from}
{admitted}FileDescriptorName=peer.{from}
Service={}
# A daemon that ends again and again is slowed down by its own unit; its callers go on waiting here.
TriggerLimitIntervalSec=0

[Install]
WantedBy=sockets.target
",
        service_name(callee)
    )
}

/// The daemon's service, walled in.
pub fn service(daemon: &Daemon) -> String {
    let sections = [unit(daemon), process(daemon), lives(), walls(daemon), network(daemon)];
    format!("{}\n[Install]\nWantedBy=multi-user.target\n", sections.concat())
}

fn unit(daemon: &Daemon) -> String {
    let below: Vec<String> =
        daemon.calls.iter().filter_map(|calls| house::daemon(calls.callee)).map(service_name).collect();
    let mut text = format!("[Unit]\nDescription=Yanmen {}: {}\n", daemon.name, daemon.duty);
    if !below.is_empty() {
        let _infallible = writeln!(
            text,
            "# Stopped before those that it calls, so that it can still ask them while it finishes.\nAfter={}",
            below.join(" ")
        );
    }
    text + "# Never given up; the pauses in between grow.\nStartLimitIntervalSec=0\n"
}

fn process(daemon: &Daemon) -> String {
    let name = daemon.name;
    let mut text = format!("\n[Service]\nExecStart=/usr/lib/yanmen/{name}\n");
    if !daemon.root {
        let _infallible = writeln!(text, "User={}", daemon.user());
    }
    let sockets: Vec<String> = house::callers(name).map(|caller| socket_name(daemon, caller)).collect();
    if !sockets.is_empty() {
        let _infallible = writeln!(text, "Sockets={}", sockets.join(" "));
    }
    let _infallible = write!(
        text,
        "StateDirectory=yanmen/{name}
StateDirectoryMode=0700
WorkingDirectory=/var/lib/yanmen/{name}
Environment=YANMEN_RUN=/run/yanmen YANMEN_PUBLIC=/var/lib/yanmen/public YANMEN_PRIVILEGES=separated
UMask=0077
"
    );
    if name == "key" {
        text += "ReadWritePaths=/var/lib/yanmen/public\n";
    }
    text
}

fn lives() -> String {
    format!(
        "
Type=notify
NotifyAccess=main
TimeoutStartSec={}
WatchdogSec={}
TimeoutStopSec={}
FileDescriptorStoreMax={}
Restart=always
RestartSec={}
RestartSteps={}
RestartMaxDelaySec={}
LimitNOFILE=65536
LimitCORE=0
",
        span(life::START),
        span(life::WATCHDOG),
        span(life::STOP),
        life::KEPT,
        span(life::PAUSE),
        life::DOUBLINGS,
        span(life::LONGEST_PAUSE),
    )
}

/// As systemd.time(7) reads it: seconds where they are whole.
fn span(span: Duration) -> String {
    match span.subsec_millis() {
        0 => span.as_secs().to_string(),
        _ => format!("{}ms", span.as_millis()),
    }
}

fn walls(daemon: &Daemon) -> String {
    // In a user namespace every other uid reads as 65534 (user_namespaces(7)), and the check of the peer's uid
    // would refuse everyone: only who takes no calls can have one.
    let users = match house::callers(daemon.name).next() {
        Some(_) => "# No PrivateUsers: it would hide the uids of those who call.\n",
        None => "PrivateUsers=yes\n",
    };
    let mut text = "\nCapabilityBoundingSet=\nAmbientCapabilities=\nNoNewPrivileges=yes\n".to_owned();
    text += users;
    text + "ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateIPC=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
ProcSubset=pid
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"
}

fn network(daemon: &Daemon) -> String {
    match daemon.network {
        Network::None => "\nPrivateNetwork=yes\nRestrictAddressFamilies=AF_UNIX\nIPAddressDeny=any\n",
        Network::Inet => "\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n",
    }
    .to_owned()
}
