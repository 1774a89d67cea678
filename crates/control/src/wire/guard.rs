//! Refuses requests that a web page made a browser send, since the server needs no password.
//!
//! A page cannot set `Host` or `Origin`. A foreign `Host` comes from a page whose name was made to point to this machine (DNS rebinding), a
//! foreign `Origin` from any other page.

use std::net::{IpAddr, SocketAddr};

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

use crate::aws_names::{is_aws, is_in};

/// The hosts that count as this server.
#[derive(Clone, Debug)]
pub struct Guard {
    address: SocketAddr,
    names: Vec<String>,
}

impl Guard {
    /// Allows requests to this address, to loopback, to names of AWS (which clients behind a proxy use) and to `names`.
    pub fn new(address: SocketAddr, names: Vec<String>) -> Self {
        Self { address, names: names.into_iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Checks whether a request may be answered.
    ///
    /// # Errors
    /// The reason for a refusal, as human-readable text.
    pub fn check(&self, head: &Parts) -> Result<(), String> {
        let host = head.uri.authority().map(|authority| authority.as_str());
        let host = host.or_else(|| text(&head.headers, header::HOST.as_str()));
        if let Some(host) = host
            && !self.is_ours(host)
        {
            return Err(format!(
                "the request is for the host {}, which this server is not; use http://{}, or name the host with --allow-host",
                shown(host),
                self.address
            ));
        }
        if let Some(origin) = text(&head.headers, header::ORIGIN.as_str())
            && !self.is_own_origin(origin)
        {
            return Err(format!("a web page of {} may not use this server", shown(origin)));
        }
        // Images, forms and scripts of a page send no Origin when they are read; following a link is a person's action.
        let is_link = head.method == Method::GET && text(&head.headers, "sec-fetch-mode") == Some("navigate");
        if !is_link && text(&head.headers, "sec-fetch-site") == Some("cross-site") {
            return Err("a web page of another site may not use this server".to_owned());
        }
        Ok(())
    }

    fn is_ours(&self, host: &str) -> bool {
        let (name, _) = split_port(host);
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if let Ok(ip) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // An address cannot be rebound. If the server listens on all addresses, any of them is accepted.
            return ip.is_loopback() || ip == self.address.ip() || self.address.ip().is_unspecified();
        }
        is_aws(&name) || is_in(&name, "localhost") || self.names.iter().any(|known| is_in(&name, known))
    }

    /// Whether an origin is this server, under a name that a browser uses.
    fn is_own_origin(&self, origin: &str) -> bool {
        let Some((_, host)) = origin.split_once("://") else { return false };
        let (name, port) = split_port(host);
        !is_aws(&name.trim_end_matches('.').to_ascii_lowercase())
            && self.is_ours(host)
            && port.and_then(|port| port.parse().ok()) == Some(self.address.port())
    }
}

/// Host and port; an IPv6 address keeps its brackets.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect::<String>().escape_debug().to_string()
}
