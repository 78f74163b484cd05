//! The tandem rendezvous server.
