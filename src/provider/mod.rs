//! Providers: everything that differs between LLM APIs.
//!
//! A [`Provider`] is a profile: the origins to which its keys may be sent, how a key is put onto a request,
//! where a request names its model, how its responses are classified, and which limits they report. Adding a
//! provider means adding a row or a file here; no other module compares a provider's name.
//!
//! Three providers have constructors, because they need logic: [`Provider::openai`], [`Provider::anthropic`]
//! and [`Provider::gemini`]. The others are presets, data that deviates from the conventions of OpenAI
//! ([`Provider::preset`]). A provider that is not among them is created with [`Provider::compatible`] or
//! built with [`Provider::builder`]; its responses are classified by rules that hold for every provider.

mod anthropic;
mod auth;
mod base_path;
mod base_url;
mod builder;
mod carrier;
mod classifier;
mod compatible;
mod dialect;
mod document;
mod endpoint;
mod explanation;
mod gemini;
mod handle;
mod identity;
mod key_call;
mod limits;
mod model;
mod openai;
mod origin;
mod preset;
mod profile;
mod rename;
mod rule;
mod search;
mod stored_id;
mod unroutable;
mod websocket;

#[cfg(feature = "sigv4")]
pub(crate) use self::auth::SigningSecret;
pub use self::auth::{API_KEY, AuthScheme, CREDENTIAL_HEADERS, QUERY_KEY, X_API_KEY, X_GOOG_API_KEY};
pub(crate) use self::base_path::has_dot_segment;
pub use self::base_path::{BasePath, LeavesBase};
pub use self::base_url::{BaseUrl, InvalidBaseUrl};
pub use self::builder::ProviderBuilder;
pub(crate) use self::carrier::AccountHeaders;
pub(crate) use self::carrier::is_parameter;
pub use self::classifier::ProviderClassifier;
pub(crate) use self::classifier::says_error;
pub(crate) use self::document::NamedModel;
pub use self::endpoint::{Endpoint, Endpoints};
pub use self::explanation::{DecidedBy, Explanation, TableRow};
pub use self::handle::Provider;
pub(crate) use self::identity::AccountFingerprint;
pub(crate) use self::key_call::{CheckCall, CheckHost, KeyCall, Proof};
pub use self::limits::{Dimension, Limit, Window};
pub(crate) use self::model::is_plain;
pub use self::model::{ModelId, ModelPath};
pub(crate) use self::origin::port;
pub use self::origin::{InvalidOrigin, Origin};
pub(crate) use self::rename::{ModelNames, describe_body, encode_segment};
pub use self::rule::{Rule, RuleBuilder, RuleError, RuleField, RuleProblem};
pub(crate) use self::search::{search, search_stored};
pub(crate) use self::stored_id::{ids_said, may_name_object, names_stored};
pub use self::stored_id::{stored_ids_in_json, stored_ids_in_path};
pub use self::unroutable::Unroutable;
pub(crate) use self::websocket::model_in_query;
pub use self::websocket::{asks_for_websocket, subprotocol_credentials, websocket_endpoint, websocket_model};
