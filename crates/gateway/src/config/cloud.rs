//! The cloud of a provider: its base URL, and the changes of requests.

use tower_key_rotation::cloud::Cloud;

use crate::config::choices::CLOUDS;
use crate::config::error::{ConfigError, Problem};
use crate::config::file::ProviderTable;
use crate::config::location::ValuePath;

/// The place of a provider, as its table says.
pub(super) struct Place {
    pub(super) base_url: String,
    pub(super) cloud: Option<Cloud>,
    /// The dialect, that of the cloud unless the table sets another.
    pub(super) dialect: Option<String>,
}

/// A field of the table that belongs to one cloud.
type Field<'a> = (&'static str, &'a Option<String>);

// === impl Place ===

impl Place {
    /// Takes the fields about the place out of a table.
    pub(super) fn take(table: &mut ProviderTable, at: &ValuePath) -> Result<Self, ConfigError> {
        let dialect = table.dialect.take();
        let place = Self::of_cloud(table, at)?;
        Ok(Self { dialect: dialect.or(place.dialect), ..place })
    }

    fn of_cloud(table: &mut ProviderTable, at: &ValuePath) -> Result<Self, ConfigError> {
        let ProviderTable { base_url, cloud, project, location, region, api_version, .. } = table;
        let fields: [Field<'_>; 4] =
            [("project", project), ("location", location), ("region", region), ("api_version", api_version)];
        let Some(cloud) = cloud.take() else {
            only(&fields, &[], "it belongs to a `cloud`: add one, or remove it", at)?;
            let base_url = base_url.take().ok_or_else(|| Problem::NoUrl.at(at.clone()))?;
            return Ok(Self { base_url, cloud: None, dialect: None });
        };
        for (name, value) in fields.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?))) {
            if !is_name(value) {
                let reason = "not a name: use letters, digits, `-`, `_`, `.` and `:`";
                return Err(Problem::Cloud { reason }.at(at.field(name)));
            }
        }
        let other = "it belongs to another cloud: remove it";
        let base_url = base_url.take();
        match cloud.as_str() {
            "vertex" => {
                only(&fields, &["project", "location"], other, at)?;
                Self::vertex(base_url, project.take(), location.take(), at)
            }
            "bedrock" | "bedrock-mantle" => {
                only(&fields, &["region"], other, at)?;
                let reason = "Bedrock needs a `region`, such as `us-east-1`";
                let region = region.take().ok_or_else(|| Problem::Cloud { reason }.at(at.clone()))?;
                let (cloud, own) = match cloud.as_str() {
                    "bedrock" => (Cloud::bedrock(region.clone()), Cloud::bedrock_url(&region)),
                    _ => (Cloud::bedrock_mantle(region.clone()), Cloud::bedrock_mantle_url(&region)),
                };
                Ok(Self::of("bedrock", cloud, base_url.unwrap_or(own)))
            }
            "azure" => {
                only(&fields, &["api_version"], other, at)?;
                let base_url = base_url.ok_or_else(|| Problem::NoUrl.at(at.clone()))?;
                let cloud = api_version.take().into_iter().fold(Cloud::azure(), Cloud::api_version);
                Ok(Self::of("azure", cloud, base_url))
            }
            _ => Err(Problem::Choice { allowed: CLOUDS }.at(at.field("cloud"))),
        }
    }

    fn vertex(
        base_url: Option<String>,
        project: Option<String>,
        location: Option<String>,
        at: &ValuePath,
    ) -> Result<Self, ConfigError> {
        let base_url = match (base_url, project, location) {
            (None, Some(project), Some(location)) => Cloud::vertex_url(&project, &location),
            (Some(origin), Some(project), Some(location)) => {
                Cloud::vertex_url_at(origin.trim(), &project, &location)
            }
            (Some(url), None, None) if url.contains("/locations/") => url,
            _ => {
                let reason = "Vertex AI needs a `project` and a `location`, such as `us-east5` or `global`";
                return Err(Problem::Cloud { reason }.at(at.clone()));
            }
        };
        Ok(Self::of("vertex", Cloud::vertex(), base_url))
    }

    fn of(dialect: &str, cloud: Cloud, base_url: String) -> Self {
        Self { base_url, cloud: Some(cloud), dialect: Some(dialect.to_owned()) }
    }
}

/// Checks that the table has none of the fields but those that are allowed.
fn only(
    fields: &[Field<'_>],
    allowed: &[&str],
    reason: &'static str,
    at: &ValuePath,
) -> Result<(), ConfigError> {
    let wrong = fields.iter().find(|(name, value)| value.is_some() && !allowed.contains(name));
    wrong.map_or(Ok(()), |(name, _)| Err(Problem::Cloud { reason }.at(at.field(name))))
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    text.bytes().all(allowed) && text.bytes().any(|byte| byte.is_ascii_alphanumeric())
}
