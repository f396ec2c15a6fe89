//! The bundle inside the executable.
//!
//! Promise: it works without a network and without any other file.

use rust_embed::RustEmbed;

use super::{Bundle, Provenance, build, ustar};
use crate::domain::record::BundleOrigin;
use crate::domain::{Error, Result};

/// One archive made by the build script: a third of the size of the files, in the format of a released bundle.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/bundle"]
struct Payload;

impl Bundle {
    /// Unpacks the bundle that this executable carries.
    pub fn embedded() -> Result<Self> {
        let archive = Payload::get("bundle.tar.gz")
            .ok_or_else(|| Error::failed("this executable carries no bundle"))?;
        let files = ustar::unpack(archive.data.as_ref(), &ustar::Limits::BUNDLE)?;
        Self::new(
            files,
            &Provenance {
                version: build::VERSION,
                seq: build::seq(),
                origin: BundleOrigin::Embedded,
                path: None,
            },
        )
    }
}
