//! The one error shape: a sentence for the outside, and a reason for the log that never leaves the hub.

use super::Context;
use crate::limits::change::Wrong;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct Problem {
    code: &'static str,
    status: StatusCode,
    /// The outside sentence.
    message: &'static str,
    /// Which field or bed it is about; never a value that somebody typed.
    about: Option<(&'static str, String)>,
    /// Everything that is wrong with a body, field by field.
    wrong: Option<Arc<Vec<Wrong>>>,
    retry_after: Option<Duration>,
    /// The inside one.
    cause: Option<Arc<anyhow::Error>>,
}

impl Problem {
    pub(super) const fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { code, status, message, about: None, wrong: None, retry_after: None, cause: None }
    }

    pub(super) const fn not_found(message: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", message)
    }

    pub(super) fn about(mut self, what: &'static str, which: impl Into<String>) -> Self {
        self.about = Some((what, which.into()));
        self
    }

    pub(super) fn listing(mut self, wrong: Vec<Wrong>) -> Self {
        self.wrong = Some(Arc::new(wrong));
        self
    }

    pub(super) const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

/// Our own trouble: the outside learns that there is some.
impl From<anyhow::Error> for Problem {
    fn from(cause: anyhow::Error) -> Self {
        let mut problem = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The hub could not do this. Its log says why.",
        );
        problem.cause = Some(Arc::new(cause));
        problem
    }
}

/// Only the status and the problem itself: [`render`] writes the body, since the body carries the time.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Serialize)]
struct Body {
    error: Shape,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    code: &'static str,
    message: &'static str,
    status_code: u16,
    timestamp: String,
    details: serde_json::Map<String, serde_json::Value>,
}

/// Gives every error the one shape, those of the framework too. The framework's own text is dropped: it may repeat what was typed.
pub(super) async fn render(State(context): State<Context>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let problem = response.extensions_mut().remove::<Problem>().unwrap_or_else(|| of_status(status));
    if let Some(cause) = &problem.cause {
        tracing::error!(error = format!("{cause:#}"), "a request failed");
    }
    let mut details: serde_json::Map<String, serde_json::Value> =
        problem.about.map(|(what, which)| (what.to_owned(), which.into())).into_iter().collect();
    if let Some(wrong) = problem.wrong.as_deref() {
        details.insert("errors".to_owned(), serde_json::json!(wrong));
    }
    let shape = Shape {
        code: problem.code,
        message: problem.message,
        status_code: status.as_u16(),
        timestamp: context.clock.now().wall.to_string(),
        details,
    };
    let mut rendered = (status, Json(Body { error: shape })).into_response();
    if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
        rendered.headers_mut().insert(header::ALLOW, allow);
    }
    if let Some(wait) = problem.retry_after {
        rendered.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    }
    rendered
}

fn of_status(status: StatusCode) -> Problem {
    let (code, message) = match status {
        StatusCode::NOT_FOUND => ("not-found", "There is nothing here."),
        StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "This cannot be done here."),
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "The request is too large."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported-media-type", "Send application/json."),
        StatusCode::REQUEST_TIMEOUT => ("timeout", "This took too long."),
        StatusCode::UNPROCESSABLE_ENTITY => ("invalid", "A field is missing or of the wrong kind."),
        status if status.is_server_error() => ("internal", "The hub could not do this. Its log says why."),
        _ => ("bad-request", "The request cannot be understood."),
    };
    Problem::new(status, code, message)
}
