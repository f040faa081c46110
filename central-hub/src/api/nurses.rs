//! Who answers for a bed, and who for the unit.

use super::beds::{check_unit, find};
use super::problem::Problem;
use super::{Context, Peer};
use crate::alarms::{Nurses, Staff};
use crate::people::{Act, Who, list_users};
use crate::store::nurses;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};

pub(super) async fn show(
    State(context): State<Context>,
    Path(bed): Path<String>,
) -> Result<Response, Problem> {
    find(&context, &bed).await?;
    let (beds, _) = context.store.read(nurses::all).await?;
    let found = beds.into_iter().find(|(name, _)| *name == bed);
    Ok(context.answer(found.map(|(_, nurses)| nurses).unwrap_or_default()))
}

pub(super) async fn assign(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(bed): Path<String>,
    Json(given): Json<Nurses>,
) -> Result<Response, Problem> {
    find(&context, &bed).await?;
    check(&context, [("primary", &given.primary), ("buddy", &given.buddy)]).await?;
    let now = context.clock.now().wall;
    let (place, named, by) = (bed.clone(), given.clone(), who.name.clone());
    context.store.write(move |store| nurses::assign(store, &place, &named, &by, now)).await?;
    context.live.nurses(bed.clone(), given.clone()).await?;
    let act = Act { at: now, who: who.name, address: peer.address };
    context.people.did(act, "assign nurses".to_owned(), Some(&bed)).await;
    Ok(context.answer(given))
}

pub(super) async fn show_staff(
    State(context): State<Context>,
    Path(unit): Path<String>,
) -> Result<Response, Problem> {
    check_unit(&context, &unit)?;
    Ok(context.answer(context.store.read(nurses::all).await?.1))
}

pub(super) async fn assign_staff(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    Path(unit): Path<String>,
    Json(given): Json<Staff>,
) -> Result<Response, Problem> {
    check_unit(&context, &unit)?;
    check(&context, [("charge", &given.charge), ("physician", &given.physician)]).await?;
    let now = context.clock.now().wall;
    let (named, by) = (given.clone(), who.name.clone());
    context.store.write(move |store| nurses::assign_staff(store, &named, &by, now)).await?;
    context.live.staff(given.clone()).await?;
    let act = Act { at: now, who: who.name, address: peer.address };
    context.people.did(act, "assign staff".to_owned(), None).await;
    Ok(context.answer(given))
}

/// Whoever is called must be somebody: a name that was mistyped would answer no alarm.
async fn check(context: &Context, named: [(&'static str, &Option<String>); 2]) -> Result<(), Problem> {
    let users = context.store.read(|store| Ok(list_users(store))).await??;
    for (field, name) in named {
        if name.as_ref().is_some_and(|name| users.iter().all(|user| user.name != *name)) {
            let problem =
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A field cannot be right.");
            return Err(problem.about(field, "the name of an account"));
        }
    }
    Ok(())
}
