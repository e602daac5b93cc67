//! Which master of a cluster serves which slots, and which slot a command is for.

use redis::{Arg, Cmd, Value};

use super::access::Node;

const SLOTS: u16 = 16_384;

#[derive(Debug, Default)]
pub(super) struct SlotMap {
    ranges: Vec<Range>,
}

#[derive(Debug)]
struct Range {
    first: u16,
    last: u16,
    /// The master, then its replicas.
    nodes: Vec<Node>,
}

impl SlotMap {
    /// Reads the answer that `asked` gave to CLUSTER SLOTS. None if it cannot be read, or knows of no slot.
    pub(super) fn parse(answer: &Value, asked: &Node) -> Option<Self> {
        let Value::Array(entries) = answer else { return None };
        let ranges: Option<Vec<Range>> = entries.iter().map(|entry| Range::parse(entry, asked)).collect();
        ranges.filter(|ranges| !ranges.is_empty()).map(|ranges| Self { ranges })
    }

    pub(super) fn owner(&self, slot: u16) -> Option<&Node> {
        let range = self.ranges.iter().find(|range| (range.first..=range.last).contains(&slot))?;
        range.nodes.first()
    }

    pub(super) fn masters(&self) -> Vec<&Node> {
        let mut masters: Vec<&Node> = Vec::new();
        for master in self.ranges.iter().filter_map(|range| range.nodes.first()) {
            if !masters.contains(&master) {
                masters.push(master);
            }
        }
        masters
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.ranges.iter().flat_map(|range| &range.nodes)
    }
}

impl Range {
    fn parse(entry: &Value, asked: &Node) -> Option<Self> {
        let Value::Array(fields) = entry else { return None };
        let [Value::Int(first), Value::Int(last), nodes @ ..] = fields.as_slice() else { return None };
        let nodes = nodes.iter().map(|node| parse_node(node, asked)).collect::<Option<_>>()?;
        Some(Self { first: u16::try_from(*first).ok()?, last: u16::try_from(*last).ok()?, nodes })
    }
}

/// A node that does not know its own address leaves it out: it is where it was asked.
fn parse_node(value: &Value, asked: &Node) -> Option<Node> {
    let Value::Array(fields) = value else { return None };
    let [host, Value::Int(port), ..] = fields.as_slice() else { return None };
    let host = match host {
        Value::BulkString(host) if !host.is_empty() => String::from_utf8(host.clone()).ok()?,
        Value::BulkString(_) | Value::Nil => asked.host.clone(),
        _ => return None,
    };
    Some(Node { host, port: u16::try_from(*port).ok()? })
}

/// Where a redirection `slot host:port` leads. Without a host: to another port of the server that said so.
pub(super) fn parse_redirection(detail: &str, asked: &Node) -> Option<Node> {
    let (_, address) = detail.split_once(' ')?;
    let (host, port) = address.rsplit_once(':')?;
    let host = if host.is_empty() { &asked.host } else { host };
    Some(Node { host: host.to_owned(), port: port.parse().ok()? })
}

/// The slot of a command's first key; none if it has no key.
pub(super) fn slot_of(command: &Cmd) -> Option<u16> {
    let argument = |index| match command.args_iter().nth(index) {
        Some(Arg::Simple(argument)) => Some(argument),
        _ => None,
    };
    match argument(0)?.to_ascii_uppercase().as_slice() {
        b"EVAL" | b"EVALSHA" | b"FCALL" if argument(2)? != b"0" => argument(3).map(slot_of_key),
        b"EVAL" | b"EVALSHA" | b"FCALL" | b"SCRIPT" | b"INFO" | b"PING" | b"TIME" | b"PUBLISH" | b"ROLE" | b"SCAN"
        | b"CLUSTER" | b"CONFIG" | b"PUBSUB" => None,
        _ => argument(1).map(slot_of_key),
    }
}

/// Of a key with a part in braces, only that part counts.
pub(super) fn slot_of_key(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|byte| *byte == b'}').filter(|length| *length > 0).map(|length| &rest[..length])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// The polynomial that Redis Cluster is specified with (XMODEM).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Node {
        Node { host: "asked".into(), port: 1 }
    }

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot_of_key(b"foo"), 12_182);
        assert_eq!(slot_of_key(b"{foo}:jobs"), 12_182);
        assert_eq!(slot_of_key(b"{}foo"), crc16(b"{}foo") % SLOTS, "empty braces do not count");
    }

    #[test]
    fn a_command_goes_where_its_first_key_is() {
        let mut call = redis::cmd("EVALSHA");
        call.arg("digest").arg(2).arg("foo").arg("{foo}b").arg("argument");
        assert_eq!(slot_of(&call), Some(12_182));
        assert_eq!(slot_of(redis::cmd("HSCAN").arg("foo").arg(0)), Some(12_182));
        assert_eq!(slot_of(redis::cmd("EVAL").arg("return 1").arg(0).arg("foo")), None);
        assert_eq!(slot_of(redis::cmd("SCRIPT").arg("LOAD").arg("foo")), None);
    }

    #[test]
    fn the_map_names_the_master_of_a_slot() {
        let text = |text: &str| Value::BulkString(text.into());
        let node = |host, port| Value::Array(vec![host, Value::Int(port), text("id"), Value::Array(vec![])]);
        let range =
            |first, last, nodes: Vec<Value>| Value::Array([vec![Value::Int(first), Value::Int(last)], nodes].concat());
        let answer = Value::Array(vec![
            range(0, 99, vec![node(text("one"), 7000), node(text("two"), 7001)]),
            range(200, 16_383, vec![node(Value::Nil, 7002)]),
        ]);
        let map = SlotMap::parse(&answer, &asked()).unwrap();
        assert_eq!(map.owner(99), Some(&Node { host: "one".into(), port: 7000 }));
        assert_eq!(map.owner(100), None);
        assert_eq!(map.owner(200), Some(&Node { host: "asked".into(), port: 7002 }));
        assert_eq!(map.masters().len(), 2);
        assert_eq!(map.nodes().count(), 3);
        assert!(SlotMap::parse(&Value::Array(vec![]), &asked()).is_none(), "a node that has not joined knows nothing");
    }

    #[test]
    fn redirections_are_read_with_and_without_a_host() {
        let to = |detail| parse_redirection(detail, &asked());
        assert_eq!(to("3999 127.0.0.1:6381"), Some(Node { host: "127.0.0.1".into(), port: 6381 }));
        assert_eq!(to("3999 2001:db8::1:6381"), Some(Node { host: "2001:db8::1".into(), port: 6381 }));
        assert_eq!(to("3999 :6381"), Some(Node { host: "asked".into(), port: 6381 }));
        assert_eq!(to("nonsense"), None);
    }
}
