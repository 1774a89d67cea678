//! The certificates that clients of the proxy trust: its authority's, and those that they trusted before.
//!
//! Clients use one file instead of the system's. Connections to hosts other than AWS's are forwarded and have the hosts' real certificates,
//! so the file must also contain the system's roots.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kokanee_formats::{FileError, write_atomically};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::authority::{Authority, AuthorityError};

/// The authority's certificate alone, for clients that add it to those that they trust.
const AUTHORITY: &str = "authority-certificate.pem";
const ALL: &str = "certificates.pem";
/// Variables with other certificates that clients used before; a company's proxy may need them.
const VARIABLES: [&str; 4] = ["REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"];
const LINE: usize = 64;

/// Files of certificates in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The file with the authority's certificate.
    pub authority: PathBuf,
    /// The file with the authority's and all others.
    pub all: PathBuf,
    /// The number of others; without any, clients trust only this server.
    pub others: usize,
}

/// Writes the files for clients of the server of a data folder. `now` returns the present variables of clients.
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
    // The file of an earlier run contains the certificates of the variables that it replaced.
    let named = VARIABLES.iter().filter_map(|name| now(name)).map(PathBuf::from);
    for path in named.chain([paths[1].clone()]) {
        found.extend(read(&path).iter().map(|certificate| certificate.to_vec()));
    }
    let own = authority.certificate();
    found.remove(&**own);
    let others = found.iter().map(|certificate| pem(certificate)).collect::<String>();
    for (path, text) in [(&paths[0], pem(own)), (&paths[1], pem(own) + &others)] {
        // A client that starts meanwhile must read a complete file.
        if !fs::read_to_string(path).is_ok_and(|there| there == text) {
            write_atomically(path, text.as_bytes())?;
        }
    }
    let [authority, all] = paths;
    Ok(Bundle { authority, all, others: found.len() })
}

/// The certificates of a file; invalid ones are skipped, as clients do.
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
        // A shell with our variables no longer has the company's variable.
        let ours = bundle.all.display().to_string();
        let again = write(data.path(), &folder, |_| Some(ours.clone())).unwrap();
        assert_eq!((again.others, read(&again.all)), (bundle.others, all));
    }
}
