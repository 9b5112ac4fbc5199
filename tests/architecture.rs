//! `docs/ARCHITECTURE.md` is the picture of the source: its tables are compared with the files here.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of a crate, and the paths that the code of each names. A `mod.rs` may name what it re-exports.
type Modules = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

#[test]
fn rooms_use_only_the_rooms_that_the_picture_allows() {
    let (picture, source) = (rooms(), modules(&root().join("src")));
    let order: Vec<_> = picture.iter().map(|(room, _)| room.as_str()).collect();
    let mut real: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, uses) in source.iter().filter(|(module, _)| !module.is_empty()) {
        let room = real.entry(&module[0]).or_default();
        room.extend(uses.iter().map(|path| path[0].as_str()).filter(|used| *used != module[0]));
    }
    for (room, uses) in &picture {
        let uses: BTreeSet<_> = uses.iter().map(String::as_str).collect();
        assert_eq!(real.get(room.as_str()), Some(&uses), "the row of {room}");
        let place = |name: &str| order.iter().position(|room| *room == name);
        let upwards: Vec<_> = uses.iter().filter(|used| place(used) <= place(room)).collect();
        assert!(upwards.is_empty(), "{room} uses {upwards:?}, which stand above it");
    }
    assert_eq!(real.len(), picture.len(), "each room has a row: {:?}", real.keys());
}

#[test]
fn no_files_form_a_circle() {
    let mut crates = 0;
    for source in ["src", "crates/gateway/src", "crates/sim/src"].map(|source| root().join(source)) {
        if !source.is_dir() {
            eprintln!("skipped: {} is no part of this package", source.display());
            continue;
        }
        crates += 1;
        let arrows = arrows(&modules(&source));
        for module in arrows.keys() {
            let way = way_back(&arrows, module);
            assert!(way.is_none(), "a circle in {}: {}", source.display(), way.unwrap_or_default());
        }
    }
    assert!(crates > 0);
}

#[test]
fn the_functions_on_the_way_of_a_request_exist() {
    let text = picture();
    let named: Vec<_> = text.lines().filter_map(step).collect();
    for (function, file) in &named {
        let code = fs::read_to_string(root().join("src").join(file)).expect(file);
        assert!(code.contains(&format!("fn {function}")), "{function} in {file}");
    }
    assert!(named.len() > 30, "the lists are found: {named:?}");
}

#[test]
fn the_files_that_the_picture_names_exist() {
    let (text, root) = (picture(), root());
    let spans = text.split('`').skip(1).step_by(2);
    let files: Vec<_> =
        spans.filter(|it| it.ends_with(".rs") || it.ends_with(".md") && it.contains('/')).collect();
    let places = [root.join("src"), root.join("crates/gateway/src"), root.to_owned()];
    for file in &files {
        let is_of_gateway = file.contains("config/") || file.contains("crates/");
        let is_packaged = root.join("crates").is_dir() || !is_of_gateway;
        let exists = places.iter().any(|place| place.join(file).is_file());
        let is_short =
            root.join("src/pool").join(file).is_file() || root.join("src/pool/keys").join(file).is_file();
        assert!(exists || is_short || !is_packaged, "{file}");
    }
    assert!(files.len() > 60, "the names are found");
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let code = "use crate::a::{X, b::{Y as Z}};\npub(crate) use crate::c;\n    fn f(x: crate::d::D) {\n\
                // crate::comment\n/// [`T`](crate::docs::T)\n        go(super::e::E);\n    }\n\
                let x = my_crate::f::X;\n#[cfg(test)]\nmod tests { use crate::g; }";
    let found: Vec<_> = paths(code, &["room".into(), "file".into()]).iter().map(|it| it.join("::")).collect();
    assert_eq!(found, ["a::X", "a::b::Y", "c", "d::D", "room::e::E"]);
}

// === the picture ===

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn picture() -> String {
    fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("the picture is part of the package")
}

/// The rows of the table of rooms: a room, and the rooms it uses.
fn rooms() -> Vec<(String, Vec<String>)> {
    let text = picture();
    let rows = text.lines().skip_while(|line| *line != "| module | holds | uses |").skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let names =
        |cell: &str| cell.split(", ").filter(|name| *name != "—").map(|it| it.replace('`', "")).collect();
    cells.map(|cells| (cells[1].replace('`', ""), names(cells[3]))).collect()
}

/// A line of a list of functions: ``3. `settle` (`rotate/settle.rs`): …``.
fn step(line: &str) -> Option<(String, String)> {
    let (number, rest) = line.split_once(". `")?;
    number.parse::<usize>().ok()?;
    let (function, rest) = rest.split_once("` (`")?;
    let (file, _) = rest.split_once("`)")?;
    Some((function.rsplit("::").next()?.to_owned(), file.to_owned()))
}

// === the source ===

fn modules(source: &Path) -> Modules {
    let module = |file: &Path| {
        let mut parts: Vec<_> = file
            .strip_prefix(source)
            .unwrap()
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        parts.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
        parts
    };
    rust_files(source)
        .into_iter()
        .filter(|file| !file.iter().any(|part| part == "tests" || part == "tests.rs"))
        .map(|file| {
            let (module, text) = (module(&file), fs::read_to_string(&file).unwrap());
            let re_exports =
                matches!(file.file_name().unwrap().to_str(), Some("mod.rs" | "lib.rs" | "main.rs"));
            let mut uses = paths(&text, &module);
            uses.retain(|path| !re_exports || !path.starts_with(&module));
            (module, uses)
        })
        .collect()
}

/// The paths within the crate that the code of a module names, in `use` lines and anywhere else.
fn paths(text: &str, module: &[String]) -> BTreeSet<Vec<String>> {
    let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    let code = code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    let mut found = BTreeSet::new();
    for start in ["crate", "super", "self"] {
        for (at, _) in code.match_indices(&format!("{start}::")) {
            if code[..at].ends_with(is_name) || code[..at].ends_with("::") {
                continue;
            }
            let tree: String = tree(&code[at..]);
            expand(&tree, &[], &mut |path| found.extend(absolute(path, module)));
        }
    }
    found
}

/// The path or the tree of paths at the beginning of a text.
fn tree(text: &str) -> String {
    let mut depth = 0;
    let end = text.char_indices().find(|(_, char)| {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        let inner = depth > 0 || *char == '}' && depth == 0;
        !(inner || char.is_alphanumeric() || matches!(char, '_' | ':'))
    });
    text[..end.map_or(text.len(), |(at, _)| at)].to_owned()
}

fn expand(tree: &str, before: &[String], found: &mut impl FnMut(Vec<String>)) {
    let (head, inner) = tree.split_once('{').unwrap_or((tree, ""));
    let names = head.split("::").map(|name| name.split(" as ").next().unwrap_or_default().trim());
    let names = names.filter(|name| !name.is_empty()).map(str::to_owned);
    let path: Vec<_> = before.iter().cloned().chain(names).collect();
    if inner.is_empty() {
        return found(path);
    }
    let (mut depth, mut from) = (0, 0);
    for (at, char) in inner.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                if !inner[from..at].trim().is_empty() {
                    expand(inner[from..at].trim(), &path, found);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

fn absolute(path: Vec<String>, module: &[String]) -> Option<Vec<String>> {
    let mut here = module.to_vec();
    let mut names = path.into_iter().peekable();
    if names.next_if(|name| name == "crate").is_some() {
        here.clear();
    } else {
        while let Some(name) = names.next_if(|name| name == "super" || name == "self") {
            if name == "super" {
                here.pop();
            }
        }
    }
    here.extend(names);
    (!here.is_empty()).then_some(here)
}

/// From each file to the files it uses. A file may name the files above it in its own folder.
fn arrows(modules: &Modules) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let of = |module: &Vec<String>, uses: &BTreeSet<Vec<String>>| {
        let files = uses.iter().filter_map(|path| file_of(modules, path));
        files.filter(|file| !module.starts_with(file)).map(<[String]>::to_vec).collect()
    };
    modules.iter().map(|(module, uses)| (module.clone(), of(module, uses))).collect()
}

/// The file that a path leads to: the deepest that exists.
fn file_of<'p>(modules: &Modules, path: &'p [String]) -> Option<&'p [String]> {
    (1..=path.len()).rev().map(|length| &path[..length]).find(|path| modules.contains_key(*path))
}

/// A way from a file back to itself.
fn way_back(arrows: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>, from: &Vec<String>) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut ways = vec![vec![from]];
    while let Some(way) = ways.pop() {
        for next in arrows.get(*way.last()?)? {
            let longer: Vec<_> = way.iter().copied().chain([next]).collect();
            if next == from {
                let names: Vec<_> = longer.iter().map(|module| module.join("/")).collect();
                return Some(names.join(" -> "));
            }
            if seen.insert(next) {
                ways.push(longer);
            }
        }
    }
    None
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")).collect()
}
