//! A moment as people and programs write it: milliseconds since 1970, or RFC 3339.

use crate::people::Date;
use cotside_protocol::model::Wall;

/// No record is of another age: 1970 to 2200.
const MILLIS_MAX: i64 = 7_258_118_400_000;

/// None: it is neither, or of no age in which anything was recorded.
pub fn moment(text: &str) -> Option<Wall> {
    let millis = match text.parse::<i64>() {
        Ok(millis) => millis,
        Err(_) => rfc3339(text)?,
    };
    (0..MILLIS_MAX).contains(&millis).then(|| Wall(millis * 1000))
}

fn rfc3339(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let day = Date::parse(date)?.number();
    let (clock, rest) = rest.strip_prefix(['T', 't', ' '])?.split_at_checked(8)?;
    let number = |text: &str| -> Option<i64> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    };
    let [hour, minute, second] = clock.split(':').map(number).collect::<Option<Vec<_>>>()?[..] else {
        return None;
    };
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at_checked(rest.find(|digit: char| !digit.is_ascii_digit())?)?,
        None => ("", rest),
    };
    let millis = if fraction.is_empty() { 0 } else { number(&format!("{fraction:0<3.3}"))? };
    let offset_min = match zone.as_bytes() {
        b"Z" | b"z" => 0,
        // In a query a plus sign is a blank.
        [sign @ (b'+' | b'-' | b' '), _, _, b':', _, _] => {
            let minutes = number(zone.get(1..3)?)? * 60 + number(zone.get(4..6)?)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let is_time = hour < 24 && minute < 60 && second <= 60;
    is_time.then_some(((day * 1440 + hour * 60 + minute - offset_min) * 60 + second) * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use super::moment;
    use cotside_protocol::model::Wall;

    #[test]
    fn milliseconds_and_rfc_3339_name_the_same_moment() {
        let expected = Some(Wall(1_795_347_036_250_000));
        for text in [
            "1795347036250",
            "2026-11-22T11:30:36.25Z",
            "2026-11-22T12:30:36.2509+01:00",
            "2026-11-22T12:30:36.250 01:00",
            "2026-11-22 10:00:36.250-01:30",
        ] {
            assert_eq!(moment(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "-1",
            "yesterday",
            "2026-11-22",
            "2026-11-22T11:30Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T11:30:36",
            "2026-11-22T1é:30:36Z",
            "99999999999999999",
            "2026-11-22T11:30:36.Z+",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
