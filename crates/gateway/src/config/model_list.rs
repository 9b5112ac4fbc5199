//! The source of the list of models.

/// The providers whose models `GET /v1/models` lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelList {
    /// All providers of the chain, under the names that callers may use.
    #[default]
    Union,
    /// The provider with this name.
    Of(String),
}
