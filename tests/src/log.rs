//! The log of each actor of a universe, kept in memory and shown when the test fails.
//!
//! A process can have only one subscriber. It routes every line by the span field `peer` to the log
//! of that name, so that universes in parallel threads do not mix. Lines outside of any such span
//! go to [`elsewhere`]. Nothing is printed here.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::wait;

/// Lines kept per log; older ones are dropped.
const LINES_MAX: usize = 200;
/// The span field that names the owner of a line.
const ROUTE_FIELD: &str = "peer";
/// Directives such as `tandem_core=trace`, instead of the default: everything at `debug` of our own
/// crates.
pub const LOG_VARIABLE: &str = "TANDEM_TEST_LOG";

/// The last lines of one actor.
#[derive(Debug)]
pub struct Log {
    opened: Instant,
    lines: Mutex<VecDeque<String>>,
}

impl Log {
    /// Opens a log that gets every line logged under a span with the field `peer = key`.
    pub fn open(key: &str) -> Arc<Log> {
        install();
        let log = Arc::new(Log::empty());
        log.also_as(key);
        log
    }

    /// Gives the log a second name.
    pub fn also_as(self: &Arc<Self>, key: &str) {
        let mut routes = lock(&ROUTES);
        routes.retain(|_, log| log.strong_count() > 0);
        routes.insert(key.to_owned(), Arc::downgrade(self));
    }

    /// Adds a line of the harness itself.
    pub fn write(&self, line: impl fmt::Display) {
        let millis = wait::now().duration_since(self.opened).as_secs_f64() * 1000.0;
        let mut lines = lock(&self.lines);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(format!("+{millis:.1} ms {line}"));
    }

    /// The last `count` lines, oldest first.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let lines = lock(&self.lines);
        lines
            .iter()
            .skip(lines.len().saturating_sub(count))
            .cloned()
            .collect()
    }

    fn empty() -> Log {
        Log {
            opened: wait::now(),
            lines: Mutex::default(),
        }
    }
}

/// The log of all lines of this process that belong to no actor.
pub fn elsewhere() -> &'static Log {
    static ELSEWHERE: LazyLock<Log> = LazyLock::new(Log::empty);
    &ELSEWHERE
}

static ROUTES: LazyLock<Mutex<HashMap<String, Weak<Log>>>> = LazyLock::new(Mutex::default);

/// Ignores poisoning: the lines are still valid, and a failing test needs them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn route(key: &str) -> Option<Arc<Log>> {
    lock(&ROUTES).get(key).and_then(Weak::upgrade)
}

/// Installs the router once. If another subscriber is already installed, it stays and nothing is
/// captured.
fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(Router.with_filter(targets()));
        if tracing::subscriber::set_global_default(subscriber).is_err() {
            elsewhere().write("another subscriber is installed: nothing is captured");
        }
    });
}

fn targets() -> Targets {
    let wanted = std::env::var(LOG_VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok());
    wanted.unwrap_or_else(|| {
        Targets::new()
            .with_default(Level::WARN)
            .with_target("tandem", Level::DEBUG)
    })
}

/// The layer that sends each line to the log it belongs to.
struct Router;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Router {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut line = Line::default();
        attributes.record(&mut line);
        remember(line.route, id, &context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut line = Line::default();
        values.record(&mut line);
        remember(line.route, id, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let metadata = event.metadata();
        let text = format!("{:5} {}:{}", metadata.level(), metadata.target(), line.text);
        match enclosing(event, &context) {
            Some(log) => log.write(text),
            None => elsewhere().write(text),
        }
    }
}

/// Attaches the log named `key` to the span, if there is one.
fn remember<S: Subscriber + for<'a> LookupSpan<'a>>(key: Option<String>, id: &Id, context: &Context<'_, S>) {
    if let (Some(log), Some(span)) = (key.as_deref().and_then(route), context.span(id)) {
        span.extensions_mut().replace(log);
    }
}

/// The log of the nearest enclosing span that has one.
fn enclosing<S: Subscriber + for<'a> LookupSpan<'a>>(
    event: &Event<'_>,
    context: &Context<'_, S>,
) -> Option<Arc<Log>> {
    context
        .event_scope(event)?
        .find_map(|span| span.extensions().get::<Arc<Log>>().cloned())
}

/// The fields of a span or an event as text, and the field that routes a span. In an event a field
/// of that name is ordinary text: it may name another peer.
#[derive(Default)]
struct Line {
    text: String,
    route: Option<String>,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == ROUTE_FIELD {
            self.route = Some(value.to_owned());
        }
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == ROUTE_FIELD && self.route.is_none() {
            self.route = Some(format!("{value:?}"));
        }
        // Writing to a string can't fail.
        let _written = match field.name() {
            "message" => write!(self.text, " {value:?}"),
            name => write!(self.text, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing::{info, info_span};

    use super::*;

    #[test]
    fn each_log_gets_only_the_lines_of_its_own_span() {
        let (alice, bob) = (Log::open("log-alice"), Log::open("log-bob"));
        info_span!("peer", peer = "log-alice").in_scope(|| info!(count = 3, "hello"));
        info_span!("peer", peer = %"log-bob").in_scope(|| info_span!("inner").in_scope(|| info!("bye")));
        assert!(alice.tail(9)[0].ends_with("hello count=3"), "{:?}", alice.tail(9));
        assert!(bob.tail(9)[0].ends_with(" bye"), "{:?}", bob.tail(9));
        assert_eq!((alice.tail(9).len(), bob.tail(9).len()), (1, 1));
    }

    #[test]
    fn a_log_keeps_only_its_last_lines() {
        let log = Log::empty();
        (0..LINES_MAX + 5).for_each(|index| log.write(index));
        assert_eq!(log.tail(usize::MAX).len(), LINES_MAX);
        assert!(log.tail(1)[0].ends_with(&(LINES_MAX + 4).to_string()));
    }

    #[test]
    fn lines_outside_of_every_span_are_kept_elsewhere() {
        let _log = Log::open("log-nobody");
        info!("nobody said this");
        assert!(
            elsewhere()
                .tail(LINES_MAX)
                .iter()
                .any(|line| line.ends_with("nobody said this"))
        );
    }
}
