//! What this machine can do, found out by doing it, and how fast it is at the moment.

pub mod calibration;
pub mod capability;
