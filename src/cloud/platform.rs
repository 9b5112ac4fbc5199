//! The clouds, and what is particular to each.

use std::borrow::Cow;

use crate::cloud::call::behind_location;
use crate::provider::{Endpoint, Endpoints};

/// A cloud that serves models of other companies in their own dialects: see the [module docs](crate::cloud).
///
/// ```
/// use tower_key_rotation::cloud::Cloud;
///
/// assert_eq!(
///     Cloud::vertex_url("my-project", "us-east5"),
///     "https://us-east5-aiplatform.googleapis.com/v1/projects/my-project/locations/us-east5"
/// );
/// assert_eq!(Cloud::bedrock_url("eu-west-1"), "https://bedrock-runtime.eu-west-1.amazonaws.com");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloud(pub(super) Platform);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    Vertex,
    Bedrock {
        region: Cow<'static, str>,
    },
    Mantle {
        region: Cow<'static, str>,
    },
    Azure {
        /// Version of the API with deployments in the path; `None` for the API without.
        api_version: Option<Cow<'static, str>>,
    },
}

// === impl Cloud ===

impl Cloud {
    /// Creates Google's Vertex AI: Claude, Gemini, and the OpenAI-compatible API. The base URL names project and
    /// location: see [`vertex_url`](Self::vertex_url).
    pub const fn vertex() -> Self {
        Self(Platform::Vertex)
    }

    /// Creates AWS Bedrock's endpoint `bedrock-runtime` in a region: Claude by `InvokeModel`, and the
    /// OpenAI-compatible API. Requests are signed for this region, unless the host of the URL names another one.
    pub fn bedrock(region: impl Into<Cow<'static, str>>) -> Self {
        Self(Platform::Bedrock { region: region.into() })
    }

    /// Creates AWS Bedrock's endpoint `bedrock-mantle` in a region: Anthropic's and OpenAI's own paths, with
    /// server-sent events. Requests are signed for this region, unless the host of the URL names another one.
    pub fn bedrock_mantle(region: impl Into<Cow<'static, str>>) -> Self {
        Self(Platform::Mantle { region: region.into() })
    }

    /// Creates Azure: OpenAI's API below `/openai/v1`, and Anthropic's below `/anthropic/v1`.
    pub const fn azure() -> Self {
        Self(Platform::Azure { api_version: None })
    }

    /// Sets the version of Azure's API with deployments: `2024-10-21`. Default: none, the API below `/openai/v1`, which
    /// has no version. Without effect on other clouds.
    #[must_use]
    pub fn api_version(mut self, version: impl Into<Cow<'static, str>>) -> Self {
        if let Platform::Azure { api_version } = &mut self.0 {
            *api_version = Some(version.into());
        }
        self
    }

    /// Returns the endpoints that a link to the cloud has, in the dialects of their companies. Azure's do not include
    /// [`Endpoint::Messages`], since few resources have Claude: add it to those that have it.
    pub const fn endpoints(&self) -> Endpoints {
        match &self.0 {
            Platform::Vertex => {
                Endpoints::of(&[Endpoint::Chat, Endpoint::Messages, Endpoint::GenerateContent])
            }
            Platform::Bedrock { .. } => {
                Endpoints::of(&[Endpoint::Chat, Endpoint::Responses, Endpoint::Messages])
            }
            Platform::Mantle { .. } => {
                Endpoints::of(&[Endpoint::Chat, Endpoint::Responses, Endpoint::Models, Endpoint::Messages])
            }
            Platform::Azure { .. } => Endpoints::OPENAI,
        }
    }

    /// Returns the base URL of a project at a location of Vertex AI. The locations `global`, `us` and `eu` have hosts
    /// of their own.
    pub fn vertex_url(project: &str, location: &str) -> String {
        let host = match location {
            "global" => "aiplatform.googleapis.com".into(),
            "us" | "eu" => format!("aiplatform.{location}.rep.googleapis.com"),
            region => format!("{region}-aiplatform.googleapis.com"),
        };
        Self::vertex_url_at(&format!("https://{host}"), project, location)
    }

    /// Returns the base URL of a project at a location of Vertex AI behind another origin: a proxy, a private endpoint.
    pub fn vertex_url_at(origin: &str, project: &str, location: &str) -> String {
        format!("{}/v1/projects/{project}/locations/{location}", origin.trim_end_matches('/'))
    }

    /// Returns the base URL of the endpoint `bedrock-runtime` in a region.
    pub fn bedrock_url(region: &str) -> String {
        format!("https://bedrock-runtime.{region}.amazonaws.com")
    }

    /// Returns the base URL of the endpoint `bedrock-mantle` in a region.
    pub fn bedrock_mantle_url(region: &str) -> String {
        format!("https://bedrock-mantle.{region}.api.aws")
    }

    /// Returns the base URL of an Azure resource, by its name.
    pub fn azure_url(resource: &str) -> String {
        format!("https://{resource}.openai.azure.com")
    }

    /// Returns the service and the region for which a request to a host is signed; `None` if the cloud takes no
    /// signatures.
    #[cfg(feature = "sigv4")]
    pub(super) fn signs_for<'a>(&'a self, host: &'a str) -> Option<(&'static str, &'a str)> {
        let (service, region, at): (_, _, &[&str]) = match &self.0 {
            Platform::Bedrock { region } => ("bedrock", region, &["bedrock-runtime", "bedrock"]),
            Platform::Mantle { region } => ("bedrock-mantle", region, &["bedrock-mantle"]),
            Platform::Vertex | Platform::Azure { .. } => return None,
        };
        let mut labels = host.split('.');
        let named = labels.find(|label| at.contains(&label.strip_suffix("-fips").unwrap_or(label)));
        let named = named.and_then(|_| labels.next()).filter(|label| label.contains('-'));
        Some((service, named.unwrap_or(region)))
    }

    /// Returns whether a path is one of the cloud's own, which is sent as it is.
    pub(super) fn owns(&self, path: &str) -> bool {
        let parts: &[&str] = match self.0 {
            Platform::Vertex => &["/publishers/", "/endpoints/"],
            Platform::Bedrock { .. } => &["/model/", "/openai/"],
            Platform::Mantle { .. } => &["/anthropic/", "/openai/"],
            Platform::Azure { .. } => &["/openai/", "/anthropic/"],
        };
        let path = &path[behind_location(path)..];
        parts.iter().any(|part| path.contains(part))
    }
}
