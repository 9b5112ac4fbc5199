//! Responses of the test's own.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// A request, as the function of [`SimBuilder::respond`](crate::SimBuilder::respond) sees it.
#[derive(Clone, Copy, Debug)]
pub struct SimRequest<'a> {
    pub(crate) path: &'a str,
    pub(crate) model: &'a str,
    pub(crate) body: &'a Value,
}

/// The output of the simulated model for one request.
///
/// A string converts into a text.
#[derive(Clone, Debug, PartialEq)]
pub struct SimAnswer {
    pub(crate) kind: AnswerKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AnswerKind {
    Usual,
    Text(String),
    Call(String, Value),
}

/// The function that chooses responses.
#[derive(Clone)]
pub(crate) struct Responder(Arc<dyn Fn(&SimRequest<'_>) -> SimAnswer + Send + Sync>);

// === impl SimRequest ===

impl<'a> SimRequest<'a> {
    /// Returns the path, without the query.
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// Returns the name of the model. Empty if the request names none.
    pub fn model(&self) -> &'a str {
        self.model
    }

    /// Returns the body, in the format of the provider.
    pub fn body(&self) -> &'a Value {
        self.body
    }
}

// === impl SimAnswer ===

impl SimAnswer {
    /// Returns the output that the simulator chooses by itself.
    pub fn usual() -> Self {
        Self { kind: AnswerKind::Usual }
    }

    /// Returns a text. Each of its words counts as one token and is one event of a stream.
    pub fn text(text: impl Into<String>) -> Self {
        Self { kind: AnswerKind::Text(text.into()) }
    }

    /// Returns a call of a tool.
    pub fn call(tool: impl Into<String>, arguments: Value) -> Self {
        Self { kind: AnswerKind::Call(tool.into(), arguments) }
    }
}

impl From<&str> for SimAnswer {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for SimAnswer {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

// === impl Responder ===

impl Responder {
    pub(crate) fn new<A: Into<SimAnswer>>(
        respond: impl Fn(&SimRequest<'_>) -> A + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |request| respond(request).into()))
    }

    pub(crate) fn answer(&self, request: &SimRequest<'_>) -> SimAnswer {
        (self.0)(request)
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}
