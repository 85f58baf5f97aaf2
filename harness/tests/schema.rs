//! What programs read is as the schemas in `results/schema` say, all of it, and no more; and the keys are explained to people, too.

mod common;
#[path = "common/schema.rs"]
mod schema;

use std::path::Path;

use serde_json::{Map, Value, json};

use common::{Folder, stderr, stdout};
use schema::Schemas;

/// Of these every key is in some result that needs no io_uring.
const RUNS: [&[&str]; 4] = [
    &[
        "ProcessTest.*",
        "Spawn.Idle",
        "Dispatch.Get",
        "Philosophers",
    ],
    &["Latency.PingPong", "--rate", "1000", "--pin"],
    &["Net.Echo.Epoll", "Http.Plaintext.Epoll"],
    &["Fairness", "--events-per-resume", "7"],
];

const SMALL: [&str; 6] = ["--repeat", "20", "--runs", "2", "--warmup", "0"];

/// Each line that all of these runs print, and each file that they save.
fn written(folder: &Folder) -> (Vec<Value>, Vec<Value>) {
    let (mut lines, mut files) = (Vec::new(), Vec::new());
    for run in RUNS {
        let arguments = [&["run"], run, &SMALL, &["--json", "--save", "schema"]].concat();
        let output = folder.harness(&arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = stdout(&output).lines();
        lines.extend(text.map(|line| serde_json::from_str::<Value>(line).unwrap()));
        let file = folder.0.join("results/local/schema.json");
        files.push(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap());
    }
    (lines, files)
}

/// What is printed when a result is compared with itself, with enough runs and with too few, and with a figure that has no ratio.
fn compared(folder: &Folder, file: &Value) -> Vec<Value> {
    let mut longer = file.clone();
    for result in longer["results"].as_array_mut().unwrap() {
        let runs = |value: &Value| json!(vec![value[0].clone(); 9]);
        result["runs"] = runs(&result["runs"]);
        if let Some(also) = result.get_mut("also").and_then(Value::as_object_mut) {
            for figure in also.values_mut() {
                figure["runs"] = runs(&figure["runs"]);
            }
        }
        result.as_object_mut().unwrap().remove("began_unix_ms");
    }
    let mut empty = longer.clone();
    empty["results"][0]["runs"] = json!([0.0, 0.0]);
    let mut lines = Vec::new();
    for (name, saved) in [("few", file), ("longer", &longer), ("empty", &empty)] {
        let path = folder.0.join(format!("{name}.json"));
        std::fs::write(&path, saved.to_string()).unwrap();
        let path = path.to_str().unwrap();
        let output = folder.harness(&["compare", path, path, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        lines.extend(
            stdout(&output)
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()),
        );
    }
    lines
}

/// Calls `change` with each object in the value but the one of further figures, whose keys are units; that there is no other such object is part of what is tested.
fn each_object(value: &mut Value, change: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            change(object);
            for (key, value) in object.iter_mut() {
                if key == "also" {
                    let figures = value.as_object_mut().unwrap();
                    figures
                        .values_mut()
                        .for_each(|figure| each_object(figure, change));
                } else {
                    each_object(value, change);
                }
            }
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| each_object(value, change)),
        _ => {}
    }
}

/// How many objects there are; and the value with `key` added to the one at `place`.
fn with_key_at(value: &Value, place: usize, key: &str) -> (usize, Value) {
    let (mut value, mut seen) = (value.clone(), 0);
    each_object(&mut value, &mut |object| {
        if seen == place {
            object.insert(key.to_owned(), json!(1));
        }
        seen += 1;
    });
    (seen, value)
}

#[test]
fn all_that_is_written_is_as_the_schemas_say() {
    let folder = Folder::new("schema");
    let schemas = Schemas::load();
    let (lines, files) = written(&folder);
    assert!(lines.len() > 20, "{}", lines.len());
    let comparisons = compared(&folder, &files[0]);
    let verdicts = comparisons.iter().map(|line| line["verdict"].as_str());
    for verdict in ["too few runs", "no difference seen", "no ratio"] {
        assert!(verdicts.clone().any(|it| it == Some(verdict)), "{verdict}");
    }
    for (name, values) in [
        ("result", &lines),
        ("saved", &files),
        ("comparison", &comparisons),
    ] {
        for value in values {
            schemas.check(name, value);
        }
        // A key that nobody has explained is noticed, wherever it is.
        for value in [&values[0], &values[values.len() - 1]] {
            let (objects, _) = with_key_at(value, usize::MAX, "surprise");
            assert!(objects > 2, "{value}");
            for place in 0..objects {
                let (_, changed) = with_key_at(value, place, "surprise");
                assert!(!schemas.allows(name, &changed), "{changed}");
            }
        }
    }
}

#[test]
fn what_is_always_there_is_required() {
    let folder = Folder::new("required");
    let schemas = Schemas::load();
    let arguments = [&["run", "--save", "one"], &SMALL[..]].concat();
    assert_eq!(folder.harness(&arguments).status.code(), Some(0));
    let file = std::fs::read(folder.0.join("results/local/one.json")).unwrap();
    let saved: Value = serde_json::from_slice(&file).unwrap();
    schemas.check("saved", &saved);
    for (pointer, key) in [
        ("", "results"),
        ("", "machine"),
        ("/machine", "cpu"),
        ("/results/0", "runs"),
        ("/results/0", "params"),
        ("/results/0/params", "repeat"),
        ("/results/0/variant", "semaphore"),
        ("/results/0/context_switches", "voluntary"),
    ] {
        let mut changed = saved.clone();
        let object = changed.pointer_mut(pointer).unwrap();
        object.as_object_mut().unwrap().remove(key).unwrap();
        assert!(!schemas.allows("saved", &changed), "{pointer}/{key}");
    }
    let mut changed = saved.clone();
    changed["results"][0]["median"] = json!("1");
    assert!(!schemas.allows("saved", &changed));
}

#[test]
fn kept_results_are_as_the_schema_says_of_release_builds_and_known_revisions() {
    let schemas = Schemas::load();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/baseline");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert!(!files.is_empty(), "there is no kept result");
    for file in files {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let saved: Value = serde_json::from_str(&text).unwrap();
        schemas.check("saved", &saved);
        let machine = &saved["machine"];
        assert_eq!(machine["profile"], "release", "{}", path.display());
        let revision = machine["revision"].as_str().unwrap_or("-modified");
        assert!(!revision.ends_with("-modified"), "{}", path.display());
    }
}

/// All keys of a schema, at any depth.
fn keys<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                found.extend(properties.keys().map(String::as_str));
            }
            object.values().for_each(|value| keys(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_key_is_explained_to_people() {
    let readme = include_str!("../../results/README.md");
    let schemas = schema::all();
    assert!(schemas.len() >= 3);
    for (name, schema) in &schemas {
        let mut found = Vec::new();
        keys(schema, &mut found);
        assert!(!found.is_empty(), "{name}");
        for key in found {
            assert!(
                readme.contains(&format!("`{key}`")),
                "results/README.md does not tell what `{key}` is, a key of {name}.json"
            );
        }
        assert!(readme.contains(&format!("{name}.json")), "{name}.json");
    }
}
