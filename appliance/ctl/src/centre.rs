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
use report_api::{CallRecord, Recorded, Report};
use route_api::{
    AgentEntry, AgentState, Agents, Endpoint, Endpoints, HangUp, LiveCall, LiveCalls, Queues, Route,
    SetState, SignIn,
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
    SignOut,
    /// Ready for contacts.
    Ready {
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
        AgentDeed::SignOut => route.call(SignIn { assertion, phone: None }).await?,
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
                let numbers =
                    [queue.waiting.len().to_string(), queue.ready.to_string(), queue.signed_in.to_string()];
                [queue.queue.to_string()].into_iter().chain(numbers).collect()
            })
            .collect();
        output::table(&["QUEUE", "WAITING", "READY", "SIGNED IN"], &rows, "no queue in the settings");
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
        let rows: Vec<Vec<String>> = reply
            .endpoints
            .iter()
            .map(|(endpoint, reachability)| {
                let (kind, name) = endpoint_words(endpoint);
                let state = output::word(reachability);
                vec![kind.to_owned(), name, state]
            })
            .collect();
        output::table(&["KIND", "NAME", "STATE"], &rows, "no trunk and no phone in the settings");
    });
    Ok(())
}

fn live_table(calls: &[LiveCall]) {
    let row = |call: &LiveCall| {
        vec![
            call.call.to_string(),
            time::local(call.offered),
            call.from.clone(),
            call.dialled.clone(),
            output::word(&call.stage),
            or_dash(&call.queue),
            or_dash(&call.agent),
            or_dash(&call.recording),
        ]
    };
    let headings = ["CALL", "OFFERED", "FROM", "DIALLED", "STAGE", "QUEUE", "AGENT", "RECORDING"];
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
                or_dash(&agent.phone),
                or_dash(&agent.call),
                agent.queues.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            ]
        })
        .collect();
    output::table(&["AGENT", "STATE", "SINCE", "PHONE", "CALL", "QUEUES"], &rows, "no agent in the settings");
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
            Recorded::Yes { recording, .. } => recording.to_string(),
            Recorded::No { reason } => format!("none: {}", output::word(reason)),
        },
    ]
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
            let quality = leg.quality.as_ref().map_or_else(
                || "–".to_owned(),
                |q| {
                    format!(
                        "{} {} in, {} out, {} lost, jitter {} µs",
                        q.codec, q.received, q.sent, q.lost, q.jitter_us
                    )
                },
            );
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

fn endpoint_words(endpoint: &Endpoint) -> (&'static str, String) {
    match endpoint {
        Endpoint::Trunk(trunk) => ("trunk", trunk.to_string()),
        Endpoint::Phone(extension) => ("phone", extension.to_string()),
    }
}

fn or_dash(value: &Option<impl ToString>) -> String {
    value.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string)
}
