//! The house is built as `docs/architecture.md` says: the imports of every file are read and held against its tables.
//!
//! * Between rooms, an arrow goes down: from a room to one on a lower floor, and not to one that its row forbids.
//! * Within a room, files and folders that stand side by side have no circle, except where the second table names one.
//!   A `mod.rs` counts as its folder.
//!
//! Test code may import what it likes: folders `tests/`, files `tests.rs`, and whatever is `#[cfg(test)]`.
#![expect(clippy::disallowed_methods, reason = "reads the sources")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;

const TOUR: &str = "docs/architecture.md";

/// A module's path from the root of its crate: `["storage", "log", "record"]`.
type Module = Vec<String>;

/// One of the two crates, read.
#[derive(Default)]
struct House {
    /// `src` or `lab`.
    top: &'static str,
    /// Each module's file.
    files: BTreeMap<Module, PathBuf>,
    /// Names that a module hands on from elsewhere.
    handed_on: BTreeMap<Module, BTreeMap<String, Module>>,
    /// What each module names of others, resolved: the module that names, and the whole path that it names.
    named: Vec<(Module, Vec<String>)>,
}

/// A row of the table of rooms.
struct Room {
    floor: u32,
    never: BTreeSet<String>,
}

#[test]
fn arrows_between_rooms_go_down() {
    let rooms = table_of_rooms();
    let mut wrong = BTreeSet::new();
    for house in houses() {
        for (from, to) in house.arrows() {
            let (a, b) = (house.room(&from), house.room(&to));
            if a == b || a == house.top || b == house.top {
                continue;
            }
            let row = |name: &str| rooms.get(name).unwrap_or_else(|| panic!("{TOUR} has no room `{name}`"));
            if row(&a).floor <= row(&b).floor {
                wrong.insert(format!("{a} -> {b} does not go down: {}", house.say(&from, &to)));
            } else if row(&a).never.contains(&b) {
                wrong.insert(format!("{a} -> {b} is forbidden: {}", house.say(&from, &to)));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that {TOUR} does not allow:\n{}", list(&wrong));
}

#[test]
fn there_are_no_circles_but_those_that_are_named() {
    let named = table_of_circles();
    let mut met = BTreeSet::new();
    let mut wrong = BTreeSet::new();
    for house in houses() {
        for (folder, arrows) in house.arrows_side_by_side() {
            for circle in circles(&arrows) {
                let key = format!("{}: {}", folder, circle.iter().cloned().collect::<Vec<_>>().join(", "));
                if named.contains(&key) {
                    met.insert(key);
                } else {
                    let inside = arrows.iter().filter(|((a, b), _)| circle.contains(a) && circle.contains(b));
                    let why: BTreeSet<_> = inside.map(|(_, said)| said.clone()).collect();
                    wrong.insert(format!("{key}\n{}", list(&why)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "circles that {TOUR} does not name:\n{}", list(&wrong));
    let gone: BTreeSet<_> = named.difference(&met).cloned().collect();
    assert!(gone.is_empty(), "circles that {TOUR} names and that are gone:\n{}", list(&gone));
}

#[test]
fn every_room_is_in_the_table_and_on_the_map() {
    let rooms = table_of_rooms();
    let there: BTreeSet<_> = houses().iter().flat_map(House::rooms).collect();
    let told: BTreeSet<_> = rooms.into_keys().collect();
    assert_eq!(there, told, "left: the rooms that there are; right: the rows of {TOUR}");
}

impl House {
    fn read(top: &'static str, root: &str) -> Self {
        let mut house = Self { top, ..Self::default() };
        house.read_file(Path::new(root), &Module::new());
        house
    }

    fn read_file(&mut self, path: &Path, module: &Module) {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        self.files.insert(module.clone(), path.to_owned());
        let is_folder = path.file_name().is_some_and(|n| n == "mod.rs" || n == "lib.rs" || n == "main.rs");
        let folder = if is_folder { path.with_file_name("") } else { path.with_extension("") };
        self.read_items(&file.items, &folder, module);
    }

    fn read_items(&mut self, items: &[syn::Item], folder: &Path, module: &Module) {
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            match item {
                syn::Item::Mod(inner) => {
                    let name = inner.ident.to_string();
                    let child = [module.clone(), vec![name.clone()]].concat();
                    match &inner.content {
                        Some((_, items)) => self.read_items(items, &folder.join(&name), &child),
                        None => {
                            let (flat, deep) =
                                (folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs"));
                            self.read_file(if flat.exists() { &flat } else { &deep }, &child);
                        }
                    }
                }
                syn::Item::Use(used) => {
                    let mut named = Vec::new();
                    paths_in(used.tree.to_token_stream(), &mut named);
                    for path in named.iter().filter_map(|path| absolute(path, module)) {
                        if let (syn::Visibility::Public(_) | syn::Visibility::Restricted(_), Some(name)) =
                            (&used.vis, path.last())
                        {
                            let handed_on = self.handed_on.entry(module.clone()).or_default();
                            handed_on.insert(name.clone(), path.clone());
                        }
                        self.named.push((module.clone(), path));
                    }
                }
                item => {
                    let mut named = Vec::new();
                    paths_in(item.to_token_stream(), &mut named);
                    let named = named.iter().filter_map(|path| absolute(path, module));
                    self.named.extend(named.map(|path| (module.clone(), path)));
                }
            }
        }
    }

    /// The module in which what a path names is written, through whatever hands it on.
    fn owner(&self, path: &[String]) -> Module {
        let len = (0..=path.len()).rev().find(|&n| self.files.contains_key(&path[..n])).unwrap_or(0);
        let module = path[..len].to_vec();
        let on = path.get(len).and_then(|name| self.handed_on.get(&module)?.get(name));
        match on {
            Some(on) if on != path => self.owner(&[on.clone(), path[len + 1..].to_vec()].concat()),
            _ => module,
        }
    }

    /// From file to file, once for each pair.
    fn arrows(&self) -> BTreeSet<(Module, Module)> {
        let owned = self.named.iter().map(|(from, path)| (self.file_of(from), self.owner(path)));
        owned.filter(|(from, to)| from != to).collect()
    }

    fn file_of(&self, module: &Module) -> Module {
        (0..=module.len())
            .rev()
            .map(|n| module[..n].to_vec())
            .find(|m| self.files.contains_key(m))
            .expect("a root")
    }

    /// The arrows between what stands side by side in one folder, for each folder.
    fn arrows_side_by_side(&self) -> BTreeMap<String, BTreeMap<(String, String), String>> {
        let mut folders = BTreeMap::<String, BTreeMap<_, _>>::new();
        for (from, to) in self.arrows() {
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            // One of the two is the `mod.rs` above the other, and counts as the folder itself.
            let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) else { continue };
            let folder = [self.top.to_owned(), from[..shared].join("/")].join("/");
            let arrows = folders.entry(folder.trim_end_matches('/').to_owned()).or_default();
            arrows.insert((a.clone(), b.clone()), self.say(&from, &to));
        }
        folders
    }

    fn room(&self, module: &Module) -> String {
        module.first().map_or_else(|| self.top.to_owned(), |room| format!("{}/{room}", self.top))
    }

    fn rooms(&self) -> BTreeSet<String> {
        self.files.keys().filter(|module| !module.is_empty()).map(|module| self.room(module)).collect()
    }

    fn say(&self, from: &Module, to: &Module) -> String {
        format!("{} uses {}", self.files[from].display(), self.files[to].display())
    }
}

fn houses() -> [House; 2] {
    [House::read("src", "src/lib.rs"), House::read("lab", "lab/main.rs")]
}

/// Paths that begin with `crate`, `self` or `super`, groups of a `use` taken apart.
fn paths_in(tokens: TokenStream, found: &mut Vec<Vec<String>>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(first) if ["crate", "self", "super"].contains(&first.to_string().as_str()) => {
                at = path_from(&tokens, at, Vec::new(), found);
            }
            TokenTree::Group(group) => {
                paths_in(group.stream(), found);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// One path from its first segment on; returns where it ends.
fn path_from(
    tokens: &[TokenTree],
    mut at: usize,
    mut path: Vec<String>,
    found: &mut Vec<Vec<String>>,
) -> usize {
    let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(segment)) => path.push(segment.to_string()),
            Some(TokenTree::Group(group)) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                let comma = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
                for part in inner.split(comma).filter(|part| !part.is_empty()) {
                    path_from(part, 0, path.clone(), found);
                }
                return at + 1;
            }
            _ => break,
        }
        at += 1;
        if !(colon(at) && colon(at + 1)) {
            break;
        }
        at += 2;
    }
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    found.push(path);
    at
}

/// From the crate's root on. `None`: it says nothing of another module (`self.field`).
fn absolute(path: &[String], module: &Module) -> Option<Vec<String>> {
    let mut base = module.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => (base, rest) = (Module::new(), &path[1..]),
        "self" => rest = &path[1..],
        _ => {
            while rest.first().is_some_and(|segment| segment == "super") {
                base.pop()?;
                rest = &rest[1..];
            }
        }
    }
    (!rest.is_empty()).then(|| [base, rest.to_vec()].concat())
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(it) => &it.attrs,
        syn::Item::Enum(it) => &it.attrs,
        syn::Item::Fn(it) => &it.attrs,
        syn::Item::Impl(it) => &it.attrs,
        syn::Item::Macro(it) => &it.attrs,
        syn::Item::Mod(it) => &it.attrs,
        syn::Item::Static(it) => &it.attrs,
        syn::Item::Struct(it) => &it.attrs,
        syn::Item::Trait(it) => &it.attrs,
        syn::Item::Type(it) => &it.attrs,
        syn::Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| a.path().is_ident("cfg") && a.to_token_stream().to_string().contains("(test)"))
}

/// Groups of names that reach each other, the names in order.
fn circles(arrows: &BTreeMap<(String, String), String>) -> BTreeSet<BTreeSet<String>> {
    let reached = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from.to_owned()];
        while let Some(name) = next.pop() {
            for (_, to) in arrows.keys().filter(|(a, _)| *a == name) {
                if seen.insert(to.clone()) {
                    next.push(to.clone());
                }
            }
        }
        seen
    };
    let all: BTreeMap<_, _> = arrows.keys().map(|(from, _)| (from.clone(), reached(from))).collect();
    let circle = |name: &String| {
        let both = all[name].iter().filter(|other| all.get(*other).is_some_and(|back| back.contains(name)));
        both.cloned().collect::<BTreeSet<_>>()
    };
    all.keys().map(circle).filter(|circle| circle.len() > 1).collect()
}

/// The rows of the table under a heading: its cells, without backticks.
fn table(heading: &str) -> Vec<Vec<String>> {
    let tour = fs::read_to_string(TOUR).expect(TOUR);
    let lines = tour.lines().skip_while(|line| *line != heading).skip(1);
    let rows = lines.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells =
        |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    rows.skip(2).map(cells).collect()
}

/// `floor | room | what it is | never uses`
fn table_of_rooms() -> BTreeMap<String, Room> {
    let row = |cells: Vec<String>| {
        let [floor, room, _, never] = &cells[..] else { panic!("{TOUR}: a row with {} cells", cells.len()) };
        let floor = floor.parse().unwrap_or_else(|_| panic!("{TOUR}: the floor of {room} is {floor:?}"));
        let top = room.split('/').next().expect("a name");
        let never = never.split(',').map(str::trim).filter(|name| !name.is_empty());
        (room.clone(), Room { floor, never: never.map(|name| format!("{top}/{name}")).collect() })
    };
    let rooms: BTreeMap<_, _> = table("## The rooms").into_iter().map(row).collect();
    assert!(!rooms.is_empty(), "{TOUR} has no table of rooms");
    rooms
}

/// `folder | files | why it stands`
fn table_of_circles() -> BTreeSet<String> {
    let row = |cells: Vec<String>| format!("{}: {}", cells[0], cells[1]);
    table("## Circles that stand").into_iter().map(row).collect()
}

fn list(lines: &BTreeSet<String>) -> String {
    lines.iter().map(|line| format!("  {}\n", line.replace('\n', "\n  "))).collect()
}
