//! Trees that are packed, and what becomes of them.

mod plot;
mod refused;
mod reproducible;
mod round_trip;
mod unsteady;

use std::num::NonZeroUsize;

use plot::Plot;
use tarball::{Limits, PackError, Packed, Packing, SecretFiles, pack};

fn packed(plot: &Plot) -> Packed<Vec<u8>> {
    packed_with(plot, &packing()).unwrap()
}

fn packed_with(plot: &Plot, packing: &Packing) -> Result<Packed<Vec<u8>>, PackError> {
    pack(&[plot.folder("package")], Vec::new(), packing)
}

fn packing() -> Packing {
    Packing { limits: Limits::default(), secret_files: SecretFiles::Refuse, threads: NonZeroUsize::MIN }
}
