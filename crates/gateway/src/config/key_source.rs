//! Sources of secrets in the tables of keys: files, commands and token endpoints.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tower_key_rotation::key::{
    ApiKey, ClientCredentials, Secret, SecretCommand, SecretSource, ServiceAccount,
};

use crate::client;
use crate::config::base_url;
use crate::config::duration;
use crate::config::error::{ConfigError, Problem};
use crate::config::location::ValuePath;
use crate::config::redact::{redacted, redacted_path};
#[cfg(feature = "schema")]
use crate::config::schema::{Length, inline_schema};
use crate::config::secret::{Reference, Sources};
use crate::config::several::Several;
use crate::config::warning::{Risk, Warning};

/// The `secret` of a key: the secret or a reference to it, or the table of a source.
#[derive(Debug)]
pub(super) enum KeySecret {
    Fixed(Reference),
    Source(Box<SourceTable>),
}

/// A source that gives the secret and renews it; exactly one of `file`, `command`, `oauth2`,
/// `service_account` and `aws`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct SourceTable {
    /// File with the secret, plain or JSON, relative to the configuration file: a mounted Kubernetes secret, a file of a
    /// Vault agent.
    ///
    /// Default: none. Example: `"keys/openai"`
    file: Option<String>,
    /// Program that prints the secret, plain or JSON, and its arguments.
    ///
    /// Default: none. Example: `["gcloud", "auth", "print-access-token"]`
    command: Option<Several<String>>,
    /// Token endpoint that gives the secret for client credentials.
    ///
    /// Default: none.
    oauth2: Option<OAuth2Table>,
    /// Google service account, for Vertex AI.
    ///
    /// Default: none.
    service_account: Option<ServiceAccountTable>,
    /// AWS credentials that do not change, for Bedrock. Credentials that expire come from a `file` or a `command`, such as
    /// `aws configure export-credentials`.
    ///
    /// Default: none.
    aws: Option<AwsTable>,
    /// Interval at which the file is read or the program is run.
    ///
    /// Default: 30 s for a file, 5 min for a program. Example: `"30m"`
    #[cfg_attr(feature = "schema", schemars(with = "Option<Length>"))]
    every: Option<String>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
struct AwsTable {
    /// Id of the access key.
    ///
    /// Example: `"env:AWS_ACCESS_KEY_ID"`
    access_key_id: Reference,
    /// The secret access key.
    ///
    /// Example: `"env:AWS_SECRET_ACCESS_KEY"`
    secret_access_key: Reference,
    /// Token of the session, of temporary credentials.
    ///
    /// Default: none. Example: `"env:AWS_SESSION_TOKEN"`
    session_token: Option<Reference>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
struct OAuth2Table {
    /// URL of the token endpoint.
    ///
    /// Example: `"https://login.example.com/oauth2/token"`
    token_url: String,
    /// Name of the client.
    ///
    /// Example: `"env:CLIENT_ID"`
    client_id: Reference,
    /// Secret of the client.
    ///
    /// Example: `"env:CLIENT_SECRET"`
    client_secret: Reference,
    /// Further parameters of the request for a token.
    ///
    /// Default: none. Example: `{ scope = "https://cognitiveservices.azure.com/.default" }`
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table")]
struct ServiceAccountTable {
    /// JSON key file of the account, relative to the configuration file.
    ///
    /// Example: `"keys/vertex.json"`
    file: String,
    /// Scope of the tokens.
    ///
    /// Default: `"https://www.googleapis.com/auth/cloud-platform"`. Example: `"https://www.googleapis.com/auth/generative-language"`
    scope: Option<String>,
}

struct KeySecretVisitor;

/// Interval at which a command runs, unless the file sets one or its output has an expiry (5 min).
const COMMAND_EVERY: Duration = Duration::from_secs(5 * 60);

// === impl KeySecret ===

impl KeySecret {
    /// Returns the key, and the name that it has if the file sets none.
    pub(super) fn key(
        self,
        sources: &Sources,
        at: &ValuePath,
    ) -> Result<(ApiKey, Option<String>), ConfigError> {
        match self {
            Self::Fixed(reference) => {
                let key = ApiKey::from(reference.key(sources, at)?);
                Ok((key, reference.name().map(str::to_owned)))
            }
            Self::Source(mut table) => {
                if let Some(aws) = table.aws.take() {
                    return match *table {
                        SourceTable {
                            file: None,
                            command: None,
                            oauth2: None,
                            service_account: None,
                            aws: None,
                            every: None,
                        } => Ok((aws.key(sources, &at.field("aws"))?, None)),
                        _ => Err(Problem::SecretSource.at(at.clone())),
                    };
                }
                let source = table.source(sources, at)?;
                let name = source.name().to_owned();
                Ok((ApiKey::from(source), Some(name)))
            }
        }
    }
}

impl SourceTable {
    fn source(self, sources: &Sources, at: &ValuePath) -> Result<SecretSource, ConfigError> {
        let text = self.every.clone().unwrap_or_default();
        let every = duration::optional(self.every, &at.field("every"))?;
        let (source, definition) = match (self.file, self.command, self.oauth2, self.service_account) {
            (Some(path), None, None, None) => {
                let path = sources.directory.join(path.trim());
                sources.warn_of_file(&path, at);
                let definition = vec!["file".to_owned(), path.display().to_string()];
                (SecretSource::file(path), definition)
            }
            (None, Some(command), None, None) => {
                let directory = sources.directory.display().to_string();
                let definition =
                    ["command".to_owned(), directory].into_iter().chain(command.0.iter().cloned());
                (command_source(&command.0, sources, &at.field("command"))?, definition.collect())
            }
            (None, None, Some(table), None) => table.source(sources, &at.field("oauth2"))?,
            (None, None, None, Some(table)) => table.source(sources, &at.field("service_account"))?,
            _ => return Err(Problem::SecretSource.at(at.clone())),
        };
        let source = every.into_iter().fold(source, SecretSource::check_every);
        let definition: Vec<_> = definition.iter().chain([&text]).map(String::as_str).collect();
        Ok(sources.keep(&definition, source))
    }
}

fn command_source(words: &[String], sources: &Sources, at: &ValuePath) -> Result<SecretSource, ConfigError> {
    let program = words.first().filter(|program| !program.trim().is_empty());
    let program = program.ok_or_else(|| Problem::SecretSource.at(at.clone()))?;
    let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or("command");
    let name = redacted_path(Path::new(name)).into_owned();
    let command = SecretCommand::new(program).args(&words[1..]);
    let is_here = sources.directory.as_os_str().is_empty();
    let command = if is_here { command } else { command.current_dir(&sources.directory) };
    Ok(SecretSource::new(name, command).check_every(COMMAND_EVERY))
}

impl OAuth2Table {
    /// Returns the source, and all that defines it.
    fn source(self, sources: &Sources, at: &ValuePath) -> Result<(SecretSource, Vec<String>), ConfigError> {
        let problem = |reason| Problem::Url { reason }.at(at.field("token_url"));
        let (url, _) = base_url::base_url(&self.token_url).map_err(problem)?;
        if let Some(host) = base_url::exposed_host(&url) {
            let risk = Risk::ClearText { host: redacted(host).into_owned() };
            sources.warn(Warning::new(at.field("token_url"), risk));
        }
        let parameters = self.parameters.iter().flat_map(|(name, value)| [name.clone(), value.clone()]);
        let shown = [self.token_url.clone()].into_iter().chain(parameters);
        let referred = [&self.client_id, &self.client_secret].map(|it| it.raw(sources).unwrap_or_default());
        let definition = ["oauth2".to_owned()].into_iter().chain(referred).chain(shown).collect();
        let id = self.client_id.plain(sources, &at.field("client_id"))?;
        let secret = self.client_secret.key(sources, &at.field("client_secret"))?;
        let name = redacted(url.host().unwrap_or("oauth2")).into_owned();
        let service = ClientCredentials::new(client::client(), url, id, secret);
        let parameters = self.parameters.into_iter();
        let service = parameters.fold(service, |it, (name, value)| it.parameter(name, value));
        Ok((SecretSource::new(name, service), definition))
    }
}

impl AwsTable {
    /// Returns the key `ID:SECRET` or `ID:SECRET:TOKEN`, as the library takes it.
    fn key(self, sources: &Sources, at: &ValuePath) -> Result<ApiKey, ConfigError> {
        let Self { access_key_id, secret_access_key, session_token } = self;
        let mut text = access_key_id.plain(sources, &at.field("access_key_id"))?;
        let secret = secret_access_key.plain(sources, &at.field("secret_access_key"))?;
        let token =
            session_token.map(|token| token.plain(sources, &at.field("session_token"))).transpose()?;
        for part in std::iter::once(secret).chain(token) {
            text = [text, part].join(":");
        }
        let secret = Secret::new(text).map_err(|why| Problem::Secret(why).at(at.clone()))?;
        Ok(ApiKey::from(secret))
    }
}

impl ServiceAccountTable {
    /// Returns the source, and all that defines it.
    fn source(self, sources: &Sources, at: &ValuePath) -> Result<(SecretSource, Vec<String>), ConfigError> {
        let text = Reference::File(self.file.trim().into()).plain(sources, &at.field("file"))?;
        let account = ServiceAccount::from_json(client::client(), &text);
        let account = account.map_err(|why| Problem::ServiceAccount(why).at(at.field("file")))?;
        let definition = vec!["service-account".to_owned(), text, self.scope.clone().unwrap_or_default()];
        let account = self.scope.into_iter().fold(account, ServiceAccount::scope);
        Ok((SecretSource::new("service-account", account), definition))
    }
}

#[cfg(feature = "schema")]
inline_schema!(KeySecret, generator => {
    let (text, source) = (generator.subschema_for::<Reference>(), generator.subschema_for::<SourceTable>());
    schemars::json_schema!({"anyOf": [text, source]})
});

impl<'de> Deserialize<'de> for KeySecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeySecretVisitor)
    }
}

impl<'de> Visitor<'de> for KeySecretVisitor {
    type Value = KeySecret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a table with `file`, `command`, `oauth2`, `service_account` or `aws`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<KeySecret, E> {
        Ok(KeySecret::Fixed(Reference::of(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeySecret, A::Error> {
        SourceTable::deserialize(MapAccessDeserializer::new(map))
            .map(|table| KeySecret::Source(Box::new(table)))
    }
}
