//! The Varlink interface description of an interface, from the JSON Schemas of its types.
//!
//! Varlink's language knows structs, enums of plain words, and little else. What of a schema has no name there is
//! written as what it is on the wire: a newtype as the type within it, words with `-` or `.` as `string` (a comment
//! tells them), a choice of objects as one struct whose fields are optional, any other choice as `object`. So every
//! name that a description uses stands in it. It is what `varlinkctl introspect` shows and what the golden files
//! hold.

use crate::interface::Interface;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

/// The description of `I` (varlink.org, "Interface Definition").
pub fn describe<I: Interface>() -> String {
    let mut names = Names::default();
    let mut methods = String::new();
    let schemas = I::schemas();
    for (facts, (_, parameters, reply)) in I::METHODS.iter().zip(&schemas) {
        comment(&mut methods, facts.doc);
        let note = if facts.streaming { "# Streams: call it with `more`.\n" } else { "" };
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            methods,
            "{note}method {}{} -> {}\n",
            facts.name,
            names.structure(parameters.as_value()),
            names.structure(reply.as_value())
        );
    }
    let mut text = format!("interface cn.yanmen.{}\n\n", I::DAEMON);
    for (name, words) in &names.words {
        let _infallible = writeln!(text, "# {name}, a string: {}", words.join(", "));
    }
    text += if names.words.is_empty() { "" } else { "\n" };
    for (name, (doc, shape)) in &names.types {
        comment(&mut text, doc);
        let _infallible = writeln!(text, "type {name} {shape}\n");
    }
    text + methods.trim_end() + "\n"
}

fn comment(text: &mut String, doc: &str) {
    for line in doc.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let _infallible = writeln!(text, "# {line}");
    }
}

/// What a value is, in Varlink's words.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Plain(&'static str),
    Named(String),
    Struct(Vec<(String, Shape)>),
    Enum(Vec<String>),
    Array(Box<Shape>),
    Dictionary(Box<Shape>),
    Maybe(Box<Shape>),
}

impl Shape {
    const OBJECT: Self = Self::Plain("object");
    const STRING: Self = Self::Plain("string");

    /// The same, or nothing.
    fn maybe(self) -> Self {
        if matches!(self, Self::Maybe(_)) { self } else { Self::Maybe(Box::new(self)) }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(word) => f.write_str(word),
            Self::Named(name) => f.write_str(name),
            Self::Struct(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, shape)| format!("{name}: {shape}")).collect();
                write!(f, "({})", fields.join(", "))
            }
            Self::Enum(words) => write!(f, "({})", words.join(", ")),
            Self::Array(of) => write!(f, "[]{of}"),
            Self::Dictionary(of) => write!(f, "[string]{of}"),
            Self::Maybe(of) => write!(f, "?{of}"),
        }
    }
}

/// The names that the description uses.
#[derive(Default)]
struct Names {
    /// Structs and enums, with their documentation.
    types: BTreeMap<String, (String, Shape)>,
    /// Strings of which only some are possible.
    words: BTreeMap<String, Vec<String>>,
}

impl Names {
    /// Parameters or a reply: always a struct.
    fn structure(&mut self, root: &Value) -> Shape {
        let none = Map::new();
        let definitions = root.get("$defs").and_then(Value::as_object).unwrap_or(&none);
        match self.shape(root, definitions) {
            shape @ Shape::Struct(_) => shape,
            shape => Shape::Struct(vec![("value".to_owned(), shape)]),
        }
    }

    fn shape(&mut self, schema: &Value, definitions: &Map<String, Value>) -> Shape {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.named(reference.rsplit('/').next().unwrap_or_default(), definitions);
        }
        if let Some(words) = words(schema) {
            let sayable = words.iter().all(|word| is_field(word));
            return if sayable { Shape::Enum(words) } else { Shape::STRING };
        }
        if let Some(choices) = choices(schema) {
            return self.choice(choices, definitions);
        }
        match schema.get("type") {
            Some(Value::Array(kinds)) => {
                let kinds: Vec<&Value> = kinds.iter().filter(|kind| *kind != "null").collect();
                let [kind] = kinds.as_slice() else { return Shape::OBJECT };
                let mut plain = schema.clone();
                plain["type"] = (*kind).clone();
                self.shape(&plain, definitions).maybe()
            }
            Some(Value::String(kind)) => match kind.as_str() {
                "string" => Shape::STRING,
                "integer" => Shape::Plain("int"),
                "number" => Shape::Plain("float"),
                "boolean" => Shape::Plain("bool"),
                "array" => {
                    let items = schema.get("items").filter(|items| items.is_object());
                    let of = items.map_or(Shape::OBJECT, |items| self.shape(items, definitions));
                    Shape::Array(Box::new(of))
                }
                "object" if schema.get("properties").is_some() => self.fields(schema, definitions),
                "object" => match schema.get("additionalProperties") {
                    None | Some(Value::Bool(false)) => Shape::Struct(Vec::new()),
                    Some(of) => Shape::Dictionary(Box::new(self.shape(of, definitions))),
                },
                _ => Shape::OBJECT,
            },
            _ => Shape::OBJECT,
        }
    }

    /// What this name stands for: itself where Varlink can define it.
    fn named(&mut self, name: &str, definitions: &Map<String, Value>) -> Shape {
        if self.types.contains_key(name) {
            return Shape::Named(name.to_owned());
        }
        let Some(definition) = definitions.get(name) else { return Shape::OBJECT };
        let doc = definition.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
        // Before its fields: one of them may name it again.
        self.types.insert(name.to_owned(), (doc.clone(), Shape::OBJECT));
        match self.shape(definition, definitions) {
            shape @ (Shape::Struct(_) | Shape::Enum(_)) => {
                self.types.insert(name.to_owned(), (doc, shape));
                Shape::Named(name.to_owned())
            }
            shape => {
                self.types.remove(name);
                if let Some(words) = words(definition) {
                    self.words.insert(name.to_owned(), words);
                }
                shape
            }
        }
    }

    /// One of several: nothing or the other one, or objects of which each has fields of its own.
    fn choice(&mut self, choices: &[Value], definitions: &Map<String, Value>) -> Shape {
        let (nothing, choices): (Vec<&Value>, Vec<&Value>) =
            choices.iter().partition(|choice| choice.get("type").is_some_and(|kind| kind == "null"));
        if let [only] = choices.as_slice() {
            let shape = self.shape(only, definitions);
            return if nothing.is_empty() { shape } else { shape.maybe() };
        }
        let merged = self.merged(&choices, definitions);
        if nothing.is_empty() { merged } else { merged.maybe() }
    }

    /// One struct that has the fields of each: those that not all of them require are optional.
    fn merged(&mut self, choices: &[&Value], definitions: &Map<String, Value>) -> Shape {
        let mut fields: BTreeMap<String, Vec<Shape>> = BTreeMap::new();
        let mut words_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for choice in choices {
            let Some(properties) = choice.get("properties").and_then(Value::as_object) else {
                return Shape::OBJECT;
            };
            let Shape::Struct(found) = self.fields(choice, definitions) else { return Shape::OBJECT };
            for (name, shape) in found {
                let tag = properties.get(&name).and_then(words);
                words_of.entry(name.clone()).or_default().extend(tag.into_iter().flatten());
                fields.entry(name).or_default().push(shape);
            }
        }
        let merge = |(name, shapes): (String, Vec<Shape>)| {
            let everywhere = shapes.len() == choices.len();
            let words = words_of.remove(&name).unwrap_or_default();
            let plain: Vec<Shape> = shapes
                .iter()
                .map(|shape| match shape {
                    Shape::Maybe(of) => (**of).clone(),
                    other => other.clone(),
                })
                .collect();
            let shape = match plain.as_slice() {
                [first, others @ ..] if others.iter().all(|other| other == first) => first.clone(),
                // The tag, another word in each.
                _ if words.iter().all(|word| is_field(word)) && !words.is_empty() => {
                    Shape::Enum(words.into_iter().collect())
                }
                _ if !words.is_empty() => Shape::STRING,
                _ => Shape::OBJECT,
            };
            let required = everywhere && !shapes.iter().any(|shape| matches!(shape, Shape::Maybe(_)));
            (name, if required { shape } else { shape.maybe() })
        };
        Shape::Struct(fields.into_iter().map(merge).collect())
    }

    fn fields(&mut self, schema: &Value, definitions: &Map<String, Value>) -> Shape {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let field = |(name, schema): (&String, &Value)| {
            let shape = self.shape(schema, definitions);
            (name.clone(), if required.contains(&name.as_str()) { shape } else { shape.maybe() })
        };
        Shape::Struct(properties.map(field).collect())
    }
}

/// The words of which the value is one: an enum without fields, whether its variants are documented or not.
fn words(schema: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(only) = schema.get("const") {
        return Some(vec![text(only)?]);
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().map(text).collect();
    }
    let all: Option<Vec<Vec<String>>> = choices(schema)?.iter().map(words).collect();
    all.map(|words| words.concat())
}

/// The schemas of which the value follows one.
fn choices(schema: &Value) -> Option<&[Value]> {
    ["oneOf", "anyOf"].iter().find_map(|key| schema.get(key)?.as_array()).map(Vec::as_slice)
}

/// Whether Varlink takes the word as a field or as a member of an enum.
fn is_field(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.split('_').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()))
}
