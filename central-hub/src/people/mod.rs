//! Who may look and act, and who lies in which bed.
//!
//! Accounts are made on the command line ([`create_user`]); a login is a session of 15 idle minutes; every deed is in the audit.
//! What names a patient is `Private` and reaches the page of somebody who is logged in, and nothing else.

mod admissions;
mod audit;
mod date;
mod lockout;
mod passwords;
mod patient;
mod roles;
mod run;
mod sessions;
mod users;

pub use admissions::{Admission, Stay, Transfer, stay, stays, turned_over};
pub use audit::{Act, by_operator, first_break};
pub use date::Date;
pub use patient::{OXYGEN_WORDS, Particulars, Patient};
pub use roles::{Permission, Role};
pub use run::{People, Refused, Secret};
pub use sessions::{IDLE_MAX, Looker, SessionId, Token, Who};
pub use users::{User, create_user, list_users, remove_user, set_password};
