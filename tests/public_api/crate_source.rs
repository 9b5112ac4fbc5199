//! The modules of a crate, and the definitions that names in them stand for.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

use crate::expand::Macros;

/// The path of a module, or of an item, from the root of the crate.
pub(crate) type ItemPath = Vec<String>;

/// The items of each module of a crate.
#[derive(Default)]
pub(crate) struct CrateSource {
    pub(crate) modules: BTreeMap<ItemPath, Vec<Item>>,
    macros: Macros,
}

/// One name that a `use` declares, and the path that it stands for.
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) path: ItemPath,
}

impl CrateSource {
    /// Reads a crate from its root file and the files of its modules.
    pub(crate) fn read(file: &Path) -> Self {
        let mut source = Self::default();
        let items = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap().items;
        // The first pass collects macros, which may be used before the module that defines them.
        for _ in 0..2 {
            source.add(Vec::new(), items.clone(), Some(file.parent().unwrap()));
        }
        source
    }

    /// Parses a crate that is a single text.
    pub(crate) fn parse(text: &str) -> Self {
        let mut source = Self::default();
        source.add(Vec::new(), syn::parse_file(text).unwrap().items, None);
        source
    }

    /// Adds a module. `folder` is the folder with the files of its modules.
    fn add(&mut self, path: ItemPath, items: Vec<Item>, folder: Option<&Path>) {
        let items: Vec<_> = items.into_iter().filter(|item| !is_hidden(attributes(item))).collect();
        let items: Vec<_> = items.into_iter().flat_map(|item| self.macros.expand(item)).collect();
        for item in &items {
            let Item::Mod(module) = item else { continue };
            let (name, mut path) = (module.ident.to_string(), path.clone());
            path.push(name.clone());
            let folder = folder.map(|folder| folder.join(&name));
            let items = match (&module.content, &folder) {
                (Some((_, items)), _) => items.clone(),
                (None, Some(folder)) => items_of(folder),
                (None, None) => panic!("the module {name} has no file"),
            };
            self.add(path, items, folder.as_deref());
        }
        self.modules.insert(path, items);
    }

    /// Returns the definition that a name in a module stands for; `None` for one of another crate.
    pub(crate) fn definition(&self, module: &[String], name: &str) -> Option<ItemPath> {
        let items = self.modules.get(module)?;
        if items.iter().any(|item| defined_name(item).is_some_and(|defined| defined == name)) {
            return Some([module, &[name.to_owned()]].concat());
        }
        let import = items.iter().filter_map(as_use).flat_map(imports).find(|import| import.name == name)?;
        self.resolve(module, &import.path)
    }

    /// Returns the definition that a path in a module stands for; `None` for one of another crate.
    pub(crate) fn resolve(&self, module: &[String], path: &[String]) -> Option<ItemPath> {
        let (name, way) = path.split_last()?;
        let mut at = module.to_vec();
        for (index, step) in way.iter().enumerate() {
            match step.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                _ => {
                    at = [&*at, std::slice::from_ref(step)].concat();
                    if index == 0 && !self.modules.contains_key(&at) {
                        at = self.definition(module, step)?;
                    }
                }
            }
        }
        let is_same = way.is_empty() && at == module;
        if is_same { None } else { self.definition(&at, name) }
    }
}

fn items_of(folder: &Path) -> Vec<Item> {
    let files = [folder.with_extension("rs"), folder.join("mod.rs")];
    let text = files.iter().find_map(|file| fs::read_to_string(file).ok());
    syn::parse_file(&text.unwrap_or_else(|| panic!("no file for {}", folder.display()))).unwrap().items
}

const fn as_use(item: &Item) -> Option<&ItemUse> {
    if let Item::Use(item) = item { Some(item) } else { None }
}

/// Returns the names that a `use` declares.
pub(crate) fn imports(item: &ItemUse) -> Vec<Import> {
    fn collect(tree: &UseTree, path: &[String], found: &mut Vec<Import>) {
        let join = |name: &syn::Ident| [path, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(tree) => collect(&tree.tree, &join(&tree.ident), found),
            UseTree::Name(tree) => {
                found.push(Import { name: tree.ident.to_string(), path: join(&tree.ident) });
            }
            UseTree::Rename(tree) => {
                found.push(Import { name: tree.rename.to_string(), path: join(&tree.ident) });
            }
            UseTree::Group(tree) => tree.items.iter().for_each(|tree| collect(tree, path, found)),
            UseTree::Glob(_) => {}
        }
    }
    let mut found = Vec::new();
    collect(&item.tree, &[], &mut found);
    found
}

/// Returns the name that an item defines.
pub(crate) fn defined_name(item: &Item) -> Option<&syn::Ident> {
    Some(match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Mod(ItemMod { ident, .. }) => ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    })
}

/// Returns the visibility of an item that can have one.
pub(crate) const fn visibility(item: &Item) -> Option<&Visibility> {
    Some(match item {
        Item::Const(item) => &item.vis,
        Item::Enum(item) => &item.vis,
        Item::Fn(item) => &item.vis,
        Item::Mod(item) => &item.vis,
        Item::Static(item) => &item.vis,
        Item::Struct(item) => &item.vis,
        Item::Trait(item) => &item.vis,
        Item::Type(item) => &item.vis,
        Item::Use(item) => &item.vis,
        _ => return None,
    })
}

/// Returns the attributes of an item.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns whether an item exists in tests only, or is hidden from the documentation.
pub(crate) fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = crate::render::tokens(&attribute.meta);
        matches!(text.as_str(), "cfg(test)" | "cfg(doctest)" | "doc(hidden)")
    })
}
