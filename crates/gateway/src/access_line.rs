//! The access line: one log line for each request to a provider, at the end of its response.
//!
//! | field | content |
//! |---|---|
//! | `method`, `path` | those of the request; a long path is cut |
//! | `status` | status of the response |
//! | `caller` | name of the caller, if it has a token of its own |
//! | `provider`, `key` | provider and key that served the request |
//! | `gen_ai.request.model` | model that the request names |
//! | `attempts` | number of calls that providers got |
//! | `gen_ai.usage.input_tokens`, `gen_ai.usage.output_tokens` | tokens that the response reports |
//! | `duration_ms` | time from the head of the request to the end of the response |
//! | `bytes_up`, `bytes_down` | bytes from and to the caller, for a WebSocket |
//! | `error.type` | the error that broke the response off |

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};

use axum::body::Body as OwnBody;
use bytes::Bytes;
use http::{Method, Response, StatusCode, request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Either;
use pin_project_lite::pin_project;
use tower_key_rotation::body::{StreamErrorKind, Usage};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::{ModelId, Served};

use crate::caller::{Caller, Estimate, Place};
use crate::deliver::ATTEMPTS;
use crate::response::GatewayBody;
use crate::trace::Trace;
use crate::websocket::{Tunnel, TunnelTraffic};

const TARGET: &str = "gateway::access";

/// Maximum length of a path in a line, in bytes.
const LONGEST_PATH: usize = 200;

/// Response extension: the model that the request names.
#[derive(Clone)]
pub(crate) struct RequestedModel(pub(crate) ModelId);

/// The facts of one request. The line is written when they are dropped.
pub(crate) struct AccessLine {
    method: Method,
    path: Box<str>,
    began: Timestamp,
    caller: Option<Arc<Caller>>,
    status: StatusCode,
    attempts: Option<u32>,
    model: Option<ModelId>,
    served: Option<Served>,
    websocket: Option<Arc<TunnelTraffic>>,
    /// The place of the caller among the requests in flight.
    place: Option<Arc<Place>>,
    /// The tokens that a response does not report. `None`: they count for no caller, or it has none.
    estimate: Option<Estimate>,
    trace: Option<Box<Trace>>,
}

pin_project! {
    /// A body that ends its access line.
    struct Accounted<B> {
        #[pin]
        body: B,
        line: Box<AccessLine>,
    }
}

// === impl AccessLine ===

impl AccessLine {
    /// Begins the line of a request. `None` if it is neither logged nor traced nor counted for a caller.
    pub(crate) fn begin(
        head: &request::Parts,
        caller: Option<&Arc<Caller>>,
        trace: Option<Box<Trace>>,
    ) -> Option<Box<Self>> {
        if caller.is_none() && trace.is_none() && !Self::is_written() {
            return None;
        }
        let path = head.uri.path();
        let cut = (0..=LONGEST_PATH.min(path.len())).rev().find(|at| path.is_char_boundary(*at)).unwrap_or(0);
        Some(Box::new(Self {
            method: head.method.clone(),
            path: path[..cut].into(),
            began: Timestamp::now(),
            caller: caller.cloned(),
            status: StatusCode::OK,
            attempts: None,
            model: None,
            served: None,
            websocket: None,
            place: None,
            estimate: caller.and_then(|_| Estimate::of_path(path)),
            trace,
        }))
    }

    /// Returns the number of bytes of the request, if they are to be counted.
    pub(crate) fn sent(&self) -> Option<Arc<AtomicU64>> {
        self.estimate.as_ref().map(Estimate::sent)
    }

    /// Returns whether lines are logged.
    pub(crate) fn is_written() -> bool {
        tracing::enabled!(target: TARGET, tracing::Level::INFO)
    }

    /// Adds the facts of a response, and lets its body end the line.
    pub(crate) fn follow(mut self: Box<Self>, mut response: Response<GatewayBody>) -> Response<GatewayBody> {
        if let Some(trace) = &mut self.trace {
            trace.answered(&mut response);
        }
        let (mut head, body) = response.into_parts();
        self.status = head.status;
        if let Some(estimate) = &mut self.estimate {
            estimate.begin(head.status, &head.headers);
        }
        self.attempts = head.headers.get(ATTEMPTS).and_then(|it| it.to_str().ok()?.parse().ok());
        self.served = head.extensions.remove();
        self.place = head.extensions.remove();
        let named = head.extensions.remove::<RequestedModel>().map(|RequestedModel(model)| model);
        self.model = named.or_else(|| self.served.as_ref()?.model().cloned());
        if let Some(tunnel) = head.extensions.get::<Tunnel>() {
            self.websocket = Some(Arc::clone(tunnel.traffic()));
            tunnel.attach(self);
            return Response::from_parts(head, body);
        }
        let body = match body {
            Either::Left(body) => OwnBody::new(Accounted { body, line: self }),
            Either::Right(body) => OwnBody::new(Accounted { body, line: self }),
        };
        Response::from_parts(head, Either::Right(body))
    }

    fn write(&self, usage: Option<Usage>, now: Timestamp) {
        let served = self.served.as_ref();
        let websocket = self.websocket.as_deref();
        let broken = served.and_then(Served::stream_error).map(StreamErrorKind::as_str);
        tracing::info!(
            target: TARGET,
            method = %self.method,
            path = &*self.path,
            status = self.status.as_u16(),
            caller = self.caller.as_ref().map(|caller| caller.name()),
            provider = served.map(Served::provider),
            key = served.map(|served| served.key_id().as_str()),
            gen_ai.request.model = self.model.as_ref().map(ModelId::as_str),
            attempts = self.attempts,
            gen_ai.usage.input_tokens = usage.and_then(|usage| usage.input_tokens),
            gen_ai.usage.output_tokens = usage.and_then(|usage| usage.output_tokens),
            duration_ms = now.as_unix_ms().saturating_sub(self.began.as_unix_ms()),
            bytes_up = websocket.map(TunnelTraffic::bytes_up),
            bytes_down = websocket.map(TunnelTraffic::bytes_down),
            error.type = broken.or_else(|| websocket?.error()),
            "request"
        );
    }
}

impl Drop for AccessLine {
    fn drop(&mut self) {
        let (usage, now) = (self.served.as_ref().and_then(Served::usage), Timestamp::now());
        if let Some(caller) = &self.caller {
            let told = |it: Usage| (it.input_tokens.unwrap_or(0), it.output_tokens.unwrap_or(0));
            let tokens = match &self.estimate {
                Some(estimate) => estimate.tokens(usage),
                None => usage.map_or((0, 0), told),
            };
            caller.count(self.status, tokens, now);
        }
        self.write(usage, now);
        if let Some(trace) = self.trace.take() {
            (*trace).end(self.caller.as_ref().map(|it| it.name()), self.model.as_ref(), self.served.as_ref());
        }
    }
}

// === impl Accounted ===

impl<B: Body<Data = Bytes>> Body for Accounted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let polled = this.body.as_mut().poll_frame(cx);
        if let Some(estimate) = &mut this.line.estimate {
            match &polled {
                Poll::Ready(Some(Ok(frame))) => {
                    frame.data_ref().into_iter().for_each(|data| estimate.see(data));
                }
                Poll::Ready(None) => estimate.end(),
                Poll::Ready(Some(Err(_))) | Poll::Pending => {}
            }
            if this.body.is_end_stream() {
                estimate.end();
            }
        }
        if let (Some(trace), Poll::Ready(Some(Ok(frame)))) = (&mut this.line.trace, &polled)
            && let Some(data) = frame.data_ref()
        {
            trace.see(data);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
