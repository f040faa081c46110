//! Why there is no connection, in words a biomedical engineer can act on.

use cotside_protocol::model::Wall;
use rumqttc::v5::mqttbytes::Error as MqttError;
use rumqttc::v5::mqttbytes::v5::ConnectReturnCode;
use rumqttc::v5::{ConnectionError, StateError};
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError};
use std::error::Error;
use std::io::ErrorKind;

/// Words for a connection that could not be made or was lost. `address` is where the hub should be.
pub(crate) fn of_connection(error: &ConnectionError, address: &str) -> String {
    match error {
        ConnectionError::ConnectionRefused(code) => of_refusal(*code),
        ConnectionError::Timeout(_) => format!("The hub at {address} does not answer within 5 seconds."),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            let reason = reason_string.clone().unwrap_or_else(|| format!("{reason_code:?}"));
            format!("The hub ended the connection: {reason}.")
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            format!("The hub at {address} has stopped answering.")
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            format!("The hub at {address} closed the connection.")
        }
        // These two do not name their cause as their source.
        ConnectionError::MqttState(StateError::Io(io) | StateError::Deserialization(MqttError::Io(io))) => {
            of_error(io, address)
        }
        ConnectionError::MqttState(_)
        | ConnectionError::Tls(_)
        | ConnectionError::Io(_)
        | ConnectionError::NotConnAck(_)
        | ConnectionError::RequestsDone => of_error(error, address),
    }
}

/// Words for any error with a TLS or IO cause.
pub(crate) fn of_error(error: &(dyn Error + 'static), address: &str) -> String {
    match cause(error) {
        Some(Cause::Tls(tls)) => of_tls(tls),
        Some(Cause::Io(io)) => of_io(io, address),
        None => format!("The connection to {address} failed: {error}."),
    }
}

enum Cause<'a> {
    Tls(&'a rustls::Error),
    Io(&'a std::io::Error),
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<Cause<'a>> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(Cause::Tls(tls));
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            let tls = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            return Some(tls.map_or(Cause::Io(io), Cause::Tls));
        }
        cause = error.source();
    }
    None
}

/// Short words if the hub's certificate cannot be valid by this gateway's clock.
pub(crate) fn clock_refuses(error: &ConnectionError) -> Option<String> {
    let error: &(dyn Error + 'static) = match error {
        ConnectionError::MqttState(StateError::Io(io) | StateError::Deserialization(MqttError::Io(io))) => io,
        other => other,
    };
    let Some(Cause::Tls(rustls::Error::InvalidCertificate(why))) = cause(error) else { return None };
    match why {
        CertificateError::ExpiredContext { time, not_after } => {
            Some(format!("says {}; hub's certificate ended {}", date(*time), date(*not_after)))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            Some(format!("says {}; hub's certificate begins {}", date(*time), date(*not_before)))
        }
        _ => None,
    }
}

fn date(time: UnixTime) -> String {
    let ([year, month, day], _) = (Wall(0) + std::time::Duration::from_secs(time.as_secs())).calendar();
    format!("{year:04}-{month:02}-{day:02}")
}

fn of_io(error: &std::io::Error, address: &str) -> String {
    let said = error.to_string();
    if said.contains("failed to lookup address") {
        return format!("The name in {address} is not known to the network (DNS).");
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => format!("Nothing listens at {address}."),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            format!("There is no way in the network to {address}.")
        }
        ErrorKind::NetworkDown => "The network of this gateway is down.".into(),
        ErrorKind::TimedOut => format!("The hub at {address} does not answer."),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            format!("The connection to {address} broke.")
        }
        ErrorKind::UnexpectedEof => format!("The hub at {address} closed the connection."),
        _ => format!("The connection to {address} failed: {said}."),
    }
}

pub(crate) fn of_tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => of_certificate(why),
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        rustls::Error::InvalidMessage(_) => {
            "What answers there does not speak TLS: the port may be another service's.".into()
        }
        _ => format!("The secure connection failed: {error}."),
    }
}

fn of_certificate(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "The hub's certificate comes from another authority than the one this gateway was enrolled with."
                .into()
        }
        CertificateError::ExpiredContext { time, not_after } => format!(
            "The hub's certificate ended on {}, and this gateway's clock says {}: if that is not today, set the clock; if it is, renew the certificate.",
            date(*not_after),
            date(*time)
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "The hub's certificate begins on {}, and this gateway's clock says {}: set the clock.",
            date(*not_before),
            date(*time)
        ),
        CertificateError::Expired => {
            "The hub's certificate has expired, or this gateway's clock is fast.".into()
        }
        CertificateError::NotValidYet => {
            "The hub's certificate is not valid yet: this gateway's clock is slow.".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "What answers there is not the hub: its certificate is for another name.".into()
        }
        CertificateError::Revoked => "The hub's certificate is revoked.".into(),
        _ => format!("The hub's certificate is not accepted: {why}."),
    }
}

fn of_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA | AlertDescription::DecryptError | AlertDescription::BadCertificate => {
            "The hub does not know the authority of this gateway's certificate: enrol again.".into()
        }
        AlertDescription::CertificateExpired => {
            "This gateway's certificate has expired by the hub's clock: enrol again.".into()
        }
        AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => {
            "The hub no longer accepts this gateway's certificate: it was revoked.".into()
        }
        AlertDescription::CertificateRequired => "The hub wants a certificate of this gateway.".into(),
        AlertDescription::ProtocolVersion => "What answers there does not speak TLS 1.3.".into(),
        _ => format!("The hub refused the secure connection: {alert:?}."),
    }
}

fn of_refusal(code: ConnectReturnCode) -> String {
    match code {
        ConnectReturnCode::NotAuthorized | ConnectReturnCode::BadUserNamePassword => {
            "The hub does not let this gateway in: its certificate and its name do not agree, or it was revoked.".into()
        }
        ConnectReturnCode::ClientIdentifierNotValid => {
            "The hub refuses the name of this gateway; another gateway may be connected with it.".into()
        }
        ConnectReturnCode::Banned => "The hub has banned this gateway.".into(),
        ConnectReturnCode::ServerBusy
        | ConnectReturnCode::ServerUnavailable
        | ConnectReturnCode::ServiceUnavailable
        | ConnectReturnCode::ConnectionRateExceeded
        | ConnectReturnCode::QuotaExceeded => "The hub is there but takes no connections now.".into(),
        _ => format!("The hub refuses the connection: {code:?}."),
    }
}
