//! One value each: from what TOML has to what it means, or why not.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::error::Fault;
use super::visible::shortened;

pub(super) type Read<T> = Result<T, Fault>;

/// `is 5, a number`: a value of the wrong type.
pub(super) fn wrong_type(value: &DeValue<'_>, rule: &str) -> Fault {
    let kind = match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Fault::new(format!("is {kind}"), rule, "")
}

/// A string, not empty and without NUL.
pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Read<&'v str> {
    let text = any_text(value)?;
    if text.is_empty() { Err(Fault::new("is empty", "must say something", "")) } else { Ok(text) }
}

/// A string that may be empty, without NUL.
pub(super) fn any_text<'v>(value: &'v DeValue<'_>) -> Read<&'v str> {
    let text = value.as_str().ok_or_else(|| wrong_type(value, "must be a string in quotes"))?;
    if text.contains('\0') {
        return Err(Fault::new("contains a NUL", "no program can take one", "leave it out"));
    }
    Ok(text)
}

/// `0o660` or `"0660"`, permission bits only; a decimal number is a trap and refused.
pub(super) fn mode(value: &DeValue<'_>) -> Read<u32> {
    const RULE: &str = "must be octal, from 0o000 to 0o777";
    let (read, shown) = match value {
        DeValue::Integer(number) => {
            let written = shortened(&number.to_string(), 40);
            if number.radix() != 8 && number.as_str() != "0" {
                let help = format!("write 0o{} or \"0{}\"", number.as_str(), number.as_str());
                return Err(Fault::new(format!("is {written}, not octal"), RULE, shortened(&help, 80)));
            }
            (u32::from_str_radix(number.as_str(), 8).ok(), written)
        }
        DeValue::String(text) => {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            let octal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let read = if octal { u32::from_str_radix(digits, 8).ok() } else { None };
            (read, format!("{:?}", shortened(text, 40)))
        }
        other => return Err(wrong_type(other, RULE)),
    };
    read.filter(|mode| *mode <= 0o777).ok_or_else(|| Fault::new(format!("is {shown}"), RULE, ""))
}

/// `"30s"`, `"1h30m"`, or a number of seconds; zero only where `or_never` lets it mean that.
pub(super) fn duration(
    value: &DeValue<'_>,
    range: &RangeInclusive<Duration>,
    or_never: bool,
) -> Read<Duration> {
    let never = if or_never { ", or 0 for never" } else { "" };
    let rule = format!("must be a duration from {} to {}{never}", words(*range.start()), words(*range.end()));
    let (read, shown) = match value {
        DeValue::String(text) => (parse_duration(text), format!("{:?}", shortened(text, 40))),
        DeValue::Integer(number) => (seconds(&number.to_string()), shortened(&number.to_string(), 40)),
        DeValue::Float(number) => (seconds(number.as_str()), shortened(number.as_str(), 40)),
        other => return Err(wrong_type(other, &rule)),
    };
    let help = "write for example \"500ms\", \"30s\", \"5m\" or \"1h30m\"";
    match read {
        Some(read) if range.contains(&read) || (or_never && read.is_zero()) => Ok(read),
        Some(_) => Err(Fault::new(format!("is {shown}"), rule, "")),
        None => Err(Fault::new(format!("is {shown}"), rule, help)),
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// `1h30m`, or a bare number of seconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text.parse::<u64>().is_ok() {
        return seconds(text);
    }
    humantime::parse_duration(text).ok()
}

/// A duration as it would be written in the file.
pub fn words(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(24 * 3600 * 1000, "d"), (3600 * 1000, "h"), (60 * 1000, "m"), (1000, "s")];
    let whole = units.into_iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
    whole.map_or(format!("{millis}ms"), |(unit, name)| format!("{}{name}", millis / unit))
}

/// `"512MiB"`, `"1GB"`, or bytes.
pub(super) fn size(value: &DeValue<'_>, range: &RangeInclusive<u64>) -> Read<u64> {
    let rule = format!("must be a size from {} to {}", bytes(*range.start()), bytes(*range.end()));
    let (read, shown) = match value {
        DeValue::String(text) => (parse_size(text), format!("{:?}", shortened(text, 40))),
        DeValue::Integer(number) => {
            let read = u64::from_str_radix(number.as_str(), number.radix()).ok();
            (read, shortened(&number.to_string(), 40))
        }
        other => return Err(wrong_type(other, &rule)),
    };
    let help = "write for example \"512MiB\", \"1GB\", or a number of bytes";
    read.filter(|bytes| range.contains(bytes)).ok_or_else(|| Fault::new(format!("is {shown}"), rule, help))
}

fn bytes(size: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB")];
    let whole = units.into_iter().find(|(unit, _)| size >= *unit && size.is_multiple_of(*unit));
    whole.map_or(format!("{size} bytes"), |(unit, name)| format!("{} {name}", size / unit))
}

/// As systemd has it, `K`, `M`, `G`, `T` are powers of 1024; `KB` … are powers of 1000.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match text[digits..].trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1000 * 1000,
        "gb" => 1000 * 1000 * 1000,
        "tb" => 1000 * 1000 * 1000 * 1000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}
