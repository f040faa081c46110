//! The route table: method, path, handler, permission, one line each; and what every handler is given.

mod alarms;
mod beds;
mod console;
mod gate;
mod health;
mod limits;
mod nurses;
mod problem;
mod record;
mod routes;
mod run;
mod session;
mod stations;
mod stream;

pub use routes::Route;
pub use run::serve;

use crate::limits::Limits;
use crate::live::Live;
use crate::people::{People, Permission};
use crate::stations::run::Stations;
use crate::store::{Store, nurses as nurses_of};
use anyhow::Result;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use cotside_protocol::model::Wall;
use cotside_systemd::clock::Clock;
use cotside_systemd::stages::Stop;
use routes::Routes;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn routes(context: Context) -> Routes {
    use Permission::{
        AdmitPatients, AnswerAlarms, Anyone, AssignNurses, ManageStations, SetLimits, SignedIn, ViewUnit,
    };
    Routes::new(context)
        .get("/api/v1/health", health::show, Anyone)
        .post("/api/v1/session", session::log_in, Anyone)
        .get("/api/v1/session", session::show, SignedIn)
        .delete("/api/v1/session", session::log_out, SignedIn)
        .get("/api/v1/units", beds::list_units, ViewUnit)
        .get("/api/v1/units/{unit}", beds::unit, ViewUnit)
        .stream("/api/v1/units/{unit}/events", stream::events, ViewUnit)
        .stream("/api/v1/units/{unit}/waves", stream::waves, ViewUnit)
        .get("/api/v1/beds", beds::list, ViewUnit)
        .get("/api/v1/beds/{bed}", beds::show, ViewUnit)
        .get("/api/v1/beds/{bed}/gaps", record::gaps, ViewUnit)
        .get("/api/v1/beds/{bed}/completeness", record::completeness, ViewUnit)
        .get("/api/v1/beds/{bed}/trends", record::trends, ViewUnit)
        .get("/api/v1/units/{unit}/completeness", record::unit_completeness, ViewUnit)
        .put("/api/v1/beds/{bed}/patient", beds::admit, AdmitPatients)
        .patch("/api/v1/beds/{bed}/patient", beds::amend, AdmitPatients)
        .delete("/api/v1/beds/{bed}/patient", beds::discharge, AdmitPatients)
        .post("/api/v1/beds/{bed}/transfer", beds::transfer, AdmitPatients)
        .get("/api/v1/beds/{bed}/limits", limits::show, ViewUnit)
        .put("/api/v1/beds/{bed}/limits", limits::replace, SetLimits)
        .patch("/api/v1/beds/{bed}/limits", limits::merge, SetLimits)
        .delete("/api/v1/beds/{bed}/limits", limits::back, SetLimits)
        .post("/api/v1/beds/{bed}/limits/age", limits::accept_age, SetLimits)
        .put("/api/v1/session/pin", session::set_pin, SignedIn)
        .get("/api/v1/alarms", alarms::log, ViewUnit)
        .post("/api/v1/alarms/{bed}/{episode}/acknowledgement", alarms::acknowledge, AnswerAlarms)
        .post("/api/v1/alarms/{bed}/{episode}/reset", alarms::reset, AnswerAlarms)
        .post("/api/v1/alarms/{bed}/{episode}/responsibility", alarms::answer, AnswerAlarms)
        .post("/api/v1/beds/{bed}/audio-pause", alarms::pause, AnswerAlarms)
        .delete("/api/v1/beds/{bed}/audio-pause", alarms::end_pause, AnswerAlarms)
        .post("/api/v1/beds/{bed}/standby", alarms::standby, AnswerAlarms)
        .delete("/api/v1/beds/{bed}/standby", alarms::end_standby, AnswerAlarms)
        .get("/api/v1/beds/{bed}/nurses", nurses::show, ViewUnit)
        .put("/api/v1/beds/{bed}/nurses", nurses::assign, AssignNurses)
        .get("/api/v1/units/{unit}/staff", nurses::show_staff, ViewUnit)
        .put("/api/v1/units/{unit}/staff", nurses::assign_staff, AssignNurses)
        .post("/api/v1/stations/pairing", stations::pair, Anyone)
        .get("/api/v1/stations/pairing/{id}", stations::state, Anyone)
        .get("/api/v1/stations", stations::list, ViewUnit)
        .post("/api/v1/stations/{id}/approval", stations::approve, ManageStations)
        .delete("/api/v1/stations/{id}", stations::revoke, ManageStations)
        .post("/api/v1/stations/self/challenge", stations::challenge, Anyone)
        .post("/api/v1/stations/self/session", stations::enter, Anyone)
        .get("/api/v1/stations/self", stations::show, Permission::Station)
        .post("/api/v1/stations/self/receipts", stations::receipt, Permission::Station)
        .otherwise(console::show)
}

/// Everything behind the routes. One per hub.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    live: Live,
    people: People,
    limits: Limits,
    stations: Stations,
    store: Store,
    clock: Clock,
    started_at: Wall,
    requests: AtomicU64,
    /// What a request says that it was forwarded for is believed.
    trusts_proxy: bool,
}

impl State {
    /// Reads who is logged in and who lies where; the live loop must be running.
    pub async fn open(
        live: Live,
        store: Store,
        clock: Clock,
        limits: Limits,
        trusts_proxy: bool,
    ) -> Result<Self> {
        let now = clock.now();
        let people = People::open(store.clone(), now).await?;
        people.take_places(&live).await?;
        let stations = Stations::open(store.clone(), live.clone()).await?;
        let (beds, staff) = store.read(nurses_of::all).await?;
        for (bed, nurses) in beds {
            live.nurses(bed, nurses).await?;
        }
        live.staff(staff).await?;
        Ok(Self(Arc::new(Inner {
            live,
            people,
            limits,
            stations,
            store,
            clock,
            started_at: now.wall,
            requests: AtomicU64::new(1),
            trusts_proxy,
        })))
    }
}

/// The routes, ready to be served; [`serve`] does.
pub fn router(state: State, stop: Stop) -> Router {
    routes(Context { state, stop }).into_router()
}

/// The routes as a list, for the documentation and for whoever checks the permissions.
pub fn list(state: State, stop: Stop) -> Vec<Route> {
    routes(Context { state, stop }).into_list()
}

/// Who is at the other end of the connection; put on every request by whoever serves it.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub address: IpAddr,
    /// Over TLS.
    pub is_secure: bool,
}

/// What a handler is given.
#[derive(Clone)]
struct Context {
    state: State,
    stop: Stop,
}

impl std::ops::Deref for Context {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.state.0
    }
}

#[derive(Serialize)]
struct Envelope<T> {
    data: T,
    meta: Meta,
}

#[derive(Serialize)]
struct Meta {
    at: String,
}

impl Context {
    fn answer<T: Serialize>(&self, data: T) -> Response {
        Json(Envelope { data, meta: Meta { at: self.clock.now().wall.to_string() } }).into_response()
    }

    fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }
}
