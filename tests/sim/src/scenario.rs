//! What is to happen: how many call, over which network, and who dies when.

use std::{ops::Range, time::Duration};

/// One run, wholly determined by these words.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Where every chance comes from.
    pub seed: u64,
    /// How many call.
    pub calls: u32,
    /// The time between two calls: from none to twice this.
    pub spacing: Duration,
    /// The way of every datagram.
    pub network: Network,
    /// Of a hundred callers and of a hundred ringing phones, so many vanish without a word.
    pub vanish: u64,
    /// Who calls a number with a menu.
    pub menus: Menus,
    /// What agents do with their callers.
    pub agents: Agents,
    /// What phones say before they answer.
    pub phones: Phones,
    /// Kills of daemons.
    pub deaths: Option<Deaths>,
}

/// What agents do with their callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agents {
    /// They talk.
    Talk,
    /// They hold them, and hand them on.
    HandOn,
    /// They go on at another device, and pick up what rings for each other.
    Roam,
}

/// What phones say before they answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phones {
    /// That they ring, or nothing.
    Plain,
    /// Most want what they say acknowledged (RFC 3262), and some speak already.
    Reliable,
}

/// Who calls a number with a menu before the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Menus {
    /// Nobody.
    Nobody,
    /// Two of three.
    Most,
}

/// What the network does to a datagram.
#[derive(Clone, Debug)]
pub struct Network {
    /// Of a hundred datagrams so many are lost.
    pub loss: u64,
    /// Of a hundred datagrams so many come twice.
    pub doubled: u64,
    /// How long each is underway, drawn for each copy: what is drawn shorter overtakes.
    pub delay: Range<Duration>,
}

/// Who is killed, how often, and for how long.
#[derive(Clone, Debug)]
pub struct Deaths {
    /// Who.
    pub of: Vec<Daemon>,
    /// The time between two kills: from none to twice this.
    pub spacing: Duration,
    /// How long the killed daemon is away.
    pub away: Range<Duration>,
}

/// A daemon that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Daemon {
    /// Signalling.
    Sip,
    /// Media.
    Media,
    /// Decisions.
    Route,
}

impl Network {
    /// A network that loses nothing.
    pub const fn calm() -> Self {
        Self { loss: 0, doubled: 0, delay: Duration::from_millis(1)..Duration::from_millis(3) }
    }

    /// A network that does everything that UDP may do.
    pub const fn rough(loss: u64) -> Self {
        Self { loss, doubled: 3, delay: Duration::from_millis(2)..Duration::from_millis(90) }
    }
}

impl Scenario {
    /// Calls over a network, and nobody dies or vanishes.
    pub const fn calls(seed: u64, calls: u32, network: Network) -> Self {
        Self {
            seed,
            calls,
            spacing: Duration::from_secs(9),
            network,
            vanish: 0,
            menus: Menus::Nobody,
            agents: Agents::Talk,
            phones: Phones::Plain,
            deaths: None,
        }
    }

    /// The same, with parties that vanish.
    #[must_use]
    pub fn vanishing(self, vanish: u64) -> Self {
        Self { vanish, ..self }
    }

    /// The same, with menus before the queue.
    #[must_use]
    pub fn choosing(self) -> Self {
        Self { menus: Menus::Most, ..self }
    }

    /// The same, with callers who are held and handed on.
    #[must_use]
    pub fn handing_on(self) -> Self {
        Self { agents: Agents::HandOn, ..self }
    }

    /// The same, with phones that want what they say acknowledged, and speak before they answer.
    #[must_use]
    pub fn speaking_early(self) -> Self {
        Self { phones: Phones::Reliable, ..self }
    }

    /// The same, with agents who change their devices and pick up for each other.
    #[must_use]
    pub fn roaming(self) -> Self {
        Self { agents: Agents::Roam, ..self }
    }

    /// The same, with kills of these daemons.
    #[must_use]
    pub fn killing(self, of: &[Daemon]) -> Self {
        let away = Duration::from_millis(20)..Duration::from_millis(1200);
        let deaths = Deaths { of: of.to_vec(), spacing: Duration::from_secs(20), away };
        Self { deaths: Some(deaths), ..self }
    }

    /// The same, with a kill every few seconds.
    #[must_use]
    pub fn killing_often(self, of: &[Daemon]) -> Self {
        let away = Duration::from_millis(20)..Duration::from_millis(1200);
        let deaths = Deaths { of: of.to_vec(), spacing: Duration::from_secs(4), away };
        Self { deaths: Some(deaths), ..self }
    }

    /// The same, with kills so long that neighbours give up waiting, and kills in the midst of coming back.
    #[must_use]
    pub fn killing_for_long(self, of: &[Daemon]) -> Self {
        let away = Duration::from_millis(1)..Duration::from_secs(25);
        let deaths = Deaths { of: of.to_vec(), spacing: Duration::from_secs(12), away };
        Self { deaths: Some(deaths), ..self }
    }
}
