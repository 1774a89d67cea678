//! The certificate authority of a data folder.
//!
//! It is trusted only by processes that were given its certificate: nothing is installed. Its private key is in the data folder, readable
//! only by its owner, and its certificate is limited to names of AWS and of this machine. So a thief of the key can deceive those processes
//! only about AWS, which they do not intend to reach.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::net::Ipv6Addr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kokanee_formats::FileError;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::aws_names::DOMAINS;

/// Folder in the data folder.
const FOLDER: &str = "proxy";
/// Key and certificate in one file, so that neither exists without the other.
const FILE: &str = "authority.pem";
const DAY: Duration = Duration::from_secs(86_400);
/// The validity of an authority, as long as a machine may last.
const AUTHORITY_DAYS: u32 = 20 * 365;
/// The validity of a certificate; Apple's clients refuse certificates valid for more than 825 days.
const CERTIFICATE_DAYS: u32 = 397;

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// The reason why there is no authority.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// The system refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file was not written by this module.
    #[error("{path}: {reason}; remove the file, and a new one will be made")]
    Broken {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// A certificate cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
}

impl Authority {
    /// The authority of a data folder, created if missing. If several processes do so at the same time, all get the same one.
    ///
    /// # Errors
    /// When the system refuses, or the file is broken.
    pub fn open(data: &Path) -> Result<Self, AuthorityError> {
        let folder = data.join(FOLDER);
        let path = folder.join(FILE);
        if let Some(there) = read(&path)? {
            return Ok(there);
        }
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(FileError::io(&folder, "create the folder"))?;
        let key = KeyPair::generate()?;
        let certificate = params(&key).self_signed(&key)?;
        let text = key.serialize_pem() + &certificate.pem();
        write_new(&path, &text).map_err(FileError::io(&path, "write the file"))?;
        // Another process may have been faster.
        read(&path)?.ok_or_else(|| broken(&path, "it is gone"))
    }

    /// Its own certificate, for clients that should trust it.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A certificate for these names or addresses, to be used with `key`. It is valid from a day before `now`, since clocks differ.
    ///
    /// # Errors
    /// If a name is not allowed in a certificate.
    pub(super) fn certify(
        &self,
        names: &[String],
        key: &KeyPair,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "kokanee local");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = (now - DAY).into();
        params.not_after = (now + DAY * CERTIFICATE_DAYS).into();
        Ok(params.signed_by(key, &self.issuer)?.der().clone())
    }
}

/// The content of its certificate, which depends only on the key and the time.
fn params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    // Clients find issuers by their names, so each authority has a unique name.
    let id = Sha256::digest(key.public_key_raw())
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("kokanee local authority {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let names = DOMAINS.iter().copied().chain(["localhost"]);
    let names = names.map(|name| GeneralSubtree::DnsName(name.to_owned()));
    let addresses = [
        CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8),
        CidrSubnet::from_v6_prefix(Ipv6Addr::LOCALHOST.octets(), 128),
    ];
    let permitted_subtrees = names.chain(addresses.map(GeneralSubtree::IpAddress)).collect();
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: vec![] });
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + DAY * AUTHORITY_DAYS).into();
    params
}

fn read(path: &Path) -> Result<Option<Authority>, AuthorityError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::io(path, "read the file")(error).into()),
    };
    let key =
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| broken(path, format!("no key: {error}")))?;
    let key = KeyPair::try_from(&key).map_err(|error| broken(path, format!("its key: {error}")))?;
    let certificate = CertificateDer::from_pem_slice(&text)
        .map_err(|error| broken(path, format!("no certificate: {error}")))?;
    let public = key.public_key_raw();
    if !certificate.windows(public.len()).any(|part| part == public) {
        return Err(broken(path, "its certificate belongs to another key"));
    }
    Ok(Some(Authority { issuer: Issuer::new(params(&key), key), certificate }))
}

/// Writes a file that only its owner can read, completely or not at all, unless it exists.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let make = |path: &Path| fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = tempfile::Builder::new().prefix(".kokanee-authority-").make_in(folder, make)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

fn broken(path: &Path, reason: impl Into<String>) -> AuthorityError {
    AuthorityError::Broken { path: path.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_authority_is_made_once_and_for_its_owner() {
        let data = tempfile::tempdir().unwrap();
        let all: Vec<_> = std::thread::scope(|scope| {
            let open = || Authority::open(data.path()).unwrap().certificate().clone();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.iter().all(|one| *one == all[0]));
        let mode = fs::metadata(data.path().join("proxy/authority.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Authority::open(other.path()).unwrap().certificate(), &all[0]);
    }

    #[test]
    fn a_file_that_is_none_is_named_and_kept() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("proxy/authority.pem");
        Authority::open(data.path()).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        let at = whole.find("-----BEGIN CERTIFICATE").unwrap();
        let other = tempfile::tempdir().unwrap();
        Authority::open(other.path()).unwrap();
        let foreign = fs::read_to_string(other.path().join("proxy/authority.pem")).unwrap();
        let foreign = &foreign[foreign.find("-----BEGIN CERTIFICATE").unwrap()..];
        for (text, reason) in [
            (String::new(), "no key"),
            (whole[at..].to_owned(), "no key"),
            (whole[..at].to_owned(), "no certificate"),
            (whole[..at].to_owned() + foreign, "belongs to another key"),
        ] {
            fs::write(&path, &text).unwrap();
            let error = Authority::open(data.path()).err().unwrap().to_string();
            assert!(error.contains(reason) && error.contains("authority.pem"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
