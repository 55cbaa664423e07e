//! The modules of the crate `holdfast` and what each imports, read from its sources with `syn`: for tests of the architecture and for its
//! picture in `docs/architecture.md`.
//!
//! A name is followed through re-exports to the file that defines it, so a façade (`mod.rs` with `pub use`) neither hides an import nor makes one up.
//! Code under `#[cfg(test)]` does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, Item, UseTree, Visibility};

/// Path of a module below the crate's root, such as `["store", "write"]`; the root itself is empty.
pub type ModulePath = Vec<String>;

/// One file of the crate.
#[derive(Default)]
struct Module {
    /// Names of child modules, test modules left out.
    children: BTreeSet<String>,
    /// Names of what the file itself defines.
    defined: BTreeSet<String>,
    /// What the file imports: the name that it has here, and the path as it is written.
    imported: Vec<Import>,
    /// Paths of two and more segments in the code, as they are written.
    paths: BTreeSet<Vec<String>>,
    /// All identifiers in the code.
    idents: BTreeSet<String>,
}

struct Import {
    name: String,
    path: Vec<String>,
    public: bool,
}

/// All modules of a crate.
pub struct Modules {
    modules: BTreeMap<ModulePath, Module>,
    /// File by module, relative to the crate's `src`.
    files: BTreeMap<ModulePath, PathBuf>,
}

impl Modules {
    /// The modules of the crate with this `src` directory.
    ///
    /// # Panics
    /// On a file that is no Rust: the crate has been compiled before its tests run.
    pub fn read(source: &Path) -> Self {
        let mut found = Self { modules: BTreeMap::new(), files: BTreeMap::new() };
        found.add(source, &source.join("lib.rs"), Vec::new());
        found
    }

    fn add(&mut self, source: &Path, file: &Path, path: ModulePath) {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut module = Module::default();
        for item in parsed.items {
            module.add(item);
        }
        for child in module.children.clone() {
            let directory = path.iter().fold(source.to_path_buf(), |directory, part| directory.join(part));
            let (flat, nested) = (directory.join(format!("{child}.rs")), directory.join(&child).join("mod.rs"));
            let below = path.iter().cloned().chain([child]).collect();
            self.add(source, if flat.exists() { &flat } else { &nested }, below);
        }
        self.files.insert(path.clone(), file.strip_prefix(source).unwrap_or(file).to_path_buf());
        self.modules.insert(path, module);
    }

    /// Every file with the files whose items it uses.
    pub fn imports(&self) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
        let of = |path: &ModulePath, module: &Module| {
            let in_use = module.imported.iter().filter(|import| !import.public || module.idents.contains(&import.name));
            let named = in_use.map(|import| &import.path).chain(&module.paths);
            let mut found: BTreeSet<ModulePath> = named.filter_map(|named| self.resolve(path, named, 0)).collect();
            found.remove(path);
            found
        };
        self.modules.iter().map(|(path, module)| (path.clone(), of(path, module))).collect()
    }

    /// The files that name an item of a module.
    pub fn importers(&self, module: &[&str], item: &str) -> BTreeSet<ModulePath> {
        let names = |from: &ModulePath, path: &Vec<String>| {
            path.last().is_some_and(|last| last == item) && self.resolve(from, path, 0).is_some_and(|found| found == module)
        };
        let of = |(from, file): (&ModulePath, &Module)| {
            let mut paths = file.imported.iter().map(|import| &import.path).chain(&file.paths);
            paths.any(|path| names(from, path)).then(|| from.clone())
        };
        self.modules.iter().filter_map(of).collect()
    }

    /// Every file with the first segments of the paths that it names: crates, for a test of who may name which.
    pub fn crates(&self) -> BTreeMap<ModulePath, BTreeSet<String>> {
        let first = |module: &Module| {
            let named = module.imported.iter().map(|import| &import.path).chain(&module.paths);
            named.filter_map(|path| path.first().cloned()).collect()
        };
        self.modules.iter().map(|(path, module)| (path.clone(), first(module))).collect()
    }

    /// Groups of files that import one another in a circle.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let imports = self.imports();
        let mut graph = DiGraphMap::<&ModulePath, ()>::new();
        for (from, to) in &imports {
            for to in to {
                graph.add_edge(from, to, ());
            }
        }
        let name = |path: &&ModulePath| self.files[*path].display().to_string();
        tarjan_scc(&graph).iter().filter(|group| group.len() > 1).map(|group| group.iter().map(name).collect()).collect()
    }

    /// File of a module, relative to `src`.
    pub fn file(&self, module: &ModulePath) -> &Path {
        &self.files[module]
    }

    /// The module whose file defines what a path names, seen from the module `from`; `None` for what is not of this crate.
    fn resolve(&self, from: &ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
        let (first, rest) = path.split_first()?;
        let mut base = from.clone();
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop()?;
                if rest.first().is_some_and(|next| next == "super") {
                    return self.resolve(&base, rest, depth);
                }
            }
            _ => {
                let module = &self.modules[from];
                if module.children.contains(first) {
                    return self.descend(from.clone(), path, depth);
                }
                let import = module.imported.iter().find(|import| import.name == *first && import.path != path)?;
                let whole: Vec<String> = import.path.iter().chain(rest).cloned().collect();
                return (depth < 16).then(|| self.resolve(from, &whole, depth + 1)).flatten();
            }
        }
        self.descend(base, rest, depth)
    }

    fn descend(&self, mut base: ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
        for (index, part) in path.iter().enumerate() {
            let module = self.modules.get(&base)?;
            if module.children.contains(part) {
                base.push(part.clone());
                continue;
            }
            if module.defined.contains(part) || part == "*" || depth >= 16 {
                return Some(base);
            }
            let import = module.imported.iter().find(|import| import.name == *part);
            let Some(import) = import else { return Some(base) };
            let whole: Vec<String> = import.path.iter().chain(&path[index + 1..]).cloned().collect();
            return self.resolve(&base, &whole, depth + 1).or(Some(base));
        }
        Some(base)
    }
}

impl Module {
    fn add(&mut self, item: Item) {
        match item {
            Item::Mod(module) if is_test(&module.attrs) => {}
            Item::Mod(module) if module.content.is_none() => drop(self.children.insert(module.ident.to_string())),
            Item::Mod(module) => module.content.into_iter().flat_map(|(_, items)| items).for_each(|item| self.add(item)),
            Item::Use(import) if is_test(&import.attrs) => {}
            Item::Use(import) => {
                let public = !matches!(import.vis, Visibility::Inherited);
                leaves(&import.tree, &mut Vec::new(), &mut |name, path| self.imported.push(Import { name, path, public }));
            }
            other if is_test(attributes(&other)) => {}
            other => {
                self.defined.extend(name(&other));
                self.read(other.into_token_stream());
            }
        }
    }

    /// Identifiers and paths of code, macros included; `pub(in ..)` imports nothing.
    fn read(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut colons, mut after_pub) = (0, false);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    after_pub = ident == "pub";
                    if colons != 2 {
                        self.end(&mut path);
                    }
                    self.idents.insert(ident.to_string());
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
                other => {
                    self.end(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = other
                        && !std::mem::take(&mut after_pub)
                    {
                        self.read(group.stream());
                    }
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.paths.insert(std::mem::take(path));
        }
        path.clear();
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let tested =
        |attribute: &Attribute| attribute.path().is_ident("cfg") && attribute.meta.to_token_stream().to_string().contains("test");
    attributes.iter().any(tested)
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Calls `found` with each name that a `use` brings in, and its whole path.
fn leaves(tree: &UseTree, above: &mut Vec<String>, found: &mut impl FnMut(String, Vec<String>)) {
    let with = |above: &[String], name: String| above.iter().cloned().chain([name]).collect::<Vec<_>>();
    match tree {
        UseTree::Path(path) => {
            above.push(path.ident.to_string());
            leaves(&path.tree, above, found);
            above.pop();
        }
        UseTree::Name(name) if name.ident == "self" => found(above.last().cloned().unwrap_or_default(), above.clone()),
        UseTree::Name(name) => found(name.ident.to_string(), with(above, name.ident.to_string())),
        UseTree::Rename(rename) if rename.ident == "self" => found(rename.rename.to_string(), above.clone()),
        UseTree::Rename(rename) => found(rename.rename.to_string(), with(above, rename.ident.to_string())),
        UseTree::Glob(_) => found("*".to_owned(), with(above, "*".to_owned())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, above, found)),
    }
}
