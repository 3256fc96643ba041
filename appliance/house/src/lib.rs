//! The table of daemons, privileges and permitted calls: `configs/house.toml`, compiled in.
//!
//! The build fails when the table breaks the law that calls go down a floor. Nothing reads the file at run
//! time, so nobody can widen a right by editing it on a box.

pub mod life;

#[cfg(test)]
#[allow(dead_code, reason = "the build script reads every field, the tests of the law only some")]
mod law;

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// One row: a daemon, or `ctl`, the operator's own program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// One word for folder, crate, unit, user, socket and log identifier.
    pub name: &'static str,
    /// Where it lives; one of [`FLOORS`].
    pub floor: &'static str,
    /// What it owns, in one line.
    pub duty: &'static str,
    /// What of the network it sees.
    pub network: Network,
    /// Whether it runs as root, in a narrow unit.
    pub root: bool,
    /// The sections of the settings that it is given.
    pub settings: &'static [&'static str],
    /// Whom it may call.
    pub calls: &'static [Calls],
}

/// What of the network a daemon sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Unix sockets only.
    None,
    /// IPv4 and IPv6 sockets too.
    Inet,
}

/// The methods of one callee that one caller may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// The daemon called.
    pub callee: &'static str,
    /// The methods permitted.
    pub methods: &'static [&'static str],
}

impl Daemon {
    /// The operating system's user of this daemon where each has its own.
    pub fn user(&self) -> String {
        if self.root { "root".to_owned() } else { format!("ym-{}", self.name) }
    }

    /// Whether this row is a daemon, and not the operator's program.
    pub fn runs(&self) -> bool {
        self.floor != FLOORS[0]
    }
}

/// The row of this name.
pub fn daemon(name: &str) -> Option<&'static Daemon> {
    DAEMONS.iter().find(|daemon| daemon.name == name)
}

/// Everyone with a permitted call to `callee`: one socket each.
pub fn callers(callee: &str) -> impl Iterator<Item = &'static Daemon> {
    DAEMONS.iter().filter(move |caller| caller.calls.iter().any(|calls| calls.callee == callee))
}

/// Whether `caller` may call `method` of `callee`. What the table does not give is refused.
pub fn permits(caller: &str, callee: &str, method: &str) -> bool {
    daemon(caller)
        .and_then(|caller| caller.calls.iter().find(|calls| calls.callee == callee))
        .is_some_and(|calls| calls.methods.contains(&method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_table_does_not_give_is_refused() {
        assert!(permits("record", "key", "Unwrap"));
        for (caller, callee, method) in [
            ("console", "key", "Unwrap"),
            ("media", "key", "NewDek"),
            ("sip", "route", "Hear"),
            ("", "key", "Sign"),
        ] {
            assert!(!permits(caller, callee, method), "{caller} → {callee}.{method}");
        }
    }

    #[test]
    fn a_call_upwards_needs_a_reason() {
        let text = |exceptions: &str| {
            format!(
                "floors = [\"edge\", \"keep\"]\n{exceptions}\n[daemon.a]\nfloor = \"keep\"\nduty = \"\"\n\
                 [daemon.a.calls]\nb = [\"M\"]\n[daemon.b]\nfloor = \"edge\"\nduty = \"\"\n"
            )
        };
        let broken = |text: &str| law::broken(&toml::from_str(text).unwrap());
        assert_eq!(broken(&text("")), ["a calls b, which is not on a lower floor"]);
        assert!(
            broken(&text("exceptions = [{ caller = \"a\", callee = \"b\", reason = \"why\" }]")).is_empty()
        );
        assert_eq!(
            broken(&text("exceptions = [{ caller = \"a\", callee = \"b\", reason = \" \" }]")).len(),
            1
        );
    }
}
