//! The OpenAPI 3.1 document: operations as utoipa words them, schemas of the very types that cross the wire.

use super::{
    door::{Door, Gives, SchemaOf, Who},
    doors::doors,
};
use crate::{guard, problem, sessions};
use axum::Json;
use schemars::{
    JsonSchema, SchemaGenerator,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform},
};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use types::Name;
use utoipa::openapi::{
    Components, ContentBuilder, HttpMethod, InfoBuilder, OpenApiBuilder, PathItem, PathsBuilder, Ref, RefOr,
    Required, ResponseBuilder, Schema, SecurityRequirement,
    extensions::Extensions,
    path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    response::Response,
    security::{ApiKey, ApiKeyValue, SecurityScheme},
};

/// Where schemas stand in the document.
const SCHEMAS: &str = "#/components/schemas/";
/// The extension that names the roles of an operation.
pub const ROLES: &str = "x-roles";

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// Answers with the document.
pub async fn serve() -> Json<&'static Value> {
    Json(&DOCUMENT)
}

/// The document of every door.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings = settings.with_transform(RecursiveTransform(signs_of_names));
    let mut generator = settings.into_generator();
    let mut named = Map::new();
    let problem =
        reference(&mut generator, SchemaGenerator::subschema_for::<problem::Told>, "Problem", &mut named);
    let mut paths = PathsBuilder::new();
    for door in doors() {
        let item = operation(&door, &mut generator, &mut named, &problem);
        paths = paths.path(format!("/api/v1{}", door.path), item);
    }
    let info = InfoBuilder::new()
        .title("Yanmen 雁门")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .build();
    let mut components = Components::new();
    let cookie = ApiKey::Cookie(ApiKeyValue::new(sessions::COOKIE_NAME));
    let token = ApiKey::Header(ApiKeyValue::new(guard::TOKEN));
    components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    components.add_security_scheme("token", SecurityScheme::ApiKey(token));
    let document = OpenApiBuilder::new().info(info).paths(paths.build()).components(Some(components)).build();
    // The document's own types are JSON by construction; were they not, an empty one shows it at once.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    named.extend(generator.take_definitions(true));
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        components.insert("schemas".to_owned(), Value::Object(named));
    }
    document
}

const ABOUT: &str = "The console's own API. A session is a cookie; an unsafe request carries the session's token in \
                     a header and comes from the console's own page. Every refusal is a problem (RFC 9457) in the \
                     language that the browser asks for.";

fn operation(
    door: &Door,
    generator: &mut SchemaGenerator,
    named: &mut Map<String, Value>,
    problem: &Ref,
) -> PathItem {
    let mut operation = OperationBuilder::new().operation_id(Some(door.id)).summary(Some(door.summary));
    let tag = door.path.split('/').nth(1).unwrap_or_default();
    operation = operation.tag(tag);
    for (schema, place) in [(door.at, ParameterIn::Path), (door.asks, ParameterIn::Query)] {
        for parameter in parameters(schema, &place, generator) {
            operation = operation.parameter(parameter);
        }
    }
    if let Some(takes) = door.takes {
        let body = reference(generator, takes, &format!("{}Body", door.id), named);
        let content = ContentBuilder::new().schema(Some(body)).build();
        let body =
            RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    for (status, response) in answers(door, generator, named) {
        operation = operation.response(status, response);
    }
    let content = ContentBuilder::new().schema(Some(problem.clone())).build();
    let refused = ResponseBuilder::new().description("Why not").content(problem::KIND, content).build();
    operation = operation.response("default", refused);
    let none: [&str; 0] = [];
    let signed = SecurityRequirement::new("session", none);
    let signed = match door.verb {
        HttpMethod::Get => signed,
        _ => signed.add("token", none),
    };
    let roles: Vec<&str> = match door.who {
        Who::Anyone => Vec::new(),
        Who::Person => auth_api::Role::ALL.map(auth_api::Role::as_str).to_vec(),
        Who::Holds(roles) => roles.iter().map(|role| role.as_str()).collect(),
    };
    if door.who != Who::Anyone {
        operation = operation.security(signed);
    }
    let roles = Extensions::from_iter([(ROLES, json!(roles))]);
    PathItem::new(door.verb.clone(), operation.extensions(Some(roles)).build())
}

fn answers(
    door: &Door,
    generator: &mut SchemaGenerator,
    named: &mut Map<String, Value>,
) -> Vec<(&'static str, Response)> {
    let plain = |text: &str| ResponseBuilder::new().description(text).build();
    match door.gives {
        Gives::Nothing => vec![("204", plain("Done"))],
        Gives::Json(schema) => {
            let schema = reference(generator, schema, &format!("{}Answer", door.id), named);
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let answer =
                ResponseBuilder::new().description("The answer").content("application/json", content);
            vec![("200", answer.build())]
        }
        Gives::Sound => ["200", "206"]
            .map(|status| {
                let answer = ResponseBuilder::new()
                    .description("Sound")
                    .content("audio/wav", ContentBuilder::new().build());
                (status, answer.build())
            })
            .into(),
        Gives::Socket(schema) => {
            // No JSON Schema of HTTP's: what travels on the socket is named all the same, for the typed client.
            reference(generator, schema, "LiveMessage", named);
            vec![("101", plain("A WebSocket whose messages are LiveMessage"))]
        }
    }
}

/// The letters and digits of names, as tools know them: ASCII, Latin, Greek, Cyrillic, Chinese. Other scripts are taken
/// too, and no tool's regular expressions agree on them.
const SIGNS: &str = "0-9A-Za-z\u{c0}-\u{d6}\u{d8}-\u{f6}\u{f8}-\u{24f}\u{391}-\u{3a1}\u{3b1}-\u{3c9}\u{410}-\u{44f}\u{4e00}-\u{9fff}";

/// A name's own schema tells its length alone: here its signs too.
fn signs_of_names(schema: &mut schemars::Schema) {
    let name = Name::json_schema(&mut SchemaGenerator::default());
    let plain = |key: &str| schema.get(key) == name.get(key);
    if name.as_object().is_some_and(|name| name.keys().all(|key| plain(key)))
        && schema.get("pattern").is_none()
    {
        schema.insert("pattern".to_owned(), json!(format!("^[{SIGNS}][{SIGNS}._-]*$")));
    }
}

/// The schema as a component, and the reference to it.
fn reference(
    generator: &mut SchemaGenerator,
    schema: SchemaOf,
    name: &str,
    named: &mut Map<String, Value>,
) -> Ref {
    let mut schema = schema(generator);
    RecursiveTransform(signs_of_names).transform(&mut schema);
    let schema = schema.to_value();
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => Ref::new(reference),
        None => {
            named.insert(name.to_owned(), schema);
            Ref::new(format!("{SCHEMAS}{name}"))
        }
    }
}

/// One parameter for each field of the type.
fn parameters(
    schema: Option<SchemaOf>,
    place: &ParameterIn,
    generator: &mut SchemaGenerator,
) -> Vec<Parameter> {
    let Some(schema) = schema else { return Vec::new() };
    let mut schema = schema(generator);
    RecursiveTransform(signs_of_names).transform(&mut schema);
    let schema = schema.to_value();
    let fields = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    fields
        .into_iter()
        .map(|(name, field)| {
            let about = field.get("description").and_then(Value::as_str).map(str::to_owned);
            let required = if *place == ParameterIn::Path { Required::True } else { Required::False };
            ParameterBuilder::new()
                .name(name)
                .parameter_in(place.clone())
                .description(about)
                .required(required)
                .schema(Some(plain(field)))
                .build()
        })
        .collect()
}

/// A field's schema where it stands in an address: what is left out is not null.
fn plain(mut field: Value) -> RefOr<Schema> {
    let present = |schemas: &Value| {
        let mut some = schemas.as_array()?.iter().filter(|schema| schema.get("type") != Some(&json!("null")));
        some.next().cloned()
    };
    if let Some(some) = field.get("anyOf").and_then(present) {
        field = some;
    }
    if let Some(reference) = field.get("$ref").and_then(Value::as_str) {
        return RefOr::Ref(Ref::new(reference));
    }
    if let Some(fields) = field.as_object_mut() {
        fields.remove("default");
        let some = fields.get("type").and_then(Value::as_array).and_then(|types| types.first()).cloned();
        some.map(|kind| fields.insert("type".to_owned(), kind));
    }
    // What utoipa cannot word is any value.
    serde_json::from_value(field).map(RefOr::T).unwrap_or_else(|_| RefOr::T(Schema::default()))
}
