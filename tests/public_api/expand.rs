//! Expands the macros that make items, as far as a listing of the items needs it.

use std::collections::HashMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::Item;

/// The macros of a crate, by name.
#[derive(Default)]
pub(crate) struct Macros(HashMap<String, TokenStream>);

impl Macros {
    /// Returns the items that an item stands for. Macros of other crates are assumed to pass on the items that they
    /// are given, as `pin_project!` does.
    pub(crate) fn expand(&mut self, item: Item) -> Vec<Item> {
        let Item::Macro(call) = item else { return vec![item] };
        if let Some(name) = call.ident {
            self.0.insert(name.to_string(), transcriber(call.mac.tokens));
            return Vec::new();
        }
        let own = call.mac.path.get_ident().and_then(|name| self.0.get(&name.to_string()));
        let tokens = match own {
            Some(body) => substitute(body.clone(), &first_name(call.mac.tokens)),
            None => call.mac.tokens,
        };
        syn::parse2::<syn::File>(tokens).map(|file| file.items).unwrap_or_default()
    }
}

/// Returns the body of the first rule of a macro.
fn transcriber(rules: TokenStream) -> TokenStream {
    let mut groups = rules.into_iter().filter_map(|token| match token {
        TokenTree::Group(group) => Some(group.stream()),
        _ => None,
    });
    groups.nth(1).unwrap_or_default()
}

/// Returns the type that a macro of the crate is called for: the first name outside of attributes.
fn first_name(tokens: TokenStream) -> TokenTree {
    tokens.into_iter().find(|token| matches!(token, TokenTree::Ident(_))).expect("the macro names a type")
}

/// Replaces variables by the type, and leaves repetitions out: they are the insides of functions.
fn substitute(body: TokenStream, name: &TokenTree) -> TokenStream {
    let mut tokens = body.into_iter();
    let mut out = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '$' => match tokens.next() {
                Some(TokenTree::Group(_)) => {
                    let is_end = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if "*+?".contains(punct.as_char()));
                    tokens.by_ref().find(is_end);
                }
                _ => out.push(name.clone()),
            },
            TokenTree::Group(group) => {
                let inside = substitute(group.stream(), name);
                out.push(proc_macro2::Group::new(group.delimiter(), inside).into());
            }
            token => out.push(token),
        }
    }
    out.into_iter().collect()
}
