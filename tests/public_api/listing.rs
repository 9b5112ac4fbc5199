//! The lines of a listing: one for each public item, method, field, variant and trait of a type.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Attribute, Fields, ImplItem, Item, ItemEnum, ItemImpl, TraitItem, Type, Visibility};

use crate::crate_source::{CrateSource, ItemPath, attributes, defined_name, imports, is_hidden, visibility};
use crate::render::{notes, tokens};

/// The public paths of each definition.
#[derive(Default)]
struct Paths(BTreeMap<ItemPath, BTreeSet<ItemPath>>);

/// Returns the listing of a crate, sorted.
pub(crate) fn of(source: &CrateSource, crate_name: &str) -> Vec<String> {
    let (mut paths, mut lines) = (Paths::default(), BTreeSet::new());
    paths.add(source, &[], &[crate_name.to_owned()], &mut lines);
    let mut at = BTreeMap::new();
    for (definition, public) in paths.0 {
        let first = public.iter().max_by_key(|path| path.len()).expect("a path").join("::");
        let others = public.iter().map(|path| path.join("::")).filter(|path| *path != first);
        lines.extend(others.map(|path| format!("{path}: pub use {first}")));
        at.insert(definition, first);
    }
    for (module, items) in &source.modules {
        for item in items {
            match item {
                Item::Impl(block) => implementation(source, module, block, &at, &mut lines),
                _ => {
                    let definition = defined_name(item).map(|name| [&**module, &[name.to_string()]].concat());
                    if let Some(path) = definition.and_then(|definition| at.get(&definition)) {
                        declaration(item, path, &mut lines);
                    }
                }
            }
        }
    }
    lines.into_iter().collect()
}

const fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

impl Paths {
    /// Adds the public items of a module that is public at `path`.
    fn add(
        &mut self,
        source: &CrateSource,
        module: &[String],
        path: &[String],
        lines: &mut BTreeSet<String>,
    ) {
        for item in source.modules[module].iter().filter(|item| visibility(item).is_some_and(is_public)) {
            let below = |name: String| [path, &[name]].concat();
            match item {
                Item::Mod(item) => {
                    let name = item.ident.to_string();
                    lines.insert(format!("{}: mod{}", below(name.clone()).join("::"), notes(&item.attrs)));
                    self.add(source, &[module, std::slice::from_ref(&name)].concat(), &below(name), lines);
                }
                Item::Use(item) => {
                    for import in imports(item) {
                        match source.resolve(module, &import.path) {
                            Some(definition) => self.insert(definition, below(import.name)),
                            None => {
                                let (path, foreign) = (below(import.name).join("::"), import.path.join("::"));
                                lines.insert(format!("{path}: pub use {foreign}"));
                            }
                        }
                    }
                }
                item => {
                    let name = defined_name(item).expect("a public item has a name").to_string();
                    self.insert([module, std::slice::from_ref(&name)].concat(), below(name));
                }
            }
        }
    }

    fn insert(&mut self, definition: ItemPath, path: ItemPath) {
        self.0.entry(definition).or_default().insert(path);
    }
}

/// Adds the lines of an item, without what is implemented for it.
fn declaration(item: &Item, path: &str, lines: &mut BTreeSet<String>) {
    let notes = notes(attributes(item));
    let line = match item {
        Item::Const(item) => format!("{path}: const {}", tokens(&item.ty)),
        Item::Static(item) => format!("{path}: static {}", tokens(&item.ty)),
        Item::Fn(item) => format!("{path}: {}", tokens(&item.sig)),
        Item::Type(item) => format!("{path}: type{} = {}", tokens(&item.generics), tokens(&item.ty)),
        Item::Struct(item) => {
            fields(&item.fields, path, true, lines);
            format!("{path}: struct{}", tokens(&item.generics))
        }
        Item::Enum(item) => {
            variants(item, path, lines);
            format!("{path}: enum{}", tokens(&item.generics))
        }
        Item::Trait(item) => {
            item.items.iter().filter_map(required).for_each(|(name, line)| {
                lines.insert(format!("{path}::{name}: {line}"));
            });
            format!("{path}: trait{}: {}", tokens(&item.generics), tokens(&item.supertraits))
        }
        _ => return,
    };
    lines.insert(line + &notes);
}

fn required(item: &TraitItem) -> Option<(String, String)> {
    match item {
        TraitItem::Fn(item) => Some((item.sig.ident.to_string(), tokens(&item.sig))),
        TraitItem::Type(item) => Some((item.ident.to_string(), tokens(item))),
        TraitItem::Const(item) => Some((item.ident.to_string(), tokens(item))),
        _ => None,
    }
}

/// Adds the public fields of a struct, or all fields of a variant.
fn fields(fields: &Fields, path: &str, must_be_public: bool, lines: &mut BTreeSet<String>) {
    for (index, field) in
        fields.iter().enumerate().filter(|(_, field)| !must_be_public || is_public(&field.vis))
    {
        let name = field.ident.as_ref().map_or_else(|| index.to_string(), ToString::to_string);
        lines.insert(format!("{path}::{name}: {}", tokens(&field.ty)));
    }
}

fn variants(item: &ItemEnum, path: &str, lines: &mut BTreeSet<String>) {
    for variant in &item.variants {
        let path = format!("{path}::{}", variant.ident);
        lines.insert(format!("{path}: variant{}", notes(&variant.attrs)));
        fields(&variant.fields, &path, false, lines);
    }
}

/// Adds what a block implements for a public type.
fn implementation(
    source: &CrateSource,
    module: &[String],
    block: &ItemImpl,
    at: &BTreeMap<ItemPath, String>,
    lines: &mut BTreeSet<String>,
) {
    let is_ours = |name: &ItemPath| at.contains_key(name);
    let Some(path) = self_type(source, module, &block.self_ty).filter(is_ours).map(|own| &at[&own]) else {
        return;
    };
    let Some((_, of, _)) = &block.trait_ else {
        for item in &block.items {
            let (visible, attributes, name, text): (_, &[Attribute], _, _) = match item {
                ImplItem::Fn(item) => (&item.vis, &item.attrs, &item.sig.ident, tokens(&item.sig)),
                ImplItem::Const(item) => {
                    (&item.vis, &item.attrs, &item.ident, format!("const {}", tokens(&item.ty)))
                }
                _ => continue,
            };
            if is_public(visible) && !is_hidden(attributes) {
                lines.insert(format!("{path}::{name}: {text}{}", notes(attributes)));
            }
        }
        return;
    };
    let names: Vec<_> = of.segments.iter().map(|segment| segment.ident.to_string()).collect();
    let own =
        if let [name] = &*names { source.definition(module, name) } else { source.resolve(module, &names) };
    if own.is_none_or(|own| at.contains_key(&own)) {
        let (of, whole) = (tokens(of), tokens(&block.self_ty));
        lines.insert(format!(
            "{path}: impl{} {of} for {whole}{}",
            tokens(&block.generics),
            notes(&block.attrs)
        ));
    }
}

/// Returns the definition of the type that a block is for.
fn self_type(source: &CrateSource, module: &[String], of: &Type) -> Option<ItemPath> {
    match of {
        Type::Path(path) => source.definition(module, &path.path.segments.last()?.ident.to_string()),
        Type::Reference(reference) => self_type(source, module, &reference.elem),
        _ => None,
    }
}
