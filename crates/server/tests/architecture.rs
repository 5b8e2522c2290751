//! What the code must look like, whoever changes it. Each check names what breaks it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// The longest source file, in lines.
const LINES_MAX: usize = 800;
/// Vendors whose words belong to `api` alone.
const DIALECTS: [&str; 4] = ["talkifai", "dasha", "pathors", "kaltura"];
/// Ours as well, for tests alone.
const TESTS_ONLY: &str = "epilogue-browser";
/// Our crates and what each may use of ours.
const LAYERS: [(&str, &[&str]); 8] = [
    (TESTS_ONLY, &[]),
    ("epilogue-core", &[]),
    ("epilogue-storage", &["epilogue-core"]),
    ("epilogue-engine", &["epilogue-core", "epilogue-storage"]),
    ("epilogue-media", &["epilogue-core"]),
    ("epilogue-api", &["epilogue-core", "epilogue-engine"]),
    (
        "epilogue",
        &["epilogue-core", "epilogue-storage", "epilogue-engine", "epilogue-media", "epilogue-api"],
    ),
    ("epilogue-bench", &["epilogue-core", "epilogue-storage", "epilogue-engine", "epilogue-api"]),
];
/// Runtimes, drivers and frameworks: what pure rules need none of.
const IMPURE: [&str; 18] = [
    "async-std",
    "axum",
    "crossbeam-channel",
    "futures",
    "genai",
    "hyper",
    "hyper-util",
    "libsqlite3-sys",
    "mio",
    "postgres",
    "reqwest",
    "rusqlite",
    "smol",
    "socket2",
    "sqlx",
    "tokio",
    "tokio-postgres",
    "tower",
];

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the workspace")
}

/// The workspace as this platform builds it.
fn metadata() -> Metadata {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8(version.stdout).expect("text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(["--filter-platform".to_owned(), host.to_owned()])
        .exec()
        .expect("cargo metadata")
}

/// The packages a package uses itself, and those it uses when tests are left out.
fn used(metadata: &Metadata, name: &str) -> BTreeMap<String, BTreeSet<String>> {
    let package = metadata.packages.iter().find(|p| p.name.as_str() == name);
    let package = package.unwrap_or_else(|| panic!("there is no package {name}"));
    let mut used: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for dependency in &package.dependencies {
        let kind = if dependency.kind == DependencyKind::Development { "tests" } else { "code" };
        used.entry(kind.to_owned()).or_default().insert(dependency.name.clone());
    }
    used
}

/// Everything a package's code needs, whoever asks for it.
fn needed(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("a dependency graph");
    let names: BTreeMap<&PackageId, &str> =
        metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
    let start = metadata.packages.iter().find(|p| p.name.as_str() == name).expect("a package");
    let (mut found, mut open) = (BTreeSet::new(), vec![&start.id]);
    while let Some(id) = open.pop() {
        let node = resolve.nodes.iter().find(|node| node.id == *id).expect("a node");
        for dependency in &node.deps {
            let is_code = dependency.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal);
            if is_code && found.insert(names[&dependency.pkg].to_owned()) {
                open.push(&dependency.pkg);
            }
        }
    }
    found
}

#[test]
fn the_core_needs_no_runtime_and_no_driver() {
    let needed = needed(&metadata(), "epilogue-core");
    assert!(needed.contains("serde"), "the walk found nothing: {needed:?}");
    let impure: Vec<_> = IMPURE.iter().filter(|name| needed.contains(**name)).collect();
    assert!(impure.is_empty(), "epilogue-core needs {impure:?}");
}

#[test]
fn the_impure_are_found_where_they_are() {
    let needed = needed(&metadata(), "epilogue-storage");
    assert!(["tokio", "rusqlite"].iter().all(|name| needed.contains(*name)), "{needed:?}");
}

#[test]
fn crates_depend_in_one_direction() {
    let metadata = metadata();
    let ours: BTreeSet<_> =
        metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    let listed: BTreeSet<_> = LAYERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(ours, listed, "every crate of the workspace has its place in LAYERS");
    for (name, allowed) in LAYERS {
        for (kind, dependencies) in used(&metadata, name) {
            for dependency in dependencies.intersection(&ours) {
                let is_for_tests = dependency == name || dependency == TESTS_ONLY;
                let is_allowed =
                    (is_for_tests && kind == "tests") || allowed.contains(&dependency.as_str());
                assert!(is_allowed, "the {kind} of {name} must not depend on {dependency}");
            }
        }
    }
}

/// Every file below a folder of the workspace. A folder that is not there is a mistake.
fn files(folder: &str) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
                open.push(path);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn with_extension(files: Vec<PathBuf>, extension: &str) -> Vec<PathBuf> {
    files.into_iter().filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// How a file is named in a complaint.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn complain(offences: &[String]) {
    assert!(offences.is_empty(), "\n  {}\n", offences.join("\n  "));
}

#[test]
fn no_source_file_is_too_long() {
    let sources = with_extension([files("crates"), files("bench")].concat(), "rs");
    assert!(sources.len() > 20, "the walk found only {} files", sources.len());
    let too_long = sources.iter().filter_map(|path| {
        let lines = read(path).lines().count();
        (lines > LINES_MAX).then(|| format!("{} has {lines} lines", shown(path)))
    });
    complain(&too_long.collect::<Vec<_>>());
}

#[test]
fn the_engine_names_no_dialect() {
    let sources = with_extension(files("crates/engine/src"), "rs");
    assert!(!sources.is_empty(), "the walk found nothing");
    let mut offences = Vec::new();
    for path in sources {
        for (number, line) in read(&path).lines().enumerate() {
            let line = line.to_lowercase();
            for dialect in DIALECTS.iter().filter(|dialect| line.contains(**dialect)) {
                offences.push(format!("{}:{} names {dialect}", shown(&path), number + 1));
            }
        }
    }
    complain(&offences);
}

/// The paths of this workspace that a document names in backticks, with their lines. Patterns such
/// as `crates/*/src` name no single path and are left out.
fn paths_in(document: &str) -> Vec<(usize, String)> {
    let is_path = |text: &str| {
        ["crates/", "bench/", "scripts/"].iter().any(|start| text.starts_with(start))
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
    };
    let spans = |line: &str| -> Vec<String> {
        line.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    document
        .lines()
        .enumerate()
        .flat_map(|(number, line)| spans(line).into_iter().map(move |span| (number + 1, span)))
        .filter(|(_, span)| is_path(span))
        .collect()
}

#[test]
fn paths_are_recognised_in_backticks_only() {
    let document = "See `crates/core/src/id.rs` and crates/no.\n\
                    `scripts/test --long`, `bench/src`, `crates/*/src`, `cargo run`\n`crates/x` `a`";
    let found: Vec<_> = paths_in(document);
    let expected = [(1, "crates/core/src/id.rs"), (2, "bench/src"), (3, "crates/x")];
    assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));
}

#[test]
fn every_path_the_documentation_names_exists() {
    let docs = root().join("docs");
    let mut documents = if docs.is_dir() { with_extension(files("docs"), "md") } else { vec![] };
    documents.extend(
        ["ARCHITECTURE.md", "README.md", "CHANGELOG.md"]
            .map(|name| root().join(name))
            .into_iter()
            .filter(|path| path.is_file()),
    );
    assert!(!documents.is_empty(), "there is no documentation");
    let mut offences = Vec::new();
    for document in documents {
        for (line, path) in paths_in(&read(&document)) {
            if !root().join(&path).exists() {
                offences.push(format!("{}:{line} names {path}", shown(&document)));
            }
        }
    }
    complain(&offences);
}
