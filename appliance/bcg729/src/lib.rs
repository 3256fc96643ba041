//! The customer's own G.729 library: bcg729, under its GPL or bought from its authors. It is loaded at run time and
//! never shipped or linked; why, docs/adr/0010 says.
//!
//! Owns finding the file, judging whether it may be loaded, and the three functions of it that speak. Hearing is
//! [`g729`]'s own: no octet that came from outside reaches the library, only samples of ours do.
//!
//! What is loaded is run. So the file, and every folder on the way to it, belongs to root and can be changed by no
//! one else; and the place stands in the settings, never in the environment.

mod place;

pub use place::{Lack, PLACES, find};

use g729::{Encode, OCTETS, SAMPLES};
use std::{ffi::c_void, fmt, path::Path, ptr::NonNull, sync::Arc};

/// A channel of the library.
type Channel = c_void;
type Init = unsafe extern "C" fn(enable_vad: u8) -> *mut Channel;
type Close = unsafe extern "C" fn(channel: *mut Channel);
type Encoder =
    unsafe extern "C" fn(channel: *mut Channel, frame: *const i16, octets: *mut u8, length: *mut u8);

/// The library, loaded.
#[derive(Clone)]
pub struct Library(Arc<Loaded>);

/// Its functions, and what they live in.
struct Loaded {
    init: Init,
    close: Close,
    encode: Encoder,
    _file: libloading::os::unix::Library,
}

impl Library {
    /// Loads the library: the named file, else the first of [`PLACES`] that is there.
    ///
    /// # Errors
    /// [`Lack`], with what keeps it from being loaded.
    pub fn load(named: Option<&Path>) -> Result<Self, Lack> {
        let path = find(named)?;
        let unfit = |error: libloading::Error| Lack::Unfit { path: path.clone(), reason: error.to_string() };
        // SAFETY: loading runs the file's initialisers. `find` has seen that none but root can have put them there,
        // and that none but root can exchange the file meanwhile; bcg729 has none of its own.
        let file = unsafe { libloading::os::unix::Library::open(Some(&path), NOW) }.map_err(unfit)?;
        // SAFETY: the symbols have these types in every version since 1.0.2 (bcg729/encoder.h), which the last one
        // tells from earlier ones. The pointers are copied out and live no longer than the file, which is kept beside them.
        let (init, close, encode) = unsafe {
            file.get::<*const c_void>(b"bcg729GetRFC3389Payload\0").map_err(unfit)?;
            (
                *file.get::<Init>(b"initBcg729EncoderChannel\0").map_err(unfit)?,
                *file.get::<Close>(b"closeBcg729EncoderChannel\0").map_err(unfit)?,
                *file.get::<Encoder>(b"bcg729Encoder\0").map_err(unfit)?,
            )
        };
        Ok(Self(Arc::new(Loaded { init, close, encode, _file: file })))
    }
}

/// Every symbol is bound at once, and none is given to others: `RTLD_NOW | RTLD_LOCAL`.
const NOW: std::ffi::c_int = libloading::os::unix::RTLD_NOW | libloading::os::unix::RTLD_LOCAL;

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Library(bcg729)")
    }
}

impl g729::Library for Library {
    fn encoder(&self) -> Option<Box<dyn Encode>> {
        // Without detection of speech (Annex B): every frame is of 10 octets.
        // SAFETY: the function takes a flag and gives a channel of its own, or null where there is no memory.
        let channel = unsafe { (self.0.init)(0) };
        Some(Box::new(Speaker { channel: NonNull::new(channel)?, library: Arc::clone(&self.0) }))
    }
}

/// One channel.
struct Speaker {
    channel: NonNull<Channel>,
    library: Arc<Loaded>,
}

// SAFETY: a channel is memory of its own, which the library reaches by this pointer alone: it has no state for all
// channels and none for threads. It goes where its owner goes.
unsafe impl Send for Speaker {}

impl Encode for Speaker {
    fn encode(&mut self, samples: &[i16; SAMPLES]) -> [u8; OCTETS] {
        let (mut octets, mut length) = ([0; OCTETS], OCTETS as u8);
        // SAFETY: the channel is open until `drop`. The library reads 80 samples and writes at most 10 octets and one
        // length, and all three are there; it keeps none of the pointers.
        unsafe {
            (self.library.encode)(
                self.channel.as_ptr(),
                samples.as_ptr(),
                octets.as_mut_ptr(),
                &raw mut length,
            );
        }
        debug_assert_eq!(usize::from(length), OCTETS, "without detection of speech every frame is speech");
        octets
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        // SAFETY: the channel is this library's, which is still loaded, and nobody else has it.
        unsafe { (self.library.close)(self.channel.as_ptr()) }
    }
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Speaker(bcg729)")
    }
}
