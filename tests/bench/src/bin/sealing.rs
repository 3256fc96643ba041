//! National cryptography on one core beside OpenSSL's (`openssl speed`), and what it costs to seal a call.
#![expect(clippy::print_stdout, reason = "what is not installed is said")]

use bench::{Failure, Figures, used};
use envelope::{
    Body, Dek, Header, KeyReference, Media, NoncePrefix, ObjectId, PayloadType, Record, RtpTimestamp, Sealer,
    Segment, Track,
};
use gm::{
    sm2::{DEFAULT_ID, SigningKey},
    sm3,
    sm4::{Key, Nonce},
};
use std::{
    hint::black_box,
    process::{Command, id},
    time::Duration,
};
use types::{Uid, Utc};

/// The largest chunk of a sealed file.
const BLOCK: usize = 16 << 10;
const SPELL: Duration = Duration::from_secs(1);

fn main() -> Result<(), Failure> {
    let mut figures = Figures::of("sealing");
    let mut buffer = vec![0x5a; BLOCK];
    let key = Key::new(&[7; 16]);
    let mut counter = 0u64;
    let gcm = megabytes(each_second(|| {
        counter += 1;
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&counter.to_be_bytes());
        key.seal_in_place(&Nonce(nonce), b"", &mut buffer).map(drop)
    })?);
    let openssl_gcm = match openssl(&["-evp", "sm4-gcm"]) {
        None => openssl(&["-evp", "sm4-ctr"]).map(|found| ("openssl, CTR alone", found)),
        found => found.map(|found| ("openssl", found)),
    };
    put(
        &mut figures,
        "SM4-GCM, 16 KiB",
        "MB/s",
        gcm,
        openssl_gcm.map(|(name, found)| (name, found[0] / 1e6)),
    );

    let hashed = megabytes(each_second(|| {
        black_box(sm3::digest(black_box(&buffer)));
        Ok(())
    })?);
    let found = openssl(&["-evp", "sm3"]).map(|found| ("openssl", found[0] / 1e6));
    put(&mut figures, "SM3, 16 KiB", "MB/s", hashed, found);

    let signer = SigningKey::generate()?;
    let signature = signer.sign(DEFAULT_ID, b"message")?;
    let signs = each_second(|| signer.sign(DEFAULT_ID, b"message").map(drop))?;
    let verifies = each_second(|| signer.verifying_key().verify(DEFAULT_ID, b"message", &signature))?;
    let found = openssl(&["sm2"]);
    let of = |at: usize| found.as_ref().and_then(|found| Some(("openssl", *found.get(at)?)));
    put(&mut figures, "SM2 signatures", "1/s", signs, of(0));
    put(&mut figures, "SM2 verifications", "1/s", verifies, of(1));
    if found.is_none() {
        println!("openssl is not installed (apt-get install openssl): no reference for the cryptography");
    }

    // One call: two tracks of G.711, a packet each 20 ms.
    let seconds = 600u32;
    let began = used(id())?;
    let sealed = seal(seconds)?;
    let call = (used(id())? - began).as_secs_f64() * 1e3 / f64::from(seconds);
    let bare = f64::from(sealed) / f64::from(seconds) / (gcm * 1e6) * 1e3;
    let over = figures.beside("a recorded call, a second of it", "CPU ms", call, ("SM4-GCM alone", bare));
    figures.end(&format!(
        "the limit is the cipher: sealing a call costs {over:.2} × SM4-GCM over the same bytes, {:.2} % of a core for 100 calls",
        call * 10.0
    ))
}

/// Seals a conversation of so many seconds into memory. Gives its size.
fn seal(seconds: u32) -> Result<u32, Failure> {
    let header = Header {
        object: ObjectId(Uid([1; 16])),
        key: KeyReference(Uid([2; 16])),
        segment: Segment(0),
        start: Utc(0),
        prefix: NoncePrefix::random()?,
    };
    let (mut sealer, _) = Sealer::new(&Dek::generate()?, header);
    let (mut out, mut size) = (Vec::new(), 0);
    let bytes = [0xd5; 160];
    for packet in 0..seconds * 50 {
        for track in [Track(0), Track(1)] {
            let body = Body::Media(Media {
                payload_type: PayloadType(8),
                timestamp: RtpTimestamp(packet * 160),
                payload: &bytes,
            });
            sealer.push(&Record { track, time: Duration::from_millis(20) * packet, body }, &mut out)?;
        }
        size += out.len();
        out.clear();
    }
    sealer.finish(&mut out)?;
    Ok(u32::try_from(size + out.len())?)
}

/// How often a second it can be done on one core.
fn each_second(mut once: impl FnMut() -> Result<(), gm::Error>) -> Result<f64, Failure> {
    // By the time on the processor, as openssl does: others may use it too.
    let (began, mut count) = (used(id())?, 0);
    loop {
        for _ in 0..16 {
            once()?;
        }
        count += 16;
        let spent = used(id())? - began;
        if spent > SPELL {
            return Ok(f64::from(count) / spent.as_secs_f64());
        }
    }
}

fn megabytes(blocks: f64) -> f64 {
    blocks * BLOCK as f64 / 1e6
}

fn put(figures: &mut Figures, figure: &str, unit: &str, ours: f64, reference: Option<(&str, f64)>) {
    match reference {
        Some(reference) => {
            figures.beside(figure, unit, ours, reference);
        }
        None => figures.alone(figure, unit, ours),
    }
}

/// The figures of the last line that `openssl speed -mr` writes: bytes a second, or signatures and
/// verifications a second. Nothing where it is not installed or does not know the algorithm.
fn openssl(algorithm: &[&str]) -> Option<Vec<f64>> {
    let mut command = Command::new("openssl");
    command.args(["speed", "-mr", "-seconds", "1", "-bytes", &BLOCK.to_string()]).args(algorithm);
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().rev().find(|line| line.starts_with("+F"))?;
    let found: Vec<f64> = line.split(':').skip(3).filter_map(|value| value.parse().ok()).collect();
    (!found.is_empty()).then_some(found)
}
