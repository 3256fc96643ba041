//! kill -9 and the next life: what each daemon keeps is all that comes along.

use crate::{
    scenario::Daemon,
    world::{Event, World},
};
use route_core::{Edge, Router};
use settings::record::Record;
use sip_core::{Change, Seed};
use std::{mem, time::Duration};

/// How long a daemon needs to see that its neighbour is gone.
const NOTICE: Duration = Duration::from_millis(1);

impl World {
    pub(crate) fn death(&mut self) {
        let Some(deaths) = self.scenario.deaths.clone() else { return };
        if !self.is_lively() {
            return;
        }
        let victim = deaths.of[self.chance.below(deaths.of.len() as u64) as usize];
        let away = self.chance.within(&deaths.away);
        if self.kill(victim) {
            self.trace.note(self.now, format_args!("KILL {victim:?} for {away:?}"));
            self.after(away, Event::Birth(victim));
        }
        let pause = self.chance.within(&(Duration::ZERO..deaths.spacing * 2));
        self.after(pause, Event::Death);
    }

    /// `false` where it is dead already.
    fn kill(&mut self, daemon: Daemon) -> bool {
        match daemon {
            Daemon::Sip => {
                let lived = self.up.sip.take().is_some();
                if lived {
                    let epoch = self.signalling.cut();
                    self.after(NOTICE, Event::Lost(Edge::Signalling, epoch));
                }
                lived
            }
            Daemon::Media => {
                let lived = self.up.media.take().is_some();
                if lived {
                    self.words.clear();
                    self.up.media_lives += 1;
                    self.ledger.media_died(self.now);
                    let epoch = self.sound.cut();
                    self.after(NOTICE, Event::Lost(Edge::Media, epoch));
                }
                lived
            }
            Daemon::Route => {
                let Some(router) = self.up.route.take() else { return false };
                self.roster = serde_json::to_string(router.roster()).unwrap();
                self.flows = serde_json::to_string(router.flows()).unwrap();
                self.up.lives += 1;
                self.ledger.route_died();
                let epoch = self.signalling.cut();
                self.sound.cut();
                self.after(NOTICE, Event::SipDetached(epoch));
                self.after(Duration::from_millis(200), Event::MediaAttach);
                true
            }
        }
    }

    /// Begins a life with what the last one kept.
    pub(crate) fn start(&mut self, daemon: Daemon) {
        self.trace.note(self.now, format_args!("START {daemon:?}"));
        match daemon {
            Daemon::Sip => {
                let mut changes = Vec::new();
                let mut rest = &self.sip_written[..];
                while !rest.is_empty() {
                    let (change, tail) = postcard::take_from_bytes::<Change>(rest).unwrap();
                    changes.push(change);
                    rest = tail;
                }
                let seed = Seed(self.chance.bytes());
                self.up.sip = Some(sip_core::Core::restore(self.sip_settings(), seed, changes));
                for (remote, bytes) in mem::take(&mut self.sip_backlog) {
                    self.sip_in(remote, bytes);
                }
                self.sip_attach();
            }
            Daemon::Media => {
                self.up.media = Some(self.media_core());
                self.take_over();
                for (port, source, bytes) in mem::take(&mut self.media_backlog) {
                    self.rtp_in(port, source, bytes);
                }
                self.media_attach();
            }
            Daemon::Route => {
                let flows = match self.flows.is_empty() {
                    true => route_core::Flows::default(),
                    false => serde_json::from_str(&self.flows).unwrap(),
                };
                let roster = match self.roster.is_empty() {
                    true => route_core::Roster::default(),
                    false => serde_json::from_str(&self.roster).unwrap(),
                };
                let (moment, seed) = (self.moment(), self.chance.bytes());
                let (plan, rule) = (self.plan.route.clone(), Record::default());
                self.up.route = Some(Router::new(moment, seed, plan, rule, roster, flows));
                self.drain_route();
            }
        }
    }

    /// A leg without a port and a port without a leg end.
    fn take_over(&mut self) {
        let Some(core) = &self.up.media else { return };
        let legs: Vec<_> = core.legs().map(|leg| (leg.leg, leg.tapped)).collect();
        self.ledger.restored(&legs);
        for (leg, _) in &legs {
            if !self.by_leg.contains_key(leg) {
                self.follow(media_core::Input::Close(*leg));
            }
        }
        let known = |leg: &types::LegId| legs.iter().any(|(known, _)| known == leg);
        self.by_leg.retain(|leg, _| known(leg));
        self.ports.retain(|_, leg| known(leg));
    }
}
