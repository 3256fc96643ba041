//! A message as it may be shown: as it was said but for credentials, keys and keyed-in digits, which are blanked byte
//! by byte, so that every length stays.

/// The message with `*` in place of each credential (RFC 3261 §20.7, §20.28), each proof by which a password can be
/// guessed (§20.6), each key of a session (RFC 4568 §9.1, RFC 4567 §3.1, RFC 8866 §5.12), and of the body of an
/// INFO, in which keys that were pressed are told. It may be any bytes.
pub fn blanked(message: &[u8]) -> Vec<u8> {
    let mut out = message.to_vec();
    if mutant::mutant("capture-shows-credentials") {
        return out;
    }
    if message.get(..4).is_some_and(|method| method.eq_ignore_ascii_case(b"INFO"))
        && let Some(body) = body(message)
    {
        out[body..].iter_mut().for_each(blank);
    }
    let mut secret = false;
    // Who reads leniently takes a lone CR for the end of a line, too.
    for line in out.split_mut(|byte| matches!(byte, b'\r' | b'\n')).filter(|line| !line.is_empty()) {
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        let start = if folded && secret { Some(0) } else { begins(line) };
        secret = start.is_some();
        if let Some(start) = start {
            line[start..].iter_mut().for_each(blank);
        }
    }
    out
}

/// Header fields and attributes whose values are secret.
const SECRETS: [&[u8]; 6] = [
    b"Authorization",
    b"Proxy-Authorization",
    b"Authentication-Info",
    b"Proxy-Authentication-Info",
    b"a=crypto",
    b"a=key-mgmt",
];

/// Where in this line a secret begins.
fn begins(line: &[u8]) -> Option<usize> {
    let indent = line.len() - line.trim_ascii_start().len();
    let line = &line[indent..];
    let named = |name: &[u8]| {
        let head = line.get(..name.len())?;
        let rest = &line[name.len()..];
        let colon = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t'))? + name.len();
        (head.eq_ignore_ascii_case(name) && line[colon] == b':').then_some(colon + 1)
    };
    // `k:` is a header field of its own (Supported), the key of SDP is `k=`.
    let key = line.starts_with(b"k=").then_some(2);
    key.or_else(|| SECRETS.into_iter().find_map(named)).map(|start| indent + start)
}

fn body(message: &[u8]) -> Option<usize> {
    message.windows(4).position(|four| four == b"\r\n\r\n").map(|end| end + 4)
}

fn blank(byte: &mut u8) {
    if !matches!(byte, b'\r' | b'\n') {
        *byte = b'*';
    }
}

#[cfg(test)]
mod tests {
    use super::blanked;

    /// Guarded by the mutant `capture-shows-credentials`.
    #[test]
    fn credentials_and_keys_are_blank_and_nothing_else() {
        let message = "INVITE sip:a@b SIP/2.0\r\nauthorization : Digest username=\"8001\",\r\n response=\"abc\"\r\n\
                       Proxy-Authorization:Basic Zm9v\r\nk: timer\r\nCSeq: 1 INVITE\r\n\r\n\
                       v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\nk=clear:key\r\na=ptime:20\r\n\
                       a=x\ra=crypto:2 AES inline:bG9uZQ\ra=KEY-MGMT:mikey AQAF\r\n";
        let shown = String::from_utf8(blanked(message.as_bytes())).unwrap();
        assert_eq!(shown.len(), message.len());
        for secret in ["8001", "abc", "Zm9v", "c2VjcmV0", "clear", "bG9uZQ", "AQAF"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
        for kept in [
            "INVITE sip:a@b SIP/2.0\r\n",
            "k: timer\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\n",
            "a=ptime:20\r\na=x\ra=crypto:*",
        ] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        let proof = b"SIP/2.0 200 OK\r\nAuthentication-Info: rspauth=\"abc\"\r\nWWW-Authenticate: Digest nonce=\"n\"\r\n\r\n";
        let shown = String::from_utf8(blanked(proof)).unwrap();
        assert!(!shown.contains("rspauth") && shown.contains("nonce=\"n\""), "{shown}");
        assert_eq!(blanked(b"\r\n\n :\n\xff"), b"\r\n\n :\n\xff");
    }

    /// Guarded by the mutant `capture-shows-credentials`.
    #[test]
    fn keys_that_were_pressed_are_blank() {
        let head = "INFO sip:a@b SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\n";
        let shown = blanked(format!("{head}Signal=5\r\nDuration=160\r\n").as_bytes());
        assert_eq!(String::from_utf8(shown).unwrap(), format!("{head}********\r\n************\r\n"));
    }
}
