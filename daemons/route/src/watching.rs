//! Who watches the live state, and what each of them has been told.
//!
//! What changes is told once a pace however often it changed, and only the difference. Whoever does not read fast
//! enough loses the stream, and begins anew with the whole.

use mutant::mutant;
use route_api::{AgentEntry, Changed, EndpointList, LiveCall, QueueEntry, Scope};
use route_core::Router;
use service::{Refusal, Replies};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use types::{AgentId, CallId, Monotonic, QueueId, Utc};

/// Between two messages at least.
const PACE: Duration = Duration::from_millis(200);
/// Watchers at a time: the console, and its life before.
const MOST: usize = 4;
/// Entries of one kind in a message: the whole of a big house comes in several.
const PAGE: usize = 500;
/// By how much the end of after-call work may seem to move without being told: two clocks are read one after the other.
const JITTER: Duration = Duration::from_millis(500);

/// Everyone who watches.
#[derive(Default)]
pub struct Watching {
    watchers: Vec<Watcher>,
    /// Whether anything happened since the last message.
    touched: bool,
    next: Monotonic,
}

struct Watcher {
    replies: Replies<Changed>,
    /// When the assertion expires by which it watches.
    until: Utc,
    told: Arc<Live>,
}

/// The live state by name.
#[derive(Default)]
struct Live {
    calls: BTreeMap<CallId, LiveCall>,
    agents: BTreeMap<AgentId, AgentEntry>,
    queues: BTreeMap<QueueId, QueueEntry>,
    endpoints: Option<EndpointList>,
}

impl Watching {
    /// One more, told the whole now; the one that has watched for longest gives way.
    pub fn attach(&mut self, replies: Replies<Changed>, until: Utc, router: &Router) {
        if self.watchers.len() >= MOST {
            self.watchers.remove(0);
        }
        let mut watcher = Watcher { replies, until, told: Arc::default() };
        if watcher.tell(Scope::Whole, &Arc::new(Live::of(router))) {
            self.watchers.push(watcher);
        }
    }

    /// Something happened.
    pub fn touch(&mut self) {
        self.touched = true;
    }

    /// How long until something is to be told; nothing while nobody watches or nothing happened.
    pub fn due(&self, now: Monotonic) -> Option<Duration> {
        (self.touched && !self.watchers.is_empty()).then(|| self.next.since(now))
    }

    /// Tells everyone what changed.
    pub fn tell(&mut self, router: &Router, now: (Monotonic, Utc)) {
        self.touched = false;
        self.next = now.0.plus(PACE);
        let live = Arc::new(Live::of(router));
        let all = std::mem::take(&mut self.watchers);
        self.watchers = all
            .into_iter()
            .filter_map(|mut watcher| {
                if is_over(watcher.until, now.1) {
                    let over = "the assertion by which the live state was watched has expired: ask again";
                    watcher.replies.refuse(Refusal::not_permitted("auth.assertion-expired", over));
                    return None;
                }
                watcher.tell(Scope::Since, &live).then_some(watcher)
            })
            .collect();
    }
}

impl Watcher {
    /// Whether it was told, and still watches.
    fn tell(&mut self, scope: Scope, live: &Arc<Live>) -> bool {
        let told = changes(&self.told, live, scope)
            .into_iter()
            .all(|message| self.replies.try_send(message).is_ok());
        self.told = Arc::clone(live);
        told
    }
}

impl Live {
    fn of(router: &Router) -> Self {
        Self {
            calls: router.live_calls().into_iter().map(|call| (call.call, call)).collect(),
            agents: router.agents().into_iter().map(|agent| (agent.agent.clone(), agent)).collect(),
            queues: router.queues().into_iter().map(|queue| (queue.queue.clone(), queue)).collect(),
            endpoints: Some(EndpointList { endpoints: router.endpoints(), trunks: router.trunks() }),
        }
    }
}

/// The messages that lead from the one to the other; none where they are the same.
fn changes(old: &Live, new: &Live, scope: Scope) -> Vec<Changed> {
    let calls = news(&old.calls, &new.calls, LiveCall::eq);
    let agents = news(&old.agents, &new.agents, alike);
    let queues = news(&old.queues, &new.queues, QueueEntry::eq);
    let pages =
        [calls.len(), agents.len(), queues.len()].into_iter().max().unwrap_or(0).div_ceil(PAGE).max(1);
    let page = |at: usize| at * PAGE..(at + 1) * PAGE;
    (0..pages)
        .map(|at| Changed {
            scope: if at == 0 { scope } else { Scope::Since },
            calls: part(&calls, page(at)),
            agents: part(&agents, page(at)),
            queues: part(&queues, page(at)),
            ended: if at == 0 { gone(&old.calls, &new.calls) } else { Vec::new() },
            agents_gone: if at == 0 { gone(&old.agents, &new.agents) } else { Vec::new() },
            queues_gone: if at == 0 { gone(&old.queues, &new.queues) } else { Vec::new() },
            endpoints: new.endpoints.clone().filter(|_| at == 0 && old.endpoints != new.endpoints),
        })
        .filter(|changed| !changed.is_empty())
        .collect()
}

/// Whether the word by which somebody watches has expired.
fn is_over(until: Utc, now: Utc) -> bool {
    now >= until && !mutant("route-watch-outlives")
}

fn news<K: Ord, V: Clone>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    same: impl Fn(&V, &V) -> bool,
) -> Vec<V> {
    let is_new = |(key, value): &(&K, &V)| !old.get(*key).is_some_and(|before| same(before, value));
    new.iter().filter(is_new).map(|(_, value)| value.clone()).collect()
}

fn gone<K: Ord + Clone, V>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> Vec<K> {
    old.keys().filter(|key| !new.contains_key(*key)).cloned().collect()
}

fn part<V: Clone>(all: &[V], page: std::ops::Range<usize>) -> Vec<V> {
    all.iter().skip(page.start).take(page.len()).cloned().collect()
}

fn alike(old: &AgentEntry, new: &AgentEntry) -> bool {
    let near = match (old.until, new.until) {
        (Some(one), Some(other)) => one.since(other).max(other.since(one)) < JITTER,
        (one, other) => one == other,
    };
    near && *old == AgentEntry { until: old.until, ..new.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use route_api::{AgentState, Stage};
    use types::Uid;

    fn call(number: u16, stage: Stage) -> LiveCall {
        let mut uid = [0; 16];
        uid[..2].copy_from_slice(&number.to_be_bytes());
        LiveCall {
            call: CallId(Uid(uid)),
            offered: Utc(1),
            from: "138******00".to_owned(),
            dialled: "95555".to_owned(),
            stage,
            step: None,
            queue: None,
            agent: None,
            recording: None,
            legs: Vec::new(),
        }
    }

    fn live(calls: impl IntoIterator<Item = LiveCall>) -> Live {
        Live { calls: calls.into_iter().map(|call| (call.call, call)).collect(), ..Live::default() }
    }

    #[test]
    fn whoever_watches_does_so_by_a_word_that_holds() {
        assert!(!is_over(Utc(7), Utc(6)));
        assert!(is_over(Utc(7), Utc(7)));
    }

    #[test]
    fn only_what_differs_is_told() {
        let old = live([call(1, Stage::Waiting), call(2, Stage::Talking), call(3, Stage::Talking)]);
        let new = live([call(1, Stage::Talking), call(3, Stage::Talking), call(4, Stage::Arriving)]);
        let told = changes(&old, &new, Scope::Since);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].calls, [call(1, Stage::Talking), call(4, Stage::Arriving)]);
        assert_eq!(told[0].ended, [call(2, Stage::Talking).call]);
        assert!(changes(&new, &new, Scope::Since).is_empty());
    }

    #[test]
    fn the_whole_of_a_big_house_comes_in_pages_and_begins_once() {
        let big = live((0..1_200).map(|number| call(number, Stage::Talking)));
        let told = changes(&Live::default(), &big, Scope::Whole);
        assert_eq!(told.iter().map(|page| page.calls.len()).collect::<Vec<_>>(), [500, 500, 200]);
        let extents: Vec<_> = told.iter().map(|page| page.scope).collect();
        assert_eq!(extents, [Scope::Whole, Scope::Since, Scope::Since]);
        assert_eq!(changes(&Live::default(), &Live::default(), Scope::Whole).len(), 1, "an empty house too");
    }

    #[test]
    fn the_end_of_after_call_work_does_not_tremble() {
        let agent = |until| AgentEntry {
            agent: AgentId("li".parse().unwrap()),
            phone: None,
            state: AgentState::WrapUp,
            since: Utc(1),
            until: Some(Utc(until)),
            call: None,
            queues: Vec::new(),
        };
        assert!(alike(&agent(1_000_000_000), &agent(1_000_000_700)));
        assert!(!alike(&agent(1_000_000_000), &agent(2_000_000_000)));
        assert!(!alike(&agent(1), &AgentEntry { state: AgentState::Ready, ..agent(1) }));
    }
}
