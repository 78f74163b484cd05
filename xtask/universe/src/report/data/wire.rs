//! The values of a report in JSON: times in whole nanoseconds; output as a string if it is text and
//! as `{"base64": …}` otherwise, so that every byte is restored; paths as text.

/// A point in time: nanoseconds since 1970. Times before that become 1970.
pub(crate) mod time {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        super::duration::serialize(&since, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        Ok(UNIX_EPOCH + Duration::from_nanos(u64::deserialize(deserializer)?))
    }
}

/// A point in time that may be missing; see [`time`].
pub(super) mod maybe_time {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::report::data) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::time::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::report::data) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        let nanos = Option::<u64>::deserialize(deserializer)?;
        Ok(nanos.map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos)))
    }
}

/// A duration in nanoseconds.
pub(crate) mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_nanos(u64::deserialize(deserializer)?))
    }
}

/// The output of a program.
pub(super) mod output {
    use std::borrow::Cow;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form<'a> {
        Text(Cow<'a, str>),
        Bytes { base64: String },
    }

    pub(in crate::report::data) fn serialize<S: Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let form = match std::str::from_utf8(bytes) {
            Ok(text) => Form::Text(Cow::Borrowed(text)),
            Err(_) => Form::Bytes {
                base64: STANDARD.encode(bytes),
            },
        };
        form.serialize(serializer)
    }

    pub(in crate::report::data) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(text.into_owned().into_bytes()),
            Form::Bytes { base64 } => STANDARD
                .decode(base64)
                .map_err(|why| D::Error::custom(format!("the output is not base64: {why}"))),
        }
    }
}

/// Paths; invalid Unicode in them is lost.
pub(super) mod paths {
    use std::path::PathBuf;

    use serde::Serializer;

    /// A path that may be missing.
    pub(in crate::report::data) fn one<S: Serializer>(
        path: &Option<PathBuf>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match path {
            Some(path) => serializer.serialize_str(&path.to_string_lossy()),
            None => serializer.serialize_none(),
        }
    }

    /// Any number.
    pub(in crate::report::data) fn all<S: Serializer>(
        paths: &[PathBuf],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::output;

    #[derive(Serialize, Deserialize)]
    struct Written(#[serde(with = "output")] Vec<u8>);

    #[test]
    fn bytes_that_are_not_text_are_restored() {
        for (bytes, json) in [
            (b"text".to_vec(), "\"text\""),
            (vec![0xff], "{\"base64\":\"/w==\"}"),
            (vec![b'f', 0xff], "{\"base64\":\"Zv8=\"}"),
            (vec![0xfb, 0xff, 0xfe], "{\"base64\":\"+//+\"}"),
        ] {
            assert_eq!(serde_json::to_string(&Written(bytes.clone())).unwrap(), json);
            assert_eq!(serde_json::from_str::<Written>(json).unwrap().0, bytes);
        }
    }

    #[test]
    fn invalid_base64_is_refused() {
        for text in ["Z", "Zg", "Zg=", "====", "Zm9v!", "Zm9\u{e4}", "Zm9vYg==="] {
            let json = serde_json::json!({ "base64": text }).to_string();
            let why = serde_json::from_str::<Written>(&json).map(|written| written.0);
            assert!(
                why.is_err_and(|why| why.to_string().contains("not base64")),
                "{text}"
            );
        }
    }
}
