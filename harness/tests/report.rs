//! The page of many results, made by the program from files, as a browser reads it.

mod common;

use std::path::Path;
use std::process::Output;

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Value, json};

use common::{Folder, stderr, stdout};

const HOSTILE: &str =
    "</td><script>alert(1)</script><img src=x onerror=alert(2)>\" onload=\"alert(3)";

/// A folder with results of two benchmarks, on one worker and on two.
fn measured(test: &str) -> Folder {
    let folder = Folder::new(test);
    for (workers, name) in [("1", "one"), ("2", "two")] {
        let few = ["--repeat", "1001", "--runs", "2", "--warmup", "0"];
        let run = ["run", "Dispatch.*", "--workers", workers, "--save", name];
        let output = folder.harness(&[&run, &few[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    folder
}

fn read(folder: &Folder, name: &str) -> Value {
    let path = folder.0.join("results/local").join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn write(folder: &Folder, path: &str, saved: &Value) {
    let path = folder.0.join("results").join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, saved.to_string()).unwrap();
}

/// As it is, and of another revision, with another run queue.
fn with_history_and_choices(test: &str) -> Folder {
    let folder = measured(test);
    let mut saved = read(&folder, "two");
    saved["saved_unix_seconds"] = json!(1_700_000_000);
    saved["machine"]["revision"] = json!("fedcba9876543210");
    write(&folder, "baseline/before.json", &saved);
    let mut others = saved["results"].clone();
    for result in others.as_array_mut().unwrap() {
        result["variant"]["run_queue"] = json!("another");
    }
    let results = saved["results"].as_array_mut().unwrap();
    results.extend(others.as_array().unwrap().clone());
    write(&folder, "local/choices.json", &saved);
    folder
}

fn succeeds(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    stdout(output)
}

fn page(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// As XML, so that nothing is mended that is not well-formed.
fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(page, options).unwrap()
}

fn elements<'a>(page: &'a Document<'_>, tag: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    let all = page.descendants();
    all.filter(move |node| node.tag_name().name() == tag && node.is_element())
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants()
        .filter(Node::is_text)
        .filter_map(|node| node.text())
        .collect()
}

/// It needs nothing but itself, runs nothing, and its links lead to what is there.
fn is_self_contained(page: &Document<'_>) {
    let mut ids: Vec<&str> = page
        .descendants()
        .filter_map(|node| node.attribute("id"))
        .collect();
    for node in page.descendants().filter(Node::is_element) {
        let tag = node.tag_name().name();
        let active = [
            "script", "img", "iframe", "object", "embed", "link", "base", "form",
        ];
        assert!(!active.contains(&tag), "{tag}");
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(
                !name.starts_with("on") && name != "src",
                "{tag} {name}={value}"
            );
            if name == "href" {
                let target = value.strip_prefix('#').unwrap_or_else(|| panic!("{value}"));
                assert!(ids.contains(&target), "{value} leads nowhere");
            }
        }
    }
    for style in elements(page, "style") {
        let style = text(style);
        assert!(
            !style.contains("url(") && !style.contains("@import"),
            "{style}"
        );
    }
    let policy = elements(page, "meta").find_map(|meta| {
        let about = meta.attribute("http-equiv")?;
        (about == "Content-Security-Policy").then(|| meta.attribute("content"))?
    });
    assert!(policy.unwrap().starts_with("default-src 'none';"));
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "an anchor is there twice");
}

#[test]
fn without_arguments_it_is_of_all_results_and_has_plots_of_each_kind() {
    let folder = with_history_and_choices("report-all");
    // What is beside the results is of another form.
    write(&folder, "schema/other.json", &json!({}));
    let output = folder.harness(&["report"]);
    let said = succeeds(&output);
    assert_eq!(stderr(&output), "");
    assert!(
        said.contains("report.html: ") && said.contains(" of 10 results in 4 files\n"),
        "{said}"
    );

    let text_of_page = page(&folder.0.join("results/local/report.html"));
    let page = parsed(&text_of_page);
    is_self_contained(&page);
    for id in [
        "choices",
        "scaling",
        "latencies",
        "history",
        "results",
        "caveats",
    ] {
        assert!(
            elements(&page, "h2").any(|title| title.attribute("id") == Some(id)),
            "{id}"
        );
    }
    // Only one of the two measures latencies, on each number of workers.
    for (kind, plots) in [
        ("choices", 2),
        ("scaling", 2),
        ("latencies", 2),
        ("history", 2),
    ] {
        let begins = format!("{kind}-");
        let articles = elements(&page, "article");
        let found =
            articles.filter(|article| article.attribute("id").unwrap().starts_with(&begins));
        assert_eq!(found.count(), plots, "{kind}");
    }
    // Each with what is to be known of it.
    for article in elements(&page, "article") {
        let facts = text(article);
        for fact in ["machine", "build", "rustc ", "kernel ", "Not optimized"] {
            let is_plot = !article.attribute("id").unwrap().starts_with("file-");
            assert!(
                facts.contains(fact) || fact == "Not optimized" && !is_plot,
                "{fact}: {facts}"
            );
        }
        assert!(facts.contains("-- run Dispatch."), "{facts}");
        assert!(article.descendants().any(|node| node.has_tag_name("table")));
    }
    for svg in elements(&page, "svg") {
        let told: Vec<String> = svg.children().filter(Node::is_element).map(text).collect();
        assert!(
            told[0].contains("Dispatch.") && told[1].contains("the table has"),
            "{told:?}"
        );
    }
    let all = text(page.root_element());
    for needed in [
        "Dispatch.Get",
        "Dispatch.Await",
        "another run queue",
        "fedcba98",
        "p99",
        "dispatches/s",
    ] {
        assert!(all.contains(needed), "{needed}");
    }

    // The same results make the same page.
    assert_eq!(succeeds(&folder.harness(&["report"])), said);
    let again = std::fs::read_to_string(folder.0.join("results/local/report.html")).unwrap();
    assert!(again == text_of_page, "the page is another one");
}

#[test]
fn named_results_are_reported_and_have_the_history_that_is_kept() {
    let folder = with_history_and_choices("report-named");
    let output = folder.harness(&[
        "report",
        "two",
        "-o",
        "named.html",
        "--benchmark",
        "*.Await",
    ]);
    let said = succeeds(&output);
    assert!(
        said.starts_with("named.html: 1 plot of 2 results in 2 files\n"),
        "{said}"
    );
    let text_of_page = page(&folder.0.join("named.html"));
    let page = parsed(&text_of_page);
    is_self_contained(&page);
    let all = text(page.root_element());
    assert!(all.contains("fedcba98") && all.contains("Dispatch.Await"));
    assert!(!all.contains("Dispatch.Get") && !all.contains("another run queue"));

    // A file is one file, whatever it is called, and kept or not.
    let names = [
        "two",
        "results/local/two.json",
        "results/baseline/before.json",
    ];
    let output = folder.harness(&[&["report", "-o", "named.html"][..], &names].concat());
    assert!(
        succeeds(&output).contains(" of 4 results in 2 files\n"),
        "{output:?}"
    );

    let printed = folder.harness(&["report", "two", "-o", "/dev/stdout"]);
    assert!(succeeds(&printed).starts_with("<!DOCTYPE html>\n"));
    parsed(stdout(&printed));
}

#[test]
fn plots_are_written_in_the_forms_that_are_asked_for() {
    let folder = measured("report-plots");
    let arguments = ["report", "--benchmark", "*.Await", "--plots", "some/plots"];
    let said = succeeds(&folder.harness(&arguments)).to_owned();
    assert!(said.ends_with("some/plots: 2 files of plots\n"), "{said}");
    let files = || {
        let entries = std::fs::read_dir(folder.0.join("some/plots")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let [png, svg] = ["png", "svg"].map(|ending| format!("scaling-1-dispatch-await.{ending}"));
    assert_eq!(files(), [png.clone(), svg.clone()]);
    let drawing = page(&folder.0.join("some/plots").join(&svg));
    let texts = text(Document::parse(&drawing).unwrap().root_element());
    assert!(texts.contains("Scaling over workers: Dispatch.Await") && texts.contains("machine: "));
    let picture = std::fs::read(folder.0.join("some/plots").join(&png)).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n") && picture.ends_with(b"IEND\xaeB`\x82"));

    std::fs::remove_dir_all(folder.0.join("some")).unwrap();
    succeeds(&folder.harness(&[&arguments[..], &["--svg"]].concat()));
    assert_eq!(files(), [svg]);
}

#[test]
fn what_a_file_says_cannot_become_a_part_of_the_page() {
    let folder = measured("report-hostile");
    let mut saved = read(&folder, "one");
    for place in ["cpu", "kernel", "governor", "rustc", "profile", "revision"] {
        saved["machine"][place] = json!(HOSTILE);
    }
    saved["machine"]["features"] = json!([HOSTILE]);
    let mut other = saved["results"][0].clone();
    for result in [&mut saved["results"][0], &mut other] {
        result["benchmark"] = json!(HOSTILE);
        result["unit"] = json!(HOSTILE);
        result["also"] = json!({HOSTILE: {"median": 1e308, "runs": [-1e308, 1e308]}});
        result["runs"] = json!([0.0, -1e308, 1e308]);
        result["variant"]["run_queue"] = json!(HOSTILE);
    }
    other["params"]["workers"] = json!(u64::MAX);
    other["variant"]["semaphore"] = json!("another\u{0}\u{202e}");
    saved["results"].as_array_mut().unwrap().push(other);
    write(
        &folder,
        &format!("baseline/{}.json", HOSTILE.replace('/', "")),
        &saved,
    );

    let output = folder.harness(&["report", "--plots", "plots", "--svg"]);
    succeeds(&output);
    let text_of_page = page(&folder.0.join("results/local/report.html"));
    let page = parsed(&text_of_page);
    is_self_contained(&page);
    assert!(text(page.root_element()).contains(HOSTILE));
    for entry in std::fs::read_dir(folder.0.join("plots")).unwrap() {
        let drawing = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let drawing = Document::parse(&drawing).unwrap();
        assert_eq!(elements(&drawing, "script").count(), 0);
    }
}

#[test]
fn a_bad_file_is_refused_where_it_is_named_and_left_out_where_it_is_found() {
    let folder = measured("report-bad");
    std::fs::write(folder.0.join("results/local/broken.json"), "{").unwrap();
    let mut damaged = read(&folder, "one");
    damaged["results"][0]["latency_histograms"] = json!(["damaged"]);
    write(&folder, "baseline/damaged.json", &damaged);

    let output = folder.harness(&["report", "-o", "found.html"]);
    assert!(
        succeeds(&output).contains(" of 4 results in 2 files\n"),
        "{output:?}"
    );
    let lines: Vec<&str> = stderr(&output).lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("left out: ") && lines[0].contains("damaged.json, Dispatch.Get"));
    assert!(lines[1].starts_with("left out: ") && lines[1].contains("broken.json is no result"));
    let all = page(&folder.0.join("found.html"));
    assert!(text(parsed(&all).root_element()).contains("broken.json is no result"));

    for named in ["broken", "results/baseline/damaged.json", "missing"] {
        let output = folder.harness(&["report", named, "-o", "named.html", "--plots", "plots"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let name = Path::new(named).file_name().unwrap().to_str().unwrap();
        assert!(
            stderr(&output).contains(name) && stdout(&output).is_empty(),
            "{output:?}"
        );
    }
    // What is kept beside them is nothing that was asked for.
    let mut kept = read(&folder, "one");
    kept["results"][0]["benchmark"] = json!("Spawn.Life");
    write(&folder, "baseline/kept.json", &kept);
    let named = [
        "report",
        "one",
        "--benchmark",
        "Spawn.*",
        "-o",
        "named.html",
    ];
    let none = folder.harness(&named);
    assert_eq!(none.status.code(), Some(2), "{none:?}");
    assert!(stderr(&none).contains("`Spawn.*`"), "{none:?}");
    // Nothing is written where something is wrong, not even in part.
    let mut names: Vec<String> = std::fs::read_dir(&folder.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["found.html", "results"]);
}

#[test]
fn a_page_that_cannot_be_written_is_named_and_left_as_it_was() {
    let folder = measured("report-unwritable");
    std::fs::create_dir(folder.0.join("taken.html")).unwrap();
    for page in ["taken.html", "no/such/folder/page.html"] {
        let output = folder.harness(&["report", "-o", page]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains(page), "{output:?}");
    }
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 2);
}

#[test]
fn where_there_is_nothing_that_is_said_with_what_to_do() {
    let folder = Folder::new("report-nothing");
    let output = folder.harness(&["report"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = stderr(&output);
    assert!(
        error.contains("results/baseline or ") && error.contains("harness run"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
}
