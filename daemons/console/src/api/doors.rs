//! Every door of the API: the whole of who may do what here. Each daemon decides again for itself.

use super::{
    accounts, centre,
    door::{Door, Who, delete, get, post},
    entry, fields, log, openapi, recordings, records, settings, system,
};
use crate::{certificate::Facts, live};
use auth_api::Role;

/// Every door.
pub fn doors() -> Vec<Door> {
    use Who::{Anyone, Holds, Person};
    const SYSTEM: Who = Holds(&[Role::SystemAdministrator]);
    const SECURITY: Who = Holds(&[Role::SecurityAdministrator]);
    const AUDIT: Who = Holds(&[Role::AuditAdministrator]);
    const OFFICERS: Who = Holds(&Role::OFFICERS);
    const SUPERVISOR: Who = Holds(&[Role::Supervisor]);
    const AGENT: Who = Holds(&[Role::Agent]);
    const CENTRE: Who = Holds(&[Role::Supervisor, Role::Agent]);
    const LEADERS: Who = Holds(&[
        Role::SystemAdministrator,
        Role::SecurityAdministrator,
        Role::AuditAdministrator,
        Role::Supervisor,
    ]);
    const ROLED: Who = Holds(&Role::ALL);
    const SEERS: Who = Holds(&[Role::Supervisor, Role::SecurityAdministrator, Role::AuditAdministrator]);
    const HOLDERS: Who = Holds(&[Role::Supervisor, Role::SecurityAdministrator]);
    const VERIFIERS: Who = Holds(&[Role::Supervisor, Role::AuditAdministrator]);
    vec![
        // Entering.
        get("/openapi.json", "openapi", Anyone, "This document.", openapi::serve)
            .gives::<serde_json::Value>(),
        get("/setup", "setupState", Anyone, "Whether the officers are known to be named.", entry::officers)
            .gives::<entry::SetupState>(),
        post("/setup", "nameOfficers", Anyone, "Names the three officers, once.", entry::name_officers)
            .takes::<entry::Naming>(),
        post("/session", "logIn", Anyone, "Logs in.", entry::log_in)
            .takes::<entry::Entering>()
            .gives::<entry::Opened>(),
        get("/session", "whoAmI", Person, "Who is logged in.", entry::who).gives::<entry::Who>(),
        delete("/session", "logOut", Anyone, "Logs out.", entry::log_out),
        post("/password", "changePassword", Anyone, "Changes one's own password.", entry::change_password)
            .takes::<entry::Changing>(),
        get("/sessions", "sessions", Person, "One's own sessions.", entry::sessions)
            .gives::<auth_api::SessionList>(),
        delete("/sessions/{session}", "endSession", Person, "Ends one of one's own.", entry::end_session)
            .at::<entry::OfSession>(),
        // Accounts.
        get("/accounts", "accounts", OFFICERS, "Every account and pending recovery.", accounts::list)
            .gives::<auth_api::AccountList>(),
        post("/accounts", "createAccount", SYSTEM, "Creates an account without a role.", accounts::create)
            .takes::<accounts::NewAccount>()
            .gives::<auth_api::Created>(),
        post("/accounts/{person}/disable", "disableAccount", SYSTEM, "Closes an account.", accounts::disable)
            .at::<accounts::OfPerson>(),
        post(
            "/accounts/{person}/enable",
            "enableAccount",
            SYSTEM,
            "Opens a closed account.",
            accounts::enable,
        )
        .at::<accounts::OfPerson>(),
        post("/accounts/{person}/unlock", "unlockAccount", SECURITY, "Ends a lock-out.", accounts::unlock)
            .at::<accounts::OfPerson>(),
        post("/accounts/{person}/roles", "grantRole", SECURITY, "Gives a role.", accounts::grant)
            .at::<accounts::OfPerson>()
            .takes::<accounts::NewRole>(),
        delete(
            "/accounts/{person}/roles/{role}",
            "revokeRole",
            SECURITY,
            "Takes a role away.",
            accounts::revoke,
        )
        .at::<accounts::OfRole>(),
        post(
            "/accounts/{person}/recoveries",
            "requestRecovery",
            OFFICERS,
            "Asks for a recovery.",
            accounts::recover,
        )
        .at::<accounts::OfPerson>()
        .gives::<auth_api::RecoveryRequested>(),
        post(
            "/accounts/{person}/recoveries/{recovery}/approve",
            "approveRecovery",
            OFFICERS,
            "Agrees to a recovery that another officer asked for.",
            accounts::approve,
        )
        .at::<accounts::OfRecovery>()
        .gives::<auth_api::RecoveryApproved>(),
        // The centre as it is.
        get("/live", "live", ROLED, "The live state as a stream.", live::serve)
            .gives_socket::<live::LiveMessage>(),
        get("/calls/live", "liveCalls", ROLED, "The calls of this moment.", centre::live_calls)
            .gives::<route_api::LiveCallList>(),
        post("/calls/live/{call}/hang-up", "hangUp", CENTRE, "Ends a call.", centre::hang_up)
            .at::<centre::OfCall>()
            .takes::<fields::Because>(),
        get("/queues", "queues", ROLED, "The queues and who waits.", centre::queues)
            .gives::<route_api::QueueList>(),
        get("/endpoints", "endpoints", ROLED, "Trunks and phones.", centre::endpoints)
            .gives::<route_api::EndpointList>(),
        get("/agents", "agents", ROLED, "The agents and their states.", centre::agents)
            .gives::<route_api::AgentList>(),
        post("/agents/{agent}/state", "setAgentState", SUPERVISOR, "Sets an agent's state.", centre::state)
            .at::<centre::OfAgent>()
            .takes::<centre::Wanted>()
            .gives::<route_api::AgentEntry>(),
        post(
            "/agents/{agent}/wrap-up",
            "setAgentWrapUp",
            SUPERVISOR,
            "Sets after-call work.",
            centre::wrap_up,
        )
        .at::<centre::OfAgent>()
        .takes::<centre::Lasting>()
        .gives::<route_api::AgentEntry>(),
        post("/agent/phone", "signIn", AGENT, "Signs in at a phone.", centre::sign_in)
            .takes::<centre::Seat>()
            .gives::<route_api::AgentEntry>(),
        delete("/agent/phone", "signOut", AGENT, "Signs out.", centre::sign_out)
            .gives::<route_api::AgentEntry>(),
        post("/agent/state", "setState", AGENT, "Sets one's own state.", centre::own_state)
            .takes::<centre::Wanted>()
            .gives::<route_api::AgentEntry>(),
        post("/agent/wrap-up", "setWrapUp", AGENT, "Sets one's own after-call work.", centre::own_wrap_up)
            .takes::<centre::Lasting>()
            .gives::<route_api::AgentEntry>(),
        post("/flows/{flow}/try", "tryFlow", ROLED, "Tries a flow without a phone.", centre::try_flow)
            .at::<centre::OfFlow>()
            .takes::<centre::Trial>()
            .gives::<route_api::Tried>(),
        // The centre as it was.
        get("/calls", "calls", ROLED, "Call records, the newest first, masked.", records::list)
            .asks::<records::Which>()
            .gives::<report_api::CallRecordList>(),
        post("/calls/search", "searchCalls", SUPERVISOR, "Call records with their numbers.", records::search)
            .takes::<records::Search>()
            .gives::<report_api::CallRecordList>(),
        get("/calls/{call}", "call", ROLED, "One call: ladder, legs, events, consent.", records::show)
            .at::<centre::OfCall>()
            .gives::<report_api::CallRecord>(),
        post("/calls/{call}/unmask", "unmaskCall", SUPERVISOR, "One call with its numbers.", records::unmask)
            .at::<centre::OfCall>()
            .takes::<fields::Because>()
            .gives::<report_api::CallRecord>(),
        // Recordings.
        get("/recordings", "recordings", SEERS, "The recordings, the newest first.", recordings::list)
            .asks::<recordings::Which>()
            .gives::<record_api::RecordingList>(),
        get("/recordings/{recording}", "recording", SEERS, "One recording.", recordings::show)
            .at::<recordings::OfRecording>()
            .gives::<record_api::Recording>(),
        post(
            "/recordings/{recording}/listen",
            "listen",
            SUPERVISOR,
            "Grants its sound for a while.",
            recordings::listen,
        )
        .at::<recordings::OfRecording>()
        .takes::<fields::BecauseOf>()
        .gives::<recordings::Granted>(),
        get(
            "/recordings/{recording}/audio",
            "audio",
            SUPERVISOR,
            "Its sound, or a range of it.",
            recordings::audio,
        )
        .at::<recordings::OfRecording>()
        .gives_sound(),
        get("/recordings/{recording}/peaks", "peaks", SUPERVISOR, "Its waveform.", recordings::peaks)
            .at::<recordings::OfRecording>()
            .asks::<recordings::Fineness>()
            .gives::<recordings::Peaks>(),
        post(
            "/recordings/{recording}/verify",
            "verifyRecording",
            VERIFIERS,
            "Opens every chunk.",
            recordings::verify,
        )
        .at::<recordings::OfRecording>()
        .takes::<fields::Because>()
        .gives::<record_api::Verified>(),
        post("/recordings/{recording}/hold", "hold", HOLDERS, "Puts it on legal hold.", recordings::hold)
            .at::<recordings::OfRecording>()
            .takes::<fields::BecauseOf>()
            .gives::<record_api::Recording>(),
        post(
            "/recordings/{recording}/release",
            "release",
            SECURITY,
            "Lifts a legal hold.",
            recordings::release,
        )
        .at::<recordings::OfRecording>()
        .takes::<fields::Because>()
        .gives::<record_api::Recording>(),
        // The audit log.
        get("/audit/entries", "auditEntries", AUDIT, "Entries, the newest first.", log::list)
            .asks::<log::Which>()
            .gives::<audit_api::EntryList>(),
        get(
            "/audit/entries/{sequence}/proof",
            "auditProof",
            AUDIT,
            "That an entry is in the log.",
            log::proof,
        )
        .at::<log::OfEntry>()
        .gives::<audit_api::InclusionProof>(),
        post("/audit/verify", "verifyAudit", AUDIT, "Reads the whole log again.", log::verify)
            .gives::<audit_api::Verified>(),
        get("/audit/checkpoint", "auditCheckpoint", AUDIT, "The newest checkpoint, signed.", log::checkpoint)
            .gives::<audit_api::SignedCheckpoint>(),
        // The house.
        get("/system", "systemState", LEADERS, "Daemons, disk and alarms.", system::state)
            .gives::<system::SystemState>(),
        get(
            "/system/certificate",
            "certificate",
            OFFICERS,
            "The console's certificate.",
            system::certificate,
        )
        .gives::<Facts>(),
        get("/settings", "settings", OFFICERS, "The settings, passwords masked.", settings::show)
            .gives::<host_api::Shown>(),
        get("/settings/versions", "settingsVersions", OFFICERS, "Every version.", settings::versions)
            .gives::<host_api::VersionList>(),
        get("/settings/diff", "settingsDiff", OFFICERS, "What differs between two versions.", settings::diff)
            .asks::<settings::Between>()
            .gives::<host_api::Differences>(),
        post("/settings/check", "checkSettings", SYSTEM, "What is wrong with a draft.", settings::check)
            .takes::<settings::Draft>()
            .gives::<settings::Judged>()
            .of_size(settings::LONGEST),
        post("/settings/apply", "applySettings", SYSTEM, "Has a draft obeyed.", settings::apply)
            .takes::<settings::Applying>()
            .gives::<settings::Outcome>()
            .of_size(settings::LONGEST),
        post(
            "/settings/roll-back",
            "rollBackSettings",
            SYSTEM,
            "Has an earlier version obeyed.",
            settings::roll_back,
        )
        .takes::<settings::Back>()
        .gives::<settings::Outcome>(),
    ]
}
