//! How a line of the route table becomes a route: its permission before it, its time limit around it.

use super::{Context, gate, problem};
use crate::people::Permission;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, on};
use std::time::Duration;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;

/// No body of ours is longer than an admission.
const BODY_MAX: usize = 16 * 1024;
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub permission: Permission,
}

pub(super) struct Routes {
    context: Context,
    router: Router<Context>,
    list: Vec<Route>,
}

macro_rules! verbs {
    ($($verb:ident, $method:ident;)*) => {$(
        pub(super) fn $verb<T: 'static>(
            self,
            path: &'static str,
            handler: impl Handler<T, Context>,
            permission: Permission,
        ) -> Self {
            let answers = on(MethodFilter::$method, handler);
            self.add(Method::$method, path, answers.layer(within()), permission)
        }
    )*};
}

impl Routes {
    pub(super) fn new(context: Context) -> Self {
        Self { context, router: Router::new(), list: Vec::new() }
    }

    verbs! { get, GET; post, POST; put, PUT; patch, PATCH; delete, DELETE; }

    /// An answer that has no end, and therefore no time limit.
    pub(super) fn stream<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, Context>,
        permission: Permission,
    ) -> Self {
        self.add(Method::GET, path, on(MethodFilter::GET, handler), permission)
    }

    /// What answers every other path: the console's own.
    pub(super) fn otherwise<T: 'static>(mut self, handler: impl Handler<T, Context>) -> Self {
        self.router =
            self.router.fallback_service(on(MethodFilter::GET, handler).with_state(self.context.clone()));
        self
    }

    fn add(
        mut self,
        method: Method,
        path: &'static str,
        answers: MethodRouter<Context>,
        permission: Permission,
    ) -> Self {
        let gate = from_fn_with_state((self.context.clone(), permission), gate::permit);
        self.router = self.router.route(path, answers.route_layer(gate));
        self.list.push(Route { method, path, permission });
        self
    }

    pub(super) fn into_list(self) -> Vec<Route> {
        self.list
    }

    pub(super) fn into_router(self) -> Router {
        self.router
            .layer(DefaultBodyLimit::max(BODY_MAX))
            .layer(from_fn(gate::direct))
            .layer(from_fn_with_state(self.context.clone(), problem::render))
            .layer(CompressionLayer::new())
            .layer(from_fn_with_state(self.context.clone(), gate::frame))
            .with_state(self.context)
    }
}

fn within() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, ANSWER_WITHIN)
}
