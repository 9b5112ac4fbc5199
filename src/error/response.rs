//! The HTTP response that reports an error.

use http::{Response, StatusCode};

use crate::body::ErrorBody;
use crate::classify::transport;
use crate::classify::transport::Nature;
use crate::error::Error;
use crate::error::summary::Own;

// === impl Error ===

impl Error {
    /// Returns the HTTP response that reports this error: the provider's last response if its status is an error,
    /// otherwise a JSON error in the shape of OpenAI's API.
    ///
    /// | error | status | code |
    /// |---|---|---|
    /// | the deadline passed | 504 | `deadline` |
    /// | a provider did not respond in time | 504 | `timeout` |
    /// | all keys are limited | 429 | `rate_limit_exceeded` |
    /// | all keys are out of quota or credit | 429 | `insufficient_quota` |
    /// | all keys are invalid, not allowed or disabled | 503 | `no_usable_key` |
    /// | no key may be used for the model or the endpoint | 404 | `no_key_may_serve` |
    /// | no capacity, or a layer inside shed the request | 503 | `overloaded` |
    /// | limits or keys are declared for models, and the model can't be read | 415 | `unreadable_model` |
    /// | no provider of a chain has the endpoint | 404 | `unsupported_endpoint` |
    /// | no route or key can map the request's path or find a model to rename | 400 | `unroutable` |
    /// | any other fault of one provider | 503 | the name of the [`StopReason`](crate::StopReason) |
    /// | several providers failed in different ways | 503 | `all_providers_failed` |
    /// | [`Body`](Self::Body): the request's own body failed | 400 | `request_body_failed` |
    /// | [`UnknownLink`](Self::UnknownLink) | 400 | `unknown_provider` |
    /// | [`ApplyKey`](Self::ApplyKey): the key may not be sent to that URL | 500 | `foreign_origin` |
    /// | [`Service`](Self::Service): the client is not ready | 503 | `not_ready` |
    ///
    /// A provider's response is not used if the deadline passed, if several providers responded, or if another
    /// provider did not respond. `retry-after` and `retry-after-ms` hold the time until the pool or the chain can
    /// serve the request, not the wait of the key that was refused last. A response with the code `no_usable_key` has
    /// neither.
    ///
    /// `x-should-retry: false` tells the official SDKs of OpenAI and Anthropic not to send the request again. It is
    /// set if the request may have been executed, and if a retry is of no use: the keys are invalid or without
    /// credit, the request will fail again, or the wait is longer than 60 s.
    pub fn into_response(self) -> Response<ErrorBody> {
        match self {
            Self::AllKeysFailed(failed) => failed.into_response(),
            Self::AllProvidersFailed(failed) => failed.into_response(),
            other => other.to_response(),
        }
    }

    /// Returns the same response as [`into_response`](Self::into_response), but never the provider's last response.
    pub(crate) fn to_response(&self) -> Response<ErrorBody> {
        let own = |status, code| Own { status, code }.response(self.to_string());
        let last = |status, code| Own { status, code }.final_response(self.to_string());
        match self {
            Self::AllKeysFailed(failed) => failed.summary().response(),
            Self::AllProvidersFailed(failed) => failed.summary().response(),
            Self::Body(_) => own(StatusCode::BAD_REQUEST, "request_body_failed"),
            Self::ApplyKey(error) if error.unroutable_because().is_some() => {
                last(StatusCode::BAD_REQUEST, "unroutable")
            }
            Self::ApplyKey(_) => last(StatusCode::INTERNAL_SERVER_ERROR, "foreign_origin"),
            Self::UnknownLink(_) => last(StatusCode::BAD_REQUEST, "unknown_provider"),
            Self::Service(error) if transport::nature(error) == Nature::Shed => {
                own(StatusCode::SERVICE_UNAVAILABLE, "overloaded")
            }
            Self::Service(_) => own(StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
        }
    }

    /// Returns the response of a gateway. Like [`into_response`](Self::into_response), but a provider's refusal of
    /// the key is reported as an error of this service, not of its caller.
    pub(crate) fn into_gateway_response(self) -> Response<ErrorBody> {
        match self {
            Self::AllKeysFailed(mut failed) => failed.summary().for_gateway(failed.take_response()),
            Self::AllProvidersFailed(mut failed) => failed.summary().for_gateway(failed.take_only_response()),
            other => other.to_response(),
        }
    }
}
