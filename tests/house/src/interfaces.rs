//! Every interface of the house.

use service::{Interface, MethodFacts};

/// One daemon's interface.
pub struct Offered {
    /// The daemon.
    pub daemon: &'static str,
    /// Its methods.
    pub methods: &'static [MethodFacts],
    /// The JSON Schemas of all parameters and replies.
    pub schemas: Vec<serde_json::Value>,
    /// Its Varlink description.
    pub description: String,
}

/// All of them.
pub fn all() -> Vec<Offered> {
    vec![
        of::<audit_api::Audit>(),
        of::<auth_api::Auth>(),
        of::<host_api::Host>(),
        of::<key_api::Key>(),
        of::<record_api::Record>(),
        of::<report_api::Report>(),
        of::<route_api::Route>(),
    ]
}

fn of<I: Interface>() -> Offered {
    let both = |(_, parameters, reply): (&str, service::private::Schema, service::private::Schema)| {
        [parameters.to_value(), reply.to_value()]
    };
    Offered {
        daemon: I::DAEMON,
        methods: I::METHODS,
        schemas: I::schemas().into_iter().flat_map(both).collect(),
        description: service::describe::<I>(),
    }
}
