//! A message as it may be shown: on the wire but for credentials and keys, which are blanked byte by byte, so that
//! every length stays.

/// The message with `*` in place of each credential (RFC 3261 §20.7, §20.28) and key (RFC 4568 §9.1). It may be
/// any bytes.
pub fn blanked(message: &[u8]) -> Vec<u8> {
    let mut out = message.to_vec();
    let (mut at, mut secret) = (0, false);
    while at < out.len() {
        let end = out[at..].iter().position(|byte| *byte == b'\n').map_or(out.len(), |found| at + found);
        let line = &mut out[at..end];
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        let start = if folded && secret { Some(0) } else { begins(line) };
        secret = start.is_some();
        if let Some(start) = start.filter(|_| !mutant::mutant("capture-shows-credentials")) {
            for byte in line.iter_mut().skip(start).filter(|byte| **byte != b'\r') {
                *byte = b'*';
            }
        }
        at = end + 1;
    }
    out
}

/// Where in this line a secret begins.
fn begins(line: &[u8]) -> Option<usize> {
    let named = |name: &[u8]| {
        let head = line.get(..name.len())?;
        let colon = line[name.len()..].iter().position(|byte| !matches!(byte, b' ' | b'\t'))? + name.len();
        (head.eq_ignore_ascii_case(name) && line[colon] == b':').then_some(colon + 1)
    };
    let secrets: [&[u8]; 3] = [b"Authorization", b"Proxy-Authorization", b"a=crypto"];
    // `k:` is a header field of its own (Supported), the key of SDP is `k=` (RFC 8866 §5.12).
    let key = line.starts_with(b"k=").then_some(2);
    key.or_else(|| secrets.into_iter().find_map(named))
}

#[cfg(test)]
mod tests {
    use super::blanked;

    /// Guarded by the mutant `capture-shows-credentials`.
    #[test]
    fn credentials_and_keys_are_blank_and_nothing_else() {
        let message = "INVITE sip:a@b SIP/2.0\r\nauthorization : Digest username=\"8001\",\r\n response=\"abc\"\r\n\
                       Proxy-Authorization:Basic Zm9v\r\nk: timer\r\nCSeq: 1 INVITE\r\n\r\n\
                       v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\nk=clear:key\r\na=ptime:20\r\n";
        let shown = String::from_utf8(blanked(message.as_bytes())).unwrap();
        assert_eq!(shown.len(), message.len());
        for secret in ["8001", "abc", "Zm9v", "c2VjcmV0", "clear"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
        for kept in
            ["INVITE sip:a@b SIP/2.0\r\n", "k: timer\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\n", "a=ptime:20\r\n"]
        {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        assert_eq!(blanked(b"\r\n\n :\n\xff"), b"\r\n\n :\n\xff");
    }
}
