//! One dialect over several clouds: Claude at Anthropic, Vertex AI and Bedrock; GPT at OpenAI and Azure; Gemini at AI
//! Studio and Vertex AI.
//!
//! A cloud serves the same bodies as the company that made the model, at other paths and with a few members in other
//! places. [`CloudLayer`] makes those changes for one provider. It stands *inside* the rotation layer, next to the
//! client: the rotation layer chooses the key, its base URL and its names for models, and this layer rewrites the
//! request that results. Callers, limits and rules see the request as the caller wrote it.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//! use tower_key_rotation::body::ReplayBody;
//! use tower_key_rotation::cloud::{Cloud, CloudLayer};
//! use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! // Use your HTTP client instead.
//! let client = service_fn(|request: Request<ReplayBody>| async move {
//!     assert_eq!(
//!         request.uri(),
//!         "https://aiplatform.googleapis.com/v1/projects/my-project/locations/global/publishers/anthropic/models/\
//!          claude-sonnet-4-5@20250929:rawPredict"
//!     );
//!     Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
//! });
//! let key = ApiKey::new("ya29.token")?
//!     .base_url(Cloud::vertex_url("my-project", "global").parse()?)
//!     .model_name("claude-sonnet-4-5", "claude-sonnet-4-5@20250929");
//! let pool = KeyPool::builder(Provider::preset("vertex").expect("a preset")).key(key).build()?;
//! let service = ServiceBuilder::new()
//!     .layer(KeyRotationLayer::new(pool))
//!     .layer(CloudLayer::new(Cloud::vertex()))
//!     .service(client);
//!
//! let body = r#"{"model":"claude-sonnet-4-5","max_tokens":99,"messages":[{"role":"user","content":"hi"}]}"#;
//! let request = Request::post("https://api.anthropic.com/v1/messages").body(Full::<Bytes>::from(body))?;
//! service.oneshot(request).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Changes of a request
//!
//! `BASE` is the URL to which the route or the key directs the request.
//!
//! | the caller's path | [`Cloud::vertex`] | [`Cloud::bedrock`] | [`Cloud::bedrock_mantle`] | [`Cloud::azure`] |
//! |---|---|---|---|---|
//! | `/v1/messages` | `BASE/publishers/anthropic/models/MODEL:rawPredict` or `:streamRawPredict` | `/model/MODEL/invoke` or `/invoke-with-response-stream` | `/anthropic/v1/messages` | `/anthropic/v1/messages` |
//! | `/v1/messages/count_tokens` | `BASE/publishers/anthropic/models/count-tokens:rawPredict` | — | `/anthropic/v1/messages/count_tokens` | `/anthropic/v1/messages/count_tokens` |
//! | `/v1beta/models/MODEL:generateContent` | `BASE/publishers/google/models/MODEL:generateContent` | — | — | — |
//! | `/v1/chat/completions` | `BASE/endpoints/openapi/chat/completions` | `/openai/v1/chat/completions` | `/v1/chat/completions` | `/openai/v1/chat/completions` |
//! | other paths of OpenAI's API | — | `/openai/v1/responses` | `/v1/responses`, `/v1/models` | `/openai/v1/…` |
//!
//! - A path with a dash is refused as [`Unroutable::NoEndpoint`](crate::provider::Unroutable::NoEndpoint): nothing is
//!   sent, and a chain goes on to its next link. A path that already is one of the cloud's own is not changed.
//! - Messages at Vertex AI and at `/model/…` of Bedrock: `model` leaves the body. The version goes from the header
//!   `anthropic-version` to the member `anthropic_version`: `vertex-2023-10-16` or `bedrock-2023-05-31` in place of
//!   `2023-06-01`, and any other version as it is, as Anthropic's SDK for Python (2.14.0) sends it. A version that the
//!   body already has stays. The parameter `beta=true` of the query is removed.
//! - Bedrock, `/model/…`: `stream` leaves the body, the header `anthropic-beta` becomes the member `anthropic_beta`,
//!   and `anthropic-user-profile-id` the member `user_profile_id`.
//! - Azure with [`api_version`](Cloud::api_version): `/openai/deployments/MODEL/chat/completions?api-version=VERSION`,
//!   where the model is the name of the deployment. So for completions, embeddings, audio and images; other paths
//!   become `/openai/…?api-version=VERSION`.
//! - All other members, and their order, stay as they are, byte for byte.
//!
//! # Changes of a response
//!
//! Only one: Bedrock streams its events in frames of `application/vnd.amazon.eventstream`. They become the server-sent
//! events that the caller of `/v1/messages` expects, one by one as they arrive, if the feature `eventstream` is
//! enabled. Exceptions in the stream become events of type `error`, so that the rotation layer can judge them.
//! Without the feature a streamed request is refused as
//! [`Unroutable::Streaming`](crate::provider::Unroutable::Streaming).
//!
//! Error responses pass unchanged, so that the rotation layer judges them by the provider's own rules. Their bodies
//! are those of the cloud: `{"message": …}` at Bedrock, `google.rpc.Status` at Vertex AI.
//!
//! # Keys
//!
//! | cloud | key |
//! |---|---|
//! | Vertex AI | an access token, from a [`ServiceAccount`](crate::key::ServiceAccount) or another source |
//! | Azure | a key of the resource, or an access token of Microsoft Entra, from [`ClientCredentials`](crate::key::ClientCredentials) or another source |
//! | Bedrock | a Bedrock API key, or AWS credentials that sign each request: see [`AuthScheme`](crate::provider::AuthScheme), feature `sigv4` |
//!
//! # Checks
//!
//! [`KeyChecks`](crate::check::KeyChecks) whose client is a [`CloudService`] make a call of the cloud, which costs nothing
//! and is refused without a valid key:
//!
//! | cloud | call | source |
//! |---|---|---|
//! | Vertex AI | `BASE/models?pageSize=1`, the models of the project | [`models.list`](https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.models/list) |
//! | Bedrock | `/foundation-models` at the host `bedrock.REGION.…`, in place of `bedrock-runtime.REGION.…` | [`ListFoundationModels`](https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html); Bedrock [API keys](https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html) are valid there |
//! | Bedrock's endpoint `bedrock-mantle` | `/v1/models` | [Build](https://docs.aws.amazon.com/bedrock/latest/userguide/build.html) |
//! | Azure | `/openai/v1/models`, or `/openai/models?api-version=VERSION` | [Models](https://learn.microsoft.com/rest/api/azureopenai/models/list) |
//!
//! A key that may call models but not list them is [`Forbidden`](crate::check::CheckResult::Forbidden), which changes
//! nothing. A [path](crate::check::KeyChecks::path) of your own is called as it is. A base URL of Vertex AI without a
//! location has [no call](crate::check::CheckResult::NoCall).
//!
//! # Not changed
//!
//! Signatures of thinking are valid at Anthropic, Vertex AI and Bedrock alike, so a conversation with thinking may go
//! on at another of them ([extended thinking](https://platform.claude.com/docs/en/build-with-claude/extended-thinking)).
//!
//! Clouds offer a part of the models and of the betas, and refuse members that they do not know. Batches and files of
//! Anthropic's API are at none of them; embeddings of Gemini have other bodies at Vertex AI. Vertex AI requires `role`
//! in `contents`, which AI Studio supplies itself.
//!
//! Sources: [Claude on Vertex
//! AI](https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai), [Messages at
//! Bedrock](https://docs.aws.amazon.com/bedrock/latest/userguide/inference-messages-api.html), [Signature Version
//! 4](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html), [Azure
//! OpenAI](https://learn.microsoft.com/azure/ai-foundry/openai/reference), and the SDKs for Python of Anthropic
//! (2.14.0), OpenAI (3.57.0) and Google (3.6.1).

mod body;
mod call;
mod check;
#[cfg(feature = "eventstream")]
mod frames;
mod layer;
mod messages;
mod outline;
mod platform;
mod rewrite;
#[cfg(feature = "sigv4")]
mod sign;

pub use self::body::CloudBody;
pub use self::layer::{CloudFuture, CloudLayer, CloudService};
pub use self::platform::Cloud;

#[cfg(test)]
mod tests;
