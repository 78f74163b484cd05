//! Where there are no sockets of this kind: running shares can't be asked, which the commands say.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use super::Gone;
use super::wire::{Answer, Request};
use crate::exit::{Exit, Failure};

const NOT_BUILT: &str = "asking a running share is not built on this system yet";

#[derive(Debug)]
pub(crate) struct Server(Infallible);
#[derive(Debug)]
pub(crate) struct Answers(Infallible);
#[derive(Debug)]
pub(crate) struct Client(Infallible);

impl Server {
    pub(crate) fn listen(_: &Path) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, NOT_BUILT))
    }

    pub(crate) async fn serve(&self, _: impl AsyncFn(Request, Answers)) -> Infallible {
        self.0
    }
}

impl Answers {
    pub(crate) async fn send(&mut self, _: &Answer) -> Result<(), Gone> {
        match self.0 {}
    }
}

impl Client {
    pub(crate) async fn ask(_: &Path, _: &Request) -> Result<Option<Self>, Failure> {
        Err(Failure::new(Exit::NotReached, NOT_BUILT))
    }

    pub(crate) async fn next(&mut self) -> Result<Answer, Failure> {
        match self.0 {}
    }

    pub(crate) async fn until_closed(self) {
        match self.0 {}
    }
}
