//! Model to wire and back, in one place, so that an internal rename never breaks a hospital.
