//! The findings as a page for a person: a pure function of data.

use std::fmt::Write as _;

use super::Findings;
use super::machine::{Disk, Machine, Memory, OpenFiles};
use crate::machine::capability::Capability;

/// So wide is the column of names at least.
const NAME_WIDTH: usize = 12;

/// The whole page. The last line explains a failing exit code.
pub(super) fn page(findings: &Findings) -> String {
    let mut page = String::from("machine\n");
    for (name, value) in machine_rows(&findings.machine) {
        line(&mut page, &format!("  {name:<NAME_WIDTH$} {value}"));
    }
    line(&mut page, "\ncapabilities");
    let widths = findings
        .capabilities
        .iter()
        .map(|found| found.name.chars().count());
    let width = widths.chain([NAME_WIDTH]).max().unwrap_or(NAME_WIDTH);
    findings
        .capabilities
        .iter()
        .for_each(|capability| capability_rows(&mut page, capability, width));
    line(
        &mut page,
        &format!("\nfeatures: {}", features(&findings.features)),
    );
    let isolation = &findings.isolation;
    let reason = isolation.reason.as_ref().map(|reason| format!(" ({reason})"));
    line(
        &mut page,
        &format!("isolation: {}{}", isolation.level, reason.unwrap_or_default()),
    );
    let networks: Vec<&str> = isolation.networks.iter().map(|network| network.name()).collect();
    line(&mut page, &format!("networks of tests: {}", networks.join(", ")));
    line(&mut page, proof(findings));
    if !findings.missing.is_empty() {
        line(
            &mut page,
            &format!("required and missing: {}", findings.missing.join(", ")),
        );
    }
    page
}

fn line(page: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _written = writeln!(page, "{text}");
}

fn machine_rows(machine: &Machine) -> Vec<(&'static str, String)> {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(unknown);
    vec![
        ("rustc", known(&machine.rustc)),
        ("cargo", known(&machine.cargo)),
        ("target", known(&machine.target)),
        (
            "cores",
            machine.core_count.map_or_else(unknown, |count| count.to_string()),
        ),
        ("memory", machine.memory.map_or_else(unknown, memory)),
        (
            "target disk",
            machine.target_disk.as_ref().map_or_else(unknown, disk),
        ),
        (
            "TMPDIR disk",
            machine.temporary_disk.as_ref().map_or_else(unknown, disk),
        ),
        ("open files", machine.open_files.map_or_else(unknown, open_files)),
    ]
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn memory(memory: Memory) -> String {
    let available = memory
        .available_len
        .map(|len| format!(", {} available", size(len)));
    format!("{}{}", size(memory.total_len), available.unwrap_or_default())
}

fn disk(disk: &Disk) -> String {
    let inodes = disk.free_inode_count.map(|count| format!(" and {count} inodes"));
    format!(
        "{}{} free at `{}`",
        size(disk.free_len),
        inodes.unwrap_or_default(),
        disk.path.display()
    )
}

fn open_files(limits: OpenFiles) -> String {
    let count = |max: Option<u64>| max.map_or_else(|| "unlimited".to_owned(), |max| max.to_string());
    format!("{} (at most {})", count(limits.soft_max), count(limits.hard_max))
}

fn size(len: u64) -> String {
    const MIB: u64 = 1 << 20;
    match len / MIB {
        mib @ 0..10_240 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib / 1024),
    }
}

fn capability_rows(page: &mut String, capability: &Capability, width: usize) {
    let Capability { name, evidence, .. } = capability;
    let verdict = if capability.available { "yes" } else { "no" };
    line(page, &format!("  {name:<width$} {verdict:<4} {evidence}"));
    if let Some(hint) = &capability.hint {
        line(page, &format!("  {:width$}      hint: {hint}", ""));
    }
}

fn features(features: &[String]) -> String {
    if features.is_empty() {
        "none".to_owned()
    } else {
        features.join(", ")
    }
}

fn proof(findings: &Findings) -> &'static str {
    match (findings.proven, findings.has_probe) {
        (true, _) => "`fuse` was tried with a real mount",
        (false, true) => "`fuse` was judged by what it needs; without `--quick` a real mount is tried",
        (false, false) => "`fuse` counts as missing: this workspace has no `probe`, which tries a real mount",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        assert_eq!(size(512 << 20), "512 MiB");
        assert_eq!(size(24 << 30), "24 GiB");
        assert_eq!(size(0), "0 MiB");
    }

    #[test]
    fn a_missing_capability_shows_cause_and_hint() {
        let hint = Some("install it".to_owned());
        let capability = Capability {
            name: "fuse".into(),
            available: false,
            evidence: "no device".to_owned(),
            hint,
        };
        let mut page = String::new();
        capability_rows(&mut page, &capability, NAME_WIDTH);
        assert_eq!(
            page,
            "  fuse         no   no device\n                    hint: install it\n"
        );
    }

    #[test]
    fn a_file_system_without_inode_counts_shows_only_bytes() {
        let free = Disk {
            path: "/tmp".into(),
            free_len: 64 << 20,
            free_inode_count: None,
        };
        assert_eq!(disk(&free), "64 MiB free at `/tmp`");
    }
}
