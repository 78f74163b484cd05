//! Every bound of a peer on one page: queues, messages, files and timeouts, each with its unit and its reason.
//!
//! A limit that has to agree with the relay stands in `tandem_relay::api` instead. Each limit is tested at its value
//! and one past it, in the module that enforces it.

// ---- identity ----

/// Largest identity file that is read, in bytes. A real one has under 200; whatever is larger is some other file.
pub const IDENTITY_FILE_LEN_MAX: usize = 1024;
