//! A peer's identity: one Ed25519 key, and the fingerprint that people exchange out of band.
//!
//! Owns key generation, signing, the identity file, and the text and DER forms of keys. Knows
//! nothing of relays, sessions or names of people. The secret leaves this module only as
//! [`Identity::pkcs8_der`], which TLS needs, and as the identity file.

mod file;
mod fingerprint;
mod public_key;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

pub use fingerprint::{Fingerprint, FingerprintError};
pub use public_key::{PublicKey, PublicKeyError, SIGNATURE_LEN, SignatureError};

/// Length of an Ed25519 seed, in bytes (RFC 8032, section 5.1.5).
const SEED_LEN: usize = 32;
/// What precedes the seed in a version 1 PKCS#8 document of an Ed25519 key (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A peer's secret key. Not `Clone`: share it by reference or in an `Arc`.
pub struct Identity {
    seed: Zeroizing<[u8; SEED_LEN]>,
    key_pair: Ed25519KeyPair,
    public_key: PublicKey,
}

/// Why an identity could not be made or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes for a new key")]
    NoRandomness(#[source] getrandom::Error),
    /// The key library refused the seed.
    #[error("the key library refused the secret key")]
    KeyRefused,
    /// The identity file could not be read.
    #[error("could not read the identity file `{}`\nhint: check that you may read the file and its folders", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A new identity file could not be written.
    #[error("could not write the identity file `{}`\nhint: create the folder `{}` and make it writable", path.display(), folder.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The folder it was to be written in.
        folder: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The path of the identity file names a folder, a device or a pipe.
    #[error("the identity file `{}` is not a regular file\nhint: name a file that exists or is to be created", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// The identity file belongs to another user.
    #[error("the identity file `{}` belongs to user {owner}, and this peer runs as user {user}\nhint: name a file of your own, or run the peer as the user that owns it", path.display())]
    NotOwn {
        /// The file.
        path: PathBuf,
        /// The user that it belongs to.
        owner: u32,
        /// The user that this peer runs as.
        user: u32,
    },
    /// Other users can read or write the identity file.
    #[error("the identity file `{}` has mode {mode:04o}, so other users can use the secret key in it\nhint: chmod 600 `{0}`", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The identity file has a format that this version does not know.
    #[error("the identity file `{}` starts with `{found}`, this version reads `{expected}`\nhint: use the tandem that wrote it", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its first line, shortened.
        found: String,
        /// The first line that is understood.
        expected: &'static str,
    },
    /// The identity file is damaged.
    #[error("the identity file `{}` is damaged: {problem}\nhint: restore it from a backup, or remove it and share the new fingerprint", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never shows the secret.
        problem: &'static str,
    },
}

impl Identity {
    /// A fresh identity that lives as long as this value.
    ///
    /// # Errors
    /// [`IdentityError::NoRandomness`] when the system has no random bytes.
    pub fn ephemeral() -> Result<Self, IdentityError> {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        getrandom::fill(seed.as_mut_slice()).map_err(IdentityError::NoRandomness)?;
        Self::from_seed(seed)
    }

    /// The identity stored in the file at `path`. If there is no such file, a fresh identity is
    /// written there.
    ///
    /// Only its owner can use the file (mode 0600, whatever the umask). It appears whole or not at
    /// all. Two peers that start at once with the same path get the same identity.
    ///
    /// # Errors
    /// A file is refused, never replaced, if another user owns it or can read or write it, if it is
    /// not a regular file, if its version is unknown, or if it is damaged. Each has its own variant
    /// of [`IdentityError`].
    pub fn load_or_create(path: &Path) -> Result<Self, IdentityError> {
        file::load_or_create(path)
    }

    pub(crate) fn from_seed(seed: Zeroizing<[u8; SEED_LEN]>) -> Result<Self, IdentityError> {
        let key_pair =
            Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| IdentityError::KeyRefused)?;
        let public_key =
            PublicKey::try_from(key_pair.public_key().as_ref()).map_err(|_| IdentityError::KeyRefused)?;
        Ok(Self {
            seed,
            key_pair,
            public_key,
        })
    }

    /// The public half of the key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// The fingerprint of the public key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.public_key)
    }

    /// The Ed25519 signature of `message`. The message must say what it is for: a signature carries
    /// no context.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        let mut signature = [0; SIGNATURE_LEN];
        signature.copy_from_slice(self.key_pair.sign(message).as_ref());
        signature
    }

    /// The secret key as a PKCS#8 document, for TLS; wiped from memory when dropped.
    #[must_use]
    pub fn pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        let mut der = Zeroizing::new(Vec::with_capacity(PKCS8_PREFIX.len() + SEED_LEN));
        der.extend_from_slice(&PKCS8_PREFIX);
        der.extend_from_slice(self.seed.as_slice());
        der
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeded(byte: u8) -> Identity {
        Identity::from_seed(Zeroizing::new([byte; SEED_LEN])).expect("a seed of the right length")
    }

    #[test]
    fn two_ephemeral_identities_differ() {
        let alice = Identity::ephemeral().expect("randomness");
        let bob = Identity::ephemeral().expect("randomness");
        assert_ne!(alice.fingerprint(), bob.fingerprint());
    }

    #[test]
    fn a_signature_verifies_with_the_public_key_and_this_message_only() {
        let alice = seeded(1);
        let signature = alice.sign(b"hello");
        assert_eq!(alice.public_key().verify(b"hello", &signature), Ok(()));
        assert_eq!(
            alice.public_key().verify(b"hullo", &signature),
            Err(SignatureError)
        );
        assert_eq!(
            seeded(2).public_key().verify(b"hello", &signature),
            Err(SignatureError)
        );
    }

    #[test]
    fn debug_shows_nothing_of_the_key() {
        assert_eq!(format!("{:?}", seeded(3)), "Identity(…)");
    }

    #[test]
    fn the_pkcs8_document_holds_the_same_key() {
        let alice = seeded(4);
        let again = Ed25519KeyPair::from_pkcs8(&alice.pkcs8_der()).expect("valid PKCS#8");
        assert_eq!(again.public_key().as_ref(), alice.public_key().as_bytes());
    }

    // RFC 8032, section 7.1, test 1.
    #[test]
    fn a_known_seed_gives_the_public_key_of_the_standard() {
        let seed = hex_bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public_key = hex_bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let identity = Identity::from_seed(Zeroizing::new(seed)).expect("a seed of the right length");
        assert_eq!(identity.public_key().as_bytes(), &public_key);
    }

    fn hex_bytes(text: &str) -> [u8; 32] {
        std::array::from_fn(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).expect("hex"))
    }
}
