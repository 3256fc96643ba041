//! The real process: one call through it, killed in the middle, and what stands in the logs of others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use auth_api::Role;
use route_api::{
    AgentState, Agents, Capture, Captured, Cause, EndedBy, Endpoint, Extent, HangUp, Ladder, LegState,
    LiveCalls, LiveLeg, LiveMedia, MediaCommand, MediaEvent, Memo, Party, PlayedPrompt, Quality,
    SessionDescription, SetState, SignIn, SignallingCommand, SignallingEvent, Stage, TriedEnd, TryFlow,
    WrapUp, capture::Copying,
};
use service::{Error, RefusalKind};
use std::{sync::atomic::Ordering, time::Duration};
use support::{House, Media, Sip};
use types::{CallId, CaptureId, LegId, Pii, Uid, Utc};

fn sdp(text: &str) -> SessionDescription {
    SessionDescription(text.to_owned())
}

/// The leg has just ended.
fn over(leg: LegId, by: EndedBy, memo: Memo) -> SignallingEvent {
    let at = service::clock::monotonic();
    let ladder = Ladder::default();
    SignallingEvent::Ended { leg, at, cause: Cause::NormalClearing, by, memo, ladder }
}

fn kind(outcome: Result<impl Sized, Error>) -> RefusalKind {
    match outcome {
        Err(Error::Refused(refusal)) => refusal.kind,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was not refused"),
    }
}

/// alice says that she is ready at her phone; what she is at then.
async fn ready(house: &House) -> AgentState {
    let ctl = house.client("ctl");
    let alice = || house.assertion("alice", Role::Agent);
    ctl.call(SignIn { assertion: alice(), phone: Some("8001".parse().unwrap()) }).await.unwrap();
    let ready = SetState { assertion: alice(), agent: None, state: AgentState::Ready };
    ctl.call(ready).await.unwrap().state
}

/// A caller came in and has heard the announcement.
async fn announced(sip: &mut Sip, media: &mut Media, caller: LegId) {
    sip.say(SignallingEvent::Offered {
        leg: caller,
        at: service::clock::monotonic(),
        over: Endpoint::Trunk("carrier".parse().unwrap()),
        from: Party { number: Pii::new("13800138000".to_owned()), display: None },
        dialled: "95555".to_owned(),
        description: Some(sdp("offer")),
        reference: "dialog".to_owned(),
    })
    .await;
    media
        .until(|command| matches!(command, MediaCommand::Open { leg, .. } if leg == caller).then_some(()))
        .await;
    media.say(MediaEvent::Opened { leg: caller, description: sdp("answer") }).await;
    sip.until(|command| matches!(command, SignallingCommand::Answer { .. }).then_some(())).await;
    sip.say(SignallingEvent::Confirmed { leg: caller, description: None }).await;
    let (play, prompts) = media
        .until(|command| match command {
            MediaCommand::Play { play, prompts, .. } => Some((play, prompts)),
            _ => None,
        })
        .await;
    media
        .say(MediaEvent::Played {
            leg: caller,
            play,
            prompts: prompts
                .into_iter()
                .map(|prompt| PlayedPrompt { prompt, digest: "ab".repeat(32) })
                .collect(),
            began: Utc(1),
            ended: Utc(2),
            extent: Extent::Whole,
        })
        .await;
}

/// A house with both edges, which have nothing yet.
async fn attached() -> (House, Sip, Media) {
    let mut house = House::new();
    house.start();
    let sip = Sip::attach(&house, Vec::new()).await;
    let media = Media::attach(&house, Vec::new()).await;
    (house, sip, media)
}

/// The caller's leg, the agent's leg, and the memo of the call.
async fn talking(house: &House, sip: &mut Sip, media: &mut Media) -> (LegId, LegId, Memo) {
    let caller = LegId(Uid([1; 16]));
    assert_eq!(ready(house).await, AgentState::Ready);
    announced(sip, media, caller).await;
    let agent = media
        .until(|command| match command {
            MediaCommand::Open { leg, offer: None, .. } => Some(leg),
            _ => None,
        })
        .await;
    media.say(MediaEvent::Opened { leg: agent, description: sdp("ours") }).await;
    sip.until(|command| matches!(command, SignallingCommand::Dial { .. }).then_some(())).await;
    // record was away at the first attempt.
    house.was_asked("Begin", 2).await;
    sip.say(SignallingEvent::Answered { leg: agent, description: Some(sdp("phone")) }).await;
    media.until(|command| matches!(command, MediaCommand::Accept { .. }).then_some(())).await;
    media.say(MediaEvent::Accepted { leg: agent }).await;
    media.until(|command| matches!(command, MediaCommand::Bridge { .. }).then_some(())).await;
    let mut tapped = Vec::new();
    while tapped.len() < 2 {
        tapped.push(
            media
                .until(|command| match command {
                    MediaCommand::Tap { leg, track, .. } => Some((leg, track)),
                    _ => None,
                })
                .await,
        );
    }
    assert_eq!(tapped, [(caller, 0), (agent, 1)]);
    let mut last = Memo::default();
    // The memo that says that both are tapped is the last one.
    while !last.0.contains("Talking") || last.0.matches("Tapped").count() < 2 {
        last = sip
            .until(|command| match command {
                SignallingCommand::Remember { memo, .. } => Some(memo),
                _ => None,
            })
            .await;
    }
    (caller, agent, last)
}

/// Mutants route-act-before-entry and route-role-unchecked.
#[tokio::test]
async fn a_call_survives_a_kill_and_ends_by_a_supervisor_in_the_log() {
    let (mut house, mut sip, mut media) = attached().await;
    let (caller, agent, memo) = talking(&house, &mut sip, &mut media).await;
    let signed_in = house.times("Append");
    assert!(signed_in.iter().any(|append| append["event"]["kind"] == "route.agent-signed-in"));

    house.kill();
    house.start();
    let leg = |leg, memo| LiveLeg { leg, state: LegState::Established, memo };
    let mut sip = Sip::attach(&house, vec![leg(caller, memo), leg(agent, Memo::default())]).await;
    let side = |leg, with| LiveMedia { leg, bridged: Some(with), memo: Memo::default() };
    let media = Media::attach(&house, vec![side(caller, agent), side(agent, caller)]).await;
    let ctl = house.client("ctl");
    let supervisor = || house.assertion("wang", Role::Supervisor);
    let live = ctl.call(LiveCalls { assertion: supervisor() }).await.unwrap().calls;
    assert_eq!((live.len(), live[0].stage, live[0].from.as_str()), (1, Stage::Talking, "138******00"));
    let agents = ctl.call(Agents { assertion: supervisor() }).await.unwrap().agents;
    assert_eq!(agents[0].state, AgentState::Talking);

    let call = live[0].call;
    let reason = "the caller threatens".to_owned();
    let by = |assertion, reason: &str| HangUp { assertion, call, reason: reason.to_owned() };
    assert_eq!(
        kind(ctl.call(by(house.assertion("bob", Role::Agent), "me")).await),
        RefusalKind::NotPermitted
    );
    assert_eq!(kind(ctl.call(by(supervisor(), " ")).await), RefusalKind::Invalid);
    assert_eq!(ctl.call(LiveCalls { assertion: supervisor() }).await.unwrap().calls[0].stage, Stage::Talking);
    ctl.call(by(supervisor(), &reason)).await.unwrap();
    let entered: Vec<_> = house
        .times("Append")
        .into_iter()
        .filter(|append| append["event"]["kind"] == "route.call-hung-up")
        .collect();
    assert_eq!(entered[0]["event"]["object"], call.to_string());
    assert_eq!(
        (&entered[0]["event"]["phase"], &entered[0]["event"]["reason"]),
        (&"begun".into(), &reason.into())
    );

    for _ in 0..2 {
        let ended = sip
            .until(|command| match command {
                SignallingCommand::HangUp { leg, cause } => Some((leg, cause)),
                _ => None,
            })
            .await;
        assert_eq!(ended.1, Cause::NormalClearing);
        sip.say(over(ended.0, EndedBy::House, Memo::default())).await;
        media.say(MediaEvent::Closed { leg: ended.0, quality: Quality::default() }).await;
    }
    // report was away at the first attempt.
    let saved = house.was_asked("Save", 2).await;
    assert_eq!(saved["record"]["call"], call.to_string());
    assert_eq!(saved["record"]["legs"].as_array().unwrap().len(), 2);
    assert!(saved["record"]["recording"]["yes"].is_object(), "{saved}");
    let finished = house.was_asked("Finish", 1).await;
    assert_eq!(finished["recording"], house.times("Begin")[1]["recording"]);
}

/// Mutant route-role-unchecked.
#[tokio::test]
async fn another_s_wrap_up_is_a_supervisor_s_and_stands_in_the_log() {
    let (house, mut sip, mut media) = attached().await;
    talking(&house, &mut sip, &mut media).await;
    let ctl = house.client("ctl");
    let wish = |person, role, seconds| WrapUp {
        assertion: house.assertion(person, role),
        agent: Some("alice".parse().unwrap()),
        seconds,
    };
    assert_eq!(kind(ctl.call(wish("bob", Role::Agent, 60)).await), RefusalKind::NotPermitted);
    assert_eq!(kind(ctl.call(wish("wang", Role::Supervisor, 3601)).await), RefusalKind::Invalid);
    let entry = ctl.call(wish("alice", Role::Agent, 60)).await.unwrap();
    assert_eq!(entry.state, AgentState::Talking);
    let forced = |house: &House| {
        let appended = house.times("Append").into_iter();
        appended.filter(|append| append["event"]["kind"] == "route.agent-state-forced").collect::<Vec<_>>()
    };
    assert!(forced(&house).is_empty(), "one's own is nobody else's matter");
    ctl.call(wish("wang", Role::Supervisor, 60)).await.unwrap();
    assert_eq!(forced(&house)[0]["event"]["facts"]["state"], "wrap-up: 60 s", "{:?}", forced(&house)[0]);
}

#[tokio::test]
async fn a_flow_is_tried_by_whoever_is_signed_in() {
    let mut house = House::new();
    house.start();
    let ctl = house.client("ctl");
    let ask = |flow: &str, digits: &str| TryFlow {
        assertion: house.assertion("wang", Role::Supervisor),
        flow: flow.parse().unwrap(),
        at: Some(Utc(1_800_000_000_000_000_000)),
        digits: digits.to_owned(),
    };
    let tried = ctl.call(ask("service", "")).await.unwrap();
    assert_eq!(tried.end, TriedEnd::Queue("service".parse().unwrap()));
    assert!(tried.unmet.is_empty(), "{:?}", tried.unmet);
    assert_eq!(kind(ctl.call(ask("other", "")).await), RefusalKind::NotFound);
    assert_eq!(kind(ctl.call(ask("service", "1;2")).await), RefusalKind::Invalid);
    let forged =
        TryFlow { assertion: serde_json::from_value("nobody".into()).unwrap(), ..ask("service", "") };
    assert!(ctl.call(forged).await.is_err());
}

/// The caller hangs up while route is dead: its call record and the end of its recording are made by the next
/// life, or by the one after that where report is away meanwhile.
#[tokio::test]
async fn a_call_that_ends_while_route_is_dead_is_kept() {
    let (mut house, mut sip, mut media) = attached().await;
    let (caller, agent, memo) = talking(&house, &mut sip, &mut media).await;
    house.kill();
    let before = service::clock::utc();
    let ended = over(caller, EndedBy::Peer, memo);
    let after = service::clock::utc();
    std::thread::sleep(Duration::from_millis(200));
    let alive = vec![LiveLeg { leg: agent, state: LegState::Established, memo: Memo::default() }];
    let side = |leg, with| LiveMedia { leg, bridged: Some(with), memo: Memo::default() };
    for life in 0..2 {
        house.start();
        Sip::tell(&house, ended.clone()).await;
        sip = if life == 0 {
            Sip::attach(&house, alive.clone()).await
        } else {
            Sip::tell(&house, over(agent, EndedBy::House, Memo::default())).await;
            Sip::attach(&house, Vec::new()).await
        };
        media = Media::attach(&house, vec![side(caller, agent), side(agent, caller)]).await;
        if life == 0 {
            // The agent's leg is alive yet: it is ended, and route killed before anything is kept.
            let hung_up = |command| match command {
                SignallingCommand::HangUp { leg, .. } => Some(leg),
                _ => None,
            };
            assert_eq!(sip.until(hung_up).await, agent);
            assert!(house.times("Save").is_empty());
            house.kill();
        }
    }
    for leg in [caller, agent] {
        media.say(MediaEvent::Closed { leg, quality: Quality::default() }).await;
    }
    let forgotten = |command| match command {
        SignallingCommand::Forget { leg } if leg == caller => Some(()),
        _ => None,
    };
    sip.until(forgotten).await;
    let saved = house.was_asked("Save", 2).await;
    assert_eq!(saved["record"]["legs"][0]["leg"], caller.to_string());
    let at = Utc(saved["record"]["legs"][0]["ended"].as_i64().unwrap());
    let near = Duration::from_millis(20);
    assert!(at.plus(near) >= before && after.plus(near) >= at, "{before:?} {at:?} {after:?}");
    assert_eq!(house.was_asked("Finish", 1).await["recording"], house.times("Begin")[1]["recording"]);
}

#[tokio::test]
async fn nobody_acts_for_another_without_the_role() {
    let mut house = House::new();
    house.start();
    let _sip = Sip::attach(&house, Vec::new()).await;
    let ctl = house.client("ctl");
    let by = |person: &str, role| SetState {
        assertion: house.assertion(person, role),
        agent: Some("alice".parse().unwrap()),
        state: AgentState::Aux("tea".to_owned()),
    };
    assert_eq!(kind(ctl.call(by("bob", Role::Agent)).await), RefusalKind::NotPermitted);
    assert_eq!(kind(ctl.call(by("li", Role::SystemAdministrator)).await), RefusalKind::NotPermitted);
    assert_eq!(kind(ctl.call(by("wang", Role::Supervisor)).await), RefusalKind::Conflict);
    let forced: Vec<_> = house
        .times("Append")
        .into_iter()
        .filter(|append| append["event"]["kind"] == "route.agent-state-forced")
        .collect();
    assert_eq!(
        forced[0]["event"]["outcome"], "pending",
        "the entry comes before the act, whatever it brings"
    );
    let sign_in = SignIn { assertion: house.assertion("wang", Role::Supervisor), phone: None };
    assert_eq!(kind(ctl.call(sign_in).await), RefusalKind::NotPermitted);
    let forged = House::new().assertion("alice", Role::Agent);
    assert_eq!(kind(ctl.call(Agents { assertion: forged }).await), RefusalKind::NotPermitted);
}

/// Guarded by the mutant `capture-unaudited`.
#[tokio::test]
async fn a_capture_begins_after_its_entry_and_for_a_supervisor_alone() {
    let (house, mut sip, mut media) = attached().await;
    let (caller, agent, _) = talking(&house, &mut sip, &mut media).await;
    let ctl = house.client("ctl");
    let supervisor = || house.assertion("wang", Role::Supervisor);
    let call = ctl.call(LiveCalls { assertion: supervisor() }).await.unwrap().calls[0].call;
    let ask = |assertion| Capture { assertion, call, reason: "one-way audio".to_owned(), seconds: 60 };
    for role in
        [Role::Agent, Role::SystemAdministrator, Role::SecurityAdministrator, Role::AuditAdministrator]
    {
        assert_eq!(kind(ctl.call(ask(house.assertion("bob", role))).await), RefusalKind::NotPermitted);
    }
    for seconds in [0, 601] {
        assert_eq!(kind(ctl.call(Capture { seconds, ..ask(supervisor()) }).await), RefusalKind::Invalid);
    }
    let other = CallId(Uid([9; 16]));
    assert_eq!(kind(ctl.call(Capture { call: other, ..ask(supervisor()) }).await), RefusalKind::NotFound);
    house.audit_away.store(true, Ordering::Relaxed);
    assert_eq!(kind(ctl.call(ask(supervisor())).await), RefusalKind::Unavailable, "no entry, no packet");

    // The first word of a capture that an edge hears is of the one that stands in the log.
    house.audit_away.store(false, Ordering::Relaxed);
    let edges = async {
        let first = sip.until(|command| match command {
            SignallingCommand::Capture(copying) => Some(copying),
            _ => None,
        });
        let copying = first.await;
        let entries = house.times("Append").into_iter();
        let entered: Vec<_> = entries
            .filter(|append| append["event"]["facts"]["capture"] == copying.capture.to_string())
            .collect();
        assert_eq!(entered[0]["event"]["phase"], "begun");
        let same = media.until(|command| match command {
            MediaCommand::Capture(same) => Some(same),
            _ => None,
        });
        assert_eq!(same.await, copying);
        for edge in ["sip", "media"] {
            let null = std::fs::File::open("/dev/null").unwrap().into();
            let captured = Captured { copying: copying.clone() };
            house.client(edge).call_with(captured, vec![null], Duration::from_secs(5)).await.unwrap();
        }
        copying
    };
    let asking = ctl.call_with(ask(supervisor()), Vec::new(), Duration::from_secs(10));
    let (answer, copying) = tokio::join!(asking, edges);
    let (capturing, descriptors) = answer.unwrap();
    assert_eq!((capturing.capture, descriptors.len(), copying.seconds), (copying.capture, 2, 60));
    let legs: std::collections::BTreeSet<_> = copying.legs.into_iter().collect();
    assert_eq!(legs, std::collections::BTreeSet::from([caller, agent]));
}

/// The edges have the captures: a new life of route hears of them and adds the legs that it dials. Guarded by the
/// mutant `capture-ends-with-route`.
#[tokio::test]
async fn a_capture_goes_on_with_legs_that_are_made_after_a_kill() {
    let (mut house, mut sip, mut media) = attached().await;
    let caller = LegId(Uid([1; 16]));
    announced(&mut sip, &mut media, caller).await;
    let waiting = sip.until(|command| match command {
        SignallingCommand::Remember { memo, .. } => memo.0.contains("Waiting").then_some(memo),
        _ => None,
    });
    let memo = waiting.await;
    let ctl = house.client("ctl");
    let live = ctl.call(LiveCalls { assertion: house.assertion("wang", Role::Supervisor) }).await.unwrap();
    let call = live.calls[0].call;
    house.kill();
    house.start();
    sip = Sip::attach(&house, vec![LiveLeg { leg: caller, state: LegState::Established, memo }]).await;
    media =
        Media::attach(&house, vec![LiveMedia { leg: caller, bridged: None, memo: Memo::default() }]).await;
    let capture = CaptureId(Uid([7; 16]));
    let copying = Copying { capture, call, legs: vec![caller], seconds: 30 };
    for edge in ["sip", "media"] {
        let captured = Captured { copying: copying.clone() };
        house.client(edge).call(captured).await.unwrap();
    }
    assert_eq!(ready(&house).await, AgentState::Offered);
    let opened = media.until(|command| match command {
        MediaCommand::Open { leg, offer: None, .. } => Some(leg),
        _ => None,
    });
    let next = opened.await;
    media.say(MediaEvent::Opened { leg: next, description: sdp("ours") }).await;
    let mut told = Vec::new();
    let dialled = sip.until(|command| match command {
        SignallingCommand::Capture(copying) => {
            told.push(copying);
            None
        }
        SignallingCommand::Dial { leg, .. } => Some(leg),
        _ => None,
    });
    assert_eq!(dialled.await, next);
    // What there is by now, said once to an edge that may lack some of it; then the new one, before it is dialled.
    let [there, new] = &told[..] else { panic!("{told:?}") };
    assert_eq!((there.capture, there.call, &there.legs[..]), (capture, call, &[caller][..]));
    assert_eq!((new.capture, new.call, &new.legs[..]), (capture, call, &[next][..]));
    assert!((25..=30).contains(&new.seconds), "{}", new.seconds);
}

/// More than one message of the wire carries (1 MiB). Guarded by the mutant `edge-lists-at-once`.
#[tokio::test]
async fn two_thousand_live_legs_come_back_after_a_kill() {
    let (mut house, mut sip, mut media) = attached().await;
    let (caller, agent, memo) = talking(&house, &mut sip, &mut media).await;
    house.kill();
    house.start();
    // The one call of a thousand that route knows something of, amid memos of another version.
    let alien = Memo("\"".repeat(4_096));
    let others = (0..1_998_u128).map(|n| LegId(Uid((7 << 64 | n).to_be_bytes()))).collect::<Vec<_>>();
    let leg = |leg, memo| LiveLeg { leg, state: LegState::Established, memo };
    let side = |leg, bridged, memo| LiveMedia { leg, bridged, memo };
    let mut lines: Vec<_> = others.iter().map(|id| leg(*id, alien.clone())).collect();
    lines.splice(1_000..1_000, [leg(caller, memo), leg(agent, Memo::default())]);
    let mut sounds: Vec<_> = others.iter().map(|id| side(*id, None, alien.clone())).collect();
    sounds.push(side(caller, Some(agent), Memo::default()));
    sounds.push(side(agent, Some(caller), Memo::default()));
    let mut media = Media::attach(&house, sounds).await;
    let mut sip = Sip::attach(&house, lines).await;
    let ctl = house.client("ctl");
    let live =
        ctl.call(LiveCalls { assertion: house.assertion("wang", Role::Supervisor) }).await.unwrap().calls;
    assert_eq!((live.len(), live[0].stage), (1, Stage::Talking));
    // What nobody knows ends on both edges.
    let mut left: std::collections::BTreeSet<_> = others.into_iter().collect();
    let mut open = left.clone();
    while !left.is_empty() {
        let ended = sip.until(|command| match command {
            SignallingCommand::HangUp { leg, .. } => Some(leg),
            _ => None,
        });
        assert!(left.remove(&ended.await), "a leg of a call was ended");
    }
    while !open.is_empty() {
        let closed = media.until(|command| match command {
            MediaCommand::Close { leg } => Some(leg),
            _ => None,
        });
        assert!(open.remove(&closed.await), "a leg of a call was closed");
    }
}
