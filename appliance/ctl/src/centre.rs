//! `ym calls`, `agents`, `queues`, `trunks`: the centre as it is, and as it was.

use crate::{
    capture::{self, Wish},
    failure::{Failure, Status},
    ladder,
    output::{self, Form},
    session::Session,
    time,
};
use clap::Subcommand;
use record_api::Outcome;
use report_api::{CallRecord, Recorded, Report};
use route_api::{
    AgentCounts, AgentEntry, AgentState, Agents, Endpoint, Endpoints, HangUp, LiveCall, LiveCalls, Queues,
    RegistrationStanding, Route, SetState, SignIn, Trouble, TrunkEntry, WrapUp,
};
use settings::Period;
use std::path::PathBuf;
use types::{AgentId, CallId, Extension, Page, Pii, QueueId};

/// Calls.
#[derive(Subcommand)]
pub enum CallDeed {
    /// Call records, the newest first.
    List {
        /// Taken by this agent.
        #[arg(long)]
        agent: Option<AgentId>,
        /// Through this queue.
        #[arg(long)]
        queue: Option<QueueId>,
        /// From this number; needs --reason.
        #[arg(long)]
        number: Option<String>,
        /// Why numbers shall be shown: kept in the audit log.
        #[arg(long)]
        reason: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Go on after this call, the last of the page before.
        #[arg(long)]
        after: Option<CallId>,
    },
    /// One call with its legs, causes, signalling and decisions.
    Show {
        /// Which.
        call: CallId,
        /// Why its number shall be shown: kept in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// The calls of this moment.
    Live,
    /// Write the packets of a live call to a pcap file: SIP without credentials, of RTP the headers (supervisor).
    Capture {
        /// Which.
        call: CallId,
        /// Why: kept in the audit log.
        #[arg(long)]
        reason: String,
        /// The file to write; it must not exist.
        #[arg(long)]
        out: PathBuf,
        /// For how long, at most 10m.
        #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = crate::period)]
        lasts: Period,
    },
    /// End a call (supervisor).
    HangUp {
        /// Which.
        call: CallId,
        /// Why: kept in the audit log.
        #[arg(long)]
        reason: String,
    },
}

/// Agents.
#[derive(Subcommand)]
pub enum AgentDeed {
    /// Every agent and their state.
    List,
    /// Sign in at a phone.
    SignIn {
        /// Its extension.
        phone: Extension,
    },
    /// Sign out.
    SignOut {
        /// Whom, as a supervisor.
        #[arg(long)]
        agent: Option<AgentId>,
    },
    /// Ready for contacts; ends after-call work early.
    Ready {
        /// Whose, as a supervisor.
        #[arg(long)]
        agent: Option<AgentId>,
    },
    /// Set how long after-call work lasts from now on; while talking, from the end of the call.
    WrapUp {
        /// How long, such as 2m.
        #[arg(long = "for", value_name = "PERIOD")]
        lasting: settings::Period,
        /// Whose, as a supervisor.
        #[arg(long)]
        agent: Option<AgentId>,
    },
    /// Auxiliary work: no contacts, for a reason.
    Aux {
        /// The reason.
        reason: String,
        /// Whose, as a supervisor.
        #[arg(long)]
        agent: Option<AgentId>,
    },
}

/// Does a deed on calls.
///
/// # Errors
/// A refusal of report or route.
pub async fn calls(session: &Session<'_>, form: Form, deed: CallDeed) -> Result<(), Failure> {
    let assertion = session.assertion().await?;
    match deed {
        CallDeed::List { agent, queue, number, reason, limit, after } => {
            let number = number.map(Pii::new);
            let page = Page::of(limit);
            let list = report_api::List { assertion, page, number, agent, queue, after, reason };
            let reply = session.client::<Report>().call(list).await?;
            output::show(form, &reply, |reply| {
                output::table(
                    &["CALL", "OFFERED", "FROM", "DIALLED", "LASTED", "AGENT", "ENDED", "RECORDING"],
                    &reply.calls.iter().map(record_row).collect::<Vec<_>>(),
                    "no call yet",
                );
                if let (true, Some(last)) = (reply.more, reply.calls.last()) {
                    output::say(&format!("there are more: --after {}", last.call));
                }
            });
        }
        CallDeed::Show { call, reason } => {
            let show = report_api::Show { assertion: assertion.clone(), call, reason };
            match session.client::<Report>().call(show).await.map_err(Failure::from) {
                Ok(record) => output::show(form, &record, show_record),
                Err(failure) if failure.status() == Status::NotFound => {
                    let live = session.client::<Route>().call(LiveCalls { assertion }).await?;
                    let live = live.calls.into_iter().find(|live| live.call == call).ok_or(failure)?;
                    output::show(form, &live, |live| {
                        live_table(std::slice::from_ref(live));
                        output::say(&output::text("ym.call-lasts", &[]));
                    });
                }
                Err(failure) => return Err(failure),
            }
        }
        CallDeed::Live => {
            let live = session.client::<Route>().call(LiveCalls { assertion }).await?;
            output::show(form, &live, |live| live_table(&live.calls));
        }
        CallDeed::Capture { call, reason, out, lasts } => {
            capture::capture(session, form, Wish { call, reason, lasts: lasts.duration(), out }).await?;
        }
        CallDeed::HangUp { call, reason } => {
            let done = session.client::<Route>().call(HangUp { assertion, call, reason }).await?;
            output::done(form, &done, &output::text("ym.call-ended", &[]));
        }
    }
    Ok(())
}

/// Does a deed on agents.
///
/// # Errors
/// A refusal of route.
pub async fn agents(session: &Session<'_>, form: Form, deed: AgentDeed) -> Result<(), Failure> {
    let (route, assertion) = (session.client::<Route>(), session.assertion().await?);
    let entry = match deed {
        AgentDeed::List => {
            let list = route.call(Agents { assertion }).await?;
            output::show(form, &list, |list| agent_table(&list.agents));
            return Ok(());
        }
        AgentDeed::SignIn { phone } => route.call(SignIn { assertion, phone: Some(phone) }).await?,
        AgentDeed::SignOut { agent: None } => route.call(SignIn { assertion, phone: None }).await?,
        AgentDeed::SignOut { agent } => {
            route.call(SetState { assertion, agent, state: AgentState::SignedOut }).await?
        }
        AgentDeed::WrapUp { lasting, agent } => {
            let seconds = u32::try_from(lasting.duration().as_secs()).unwrap_or(u32::MAX);
            route.call(WrapUp { assertion, agent, seconds }).await?
        }
        AgentDeed::Ready { agent } => {
            route.call(SetState { assertion, agent, state: AgentState::Ready }).await?
        }
        AgentDeed::Aux { reason, agent } => {
            route.call(SetState { assertion, agent, state: AgentState::Aux(reason) }).await?
        }
    };
    output::show(form, &entry, |entry| agent_table(std::slice::from_ref(entry)));
    Ok(())
}

/// Shows the queues.
///
/// # Errors
/// A refusal of route.
pub async fn queues(session: &Session<'_>, form: Form) -> Result<(), Failure> {
    let assertion = session.assertion().await?;
    let reply = session.client::<Route>().call(Queues { assertion }).await?;
    output::show(form, &reply, |reply| {
        let rows: Vec<Vec<String>> = reply
            .queues
            .iter()
            .map(|queue| {
                let AgentCounts { ready, offered, talking, wrap_up, aux } = queue.agents;
                let longest = queue.longest.map_or_else(|| "–".to_owned(), time::elapsed);
                let waiting = queue.waiting.len().to_string();
                let agents = [ready, offered, talking, wrap_up, aux].map(|count| count.to_string());
                [queue.queue.to_string(), waiting, longest].into_iter().chain(agents).collect()
            })
            .collect();
        let headings = ["QUEUE", "WAITING", "LONGEST", "READY", "OFFERED", "TALKING", "WRAP-UP", "AUX"];
        output::table(&headings, &rows, "no queue in the settings");
    });
    Ok(())
}

/// Shows trunks and phones.
///
/// # Errors
/// A refusal of route.
pub async fn trunks(session: &Session<'_>, form: Form) -> Result<(), Failure> {
    let assertion = session.assertion().await?;
    let reply = session.client::<Route>().call(Endpoints { assertion }).await?;
    output::show(form, &reply, |reply| {
        let rows: Vec<Vec<String>> = reply.trunks.iter().flat_map(trunk_rows).collect();
        let heads =
            ["TRUNK", "STATE", "REGISTERED", "SINCE", "ADDRESS", "ANSWERS", "ROUND TRIP", "LAST TROUBLE"];
        output::table(&heads, &rows, "no trunk in the settings");
        output::say("");
        let rows: Vec<Vec<String>> = reply
            .endpoints
            .iter()
            .filter(|(endpoint, _)| matches!(endpoint, Endpoint::Phone(_)))
            .map(|(endpoint, reachability)| vec![endpoint_words(endpoint).1, output::word(reachability)])
            .collect();
        output::table(&["PHONE", "STATE"], &rows, "no phone in the settings");
    });
    Ok(())
}

/// One line for each address of a trunk; what is of the whole trunk stands in the first.
fn trunk_rows(entry: &TrunkEntry) -> Vec<Vec<String>> {
    let registered = match entry.standing.registration {
        RegistrationStanding::None => "–".to_owned(),
        other => output::word(&other),
    };
    let whole = [
        entry.trunk.to_string(),
        entry.reachable.map_or_else(|| "–".to_owned(), |reachable| output::word(&reachable)),
        registered,
        time::local(entry.since),
    ];
    let targets = entry.standing.targets.iter().enumerate();
    targets
        .map(|(at, target)| {
            let first = at == 0;
            let head = whole.iter().map(|text| if first { text.clone() } else { String::new() });
            let trouble = target.error.or(entry.standing.error.filter(|_| first));
            let tail = [
                target.address.clone(),
                output::word(&target.health),
                target
                    .round_trip_us
                    .map_or_else(|| "–".to_owned(), |us| format!("{:.1} ms", us as f64 / 1e3)),
                trouble.map_or_else(|| "–".to_owned(), trouble_words),
            ];
            head.chain(tail).collect()
        })
        .collect()
}

fn trouble_words(trouble: Trouble) -> String {
    match trouble {
        Trouble::Status(status) => format!("answered {status}"),
        Trouble::Silent => "no answer".to_owned(),
        Trouble::Refused => "nobody listens there".to_owned(),
        Trouble::Unreachable => "no way leads there".to_owned(),
        Trouble::Untrusted => "its certificate is not the expected one".to_owned(),
        Trouble::Closed => "the connection broke".to_owned(),
        Trouble::Foreign => "what it sent is no SIP".to_owned(),
        Trouble::Password => "it does not take the user name and password".to_owned(),
        Trouble::Algorithm => "it asks for a proof by an unknown algorithm".to_owned(),
        Trouble::Address => "no address of the trunk's network can reach it".to_owned(),
    }
}

fn live_table(calls: &[LiveCall]) {
    let row = |call: &LiveCall| {
        vec![
            call.call.to_string(),
            time::local(call.offered),
            call.from.clone(),
            call.dialled.clone(),
            output::word(&call.stage),
            or_dash(&call.step),
            or_dash(&call.queue),
            or_dash(&call.agent),
            or_dash(&call.recording),
        ]
    };
    let headings = ["CALL", "OFFERED", "FROM", "DIALLED", "STAGE", "STEP", "QUEUE", "AGENT", "RECORDING"];
    output::table(&headings, &calls.iter().map(row).collect::<Vec<_>>(), "no call at this moment");
}

fn agent_table(agents: &[AgentEntry]) {
    let rows: Vec<Vec<String>> = agents
        .iter()
        .map(|agent| {
            vec![
                agent.agent.to_string(),
                output::word(&agent.state),
                time::local(agent.since),
                agent.until.map_or_else(|| "–".to_owned(), time::local),
                or_dash(&agent.phone),
                or_dash(&agent.call),
                agent.queues.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            ]
        })
        .collect();
    output::table(
        &["AGENT", "STATE", "SINCE", "UNTIL", "PHONE", "CALL", "QUEUES"],
        &rows,
        "no agent in the settings",
    );
}

fn record_row(record: &CallRecord) -> Vec<String> {
    let agent = record.legs.iter().find_map(|leg| leg.answered.and(leg.agent.as_ref()));
    vec![
        record.call.to_string(),
        time::local(record.offered),
        record.from.number.reveal().clone(),
        record.dialled.clone(),
        format!("{} s", record.ended.since(record.offered).as_secs()),
        agent.map_or_else(|| "–".to_owned(), ToString::to_string),
        output::word(&record.disposition),
        match &record.recording {
            Recorded::Yes { recording, .. } => match &record.outcome {
                Some(outcome) => format!("{recording} {}", became(outcome)),
                None => recording.to_string(),
            },
            Recorded::No { reason } => format!("none: {}", output::word(reason)),
        },
    ]
}

/// What became of a recording, in a word or two.
fn became(outcome: &Outcome) -> String {
    let lossy = if outcome.lost > 0 { format!(", {} lost", outcome.lost) } else { String::new() };
    format!("({}{lossy})", output::word(&outcome.state))
}

fn show_record(record: &CallRecord) {
    output::table(
        &["CALL", "OFFERED", "FROM", "DIALLED", "LASTED", "AGENT", "ENDED", "RECORDING"],
        &[record_row(record)],
        "",
    );
    output::say("");
    let legs: Vec<Vec<String>> = record
        .legs
        .iter()
        .map(|leg| {
            let (kind, name) = endpoint_words(&leg.over);
            let quality = leg.quality.as_ref().map_or_else(|| "–".to_owned(), quality);
            vec![
                leg.leg.to_string(),
                format!("{kind} {name}"),
                time::local(leg.began),
                leg.answered.map_or_else(|| "–".to_owned(), time::local),
                time::local(leg.ended),
                format!("{} {}, by {}", leg.cause.q850(), output::word(&leg.cause), output::word(&leg.by)),
                quality,
            ]
        })
        .collect();
    output::table(&["LEG", "OVER", "BEGAN", "ANSWERED", "ENDED", "CAUSE (Q.850)", "MEDIA"], &legs, "no leg");
    output::say("");
    ladder::show(record);
    output::say("");
    let decisions: Vec<Vec<String>> = record
        .decisions
        .iter()
        .map(|decision| vec![time::local(decision.at), decision.what.clone(), decision.why.clone()])
        .collect();
    output::table(&["AT", "DECISION", "WHY"], &decisions, "no decision");
}

/// What a leg received and sent, in one line.
fn quality(quality: &route_api::Quality) -> String {
    let milliseconds = |us: u64| format!("{}.{} ms", us / 1000, us % 1000 / 100);
    let mut words = vec![
        quality
            .srtp
            .as_ref()
            .map_or_else(|| quality.codec.clone(), |srtp| format!("{} {srtp}", quality.codec)),
        format!("{} in, {} out", quality.received, quality.sent),
        format!("{} lost, {} out of order", quality.lost, quality.reordered),
        format!("jitter {}", milliseconds(quality.jitter_us)),
    ];
    words.extend(quality.round_trip_us.map(|us| format!("round trip {}", milliseconds(us))));
    words.extend(quality.mos.map(|mos| format!("MOS {mos}")));
    words.extend(quality.far_lost.map(|lost| {
        format!("there {lost} lost, jitter {}", milliseconds(quality.far_jitter_us.unwrap_or_default()))
    }));
    words.extend((quality.forged > 0).then(|| format!("{} forged", quality.forged)));
    words.join(", ")
}

fn endpoint_words(endpoint: &Endpoint) -> (&'static str, String) {
    match endpoint {
        Endpoint::Trunk(trunk) => ("trunk", trunk.to_string()),
        Endpoint::Phone(extension) => ("phone", extension.to_string()),
    }
}

fn or_dash(value: &Option<impl ToString>) -> String {
    value.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string)
}
