//! report.html: whole, escaped, complete, and nothing but itself.

use proteus::cpu::CpuEngine;
use proteus::data::{ImageSet, mnist5k};
use proteus::report::{Evolution, REPORT, illustrate, recall};
use proteus::train::{Clusters, Config, Epoch, Observer, Progress, RunFolder, train};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

const VOID: [&str; 6] = ["meta", "link", "input", "img", "br", "hr"];
const HOSTILE: &str = "<script>alert('1')</script> & \"two\"";

/// Keeps frames as the program does.
struct Keep<'a>(&'a Path, &'a Config);

impl Observer for Keep<'_> {
    fn progress(&mut self, _: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn trained(&mut self, epoch: usize, _: &Epoch, clusters: &Clusters) {
        Evolution::of(self.0).record(self.1, [1, 28, 28], epoch, &clusters.prototypes).expect("kept");
    }
}

/// An element: its name and attributes.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// The elements of a page, which must be balanced, with quoted attributes and escaped text; and the text.
fn parse(page: &str) -> (Vec<Element>, String) {
    let (mut open, mut elements, mut text): (Vec<String>, Vec<Element>, String) = Default::default();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a document");
    while let Some(at) = rest.find('<') {
        assert!(!rest[..at].contains('>'), "a bare > before {:.60}", &rest[at..]);
        text += &rest[..at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('/') {
            let (name, after) = after.split_once('>').expect("a closing tag");
            assert_eq!(open.pop().as_deref(), Some(name), "balanced");
            rest = after;
            continue;
        }
        let (element, after) = tag(rest);
        let name = element.name.clone();
        elements.push(element);
        rest = after;
        if name == "script" || name == "style" {
            rest = rest.split_once(&format!("</{name}>")).expect("an end").1;
        } else if !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    (elements, text + rest)
}

fn tag(from: &str) -> (Element, &str) {
    let end = from.find([' ', '>']).expect("a name");
    let (name, mut rest) = from.split_at(end);
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>') {
            return (Element { name: name.into(), attributes }, after);
        }
        let end = rest.find(['=', ' ', '>']).expect("an attribute");
        let (key, after) = rest.split_at(end);
        let (value, after) = match after.strip_prefix("=\"") {
            Some(after) => after.split_once('"').expect("a closing quote"),
            None => ("", after),
        };
        assert!(!value.contains('<'), "{key}={value}");
        attributes.push((key.to_string(), value.to_string()));
        rest = after;
    }
}

/// Trains shortly on some digits under a hostile name; returns the page.
fn page(home: &Path, changes: &[&str], labels: bool) -> (PathBuf, Config, String) {
    let small =
        ["epochs=2", "limit=40", "clusters=3", "batch_size=32", "sequence=identity affine tps", "curriculum=[0,1]"];
    let config = Config::default().set(&[&small[..], changes].concat()).expect("a configuration");
    let digits = mnist5k::load().expect("the embedded digits").spread(config.limit);
    let labels = digits.labels.filter(|_| labels);
    let set = ImageSet::new(HOSTILE, 1, 28, 28, digits.pixels, labels).expect("a set");
    let run = home.join("a <b> & 'c'");
    let mut folder = RunFolder::create(&run, &config, &set).expect("a folder");
    let mut engine = CpuEngine::new(Some(2)).expect("an engine");
    let finished = train(&config, &set, &mut engine, &mut folder, &mut Keep(&run, &config)).expect("a run");
    let about = json!({"device": HOSTILE, "seconds": 2.5, "final": {"loss": finished.evaluation.loss}});
    let bytes = illustrate(&run, &config, &set, &mut engine, &finished.evaluation, &about).expect("a report");
    let page = fs::read_to_string(run.join(REPORT)).expect("readable");
    assert_eq!(page.len(), bytes);
    // The folder alone tells the same.
    let recalled = recall(&run, &config, &set, &mut engine, &about).expect("its own table");
    illustrate(&run, &config, &set, &mut engine, &recalled, &about).expect("a report");
    assert!(fs::read_to_string(run.join(REPORT)).expect("readable") == page, "the same page again");
    let weighed = recall(&run, &config, &set, &mut engine, &Value::Null).expect("by the weights");
    assert_eq!(weighed.assignments, recalled.assignments);
    assert_eq!(weighed.distances, recalled.distances);
    (run, config, page)
}

fn sections(elements: &[Element]) -> Vec<&str> {
    elements.iter().filter(|e| e.name == "section").filter_map(|e| e.get("id")).collect()
}

#[test]
fn the_page_is_whole_escaped_and_complete() {
    let home = tempfile::tempdir().expect("a folder");
    let (run, config, page) = page(home.path(), &[], true);
    let (elements, text) = parse(&page);
    assert_eq!(sections(&elements), ["prototypes", "evolution", "training", "clusters", "confusion", "run"]);
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert"), "names are escaped");
    assert!(page.contains("a &lt;b&gt; &amp; "), "paths are escaped");
    for part in
        ["Cluster 2", "Nearest", "Farthest", "sequence = &quot;identity affine tps&quot;", "ACC", "2 s", "+ tps"]
    {
        assert!(text.contains(part), "'{part}'");
    }
    assert!(text.contains("proteus train '"), "how to do it again");

    let ids: Vec<&str> = elements.iter().filter_map(|e| e.get("id")).collect();
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len(), "ids are unique");
    for element in &elements {
        for key in ["aria-labelledby", "for"] {
            for id in element.get(key).unwrap_or_default().split_whitespace() {
                assert!(distinct.contains(id), "{key}={id}");
            }
        }
        if let Some(link) = element.get("href") {
            assert!(link.strip_prefix('#').is_some_and(|id| distinct.contains(id)) || link == "data:,", "{link}");
        }
        if let Some(address) = element.get("src") {
            assert!(address.starts_with("data:image/"), "{address:.80}");
        }
        match element.name.as_str() {
            "img" => assert!(element.get("alt").is_some() && element.get("width").is_some(), "{element:.200?}"),
            "svg" => assert_eq!(element.get("role"), Some("img")),
            "script" | "link" => {
                assert!(element.get("src").is_none() && element.get("href").is_none_or(|h| h == "data:,"))
            }
            _ => {}
        }
    }
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("@import"), "no network");
    let count = |name: &str| elements.iter().filter(|e| e.name == name).count();
    assert_eq!((count("h1"), count("svg"), count("h3")), (1, 3, 3));
    // Prototypes, film, headings of clusters and of the table of classes; then up to 8 images of 3 kinds, each with its
    // prototype and two steps.
    let images = count("img") - 4 * 3 + (3 - 2);
    assert!(images.is_multiple_of(4) && images >= 4 * 3 * 3, "{images}");
    assert!(elements.iter().any(|e| e.name == "input" && e.get("type") == Some("range")), "a slider");

    // A picture in it is the prototype as it was kept.
    let frames = Evolution::of(&run).frames().expect("readable");
    assert_eq!(frames.iter().map(|f| f.0).collect::<Vec<_>>(), [1, 2]);
    for name in ["prototypes.png", "aligned.png", "prototypes/prototype2.png", "transformations/cluster0.png"] {
        assert!(image::open(run.join(name)).is_ok(), "{name}");
    }
    let gif = fs::read(run.join("prototypes/evolution.gif")).expect("an animation");
    assert!(gif.starts_with(b"GIF89a"));
    assert_eq!(config.clusters, 3);
}

#[test]
fn without_labels_and_with_variances() {
    let home = tempfile::tempdir().expect("a folder");
    let (run, _, page) = page(home.path(), &["model=gmm", "sequence=identity", "curriculum=[]"], false);
    let (elements, text) = parse(&page);
    assert_eq!(sections(&elements), ["prototypes", "evolution", "training", "clusters", "run"]);
    assert!(!text.contains("ACC") && !text.contains("class ") && text.contains("variance of each pixel"), "no labels");
    assert!(!page.contains("every-step\""), "there are no steps between");
    for name in ["variances.png", "variances/variance2.png"] {
        assert!(image::open(run.join(name)).is_ok(), "{name}");
    }
}

/// A checker that finds nothing would find nothing here either.
#[test]
fn the_checker_sees_what_is_wrong() {
    for broken in ["<p><b></p></b>", "<p>", "<p>a > b</p>", "<a title=\"<\"></a>"] {
        let page = format!("<!DOCTYPE html>{broken}");
        assert!(std::panic::catch_unwind(|| parse(&page)).is_err(), "{broken}");
    }
}
