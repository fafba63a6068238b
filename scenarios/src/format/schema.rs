//! The JSON schema of scenario files, for the editors that complete and check them.
//!
//! Made from the same grammar that the reader goes by. It knows what the protocols name; what one file defines and
//! mentions elsewhere, such as its nodes, only the reader can check.

use serde_json::{Map, Value, json};

use super::grammar::{Shape, Table};
use super::tables::{EACH_NODE, SCENARIO};
use crate::registry::{AnyProtocol, Registry};

/// What a duration looks like; the reader knows more units, but these are the ones to suggest.
const DURATION: &str = r"^\s*([0-9]+(\.[0-9]+)?\s*[a-zA-Zµ]+\s*)+$";
const SIGNED_DURATION: &str = r"^\s*[+-]?([0-9]+(\.[0-9]+)?\s*[a-zA-Zµ]+\s*)+$";

/// The JSON schema (draft 7) of scenario files, with the names of the protocols of a registry.
pub fn schema(registry: &Registry) -> Value {
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Fencepost scenario",
    });
    merge(&mut schema, table(&SCENARIO, registry));
    let conditions: Vec<_> = registry.iter().map(of_protocol).collect();
    if !conditions.is_empty() {
        schema["allOf"] = conditions.into();
    }
    schema
}

fn table(table: &Table, registry: &Registry) -> Value {
    let properties: Map<_, _> = table
        .keys
        .iter()
        .map(|key| {
            let mut value = shape(key.shape, registry);
            value["description"] = key.about.into();
            (key.name.to_owned(), value)
        })
        .collect();
    let required: Vec<_> = table.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({
        "description": table.about,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn shape(shape: Shape, registry: &Registry) -> Value {
    let text = || json!({ "type": "string" });
    let list = |items: Value| json!({ "type": "array", "items": items });
    let some = |items: Value| json!({ "type": "array", "items": items, "minItems": 1 });
    let two = |items: Value| json!({ "type": "array", "items": items, "minItems": 2, "maxItems": 2 });
    let one_or_two = |one: Value| json!({ "anyOf": [one.clone(), two(one)] });
    let duration = || json!({ "type": "string", "pattern": DURATION, "examples": ["30s", "1500ms"] });
    let signed = || json!({ "type": "string", "pattern": SIGNED_DURATION, "examples": ["2s", "-2s"] });
    let probability = || json!({ "type": "number", "minimum": 0, "maximum": 1 });
    let whole = |least: u64, most: u64| json!({ "type": "integer", "minimum": least, "maximum": most });
    let size = || {
        json!({ "anyOf": [
            { "type": "integer", "minimum": 1 },
            { "type": "string", "pattern": "^[0-9]+ *(B|KiB|MiB|GiB|kB|KB|MB|GB)?$" },
        ] })
    };
    let limit = sim_core::ClockSetting::MAX_DRIFT_PPM;
    let drift = || json!({ "type": "integer", "minimum": -limit, "maximum": limit });
    match shape {
        Shape::Version => json!({ "const": super::document::VERSION }),
        Shape::Text
        | Shape::Node
        | Shape::Host
        | Shape::Mark
        | Shape::Invariant
        | Shape::MessageKind
        | Shape::Command => text(),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Whole(least, most) => whole(least, most),
        Shape::WholeRange(least, most) => one_or_two(whole(least, most)),
        Shape::Size => size(),
        Shape::SizeRange => one_or_two(size()),
        Shape::Duration => duration(),
        Shape::DurationRange | Shape::Moment => one_or_two(duration()),
        Shape::Durations => json!({ "anyOf": [duration(), some(duration())] }),
        Shape::SignedDuration => signed(),
        Shape::SignedDurationRange => one_or_two(signed()),
        Shape::Probability => probability(),
        Shape::ProbabilityRange => one_or_two(probability()),
        Shape::Drift => drift(),
        Shape::DriftRange => one_or_two(drift()),
        Shape::Seeds => json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, some(number_of_64_bits())] }),
        Shape::Draws => some(number_of_64_bits()),
        Shape::Window => two(duration()),
        Shape::Protocol => {
            let names: Vec<_> = registry.iter().map(|protocol| protocol.name()).collect();
            json!({ "type": "string", "enum": names })
        }
        Shape::Config => json!({ "type": "object" }),
        Shape::NodeRoles => json!({ "type": "object", "additionalProperties": text(), "minProperties": 1 }),
        Shape::HostNodes => json!({ "type": "object", "additionalProperties": list(text()) }),
        Shape::Nodes => json!({ "anyOf": [text(), some(text())] }),
        Shape::TwoNodes => two(text()),
        Shape::Groups => json!({ "type": "array", "items": some(text()), "minItems": 2 }),
        Shape::Hosts | Shape::MessageKinds | Shape::Commands => some(text()),
        Shape::Defects => list(text()),
        Shape::Trouble => json!({ "enum": ["slow", "failing", "lying"] }),
        Shape::Troubles => some(json!({ "enum": ["slow", "failing", "lying"] })),
        Shape::Verdict => json!({ "enum": ["pass"] }),
        Shape::PerNode(inner) => json!({
            "type": "object",
            "properties": { EACH_NODE: table(inner, registry) },
            "additionalProperties": table(inner, registry),
        }),
        Shape::Table(inner) => table(inner, registry),
        Shape::Tables(inner) => list(table(inner, registry)),
        Shape::OneOf(inner) => {
            let mut schema = table(inner, registry);
            merge(&mut schema, json!({ "minProperties": 1, "maxProperties": 1 }));
            schema
        }
    }
}

/// TOML has no integers above 2^63.
fn number_of_64_bits() -> Value {
    json!({ "anyOf": [
        { "type": "integer", "minimum": 0 },
        { "type": "string", "pattern": "^(0[xX][0-9a-fA-F_]+|[0-9_]+)$" },
    ] })
}

/// What a file may name once its protocol is known.
fn of_protocol(protocol: &dyn AnyProtocol) -> Value {
    let named = |names: &[sim_core::Named]| one_of(names.iter().map(|named| (named.name, named.about)));
    let of_class = |class| {
        let of_class = protocol.properties().iter().filter(move |property| property.class == class);
        of_class.map(|property| (property.name, property.about)).collect::<Vec<_>>()
    };
    let marks = protocol.marks().iter().map(|mark| (mark.name, mark.about));
    let reachable = of_class(sim_core::Class::Coverage).into_iter().chain(marks);
    let defects = one_of(protocol.defects().iter().map(|defect| (defect.id, defect.about)));
    let kinds = json!({ "enum": protocol.message_kinds() });
    let select = json!({ "properties": { "kind": kinds } });
    let kind_list = json!({ "properties": { "kinds": { "items": kinds } } });
    let commands = named(protocol.commands());
    let mut config = protocol.config_schema();
    if let Some(config) = config.as_object_mut() {
        config.remove("$schema");
        config.remove("title");
    }
    json!({
        "if": { "properties": { "protocol": { "const": protocol.name() } } },
        "then": { "properties": {
            "cluster": { "properties": {
                "nodes": { "additionalProperties": named(protocol.roles()) },
                "config": config,
                "defects": { "items": defects },
            } },
            "step": { "items": { "properties": {
                "when": { "properties": { "mark": named(protocol.marks()) } },
                "do": { "properties": {
                    "drop": select,
                    "delay": select,
                    "command": { "properties": { "command": commands } },
                } },
            } } },
            "random": { "properties": {
                "drop": kind_list,
                "delay": kind_list,
                "command": { "properties": { "commands": { "items": commands } } },
            } },
            "invariant": { "items": { "properties": {
                "always": one_of(of_class(sim_core::Class::Safety)),
                "eventually": one_of(of_class(sim_core::Class::Liveness)),
                "sometimes": one_of(reachable),
            } } },
        } },
    })
}

/// One of several names, each with its meaning, which editors show beside it.
fn one_of<'a>(names: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let names: Vec<_> = names.into_iter().map(|(name, about)| json!({ "const": name, "description": about })).collect();
    match names.is_empty() {
        true => json!(false),
        false => json!({ "anyOf": names }),
    }
}

/// Adds the entries of one object to another.
fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
