//! The schemas of what the program writes for others: `results/schema/*.json`.

use std::collections::BTreeMap;
use std::path::Path;

use jsonschema::{Registry, Validator};
use serde_json::Value;

/// All of them, by their names.
pub(crate) fn all() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/schema");
    let files = std::fs::read_dir(&folder).unwrap();
    files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

/// Schemas that know each other. They need no network: each names the others by what their `$id` says.
pub(crate) struct Schemas(BTreeMap<String, Validator>);

impl Schemas {
    pub(crate) fn load() -> Self {
        let all = all();
        let mut registry = Registry::new();
        for schema in all.values() {
            let id = schema["$id"].as_str().unwrap();
            registry = registry.add(id, schema).unwrap();
        }
        let registry = registry.prepare().unwrap();
        let validators = all.iter().map(|(name, schema)| {
            jsonschema::draft202012::meta::validate(schema)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let options = jsonschema::options().with_registry(&registry);
            (name.clone(), options.build(schema).unwrap())
        });
        Self(validators.collect())
    }

    /// # Panics
    ///
    /// If the value is not as the schema has it.
    pub(crate) fn check(&self, name: &str, value: &Value) {
        let errors = || -> Vec<String> {
            self.0[name]
                .iter_errors(value)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect()
        };
        assert!(self.allows(name, value), "{name}: {}", errors().join("\n"));
    }

    pub(crate) fn allows(&self, name: &str, value: &Value) -> bool {
        self.0[name].is_valid(value)
    }
}
