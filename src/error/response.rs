//! The response that says what an error says.

use http::{Response, StatusCode};

use crate::body::ErrorBody;
use crate::classify::transport;
use crate::classify::transport::Nature;
use crate::error::Error;
use crate::error::summary::Own;

// === impl Error ===

impl Error {
    /// The response that says this: the provider's last response if that is an error by its own status, else a
    /// JSON error in OpenAI's shape.
    ///
    /// | error | status | code |
    /// |---|---|---|
    /// | the deadline passed | 504 | `deadline` |
    /// | no response in time | 504 | `timeout` |
    /// | all keys are limited | 429 | `rate_limit_exceeded` |
    /// | all keys are out of quota or credit | 429 | `insufficient_quota` |
    /// | all keys are invalid, not allowed or disabled | 503 | `no_usable_key` |
    /// | no capacity, or a layer inside shed the request | 503 | `overloaded` |
    /// | limits are declared for models, and the model can't be read | 415 | `unreadable_model` |
    /// | the request's path leaves the base of each route, or it names no model to rename | 400 | `unroutable` |
    /// | any other fault of one provider | 503 | the name of [`StopReason`](crate::StopReason) |
    /// | several providers failed in different ways | 503 | `all_providers_failed` |
    /// | [`Body`](Self::Body): the request's own body failed | 400 | `request_body_failed` |
    /// | [`UnknownLink`](Self::UnknownLink) | 400 | `unknown_provider` |
    /// | [`Stamp`](Self::ApplyKey): the key may not be sent to that URL | 500 | `foreign_origin` |
    /// | [`Service`](Self::Service): the client is not ready | 503 | `not_ready` |
    ///
    /// A provider's response is not used if the deadline passed, nor if several providers responded or another one
    /// was silent. `retry-after` and `retry-after-ms` hold the time until the pool or the chain can serve the
    /// request, not that of the key which was refused last.
    ///
    /// `x-should-retry: false` tells the official SDKs of OpenAI and Anthropic not to send the request again by
    /// themselves: where it may have been executed, and where coming back is of no use (keys that are invalid or
    /// without credit, waits of more than 60 s).
    pub fn into_response(self) -> Response<ErrorBody> {
        match self {
            Self::AllKeysFailed(failed) => failed.into_response(),
            Self::AllProvidersFailed(failed) => failed.into_response(),
            other => other.to_response(),
        }
    }

    /// The same, without the provider's last response.
    pub(crate) fn to_response(&self) -> Response<ErrorBody> {
        let own = |status, code| Own { status, code }.response(&self.to_string());
        match self {
            Self::AllKeysFailed(failed) => failed.summary().response(),
            Self::AllProvidersFailed(failed) => failed.summary().response(),
            Self::Body(_) => own(StatusCode::BAD_REQUEST, "request_body_failed"),
            Self::ApplyKey(_) => own(StatusCode::INTERNAL_SERVER_ERROR, "foreign_origin"),
            Self::UnknownLink(_) => own(StatusCode::BAD_REQUEST, "unknown_provider"),
            Self::Service(error) if transport::nature(error) == Nature::Shed => {
                own(StatusCode::SERVICE_UNAVAILABLE, "overloaded")
            }
            Self::Service(_) => own(StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
        }
    }

    /// The same as [`into_response`](Self::into_response), but a provider's refusal of the key is an error of this
    /// service and not of its caller.
    pub(crate) fn into_gateway_response(self) -> Response<ErrorBody> {
        match self {
            Self::AllKeysFailed(mut failed) => failed.summary().for_gateway(failed.take_response()),
            Self::AllProvidersFailed(mut failed) => failed.summary().for_gateway(failed.take_only_response()),
            other => other.to_response(),
        }
    }
}
