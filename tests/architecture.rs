//! Holds the layer table of `src/lib.rs` to be true, by reading the sources.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end with a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// Module (a folder or file under `src`, the longest match counts) and the modules it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("event", &["text"]),
    ("exposition", &["text"]),
    ("filter", &["text", "event", "config", "dlq"]),
    ("config", &["text", "event"]),
    ("dlq", &["text", "event", "config"]),
    ("ledger", &["text", "event"]),
    ("broker", &["text", "event"]),
    ("context", &["text", "event", "config", "broker"]),
    ("broker::kafka", &["text", "event", "config", "broker"]),
    ("broker::memory", &["text", "event", "config", "broker", "exposition"]),
    ("schemas", &["text", "event", "config"]),
    ("observe", &["text", "event", "exposition", "filter", "dlq", "ledger", "config", "broker", "context"]),
    ("records", &["text", "event", "filter", "dlq", "ledger", "config", "broker", "context"]),
    ("letters", &["text", "event", "filter", "dlq", "ledger", "config", "broker", "context"]),
    ("redrive", &["text", "event", "filter", "dlq", "ledger", "config", "broker", "context", "letters"]),
    ("offsets", &["text", "event", "filter", "ledger", "config", "broker", "context", "redrive::audit"]),
    ("metrics", &["text", "exposition", "observe"]),
    (
        "ask",
        &[
            "text", "event", "filter", "dlq", "ledger", "config", "broker", "context", "observe", "records",
            "letters", "redrive", "offsets",
        ],
    ),
    (
        "tui",
        &[
            "text", "event", "filter", "dlq", "ledger", "config", "broker", "context", "observe", "records",
            "letters", "redrive", "offsets", "ask",
        ],
    ),
    (
        "cli",
        &[
            "text",
            "event",
            "filter",
            "dlq",
            "ledger",
            "config",
            "broker",
            "context",
            "observe",
            "records",
            "letters",
            "redrive",
            "offsets",
            "ask",
            "wire",
            "tui",
            "exposition",
            "metrics",
        ],
    ),
];

/// The only places of adapters and of the demonstration.
const ADAPTERS: &[&str] = &["broker::kafka", "broker::memory", "schemas"];

/// Crates that belong to one place.
const FENCED: &[(&str, &[&str])] = &[
    ("rdkafka", &["broker::kafka"]),
    ("ratatui", &["tui"]),
    ("crossterm", &["tui"]),
    ("clap", &["cli", "main"]),
    ("hyper", &["exposition"]),
    ("hyper_util", &["exposition"]),
];

struct Source {
    path: PathBuf,
    module: String,
    text: String,
    syntax: syn::File,
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let syntax = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let module = path
                .strip_prefix(&root)
                .unwrap()
                .with_extension("")
                .iter()
                .map(|part| part.to_str().unwrap())
                .filter(|part| *part != "mod")
                .collect::<Vec<_>>()
                .join("::");
            Source { path, module, text, syntax }
        })
        .collect()
}

/// What one file names: paths that begin with `crate`, first segments of all paths, macros, unsafe code.
#[derive(Default)]
struct Names {
    crate_paths: BTreeSet<String>,
    roots: BTreeSet<String>,
    macros: BTreeSet<String>,
    exits: usize,
    has_unsafe: bool,
}

impl Names {
    fn path(&mut self, segments: &[String]) {
        let Some(first) = segments.first() else { return };
        self.roots.insert(first.clone());
        if first == "crate" {
            self.crate_paths.insert(segments[1..].join("::"));
        }
        if segments.ends_with(&["process".to_owned(), "exit".to_owned()]) {
            self.exits += 1;
        }
    }

    fn tree(&mut self, prefix: &mut Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(p) => {
                prefix.push(p.ident.to_string());
                self.tree(prefix, &p.tree);
                prefix.pop();
            }
            syn::UseTree::Name(n) => {
                prefix.push(n.ident.to_string());
                self.path(prefix);
                prefix.pop();
            }
            syn::UseTree::Rename(n) => {
                prefix.push(n.ident.to_string());
                self.path(prefix);
                prefix.pop();
            }
            syn::UseTree::Glob(_) => self.path(prefix),
            syn::UseTree::Group(group) => group.items.iter().for_each(|t| self.tree(prefix, t)),
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&mut Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.path(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        if let Some(last) = mac.path.segments.last() {
            self.macros.insert(last.ident.to_string());
        }
        visit::visit_macro(self, mac);
    }

    fn visit_expr_unsafe(&mut self, node: &'ast syn::ExprUnsafe) {
        self.has_unsafe = true;
        visit::visit_expr_unsafe(self, node);
    }

    fn visit_item_impl(&mut self, node: &'ast syn::ItemImpl) {
        // Inherent and trait impls alike: `unsafe impl Send` counts.
        self.has_unsafe |= node.unsafety.is_some();
        visit::visit_item_impl(self, node);
    }

    fn visit_item_mod(&mut self, node: &'ast syn::ItemMod) {
        // Tests beside the code may use the adapters as their mock.
        let is_test = node.attrs.iter().any(|a| quote_of(a).contains("test"));
        if !is_test {
            visit::visit_item_mod(self, node);
        }
    }
}

fn quote_of(attribute: &syn::Attribute) -> String {
    match &attribute.meta {
        syn::Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    }
}

fn names(source: &Source) -> Names {
    let mut names = Names::default();
    names.visit_file(&source.syntax);
    names
}

/// Files that are compiled for tests only: declared with `#[cfg(test)] mod name;`.
fn is_test_file(source: &Source) -> bool {
    source.module.rsplit("::").next().is_some_and(|last| last == "tests" || last.ends_with("_tests"))
}

fn within(module: &str, of: &str) -> bool {
    module == of || module.strip_prefix(of).is_some_and(|rest| rest.starts_with("::"))
}

#[test]
fn every_module_uses_only_the_layers_below_it() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|s| !is_test_file(s)) {
        if matches!(source.module.as_str(), "lib" | "main" | "wire") {
            continue;
        }
        let (own, allowed) = MAY_USE
            .iter()
            .filter(|(module, _)| within(&source.module, module))
            .max_by_key(|(module, _)| module.len())
            .unwrap_or_else(|| panic!("{} is in no layer", source.module));
        for path in names(source).crate_paths {
            let fine = within(&path, own)
                || allowed.iter().any(|a| within(&path, a)) && !ADAPTERS.iter().any(|a| within(&path, a));
            let demo = own == &"cli" && within(&path, "broker::memory::shop");
            if !fine && !demo && !path.is_empty() {
                wrong.push(format!("{} uses crate::{path}", source.module));
            }
        }
    }
    assert!(wrong.is_empty(), "layers:\n{}", wrong.join("\n"));
}

#[test]
fn crates_that_belong_to_one_place_are_used_only_there() {
    for source in sources().iter().filter(|s| !is_test_file(s)) {
        let names = names(source);
        for (name, places) in FENCED {
            if names.roots.contains(*name) {
                assert!(
                    places.iter().any(|p| within(&source.module, p)),
                    "{} uses {name}, which belongs to {places:?}",
                    source.path.display()
                );
            }
        }
    }
}

#[test]
fn unsafe_code_is_in_one_folder() {
    for source in sources() {
        if names(&source).has_unsafe {
            let place = "broker::kafka::ffi";
            assert!(within(&source.module, place), "unsafe code in {}", source.path.display());
        }
    }
}

#[test]
fn only_the_output_module_prints() {
    for source in sources().iter().filter(|s| !is_test_file(s)) {
        let printing = ["println", "eprintln", "print", "eprint"];
        if names(source).macros.iter().any(|m| printing.contains(&m.as_str())) {
            assert!(
                matches!(source.module.as_str(), "cli::output" | "main"),
                "{} prints",
                source.path.display()
            );
        }
    }
}

#[test]
fn the_process_ends_in_main_alone() {
    for source in sources() {
        assert!(names(&source).exits == 0 || source.module == "main", "{} exits", source.path.display());
    }
}

#[test]
fn every_file_says_what_it_is_for_and_stays_readable() {
    for source in sources() {
        assert!(source.text.starts_with("//! "), "{} does not say what it is for", source.path.display());
        let code = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().count();
        assert!(lines <= 600, "{} has {lines} lines: split it", source.path.display());
    }
}

#[test]
fn only_the_demonstration_knows_of_the_shop() {
    let known = |module: &str| within(module, "cli") || within(module, "broker::memory") || module == "wire";
    for source in sources().iter().filter(|s| !known(&s.module) && !is_test_file(s)) {
        let code = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            let line = line.to_lowercase();
            let word = line.split(|c: char| !c.is_alphanumeric()).any(|w| w == "shop");
            assert!(!word, "{}:{} knows of the shop", source.path.display(), number + 1);
        }
    }
}

#[test]
fn every_test_file_is_compiled() {
    fn check(folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_dir() || !path.join("main.rs").exists() {
                continue;
            }
            let main = fs::read_to_string(path.join("main.rs")).unwrap();
            for file in fs::read_dir(&path).unwrap() {
                let file = file.unwrap().path();
                let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
                if file.extension().is_some_and(|e| e == "rs") && name != "main" {
                    assert!(main.contains(&format!("mod {name};")), "{} is in no `mod`", file.display());
                }
            }
        }
    }
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
}
