//! The capabilities that a workspace describes itself: what is tried, and what to do where it
//! fails.
//!
//! Only reads the tables `capabilities` and `programs`; `machine` tries what they say.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::entry::{Entry, Wrong};
use crate::base::limits::{CAPABILITY_TIMEOUT, CAPABILITY_TIMEOUT_MAX};
use crate::sandbox::isolation::Network;

/// The names of what is looked for on every machine; the same on every platform.
pub(crate) const BUILT_IN: [&str; 8] = [
    "fuse",
    "winfsp",
    "ipv6",
    "ipv4",
    "unix-socket",
    "symlinks",
    "userns",
    "root",
];

/// What `--require` takes for every capability that a test needs.
const ALL: &str = "all";

const KEYS: [&str; 8] = [
    "command", "path", "open", "tcp", "env", "network", "timeout", "hint",
];

const PROGRAM_KEYS: [&str; 2] = ["hint", "version-flag"];

/// A capability that holds where everything succeeds that is given here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnCapability {
    /// A program and its arguments: it exits with 0.
    pub(crate) command: Option<Vec<String>>,
    /// A file, a device or a directory, relative to the root of the workspace: it can be opened.
    pub(crate) path: Option<(PathBuf, Open)>,
    /// A host and a port: they take a connection.
    pub(crate) tcp: Option<Address>,
    /// A variable of the environment that tests have: it is not empty.
    pub(crate) env: Option<String>,
    /// In the box: the network of its tests, in which all of this is tried.
    pub(crate) network: Network,
    /// Each of them has this much time.
    pub(crate) timeout: Duration,
    /// What a person can do where it is missing.
    pub(crate) hint: Option<String>,
}

impl Default for OwnCapability {
    fn default() -> OwnCapability {
        OwnCapability {
            command: None,
            path: None,
            tcp: None,
            env: None,
            network: Network::default(),
            timeout: CAPABILITY_TIMEOUT,
            hint: None,
        }
    }
}

/// How a path is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Open {
    #[default]
    Read,
    ReadWrite,
}

/// A host, by name or number, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// Understands `HOST:PORT`; an IPv6 address stands in brackets.
    pub(crate) fn parse(text: &str) -> Option<Address> {
        let (host, port) = text.rsplit_once(':')?;
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| is_number && *port != 0)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner
                .strip_suffix(']')
                .filter(|host| host.parse::<std::net::Ipv6Addr>().is_ok())?,
            None => host,
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_host = text.starts_with('[') || !host.is_empty() && host.chars().all(is_name);
        is_host.then(|| Address {
            host: host.to_owned(),
            port,
        })
    }
}

/// The capabilities of both tables, by name.
pub(super) fn read(
    capabilities: &Entry<'_>,
    programs: &Entry<'_>,
) -> Result<BTreeMap<String, OwnCapability>, Wrong> {
    let mut all = BTreeMap::new();
    for (table, one) in [
        (capabilities, capability as Reader),
        (programs, program as Reader),
    ] {
        if table.value.is_null() {
            continue;
        }
        for (name, entry) in table.table()? {
            check_name(name, &entry)?;
            if all.insert(name.to_owned(), one(name, &entry)?).is_some() {
                let other = &capabilities.path;
                return Err(entry.wrong(format!("`{other}.{name}` describes it already; keep one of them")));
            }
        }
    }
    Ok(all)
}

type Reader = fn(&str, &Entry<'_>) -> Result<OwnCapability, Wrong>;

/// A test must be able to name it in `#[ignore = "needs …"]`, and a person in `--require` and
/// `cap(…)`.
fn check_name(name: &str, entry: &Entry<'_>) -> Result<(), Wrong> {
    if BUILT_IN.contains(&name) {
        let built_in = BUILT_IN.map(|name| format!("`{name}`")).join(", ");
        return Err(entry.wrong(format!(
            "`{name}` is built in, and needs no table; choose another name\nhint: built in are {built_in}"
        )));
    }
    if name == ALL {
        return Err(entry.wrong("`all` means every capability, as in `--require all`; choose another name"));
    }
    match is_plain_name(name) {
        true => Ok(()),
        false => {
            Err(entry.wrong("the name of a capability consists of letters, digits, `-`, `_`, `.` and `+`"))
        }
    }
}

/// Whether a capability of a workspace can be called so, which is not built in.
pub(crate) fn is_name(name: &str) -> bool {
    is_plain_name(name) && name != ALL
}

/// Whether it consists of letters, digits, `-`, `_`, `.` and `+`.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    !name.is_empty() && name.chars().all(is_plain)
}

fn capability(_: &str, entry: &Entry<'_>) -> Result<OwnCapability, Wrong> {
    let (mut own, mut path, mut open) = (OwnCapability::default(), None, None);
    for (key, value) in entry.table()? {
        match key {
            "command" => own.command = Some(value.command()?),
            "path" => path = Some(value.text("a path such as \"/dev/kvm\"")?),
            "open" => {
                let how: Open = value.read("\"read\" or \"read-write\"")?;
                open = Some((how, value));
            }
            "tcp" => own.tcp = Some(address(&value)?),
            "env" => own.env = Some(variable(&value)?),
            "network" => own.network = value.network()?,
            "timeout" => own.timeout = value.duration_up_to(CAPABILITY_TIMEOUT_MAX)?,
            "hint" => own.hint = Some(value.text("a sentence")?),
            _ => return Err(value.unknown("a capability", &KEYS)),
        }
    }
    own.path = match (path, open) {
        (Some(path), open) => Some((path.into(), open.map(|(how, _)| how).unwrap_or_default())),
        (None, Some((_, value))) => return Err(value.wrong("there is no `path` that it is about")),
        (None, None) => None,
    };
    match own.conditions() {
        0 => Err(entry.wrong("nothing is tried\nhint: give `command`, `path`, `tcp` or `env`")),
        _ => Ok(own),
    }
}

fn address(value: &Entry<'_>) -> Result<Address, Wrong> {
    const EXPECTED: &str = "`HOST:PORT`, such as \"127.0.0.1:5432\" or \"[::1]:5432\"";
    let text: String = value.read(EXPECTED)?;
    Address::parse(&text).ok_or_else(|| value.wrong(format!("`{text}` is not {EXPECTED}")))
}

fn variable(value: &Entry<'_>) -> Result<String, Wrong> {
    const EXPECTED: &str = "the name of a variable";
    let name = value.text(EXPECTED)?;
    match name.contains('=') {
        true => Err(value.wrong(format!("`{name}` is not {EXPECTED}"))),
        false => Ok(name),
    }
}

/// `programs.NAME` is short for a command that prints the version of the program NAME.
fn program(name: &str, entry: &Entry<'_>) -> Result<OwnCapability, Wrong> {
    let (mut hint, mut flag) = (None, "--version".to_owned());
    for (key, value) in entry.table()? {
        match key {
            "hint" => hint = Some(value.text("a sentence")?),
            "version-flag" => flag = value.text("an option such as \"--version\"")?,
            _ => return Err(value.unknown("a program", &PROGRAM_KEYS)),
        }
    }
    if hint.is_none() {
        return Err(entry.missing("hint"));
    }
    Ok(OwnCapability {
        command: Some(vec![name.to_owned(), flag]),
        hint,
        ..OwnCapability::default()
    })
}

impl OwnCapability {
    /// How many conditions there are.
    fn conditions(&self) -> usize {
        let given = [
            self.command.is_some(),
            self.path.is_some(),
            self.tcp.is_some(),
            self.env.is_some(),
        ];
        given.into_iter().filter(|given| *given).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn both(capabilities: &Value, programs: &Value) -> Result<BTreeMap<String, OwnCapability>, Wrong> {
        read(
            &Entry::new("capabilities", capabilities),
            &Entry::new("programs", programs),
        )
    }

    #[test]
    fn every_condition_is_read_and_the_rest_has_a_default() {
        let table = json!({"vm": {
            "command": ["qemu", "--version"], "path": "/dev/kvm", "open": "read-write",
            "tcp": "[::1]:5432", "env": "API_KEY", "network": "host", "timeout": "2s", "hint": "start it",
        }});
        let found = both(&table, &Value::Null).unwrap();
        let expected = OwnCapability {
            command: Some(vec!["qemu".into(), "--version".into()]),
            path: Some(("/dev/kvm".into(), Open::ReadWrite)),
            tcp: Some(Address {
                host: "::1".into(),
                port: 5432,
            }),
            env: Some("API_KEY".into()),
            network: Network::Host,
            timeout: Duration::from_secs(2),
            hint: Some("start it".into()),
        };
        assert_eq!(found["vm"], expected);
        let plain = both(&json!({"d": {"path": "data"}}), &Value::Null).unwrap();
        assert_eq!(plain["d"].path, Some(("data".into(), Open::Read)));
        assert_eq!(
            (plain["d"].timeout, plain["d"].network, &plain["d"].hint),
            (CAPABILITY_TIMEOUT, Network::Box, &None)
        );
    }

    #[test]
    fn a_program_is_a_command_that_prints_its_version() {
        let programs =
            json!({"git": {"hint": "install it"}, "java": {"hint": "x", "version-flag": "-version"}});
        let found = both(&Value::Null, &programs).unwrap();
        let words = |name: &str| found[name].command.as_ref().unwrap().join(" ");
        assert_eq!(
            (words("git"), words("java")),
            ("git --version".into(), "java -version".into())
        );
        assert_eq!(found["git"].hint.as_deref(), Some("install it"));
    }

    #[test]
    fn what_is_invalid_is_named_by_its_key() {
        let command = json!(["x"]);
        for (name, table, key, part) in [
            ("d", json!({}), "d", "give `command`, `path`, `tcp` or `env`"),
            ("d", json!({"hint": "only"}), "d", "nothing is tried"),
            ("d", json!("docker"), "d", "it is a table"),
            ("d", json!({"comand": command}), "d.comand", "`command`"),
            (
                "d",
                json!({"command": "docker info"}),
                "d.command",
                "a list of words",
            ),
            ("d", json!({"command": []}), "d.command", "a list of words"),
            ("d", json!({"command": [""]}), "d.command", "a list of words"),
            (
                "d",
                json!({"command": ["a", "b\u{0}"]}),
                "d.command",
                "a list of words",
            ),
            ("d", json!({"path": ""}), "d.path", "is not a path"),
            (
                "d",
                json!({"path": "x", "open": "write"}),
                "d.open",
                "\"read-write\"",
            ),
            (
                "d",
                json!({"command": command, "open": "read"}),
                "d.open",
                "no `path`",
            ),
            ("d", json!({"env": "A=B"}), "d.env", "the name of a variable"),
            (
                "d",
                json!({"command": command, "timeout": "soon"}),
                "d.timeout",
                "soon",
            ),
            (
                "d",
                json!({"command": command, "timeout": "601s"}),
                "d.timeout",
                "at most 600 s",
            ),
            ("root", json!({"command": command}), "root", "`root` is built in"),
            ("all", json!({"command": command}), "all", "choose another name"),
            ("a b", json!({"command": command}), "a b", "consists of letters"),
            ("a,b", json!({"command": command}), "a,b", "consists of letters"),
        ] {
            let wrong = both(&json!({ name: table }), &Value::Null).unwrap_err();
            assert_eq!(wrong.key, format!("capabilities.{key}"), "{table}");
            assert!(wrong.why.contains(part), "{part}: {}", wrong.why);
        }
    }

    #[test]
    fn the_limit_itself_is_a_valid_timeout() {
        let table = json!({"d": {"env": "X", "timeout": "600s"}});
        assert_eq!(
            both(&table, &Value::Null).unwrap()["d"].timeout,
            CAPABILITY_TIMEOUT_MAX
        );
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["127.0.0.1:1", "[::1]:65535", "db.internal:5432", "local_host:80"] {
            assert!(Address::parse(good).is_some(), "{good}");
        }
        for bad in [
            "localhost",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a:+80",
            "::1:80",
            "[::1]80",
            "[x]:80",
            "[]:80",
            "a b:80",
            "http://a:80",
        ] {
            assert_eq!(Address::parse(bad), None, "{bad}");
        }
        let wrong = both(&json!({"d": {"tcp": "localhost"}}), &Value::Null).unwrap_err();
        assert_eq!(wrong.key, "capabilities.d.tcp");
        assert!(
            wrong.why.contains("`localhost` is not `HOST:PORT`"),
            "{}",
            wrong.why
        );
    }

    #[test]
    fn one_name_is_described_once_and_a_program_shadows_nothing_either() {
        let (git, ipv4) = (json!({"git": {"hint": "x"}}), json!({"ipv4": {"hint": "x"}}));
        let twice = both(&json!({"git": {"env": "GIT"}}), &git).unwrap_err();
        assert_eq!(twice.key, "programs.git");
        assert!(
            twice.why.contains("`capabilities.git` describes it already"),
            "{}",
            twice.why
        );
        assert_eq!(both(&Value::Null, &ipv4).unwrap_err().key, "programs.ipv4");
        let wrong = both(&Value::Null, &json!({"git": {"hnit": "x"}})).unwrap_err();
        assert_eq!(wrong.key, "programs.git.hnit");
        let missing = both(&Value::Null, &json!({"git": {}})).unwrap_err();
        assert_eq!(
            (missing.key.as_str(), missing.why.as_str()),
            ("programs.git.hint", "it is missing")
        );
    }
}
