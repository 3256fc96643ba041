//! What the library speaks, heard by ourselves and by FFmpeg's decoder, which is neither's relative: both hear the
//! same, and it is what was said. Wants libbcg729-0, ffmpeg, espeak-ng and sox.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use bcg729::Library;
use g729::{Decoder, Encode, Library as _, OCTETS, SAMPLES};
use std::{
    fs,
    io::{Write, stderr},
    path::Path,
    process::Command,
};

/// Samples that the way through the codec takes: 5 ms of look-ahead (G.729 §2.4).
const DELAY: usize = 40;

/// The library, and two voices at 8 kHz.
struct Studio {
    library: Library,
    folder: tempfile::TempDir,
    speech: Vec<i16>,
}

impl Studio {
    fn open() -> Option<Self> {
        let library = match Library::load(None) {
            Ok(library) => library,
            Err(lack) => {
                told(&format!("SKIPPED: {lack} (apt-get install libbcg729-0)"));
                return None;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (one, two, raw) = (at("one.wav"), at("two.wav"), at("speech.raw"));
        let english = "Your call is important to us. One two three four five six seven.";
        run("espeak-ng", &["-v", "en", "-s", "150", english, "-w", &one]);
        run("espeak-ng", &["-v", "cmn", "您好，欢迎致电，请稍候。一二三四五六七八九。", "-w", &two]);
        let format = ["-t", "raw", "-r", "8000", "-e", "signed", "-b", "16", "-c", "1"];
        run("sox", &[&[&*one, &*two], &format[..], &[&*raw, "gain", "-6"]].concat());
        let speech = samples(&fs::read(&raw).unwrap());
        assert!(speech.len() > 8 * 8000, "{} samples", speech.len());
        Some(Self { library, folder, speech })
    }

    fn encoder(&self) -> Box<dyn Encode> {
        self.library.encoder().unwrap()
    }

    fn encoded(&self) -> Vec<[u8; OCTETS]> {
        let mut encoder = self.encoder();
        self.speech.as_chunks().0.iter().map(|frame| encoder.encode(frame)).collect()
    }

    /// What FFmpeg hears.
    fn ffmpeg(&self, frames: &[[u8; OCTETS]]) -> Vec<i16> {
        let at = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let (octets, out) = (at("speech.g729"), at("heard.raw"));
        fs::write(&octets, frames.as_flattened()).unwrap();
        let from = ["-loglevel", "error", "-y", "-f", "g729", "-i", &octets];
        run("ffmpeg", &[&from[..], &["-f", "s16le", "-ar", "8000", &out]].concat());
        samples(&fs::read(out).unwrap())
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    let status = status.unwrap_or_else(|error| panic!("{program}: {error}: apt-get install {program}"));
    assert!(status.success(), "{program} {arguments:?}");
}

fn told(words: &str) {
    let _gone = writeln!(stderr(), "{words}");
}

fn samples(octets: &[u8]) -> Vec<i16> {
    octets.as_chunks().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect()
}

fn heard(frames: &[[u8; OCTETS]]) -> Vec<i16> {
    let (mut decoder, mut out) = (Decoder::default(), vec![]);
    decoder.decode(frames.as_flattened(), &mut out);
    out
}

/// Decibels of `one` over what is different in `other`.
fn likeness(one: &[i16], other: &[i16]) -> f64 {
    let (mut signal, mut noise) = (0.0, 1e-9);
    for (one, other) in one.iter().zip(other) {
        signal += f64::from(*one).powi(2);
        noise += (f64::from(*one) - f64::from(*other)).powi(2);
    }
    10.0 * f64::log10(signal / noise)
}

/// How alike the form of two signals is, whatever their loudness: 1 is the same.
fn correlation(one: &[i16], other: &[i16]) -> f64 {
    let (mut both, mut first, mut second) = (0.0, 0.0, 0.0);
    for (one, other) in one.iter().zip(other) {
        let (one, other) = (f64::from(*one), f64::from(*other));
        both += one * other;
        first += one * one;
        second += other * other;
    }
    both / f64::max(1.0, (first * second).sqrt())
}

fn loudness(samples: &[i16]) -> f64 {
    (samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
}

#[test]
fn what_is_spoken_is_heard_alike_by_another_decoder_and_is_what_was_said() {
    let Some(studio) = Studio::open() else { return };
    let frames = studio.encoded();
    let (ours, ffmpegs) = (heard(&frames), studio.ffmpeg(&frames));
    assert_eq!(ours.len(), frames.len() * SAMPLES);
    assert!(ffmpegs.len() >= ours.len(), "{} {}", ffmpegs.len(), ours.len());
    let (decibels, alike) = (likeness(&ffmpegs, &ours), correlation(&ffmpegs, &ours));
    told(&format!("ours beside FFmpeg's: {decibels:.1} dB, {alike:.4}"));
    assert!(decibels > 18.0 && alike > 0.99, "ours beside FFmpeg's: {decibels:.1} dB, {alike:.4}");
    for (whose, heard) in [("ours", &ours), ("FFmpeg's", &ffmpegs)] {
        let alike = correlation(&studio.speech, &heard[DELAY..]);
        let other = correlation(&studio.speech, &heard[DELAY + 800..]);
        told(&format!("what was said beside {whose}: {alike:.4}; 100 ms later {other:.4}"));
        assert!(alike > 0.8 && other < 0.5, "what was said beside {whose}: {alike:.4} {other:.4}");
    }
}

#[test]
fn lost_frames_are_concealed_and_speech_finds_back() {
    let Some(studio) = Studio::open() else { return };
    let frames = studio.encoded();
    let whole = heard(&frames);
    // Where the losses fall decides much: every phase of one loss in half a second is tried.
    let (mut better, mut worse) = (0.0, 0.0);
    for phase in 0..25 {
        let (mut decoder, mut concealed) = (Decoder::default(), vec![]);
        let (mut other, mut holed) = (Decoder::default(), vec![]);
        for (at, frame) in frames.iter().enumerate() {
            if (at + phase) % 25 < 2 {
                decoder.conceal(&mut concealed);
                holed.extend([0; SAMPLES]);
            } else {
                decoder.decode(frame, &mut concealed);
                other.decode(frame, &mut holed);
            }
        }
        assert_eq!(concealed.len(), whole.len());
        better += likeness(&whole, &concealed) / 25.0;
        worse += likeness(&whole, &holed) / 25.0;
    }
    told(&format!("with concealment {better:.1} dB, with holes {worse:.1} dB"));
    assert!(better > worse + 0.5, "with concealment {better:.1} dB, with holes {worse:.1} dB");
    let mut decoder = Decoder::default();
    decoder.decode(&frames[frames.len() / 2], &mut vec![]);
    // A long loss fades.
    let mut silence = vec![];
    (0..50).for_each(|_| decoder.conceal(&mut silence));
    assert!(loudness(&silence[30 * SAMPLES..]) < 30.0, "{}", loudness(&silence[30 * SAMPLES..]));
}

/// A phone that does not heed `annexb=no` says how silent it is, and goes on when there is something to say.
#[test]
fn described_silence_is_a_soft_noise_until_speech_goes_on() {
    let Some(studio) = Studio::open() else { return };
    let frames = studio.encoded();
    let (mut decoder, mut out, mut noise) = (Decoder::default(), vec![], vec![]);
    decoder.decode(frames[..100].as_flattened(), &mut out);
    // Table B.2: the energy stands before the last bit, here about 20 dB.
    decoder.decode(&(13_u16 << 1).to_be_bytes(), &mut noise);
    (0..49).for_each(|_| decoder.conceal(&mut noise));
    assert_eq!(noise.len(), 50 * SAMPLES);
    let level = loudness(&noise[20 * SAMPLES..]);
    told(&format!("noise of {level:.1}"));
    assert!((2.0..200.0).contains(&level), "noise of {level:.1}");
    let mut after = vec![];
    decoder.decode(frames[100..].as_flattened(), &mut after);
    let alike = correlation(&heard(&frames)[110 * SAMPLES..], &after[10 * SAMPLES..]);
    assert!(alike > 0.95, "{alike:.4}");
}

/// Channels do not know of each other, go to other threads, and keep the library until the last of them is gone.
#[test]
fn every_channel_is_its_own() {
    let Some(studio) = Studio::open() else { return };
    let alone = studio.encoded();
    let (mut one, mut other) = (studio.encoder(), studio.encoder());
    let (frames, _) = studio.speech.as_chunks::<SAMPLES>();
    let beside: Vec<[u8; OCTETS]> = frames
        .iter()
        .zip(frames.iter().rev())
        .map(|(frame, reversed)| (one.encode(frame), other.encode(reversed)).0)
        .collect();
    assert_eq!(beside, alone);
    drop((studio, other));
    let spoken = std::thread::spawn(move || one.encode(&[0; SAMPLES])).join().unwrap();
    assert_ne!(spoken, [0; OCTETS]);
    assert!(Library::load(Some(Path::new("/nowhere"))).is_err());
}

/// The loudest and the worst that a microphone can give.
#[test]
fn any_sound_is_spoken() {
    let Some(studio) = Studio::open() else { return };
    let (mut encoder, mut seed) = (studio.encoder(), 1_u32);
    for n in 0..4000 {
        let frame = std::array::from_fn(|at| match n / 100 % 4 {
            0 => {
                seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                (seed >> 16) as i16
            }
            1 => 0,
            2 => [i16::MIN, i16::MAX][at % 2],
            _ => i16::MIN,
        });
        let octets = encoder.encode(&frame);
        let mut out = vec![];
        Decoder::default().decode(&octets, &mut out);
        assert_eq!(out.len(), SAMPLES);
    }
}
