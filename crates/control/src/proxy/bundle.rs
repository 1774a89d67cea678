//! The certificates that clients of the proxy trust: its authority's, and those that they trusted before.
//!
//! Clients take one file instead of the system's. Connections to hosts that are not AWS's are passed on, so that their certificates are
//! the real ones, and the file must have the system's roots, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kokanee_formats::{FileError, write_atomically};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::authority::{Authority, AuthorityError};

/// The authority's certificate alone, for clients that add it to what they trust.
const AUTHORITY: &str = "authority-certificate.pem";
const ALL: &str = "certificates.pem";
/// Variables by which clients were given other certificates before; a company's proxy may need them.
const VARIABLES: [&str; 4] = ["REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"];
const LINE: usize = 64;

/// Files of certificates in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The authority's.
    pub authority: PathBuf,
    /// The authority's and all others.
    pub all: PathBuf,
    /// How many others there are; without any, clients trust nobody but this server.
    pub others: usize,
}

/// Writes the files for clients of the server of a data folder. `now` looks up the variables of clients as they are.
///
/// # Errors
/// When there is no authority, or the system refuses.
pub fn write(
    data: &Path,
    folder: &Path,
    now: impl Fn(&str) -> Option<String>,
) -> Result<Bundle, AuthorityError> {
    let authority = Authority::open(data)?;
    fs::create_dir_all(folder).map_err(FileError::io(folder, "create the folder"))?;
    let paths = [folder.join(AUTHORITY), folder.join(ALL)];
    let system = rustls_native_certs::load_native_certs().certs;
    let mut found: BTreeSet<Vec<u8>> = system.iter().map(|certificate| certificate.to_vec()).collect();
    // The file of the last time stands for variables that it has taken the place of.
    let named = VARIABLES.iter().filter_map(|name| now(name)).map(PathBuf::from);
    for path in named.chain([paths[1].clone()]) {
        found.extend(read(&path).iter().map(|certificate| certificate.to_vec()));
    }
    let own = authority.certificate();
    found.remove(&**own);
    let others = found.iter().map(|certificate| pem(certificate)).collect::<String>();
    for (path, text) in [(&paths[0], pem(own)), (&paths[1], pem(own) + &others)] {
        // A client that starts meanwhile reads it whole.
        if !fs::read_to_string(path).is_ok_and(|there| there == text) {
            write_atomically(path, text.as_bytes())?;
        }
    }
    let [authority, all] = paths;
    Ok(Bundle { authority, all, others: found.len() })
}

/// The certificates of a file; what is none is passed over, as clients do.
fn read(path: &Path) -> Vec<CertificateDer<'static>> {
    let Ok(found) = CertificateDer::pem_file_iter(path) else { return Vec::new() };
    found.map_while(Result::ok).collect()
}

fn pem(certificate: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(certificate);
    let lines = text.as_bytes().chunks(LINE).map(|line| String::from_utf8_lossy(line) + "\n");
    format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_trusted_before_is_trusted_still() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let company = Authority::open(other.path()).unwrap().certificate().clone();
        let theirs = other.path().join("company.pem");
        fs::write(&theirs, format!("# of the company\n{}", pem(&company))).unwrap();
        let folder = data.path().join("clients");
        let theirs = |name: &str| (name == "REQUESTS_CA_BUNDLE").then(|| theirs.display().to_string());
        let bundle = write(data.path(), &folder, theirs).unwrap();
        let own = Authority::open(data.path()).unwrap().certificate().clone();
        assert!(matches!(&*read(&bundle.authority), [only] if *only == own));
        let all = read(&bundle.all);
        assert!(all[0] == own && all.contains(&company) && bundle.others == all.len() - 1);
        // In a shell that has our variables the company's name is gone.
        let ours = bundle.all.display().to_string();
        let again = write(data.path(), &folder, |_| Some(ours.clone())).unwrap();
        assert_eq!((again.others, read(&again.all)), (bundle.others, all));
    }
}
