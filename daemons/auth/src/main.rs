//! Identity: accounts, the three officers, sessions, and the assertions that every daemon verifies by itself.
//!
//! Owns the store of accounts and the order in which an act happens: proposed by the core, signed for the
//! log, recorded by audit, stored, and only then committed and answered. Never holds a private key, never
//! reads the log, and never lets a stranger make it hash more than its hands can do.
//!
//! ```text
//!   call ─> Desk ─> Hashing (argon2id, two at a time) ─> Guard ─ propose ─> Directory (auth-core)
//!                                                         │ key: sign the voucher
//!                                                         │ audit: the entry is durable
//!                                                         │ store: the change is durable
//!                                                         └ commit ─> answer
//! ```

mod desk;
mod error;
mod guard;
mod hashing;
mod hexadecimal;
mod keeping;
mod ledger;
mod officers;
mod refusal;
mod sealing;
mod secrets;
mod set_up;
mod signing;
#[cfg(test)]
mod tests;

use crate::{desk::Desk, guard::Guard, keeping::Keeping, ledger::Ledger, sealing::Sealing, signing::Signing};
use auth_api::{Auth, Role, Verifier};
use auth_core::{Policy, SetUp};
use service::{Failure, clock};
use settings::auth::FactorRole;

fn main() -> std::process::ExitCode {
    service::run("auth", env!("CARGO_PKG_VERSION"), |house| async move {
        gm::selftest().map_err(|error| Failure::of("test the cryptography", error))?;
        let mut rules = host_api::follow::<settings::auth::Auth>(&house, "auth").await?;
        let verifier = Verifier::of_house(&house).await?;
        let sealing = Sealing::of_house(&house, &house.client()).await?;
        let (keeping, snapshot) = Keeping::open(house.state_directory(), clock::boot(), sealing)
            .await
            .map_err(|error| Failure::of("open the accounts", error))?;
        let snapshot = set_up::prepare(&house.state_directory(), &keeping, snapshot)
            .await
            .map_err(|error| Failure::of("prepare the set-up", error))?;
        let waits = matches!(snapshot.set_up, SetUp::Awaiting { .. });

        audit_api::announce(&house, house.client());
        let (ledger, signing) = (Ledger::new(house.client()), Signing::new(house.client()));
        let policy = policy(&rules.borrow_and_update());
        let guard = Guard::new(policy, snapshot, keeping, ledger, signing);
        let named = {
            let house = house.clone();
            move || {
                set_up::forget(&house.state_directory());
                house.status("ready");
            }
        };
        let desk = Desk::new(guard, verifier, named);
        let mut calls = house.serve::<Auth>()?;
        house.ready();
        if waits {
            house.status(set_up::WAITS);
        }
        loop {
            tokio::select! {
                () = house.stopping() => return Ok(()),
                Some(request) = calls.next() => desk.take(request),
                Ok(()) = rules.changed() => desk.obey(policy_of(&mut rules)),
            }
        }
    })
}

fn policy_of(rules: &mut host_api::Settings<settings::auth::Auth>) -> Policy {
    policy(&rules.borrow_and_update())
}

/// The rules of the section, never laxer than the defaults.
fn policy(section: &settings::auth::Auth) -> Policy {
    let settings::auth::Auth { lock_out, password, idle, absolute, second_factor } = section;
    let many = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Policy {
        length: many(password.length),
        classes: many(password.classes),
        age: password.age.duration(),
        history: many(password.history),
        failures: lock_out.failures,
        lock: lock_out.lasting.duration(),
        idle: idle.duration(),
        absolute: absolute.duration(),
        second_factor: second_factor
            .iter()
            .map(|role| match role {
                FactorRole::Supervisor => Role::Supervisor,
                FactorRole::Agent => Role::Agent,
            })
            .collect(),
        ..Policy::default()
    }
    .at_least_default()
}
