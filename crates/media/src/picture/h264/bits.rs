//! Bits as H.264 lays them out: Exp-Golomb numbers, and the bytes that keep start codes apart.

/// Reads bits from a payload. `None`: it is at its end.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    pub(super) fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | u32::from(self.bit()?)))
    }

    /// An unsigned Exp-Golomb number.
    pub(super) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
        }
        let rest = if zeros < 32 { self.bits(zeros)? } else { return None };
        Some((1 << zeros) - 1 + rest)
    }
}

/// Writes bits.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    used: usize,
}

impl Writer {
    pub(super) fn bit(&mut self, bit: bool) {
        if self.used.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (7 - self.used % 8);
        }
        self.used += 1;
    }

    pub(super) fn bits(&mut self, count: u32, value: u32) {
        (0..count).rev().for_each(|place| self.bit(value >> place & 1 == 1));
    }

    pub(super) fn ue(&mut self, value: u32) {
        let length = (value + 1).ilog2();
        self.bits(length, 0);
        self.bits(length + 1, value + 1);
    }

    /// Takes over what the reader has left, up to the bit that ends the payload.
    pub(super) fn rest(&mut self, reader: &mut Reader<'_>) {
        let end = last_bit(reader.bytes);
        while reader.at <= end {
            let Some(bit) = reader.bit() else { return };
            self.bit(bit);
        }
    }

    /// How many bits there are.
    pub(super) fn position(&self) -> usize {
        self.used
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Where the bit is that ends a payload: the last one that is set.
fn last_bit(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    last * 8 + 7 - bytes.get(last).map_or(0, |byte| byte.trailing_zeros().min(7) as usize)
}

/// Overwrites sixteen bits at a place counted in bits.
pub(super) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    for place in 0..16 {
        let (byte, shift) = ((at + place) / 8, 7 - (at + place) % 8);
        let bit = u8::try_from(value >> (15 - place) & 1).unwrap_or(0);
        if let Some(byte) = bytes.get_mut(byte) {
            *byte = *byte & !(1 << shift) | bit << shift;
        }
    }
}

/// The payload of a unit, without the bytes that keep start codes apart.
pub(super) fn unescaped(unit: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        payload.push(byte);
    }
    payload
}

/// Appends a unit: start code, header, and the payload with what keeps start codes apart.
pub(super) fn append(stream: &mut Vec<u8>, header: u8, payload: &[u8]) {
    stream.extend([0, 0, 0, 1, header]);
    let mut zeros = 0;
    for &byte in payload {
        if zeros >= 2 && byte <= 3 {
            stream.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        stream.push(byte);
    }
}

/// The units of a stream with start codes.
pub(super) fn units(stream: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(found) = stream.get(at..).and_then(|s| s.windows(3).position(|w| w == [0, 0, 1]))
    {
        starts.push(at + found + 3);
        at += found + 3;
    }
    let ends = starts.iter().skip(1).map(|start| start - 3).chain([stream.len()]);
    let pairs = starts.iter().zip(ends);
    pairs
        .map(|(&start, end)| {
            let unit = &stream[start..end];
            let length = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            &unit[..length]
        })
        .filter(|unit| !unit.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back_as_they_were_written(numbers in vec(0..1_u32 << 20, 1..40)) {
            let mut writer = Writer::default();
            for number in &numbers {
                writer.ue(*number);
            }
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            let read: Vec<_> = numbers.iter().map_while(|_| reader.ue()).collect();
            prop_assert_eq!(read, numbers);
        }

        #[test]
        fn payloads_survive_their_way_through_a_stream(payload in vec(0..5_u8, 0..200)) {
            let payload = [&payload[..], &[0x80]].concat();
            let mut stream = Vec::new();
            append(&mut stream, 0x65, &payload);
            append(&mut stream, 0x41, &payload);
            let found = units(&stream);
            prop_assert_eq!(found.len(), 2);
            prop_assert_eq!(found[0][0], 0x65);
            prop_assert_eq!(unescaped(&found[1][1..]), payload);
        }

        #[test]
        fn what_is_left_is_copied_to_the_last_bit(bytes in vec(any::<u8>(), 1..20), skip in 0..8_u32) {
            let bytes = [&bytes[..], &[0x50]].concat();
            let mut reader = Reader::new(&bytes);
            let skipped = reader.bits(skip).unwrap();
            let mut writer = Writer::default();
            writer.bits(skip, skipped);
            writer.rest(&mut reader);
            prop_assert_eq!(writer.finish(), bytes);
        }
    }

    #[test]
    fn sixteen_bits_are_put_anywhere() {
        let mut bytes = [0xff; 4];
        put_u16(&mut bytes, 5, 0x8001);
        assert_eq!(bytes, [0b1111_1100, 0, 0b0000_1111, 0xff]);
    }

    #[test]
    fn a_reader_at_its_end_says_so() {
        assert_eq!(Reader::new(&[0; 3]).ue(), None);
        assert_eq!(Reader::new(&[0; 9]).ue(), None);
        assert_eq!(Reader::new(&[]).bit(), None);
    }
}
