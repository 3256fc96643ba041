//! A step as it is written: one flat table whose key says what is done. Read by hand where the reader of the
//! file is to learn the place of a mistake that `serde` alone would lose.

use super::flow::{Deed, HangUp, Hours, Menu, Queueing, Step};
use crate::value::{Fault, Prompt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{borrow::Cow, fmt};
use types::{Name, QueueId};

/// A step as it is written: one table with exactly one deed.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Step")]
struct Written {
    /// By which others lead here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    /// Plays a prompt to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    play: Option<Prompt>,
    /// Plays the announcement that the call is recorded; recording begins after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    announce: Option<Prompt>,
    /// Lets the caller choose by digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    menu: Option<Menu>,
    /// Asks the calendar: goes on where people work now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hours: Option<Hours>,
    /// Lets the caller wait for an agent and talk with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<Queueing>,
    /// Ends the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hang_up: Option<HangUp>,
    /// Where it goes on; with the step below where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Name>,
}

impl TryFrom<Written> for Step {
    type Error = Fault;

    fn try_from(written: Written) -> Result<Self, Fault> {
        let Written { name, play, announce, menu, hours, queue, hang_up, next } = written;
        let deeds = [
            play.map(Deed::Play),
            announce.map(Deed::Announce),
            menu.map(Deed::Menu),
            hours.map(Deed::Hours),
            queue.map(Deed::Queue),
            hang_up.map(Deed::HangUp),
        ];
        let mut deeds = deeds.into_iter().flatten();
        match (deeds.next(), deeds.next()) {
            (Some(does), None) => Ok(Self { name, does, next }),
            _ => Err(Fault::Step),
        }
    }
}

impl From<&Step> for Written {
    fn from(step: &Step) -> Self {
        let mut written = Self { name: step.name.clone(), next: step.next.clone(), ..Self::default() };
        match step.does.clone() {
            Deed::Play(prompt) => written.play = Some(prompt),
            Deed::Announce(prompt) => written.announce = Some(prompt),
            Deed::Menu(menu) => written.menu = Some(menu),
            Deed::Hours(hours) => written.hours = Some(hours),
            Deed::Queue(queue) => written.queue = Some(queue),
            Deed::HangUp(cause) => written.hang_up = Some(cause),
        }
        written
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// By hand, so that the reader of the file learns the place of a table with no deed or with two.
        struct Table;

        impl<'de> Visitor<'de> for Table {
            type Value = Step;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("struct Step")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Step, A::Error> {
                let written = Written::deserialize(MapAccessDeserializer::new(map))?;
                written.try_into().map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_map(Table)
    }
}

impl JsonSchema for Step {
    fn schema_name() -> Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Written::json_schema(generator)
    }
}

/// A way into a queue as a table.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QueueTable {
    name: QueueId,
    #[serde(default)]
    full: Option<Name>,
    #[serde(default)]
    overdue: Option<Name>,
    #[serde(default)]
    unstaffed: Option<Name>,
}

impl<'de> Deserialize<'de> for Queueing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrTable;

        impl<'de> Visitor<'de> for NameOrTable {
            type Value = Queueing;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Queueing, E> {
                let name = QueueId(text.parse().map_err(E::custom)?);
                Ok(Queueing { name, full: None, overdue: None, unstaffed: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Queueing, A::Error> {
                let QueueTable { name, full, overdue, unstaffed } =
                    QueueTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Queueing { name, full, overdue, unstaffed })
            }
        }

        deserializer.deserialize_any(NameOrTable)
    }
}

impl JsonSchema for Queueing {
    fn schema_name() -> Cow<'static, str> {
        "Queueing".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (name, table) = (generator.subschema_for::<QueueId>(), QueueTable::json_schema(generator));
        json_schema!({ "description": "The queue's name, or its name and the ways out of it.", "anyOf": [name, table] })
    }
}
