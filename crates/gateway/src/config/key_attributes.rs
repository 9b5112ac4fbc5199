//! The attributes of a key in its table: where its requests go, and which it may serve.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Uri};
use tower_key_rotation::key::ApiKey;
use tower_key_rotation::provider::BaseUrl;

use crate::config::base_url;
use crate::config::error::{ConfigError, Problem};
use crate::config::file::KeyTable;
use crate::config::location::ValuePath;
use crate::config::redact::redacted;
use crate::config::secret::{Reference, Sources};
use crate::config::several::Several;
use crate::config::text::is_printable;
use crate::config::warning::{Risk, Warning};

/// Headers that HTTP needs, and that no key may set.
const USED: [&str; 6] = ["connection", "content-length", "content-type", "host", "te", "transfer-encoding"];

/// The attributes of a key in its table.
pub(super) struct KeyAttributes {
    base_url: Option<String>,
    headers: BTreeMap<String, Reference>,
    models: BTreeMap<String, String>,
    only_models: Vec<String>,
    except_models: Vec<String>,
    only_endpoints: Vec<String>,
    except_endpoints: Vec<String>,
    concurrent: Option<u32>,
}

// === impl KeyAttributes ===

impl KeyAttributes {
    /// Takes the attributes out of the table of a key.
    pub(super) fn take(table: &mut KeyTable) -> Self {
        let list = |list: &mut Option<Several<String>>| list.take().map_or_else(Vec::new, |list| list.0);
        Self {
            base_url: table.base_url.take(),
            headers: std::mem::take(&mut table.headers),
            models: std::mem::take(&mut table.models),
            only_models: list(&mut table.only_models),
            except_models: list(&mut table.except_models),
            only_endpoints: list(&mut table.only_endpoints),
            except_endpoints: list(&mut table.except_endpoints),
            concurrent: table.concurrent.map(Into::into),
        }
    }

    /// Gives a key its attributes. `base` is the base URL of the provider, which that of the key replaces. Returns the
    /// path of the key's base URL as well, if it has one.
    pub(super) fn apply(
        self,
        mut key: ApiKey,
        base: &Uri,
        sources: &Sources,
        at: &ValuePath,
    ) -> Result<(ApiKey, Option<String>), ConfigError> {
        let mut path = None;
        if let Some(text) = self.base_url {
            let own = own_base_url(&text, sources, &at.field("base_url"))?;
            path = Some(own.path().to_owned());
            key = key.base_url(own.replacing(base.path()));
        }
        for (name, value) in &self.headers {
            let at = at.field("headers").field(name);
            let (name, value) = header(name, value, sources, &at)?;
            key = key.header(name, value);
        }
        for (model, sent) in &self.models {
            if [model, sent].into_iter().any(|name| name.is_empty() || !is_printable(name)) {
                return Err(Problem::Model.at(at.field("models").field(model)));
            }
            key = key.model_name(model.as_str(), sent.as_str());
        }
        key = key.only_models(self.only_models).except_models(self.except_models);
        key = key.only_endpoints(self.only_endpoints).except_endpoints(self.except_endpoints);
        Ok((self.concurrent.into_iter().fold(key, ApiKey::concurrency), path))
    }
}

fn own_base_url(text: &str, sources: &Sources, at: &ValuePath) -> Result<BaseUrl, ConfigError> {
    let problem = |reason| Problem::Url { reason }.at(at.clone());
    let (url, _) = base_url::base_url(text).map_err(problem)?;
    if let Some(host) = base_url::exposed_host(&url) {
        let risk = Risk::ClearText { host: redacted(host).into_owned() };
        sources.warn(Warning::new(at.clone(), risk));
    }
    url.to_string().parse().map_err(|_| problem("it can't be the beginning of a URL"))
}

fn header(
    name: &str,
    value: &Reference,
    sources: &Sources,
    at: &ValuePath,
) -> Result<(HeaderName, HeaderValue), ConfigError> {
    let name: HeaderName = name.parse().map_err(|_| Problem::HeaderName.at(at.clone()))?;
    if USED.contains(&name.as_str()) {
        return Err(Problem::ReservedHeader { name }.at(at.clone()));
    }
    let text = value.plain(sources, at)?;
    let value = HeaderValue::try_from(text).map_err(|_| Problem::HeaderValue.at(at.clone()))?;
    Ok((name, value))
}
