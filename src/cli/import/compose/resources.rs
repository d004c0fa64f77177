//! What a service may take: keys of `[limits]`.

use super::ComposeFile;
use super::service::Service;
use super::yaml::Node;
use crate::cli::import::holes;
use crate::cli::import::reading::ImportContext;

const MIB: u64 = 1 << 20;

pub(super) fn read(reading: &mut ImportContext<'_>, file: &ComposeFile, service: &Service) {
    let deploy = service.get("deploy");
    let limit = |key: &str| deploy?.get("resources")?.get("limits")?.get(key)?.text();
    let own = |key: &str| service.get(key).and_then(Node::text);
    let text = |found: Option<&str>| found.map(|text| file.fill(text)).filter(|text| !holes::open(text));
    let draft = &mut reading.draft;
    if let Some(memory) = text(limit("memory").or(own("mem_limit"))) {
        match size(&memory).filter(|size| (16 * MIB..=MIB * MIB).contains(size)) {
            Some(size) => drop(draft.limits.insert("memory_max", format!("\"{}MiB\"", size.div_ceil(MIB)))),
            None => draft.leave_to_owner(
                format!("memory: {memory}"),
                "is no size that `memory_max` in [limits] takes: 16MiB or more",
            ),
        }
    }
    if let Some(pids) = text(limit("pids").or(own("pids_limit"))) {
        match pids.parse::<u32>() {
            Ok(count @ 1..=4_194_304) => drop(draft.limits.insert("tasks_max", count.to_string())),
            _ => draft.left_out(format!("pids: {pids}"), "it sets no limit"),
        }
    }
    let files = service.get("ulimits").and_then(|it| it.get("nofile"));
    let files = files.and_then(|it| it.text().or_else(|| it.get("hard").and_then(Node::text)));
    if let Some(count) =
        text(files).and_then(|it| it.parse::<u64>().ok()).filter(|it| (64..=1_048_576).contains(it))
    {
        draft.limits.insert("nofile", count.to_string());
    }
    if let Some(period) = text(own("stop_grace_period")) {
        match seconds(&period).filter(|it| *it <= 86_400) {
            Some(seconds) => drop(draft.limits.insert("graceful_timeout", format!("\"{seconds}s\""))),
            None => draft
                .leave_to_owner(format!("stop_grace_period: {period}"), "set `graceful_timeout` in [limits]"),
        }
    }
    if let Some(cpus) = text(limit("cpus").or(own("cpus"))) {
        draft.leave_to_owner(
            format!("cpus: {cpus}"),
            "`cpu_weight` in [limits] shares a busy processor out, and nothing is cut off",
        );
    }
    let replicas = deploy.and_then(|it| it.get("replicas")).and_then(Node::text);
    if let Some(count) = text(replicas.or(own("scale"))).filter(|it| it != "1") {
        let why = "one app serves here: multiply `workers` by it, or let the load decide with a range";
        draft.leave_to_owner(format!("replicas: {count}"), why);
    }
}

/// `512m`, `1.5g`, `1073741824`, `512MB`, in bytes.
fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    let number = text[..digits].parse::<f64>().ok()?;
    let bytes = number * f64::from(unit);
    (bytes < 1e15).then_some(bytes as u64)
}

/// `1m30s`, `90`, in seconds.
fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut number) = (0u64, String::new());
    for letter in text.chars() {
        let unit = match letter {
            '0'..='9' => {
                number.push(letter);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return None,
        };
        total = total.checked_add(std::mem::take(&mut number).parse::<u64>().ok()?.checked_mul(unit)?)?;
    }
    match number.is_empty() {
        true => (!text.is_empty()).then_some(total),
        false => total.checked_add(number.parse().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_as_compose_writes_them() {
        for (text, bytes) in [
            ("512m", Some(512 * MIB)),
            ("1.5g", Some(1536 * MIB)),
            ("64MiB", Some(64 * MIB)),
            ("x", None),
            ("", None),
            ("1t", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
        for (text, time) in [
            ("1m30s", Some(90)),
            ("10", Some(10)),
            ("2h", Some(7200)),
            ("", None),
            ("5ms", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(seconds(text), time, "{text}");
        }
    }
}
