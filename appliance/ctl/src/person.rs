//! `ym setup`, `login`, `logout`, `password`, `accounts …`: who may do what.

use crate::{
    failure::Failure,
    output::{self, Form, text},
    session::Session,
    terminal, time,
};
use auth_api::{
    Accounts, ApproveRecovery, Auth, ChangePassword, Create, Disable, Enable, Grant, NewOfficer, Offered,
    Origin, RequestRecovery, Revoke, Role, Setup, Unlock,
};
use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use types::{PersonId, Uid};

/// Accounts and roles.
#[derive(Subcommand)]
pub enum Deed {
    /// Every account and every pending recovery (officers).
    List,
    /// Create an account without a role; shows its one-time password (system administrator).
    Create {
        /// Whose.
        person: PersonId,
    },
    /// Give a role (security administrator).
    Grant {
        /// To whom.
        person: PersonId,
        /// Which: supervisor, agent, or an officer's.
        #[arg(value_parser = role())]
        role: Role,
    },
    /// Take a role away (security administrator).
    Revoke {
        /// From whom.
        person: PersonId,
        /// Which.
        #[arg(value_parser = role())]
        role: Role,
    },
    /// Close an account (system administrator).
    Disable {
        /// Whose.
        person: PersonId,
    },
    /// Open a closed account, with the roles and the password that it had (system administrator).
    Enable {
        /// Whose.
        person: PersonId,
    },
    /// End a lock-out before its time (security administrator).
    Unlock {
        /// Whose.
        person: PersonId,
    },
    /// Ask that an officer's lost password be replaced (another officer).
    Recover {
        /// Whose.
        person: PersonId,
    },
    /// Agree to a recovery that another officer asked for (the third officer).
    Approve {
        /// Whose.
        person: PersonId,
        /// The request, as `ym accounts list` shows it.
        recovery: Uid,
    },
}

/// Names the three officers with the set-up password.
///
/// # Errors
/// A refusal of auth, or nothing to read.
pub async fn setup(
    session: &Session<'_>,
    form: Form,
    system: PersonId,
    security: PersonId,
    audit: PersonId,
) -> Result<(), Failure> {
    let password = terminal::password("One-time set-up password")?;
    let officer = |person: PersonId, office: &str| -> Result<NewOfficer, Failure> {
        let password = terminal::new_password(&format!("First password of {person}, {office}"))?;
        Ok(NewOfficer { person, password })
    };
    let setup = Setup {
        password,
        system: officer(system, "system administrator 系统管理员")?,
        security: officer(security, "security administrator 安全管理员")?,
        audit: officer(audit, "audit administrator 审计管理员")?,
        origin: Origin::Local,
    };
    let done = session.client::<Auth>().call(setup).await?;
    output::done(form, &done, &text("ym.set-up-done", &[]));
    Ok(())
}

/// Logs in.
///
/// # Errors
/// A refusal of auth, or nothing to read.
pub async fn login(session: &Session<'_>, form: Form, person: PersonId) -> Result<(), Failure> {
    let password = terminal::password("Password")?;
    let code = |offered: Option<&Offered>| {
        if let Some(Offered { secret, uri }) = offered {
            output::complain(&text("ym.factor-offered", &[("secret", secret), ("uri", uri)]));
        }
        terminal::code("Code")
    };
    let entered = session.enter(person, password, code).await?;
    let claims = &entered.claims;
    let roles: Vec<&str> = claims.roles.iter().map(Role::as_str).collect();
    let code = if roles.is_empty() { "ym.logged-in-plain" } else { "ym.logged-in" };
    let (person, roles) = (claims.person.to_string(), roles.join(", "));
    output::show(form, &entered, |entered| {
        output::say(&text(code, &[("person", &person), ("roles", &roles)]));
        if !entered.recovery_codes.is_empty() {
            let codes: Vec<&str> = entered.recovery_codes.iter().map(auth_api::Code::reveal).collect();
            output::say(&text("ym.factor-enrolled", &[("codes", &codes.join("\n  "))]));
        }
    });
    Ok(())
}

/// Logs out.
///
/// # Errors
/// Nobody is logged in.
pub async fn logout(session: &Session<'_>, form: Form) -> Result<(), Failure> {
    let done = session.leave().await?;
    output::done(form, &done, &text("ym.logged-out", &[]));
    Ok(())
}

/// Changes a password.
///
/// # Errors
/// A refusal of auth, or nothing to read.
pub async fn change_password(session: &Session<'_>, form: Form, person: PersonId) -> Result<(), Failure> {
    let old = terminal::password("Present password")?;
    let new = terminal::new_password("New password")?;
    let auth = session.client::<Auth>();
    let change = |code| ChangePassword {
        person: person.clone(),
        old: old.clone(),
        new: new.clone(),
        code,
        origin: Origin::Local,
    };
    let done = match auth.call(change(None)).await {
        Err(service::Error::Refused(refusal)) if refusal.code == "auth.code-wanted" => {
            auth.call(change(Some(terminal::code("Code")?))).await?
        }
        outcome => outcome?,
    };
    output::done(form, &done, &text("ym.password-changed", &[]));
    Ok(())
}

/// Does a deed on accounts.
///
/// # Errors
/// A refusal of auth.
pub async fn accounts(session: &Session<'_>, form: Form, deed: Deed) -> Result<(), Failure> {
    let (auth, assertion) = (session.client::<Auth>(), session.assertion().await?);
    let on = |code: &str, person: &PersonId| text(code, &[("person", &person.to_string())]);
    let role_of = |code: &str, person: &PersonId, role: Role| {
        text(code, &[("person", &person.to_string()), ("role", role.as_str())])
    };
    match deed {
        Deed::List => output::show(form, &auth.call(Accounts { assertion }).await?, list),
        Deed::Create { person } => {
            let created = auth.call(Create { assertion, person: person.clone() }).await?;
            let arguments = [("person", &*person.to_string()), ("password", created.password.reveal())];
            output::done(form, &created, &text("ym.created", &arguments));
        }
        Deed::Grant { person, role } => {
            let sentence = role_of("ym.granted", &person, role);
            output::done(form, &auth.call(Grant { assertion, person, role }).await?, &sentence);
        }
        Deed::Revoke { person, role } => {
            let sentence = role_of("ym.revoked", &person, role);
            output::done(form, &auth.call(Revoke { assertion, person, role }).await?, &sentence);
        }
        Deed::Disable { person } => {
            let sentence = on("ym.disabled", &person);
            output::done(form, &auth.call(Disable { assertion, person }).await?, &sentence);
        }
        Deed::Enable { person } => {
            let sentence = on("ym.enabled", &person);
            output::done(form, &auth.call(Enable { assertion, person }).await?, &sentence);
        }
        Deed::Unlock { person } => {
            let sentence = on("ym.unlocked", &person);
            output::done(form, &auth.call(Unlock { assertion, person }).await?, &sentence);
        }
        Deed::Recover { person } => {
            let requested = auth.call(RequestRecovery { assertion, person: person.clone() }).await?;
            let arguments = [
                ("recovery", &*requested.recovery.to_string()),
                ("person", &*person.to_string()),
                ("half", requested.first_half.reveal()),
            ];
            output::done(form, &requested, &text("ym.recovery-requested", &arguments));
        }
        Deed::Approve { person, recovery } => {
            let approved = auth.call(ApproveRecovery { assertion, person: person.clone(), recovery }).await?;
            let arguments = [("person", &*person.to_string()), ("half", approved.second_half.reveal())];
            output::done(form, &approved, &text("ym.recovery-approved", &arguments));
        }
    }
    Ok(())
}

fn list(reply: &auth_api::AccountList) {
    let rows: Vec<Vec<String>> = reply
        .accounts
        .iter()
        .map(|account| {
            let roles: Vec<&str> = account.roles.iter().map(Role::as_str).collect();
            vec![
                account.person.to_string(),
                if roles.is_empty() { "–".to_owned() } else { roles.join(", ") },
                output::word(&account.standing),
                time::local(account.password_set),
                account.entered.map_or_else(|| "never".to_owned(), time::local),
                account.sessions.to_string(),
                output::word(&account.second_factor),
            ]
        })
        .collect();
    output::table(
        &["PERSON", "ROLES", "STANDING", "PASSWORD SET", "LAST LOG-IN", "SESSIONS", "SECOND FACTOR"],
        &rows,
        "no account yet: ym setup",
    );
    for recovery in &reply.recoveries {
        output::say(&text(
            "ym.recovery-pending",
            &[
                ("recovery", &recovery.recovery.to_string()),
                ("person", &recovery.person.to_string()),
                ("by", &recovery.by.to_string()),
                ("at", &time::local(recovery.requested)),
            ],
        ));
    }
}

/// Takes one of the roles; the completion of a shell knows them from here.
fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).try_map(|text| {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| format!("{text} is no role"))
    })
}
