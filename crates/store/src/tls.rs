//! Encrypted connections to PostgreSQL.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Error;

/// Reads the URL; and how to encrypt, if its `sslmode` asks for that.
///
/// `require`, `verify-ca` and `verify-full` are one here: the connection is
/// encrypted, and the server's certificate must be good for its name, by the
/// authorities of the web or those in the PEM file `sslrootcert`. An
/// encryption without that would keep out nobody who can stand in between.
/// Without `sslmode` the connection is plain: the certificate that many
/// servers make for themselves when they are installed can't be verified.
pub(crate) fn config(url: &str) -> Result<(Config, Option<MakeRustlsConnect>), Error> {
    let (start, parameters) = url.split_once('?').unwrap_or((url, ""));
    let mut roots_file = None;
    let mut kept = Vec::new();
    for parameter in parameters
        .split('&')
        .filter(|parameter| !parameter.is_empty())
    {
        match parameter.split_once('=') {
            Some(("sslrootcert", path)) => roots_file = Some(PathBuf::from(path)),
            Some(("sslmode", "verify-ca" | "verify-full")) => kept.push("sslmode=require"),
            Some(("sslmode", "allow")) => kept.push("sslmode=disable"),
            _ => kept.push(parameter),
        }
    }
    // The cause might quote the URL, and with it the password.
    let url = match kept.is_empty() {
        true => start.to_owned(),
        false => format!("{start}?{}", kept.join("&")),
    };
    let mut config = Config::from_str(&url)
        .map_err(|_| Error::Engine("the PostgreSQL URL can't be understood".to_owned()))?;
    if config.get_ssl_mode() != SslMode::Require {
        config.ssl_mode(SslMode::Disable);
        return Ok((config, None));
    }

    let mut roots = RootCertStore::empty();
    match roots_file {
        Some(path) => {
            let unreadable = || {
                Error::Engine(format!(
                    "no certificates can be read from {}",
                    path.display()
                ))
            };
            for certificate in CertificateDer::pem_file_iter(&path).map_err(|_| unreadable())? {
                let certificate = certificate.map_err(|_| unreadable())?;
                roots.add(certificate).map_err(|_| unreadable())?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Engine(format!("TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((config, Some(MakeRustlsConnect::new(client))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_sslmode_that_requires_it_encrypts() {
        for (parameters, encrypts) in [
            ("", false),
            ("?sslmode=disable", false),
            ("?sslmode=prefer", false),
            ("?sslmode=require", true),
            ("?connect_timeout=3&sslmode=verify-full", true),
        ] {
            let read = config(&format!(
                "postgres://me:secret@db.example:5432/crm{parameters}"
            ));
            assert!(
                read.is_ok_and(|(_, tls)| tls.is_some() == encrypts),
                "{parameters}"
            );
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_quoting_it() {
        for url in [
            "postgres://me:secret@db:port/crm",
            "postgres://db/crm?sslrootcert=/no/secret&sslmode=require",
        ] {
            let error = config(url)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(!error.is_empty() && !error.contains("me:secret"), "{error}");
        }
    }
}
