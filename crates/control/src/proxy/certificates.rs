//! Certificates for any name of AWS or of this machine, issued on demand.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::KeyPair;
use tokio_rustls::rustls::crypto::ring::sign::any_ecdsa_type;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey};

use super::authority::{Authority, AuthorityError};
use crate::aws_names::{is_aws, is_in};

/// Maximum certificates kept: a client of S3 uses one per bucket.
const MOST: usize = 256;
/// The age after which a certificate is replaced, long before it expires.
const AGE: Duration = Duration::from_secs(30 * 86_400);
/// The names of this machine, for clients that send no name since they only have an address.
const OWN: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

type Open = dyn Fn() -> Result<Authority, AuthorityError> + Send + Sync;

/// The certificates of a server, which share one key.
pub(super) struct Certificates {
    open: Box<Open>,
    state: Mutex<Option<State>>,
}

struct State {
    authority: Authority,
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    known: HashMap<String, Known>,
}

struct Known {
    certified: Arc<CertifiedKey>,
    made: SystemTime,
    used: SystemTime,
}

impl Certificates {
    pub(super) fn new(open: impl Fn() -> Result<Authority, AuthorityError> + Send + Sync + 'static) -> Self {
        Self { open: Box::new(open), state: Mutex::new(None) }
    }

    /// The certificate for a name; no name means this machine's addresses. `None` for names that are not ours.
    fn find(&self, name: Option<&str>, now: SystemTime) -> Result<Option<Arc<CertifiedKey>>, AuthorityError> {
        let name = name.map(str::to_ascii_lowercase);
        if name.as_deref().is_some_and(|name| !is_aws(name) && !is_in(name, "localhost")) {
            return Ok(None);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match &mut *state {
            Some(state) => state,
            none => none.insert(State::new((self.open)()?)?),
        };
        state.find(name, now).map(Some)
    }
}

impl State {
    fn new(authority: Authority) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        // rcgen's key format works with ring: both use P-256 in PKCS #8.
        let signing = any_ecdsa_type(&der).map_err(|_| rcgen::Error::KeyGenerationUnavailable)?;
        Ok(Self { authority, key, signing, known: HashMap::new() })
    }

    fn find(&mut self, name: Option<String>, now: SystemTime) -> Result<Arc<CertifiedKey>, AuthorityError> {
        let names = match &name {
            Some(name) => vec![name.clone()],
            None => OWN.map(str::to_owned).to_vec(),
        };
        // No real name is empty.
        let name = name.unwrap_or_default();
        if let Some(known) = self.known.get_mut(&name) {
            // If the clock was set back, no certificate counts as young.
            if now.duration_since(known.made).is_ok_and(|age| age < AGE) {
                known.used = now;
                return Ok(Arc::clone(&known.certified));
            }
        }
        let certificate = self.authority.certify(&names, &self.key, now)?;
        let chain = vec![certificate, self.authority.certificate().clone()];
        let certified = Arc::new(CertifiedKey::new(chain, Arc::clone(&self.signing)));
        if self.known.len() >= MOST {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.known.remove(&name));
        }
        self.known.insert(name, Known { certified: Arc::clone(&certified), made: now, used: now });
        Ok(certified)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match self.find(hello.server_name(), SystemTime::now()) {
            Ok(Some(certified)) => Some(certified),
            Ok(None) => {
                let name = hello.server_name();
                tracing::warn!(name, "TLS is refused: the name is neither one of AWS nor localhost");
                None
            }
            Err(error) => {
                tracing::error!(%error, "TLS is refused: there is no certificate");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificates() -> (tempfile::TempDir, Certificates) {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().to_owned();
        (data, Certificates::new(move || Authority::open(&path)))
    }

    #[test]
    fn certificates_are_for_names_that_are_ours() {
        let (_data, certificates) = certificates();
        let find = |name| certificates.find(name, SystemTime::now()).unwrap();
        for name in [None, Some("localhost"), Some("b.localhost"), Some("My.Bucket.s3.amazonaws.com")] {
            assert!(find(name).is_some(), "{name:?}");
        }
        let same = Arc::ptr_eq(&find(Some("localhost")).unwrap(), &find(Some("LOCALHOST")).unwrap());
        assert!(same, "one certificate for a name");
        for name in ["pypi.org", "amazonaws.com.evil.example", "notlocalhost", "127.0.0.1.nip.io"] {
            assert!(find(Some(name)).is_none(), "{name}");
        }
    }

    #[test]
    fn old_ones_are_made_anew_and_few_are_kept() {
        let (_data, certificates) = certificates();
        let start = SystemTime::now();
        let find = |name: &str, seconds: u64| {
            certificates.find(Some(name), start + Duration::from_secs(seconds)).unwrap().unwrap()
        };
        let kept = |name: &str| {
            let state = certificates.state.lock().unwrap();
            state.as_ref().unwrap().known.contains_key(name)
        };
        let first = find("s3.amazonaws.com", 0);
        assert!(Arc::ptr_eq(&first, &find("s3.amazonaws.com", AGE.as_secs() - 1)));
        assert!(!Arc::ptr_eq(&first, &find("s3.amazonaws.com", AGE.as_secs())));
        let start = AGE.as_secs();
        for number in 1..MOST as u64 + 50 {
            find(&format!("b{number}.s3.amazonaws.com"), start + number);
            find("s3.amazonaws.com", start + number);
        }
        assert_eq!(certificates.state.lock().unwrap().as_ref().unwrap().known.len(), MOST);
        assert!(kept("s3.amazonaws.com") && !kept("b1.s3.amazonaws.com"), "what is used stays");
    }
}
